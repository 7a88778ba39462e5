//! The body of a policy (RFC 8461 §3.2): lines of `name: value`. Pure.

use crate::{
    facts::{MAX_PATTERNS, StsMode},
    probe::tagged::{WSP, is_name},
    shown::one_line,
};

/// A valid policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Policy {
    pub(super) mode: StsMode,
    /// The first [`MAX_PATTERNS`] of them.
    pub(super) mx: Vec<String>,
    /// How long it may be kept, in seconds.
    pub(super) max_age: u32,
}

/// Reads a policy; the error is a clause that says what is wrong. Of a field that stands there more
/// than once the first counts, but for `mx`; unknown fields are passed over.
pub(super) fn parse(body: &[u8]) -> Result<Policy, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let (mut version, mut mode, mut max_age) = (None, None, None);
    let mut mx = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.strip_suffix('\r').unwrap_or(line).trim_end_matches(WSP);
        if line.is_empty() {
            continue;
        }
        let (name, value) = field(line).ok_or_else(|| {
            format!("line {number} is no name and value: {:?}", one_line(line, SHOWN))
        })?;
        let first = match name {
            "version" => &mut version,
            "mode" => &mut mode,
            "max_age" => &mut max_age,
            "mx" if !is_pattern(value) => {
                let value = one_line(value, SHOWN);
                return Err(format!("line {number} has an mx that is no host name: {value:?}"));
            }
            "mx" => {
                if mx.len() < MAX_PATTERNS {
                    mx.push(value.to_owned());
                }
                continue;
            }
            _ => continue,
        };
        first.get_or_insert(value);
    }
    match version {
        Some("STSv1") => {}
        Some(other) => return Err(format!("its version is {:?}, not STSv1", quoted(other))),
        None => return Err("it has no version".to_owned()),
    }
    let mode = match mode {
        Some("enforce") => StsMode::Enforce,
        Some("none") => StsMode::None,
        Some("testing") => StsMode::Testing,
        Some(other) => {
            return Err(format!("its mode is {:?}, not enforce, testing or none", quoted(other)));
        }
        None => return Err("it has no mode".to_owned()),
    };
    let max_age = match max_age {
        Some(value) => seconds(value)
            .ok_or_else(|| format!("its max_age is {:?}, not a number", quoted(value)))?,
        None => return Err("it has no max_age".to_owned()),
    };
    if mx.is_empty() && mode != StsMode::None {
        return Err("it has no mx".to_owned());
    }
    Ok(Policy { mode, mx, max_age })
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let value = value.trim_start_matches(WSP);
    let plain = |c: char| !c.is_control();
    (is_name(name) && !value.is_empty() && value.chars().all(plain)).then_some((name, value))
}

/// A host name of letters, digits and hyphens, with at most a `*` for its first label. Names in other
/// scripts are written as A-labels.
fn is_pattern(value: &str) -> bool {
    let host = value.strip_prefix("*.").unwrap_or(value);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// One to ten digits; more than a year counts as a year.
fn seconds(value: &str) -> Option<u32> {
    let digits = (1..=10).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| value.parse::<u64>().ok()).flatten()?;
    Some(u32::try_from(number).unwrap_or(MAX_AGE).min(MAX_AGE))
}

fn quoted(value: &str) -> String {
    one_line(value, SHOWN)
}

/// The longest a policy holds, in seconds.
const MAX_AGE: u32 = 31_557_600;

/// Characters of a value that are quoted.
const SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 8461 §3.2.
    const EXAMPLE: &str = "version: STSv1\nmode: enforce\nmx: mail.example.com\n\
        mx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n";

    fn example() -> Policy {
        let mx = ["mail.example.com", "*.example.net", "backupmx.example.com"];
        let mx = mx.map(str::to_owned).to_vec();
        Policy { mode: StsMode::Enforce, mx, max_age: 604_800 }
    }

    #[test]
    fn lines_end_in_any_way_and_stand_in_any_order() {
        let mut lines: Vec<_> = EXAMPLE.lines().collect();
        for text in [
            EXAMPLE.to_owned(),
            EXAMPLE.replace('\n', "\r\n"),
            EXAMPLE.replace('\n', " \t\r\n"),
            EXAMPLE.trim_end().to_owned(),
            EXAMPLE.replace(": ", ":"),
            EXAMPLE.replace(": ", ":\t "),
            EXAMPLE.replace("mode", "\r\nmode"),
            format!("{EXAMPLE}mode: none\nversion: STSv2\nmax_age: x\n"),
            format!("note: größer: =;\n{EXAMPLE}"),
            {
                lines.reverse();
                let mx = lines.iter().rposition(|line| line.starts_with("mx")).unwrap();
                lines.swap(mx, mx - 2);
                lines.join("\n")
            },
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(example()), "{text}");
        }
    }

    #[test]
    fn a_policy_that_takes_itself_back_names_nobody() {
        let none = Policy { mode: StsMode::None, mx: vec![], max_age: 86_400 };
        assert_eq!(parse(b"version: STSv1\nmode: none\nmax_age: 86400"), Ok(none));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (from, to, why) in [
            ("version: STSv1\n", "", "it has no version"),
            ("STSv1", "STSv2", "its version is \"STSv2\", not STSv1"),
            ("mode: enforce\n", "", "it has no mode"),
            ("enforce", "Enforce", "its mode is \"Enforce\", not enforce, testing or none"),
            ("max_age: 604800\n", "", "it has no max_age"),
            ("604800", "1w", "its max_age is \"1w\", not a number"),
            ("604800", "-1", "its max_age is \"-1\", not a number"),
            ("604800", "12345678901", "its max_age is \"12345678901\", not a number"),
            ("mode: enforce", "mode enforce", "line 2 is no name and value: \"mode enforce\""),
            ("mode: enforce", "mode:", "line 2 is no name and value: \"mode:\""),
            ("mode: enforce", "mode : enforce", "line 2 is no name and value: \"mode : enforce\""),
            ("mode:", "<p>:", "line 2 is no name and value: \"<p>: enforce\""),
            ("enforce", "enf\u{1b}[31m", "line 2 is no name and value: \"mode: enf\u{fffd}[31m\""),
            ("*.example", "*example", "line 4 has an mx that is no host name: \"*example.net\""),
            ("*.example.net", ".", "line 4 has an mx that is no host name: \".\""),
            ("mail.", "maíl.", "line 3 has an mx that is no host name: \"maíl.example.com\""),
        ] {
            let text = EXAMPLE.replacen(from, to, 1);
            assert_eq!(parse(text.as_bytes()), Err(why.to_owned()), "{text}");
        }
        let nobody = b"version: STSv1\nmode: testing\nmax_age: 1\n";
        assert_eq!(parse(nobody), Err("it has no mx".to_owned()));
        assert_eq!(parse(b"version: STSv1\n\xff"), Err("it is not UTF-8 text".to_owned()));
        assert_eq!(parse(b""), Err("it has no version".to_owned()));
    }

    #[test]
    fn nothing_holds_for_longer_than_a_year() {
        for (written, max_age) in [("0", 0), ("31557600", 31_557_600), ("9999999999", 31_557_600)] {
            let policy = parse(EXAMPLE.replace("604800", written).as_bytes()).unwrap();
            assert_eq!(policy.max_age, max_age);
        }
    }

    #[test]
    fn only_so_many_patterns_are_kept() {
        let many = EXAMPLE.to_owned() + &"mx: mx.example.com\n".repeat(2 * MAX_PATTERNS);
        assert_eq!(parse(many.as_bytes()).unwrap().mx.len(), MAX_PATTERNS);
    }

    proptest! {
        #[test]
        fn what_is_valid_reads_back(
            mode in prop::sample::select(&["enforce", "testing"]),
            mx in prop::collection::vec("(\\*\\.)?[a-z0-9]{1,9}(\\.[a-z0-9]{1,9}){1,3}", 1..9),
            max_age in 0..=MAX_AGE,
        ) {
            let lines = mx.join("\r\nmx: ");
            let text = format!("version: STSv1\r\nmode: {mode}\r\nmx: {lines}\r\nmax_age: {max_age}");
            let policy = parse(text.as_bytes()).unwrap();
            prop_assert_eq!((policy.mode.label(), policy.mx, policy.max_age), (mode, mx, max_age));
        }

        #[test]
        fn whatever_comes_is_read_without_a_panic(
            body in prop::collection::vec(any::<u8>(), 0..200),
            text in "((version|mode|mx|max_age|x): ?[ -~]{0,20}\r?\n){0,6}",
        ) {
            for body in [body.as_slice(), text.as_bytes()] {
                if let Err(why) = parse(body) {
                    prop_assert!(why.chars().count() < 200 && !why.contains(char::is_control));
                }
            }
        }
    }
}
