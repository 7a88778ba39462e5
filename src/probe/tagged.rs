//! TXT records of the form `v=WORD; name=value; …`, as MTA-STS (RFC 8461 §3.1) and TLS-RPT
//! (RFC 8460 §3) share it. Pure; what the names mean is told elsewhere.

use crate::shown::one_line;

/// What the TXT records of a name come to for one protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sole<'a> {
    /// None of them is one of the protocol's.
    None,
    /// This is the only one.
    One(&'a str),
    /// So many are; then none counts.
    Several(usize),
}

/// The record that begins with this version; others at the same name are none of ours.
pub(super) fn sole<'a>(texts: impl IntoIterator<Item = &'a str>, version: &str) -> Sole<'a> {
    let mut own = texts.into_iter().filter(|text| after_version(text, version).is_some());
    match (own.next(), own.count()) {
        (None, _) => Sole::None,
        (Some(only), 0) => Sole::One(only),
        (Some(_), more) => Sole::Several(1 + more),
    }
}

/// The fields of a record after its version, in their order. The error is a clause about what is
/// wrong with one of them.
pub(super) fn fields<'a>(text: &'a str, version: &str) -> Result<Vec<(&'a str, &'a str)>, String> {
    let rest = after_version(text, version).ok_or("it does not begin with its version")?;
    let mut pieces: Vec<&str> = rest.split(';').map(|piece| piece.trim_matches(WSP)).collect();
    if pieces.last() == Some(&"") {
        pieces.pop();
    }
    pieces.into_iter().map(field).collect()
}

fn after_version<'a>(text: &'a str, version: &str) -> Option<&'a str> {
    text.strip_prefix(version)?.trim_start_matches(WSP).strip_prefix(';')
}

fn field(piece: &str) -> Result<(&str, &str), String> {
    let wrong = || format!("{:?} is no name and value", one_line(piece, SHOWN));
    let (name, value) = piece.split_once('=').ok_or_else(wrong)?;
    if is_name(name) && is_value(value) { Ok((name, value)) } else { Err(wrong()) }
}

/// 1 to 32 letters, digits and, but for the first, some punctuation; the same in a policy.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

/// Printable ASCII, with blanks as between URIs, and with `=` as in their queries.
fn is_value(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() || WSP.contains(&c))
}

/// Blanks (RFC 5234).
pub(super) const WSP: [char; 2] = [' ', '\t'];

/// Characters of a record that are quoted.
const SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_several_records_none_counts_and_others_do_not_matter() {
        let sole = |texts: &[&'static str]| sole(texts.iter().copied(), "v=STSv1");
        assert_eq!(sole(&[]), Sole::None);
        assert_eq!(sole(&["v=spf1 -all", "v=STSv10; id=1", "v=STSv1"]), Sole::None);
        assert_eq!(sole(&["v=spf1 -all", "v=STSv1; id=1"]), Sole::One("v=STSv1; id=1"));
        assert_eq!(sole(&["v=STSv1 \t;id=1"]), Sole::One("v=STSv1 \t;id=1"));
        assert_eq!(sole(&["v=STSv1;", "v=STSv1; id=1", "x", "v=STSv1;"]), Sole::Several(3));
    }

    #[test]
    fn fields_are_names_and_values_between_semicolons() {
        let fields = |text| fields(text, "v=STSv1");
        assert_eq!(fields("v=STSv1; id=1"), Ok(vec![("id", "1")]));
        assert_eq!(fields("v=STSv1;id=1 ;\ta.b-c_d=2;"), Ok(vec![("id", "1"), ("a.b-c_d", "2")]));
        assert_eq!(fields("v=STSv1;"), Ok(vec![]));
        for text in [
            "v=STSv1;; id=1",
            "v=STSv1; id",
            "v=STSv1; id=",
            "v=STSv1; =1",
            "v=STSv1; -a=1",
            "v=STSv1; id = 1",
            "v=STSv1; id=\u{fffd}",
            "id=1; v=STSv1",
        ] {
            assert!(fields(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read_without_a_panic(text in "(v=STSv1[; ])?\\PC{0,80}") {
            if let Ok(fields) = fields(&text, "v=STSv1") {
                prop_assert!(fields.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
            }
        }
    }
}
