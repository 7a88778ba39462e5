//! Which series a PromQL expression names. A scanner that knows strings, words, braces and
//! brackets, and no parser: whether the expression is valid is Prometheus' to say.

/// A metric with its matchers, as written.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Selector<'a> {
    /// The metric.
    pub(crate) name: &'a str,
    /// What stands in its braces; `None` without any.
    pub(crate) matchers: Option<&'a str>,
    /// What stands in the brackets behind it, if there are any.
    pub(crate) range: Option<&'a str>,
    /// The function whose first argument it is, empty where it is that of none.
    pub(crate) function: &'a str,
}

impl<'a> Selector<'a> {
    /// The labels that are matched.
    pub(crate) fn labels(&self) -> Vec<&'a str> {
        let parts = self.matchers.unwrap_or_default().split(", ").filter(|part| !part.is_empty());
        parts.filter_map(|part| part.split(['=', '!']).next()).collect()
    }
}

/// Every word that has braces, and every other one that is in `known`.
pub(crate) fn selectors(expr: &str, known: impl Fn(&str) -> bool) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    let mut function = "";
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = &rest[string_length(rest)..];
            function = "";
        } else if first.is_ascii_alphabetic() || first == '_' {
            let word = &rest[..word_length(rest)];
            rest = &rest[word.len()..];
            if rest.starts_with('(') {
                function = word;
                rest = &rest[1..];
                continue;
            }
            let matchers = enclosed(rest, '{', '}');
            rest = &rest[matchers.map_or(0, |matchers| matchers.len() + 2)..];
            let range = enclosed(rest, '[', ']');
            if matchers.is_some() || known(word) {
                found.push(Selector { name: word, matchers, range, function });
            }
            function = "";
        } else {
            rest = &rest[first.len_utf8()..];
            function = "";
        }
    }
    found
}

/// What stands between `open`, with which the text must begin, and the next `close`.
fn enclosed(text: &str, open: char, close: char) -> Option<&str> {
    let inside = text.strip_prefix(open)?;
    let mut at = 0;
    while !inside[at..].starts_with(close) {
        at += if inside[at..].starts_with('"') { string_length(&inside[at..]) } else { 1 };
    }
    Some(&inside[..at])
}

fn string_length(text: &str) -> usize {
    2 + text[1..].find('"').expect("the string has an end")
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len())
}

#[test]
fn selectors_are_found() {
    let expr =
        r#"sum by (a) (rate(a_total{b="}", c!~"d"}[$__range] @ end())) * on (b) up + "up" * e{}"#;
    let found = selectors(expr, |word| word == "up");
    let of = |name, matchers, range, function| Selector { name, matchers, range, function };
    let first = of("a_total", Some(r#"b="}", c!~"d""#), Some("$__range"), "rate");
    assert_eq!(found[0].labels(), ["b", "c"]);
    assert_eq!(found, [first, of("up", None, None, ""), of("e", Some(""), None, "")]);
}
