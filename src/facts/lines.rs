//! Lines of text in one piece: a list of strings to whoever reads it, one allocation to whoever keeps
//! thousands of them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Lines of text, none of which holds a line feed. Its JSON is an array of strings.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Lines {
    /// Each line is ended by a line feed, so that one empty line is something else than none.
    text: Box<str>,
}

impl Lines {
    /// Each of them, without what ends it.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\n')
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.text.bytes().filter(|&byte| byte == b'\n').count()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All in one, with this between each two.
    pub fn join(&self, between: &str) -> String {
        self.text.strip_suffix('\n').unwrap_or_default().replace('\n', between)
    }
}

/// Of a text with a line feed after each line; the last one may lack it.
impl From<String> for Lines {
    fn from(mut text: String) -> Self {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Self { text: text.into() }
    }
}

/// Of the lines one by one; a line feed in one of them becomes U+FFFD, as all that is unprintable.
impl<S: AsRef<str>> FromIterator<S> for Lines {
    fn from_iter<I: IntoIterator<Item = S>>(lines: I) -> Self {
        let mut text = String::new();
        for line in lines {
            let unbroken = line.as_ref().chars().map(|c| if c == '\n' { '\u{fffd}' } else { c });
            text.extend(unbroken.chain(['\n']));
        }
        Self { text: text.into() }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Vec::<String>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_as_a_list_of_strings() {
        for (json, joined) in [
            (r"[]", ""),
            (r#"[""]"#, ""),
            (r#"["",""]"#, " / "),
            (r#"["mx.example.com"]"#, "mx.example.com"),
            (r#"["mx.example.com","","SIZE 10"," "]"#, "mx.example.com /  / SIZE 10 /  "),
        ] {
            let list: Vec<String> = serde_json::from_str(json).unwrap();
            let lines: Lines = serde_json::from_str(json).unwrap();
            assert_eq!(lines.iter().collect::<Vec<_>>(), list);
            assert_eq!((lines.len(), lines.is_empty()), (list.len(), list.is_empty()));
            assert_eq!(lines.join(" / "), joined);
            assert_eq!(serde_json::to_string(&lines).unwrap(), json);
            assert_eq!(format!("{lines:?}"), format!("{list:?}"));
            assert_eq!(list.iter().collect::<Lines>(), lines);
        }
    }

    #[test]
    fn no_line_holds_a_line_feed() {
        let lines: Lines = serde_json::from_str(r#"["one\ntwo\n","three"]"#).unwrap();
        assert_eq!(lines.iter().collect::<Vec<_>>(), ["one\u{fffd}two\u{fffd}", "three"]);
    }

    #[test]
    fn a_text_gives_its_lines() {
        for (text, want) in [
            ("", &[][..]),
            ("\n", &[""]),
            ("one", &["one"]),
            ("one\n", &["one"]),
            ("one\n\n", &["one", ""]),
            ("\none", &["", "one"]),
        ] {
            assert_eq!(Lines::from(text.to_owned()).iter().collect::<Vec<_>>(), want, "{text:?}");
        }
    }
}
