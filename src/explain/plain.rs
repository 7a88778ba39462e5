//! A stranger's words and plain durations, as they stand in a sentence.

use std::time::Duration;

use crate::{facts::Reply, shown::one_line};

/// A reply as the server gave it, its lines in one.
pub(super) fn said(reply: &Reply) -> String {
    let text = format!("{} {}", reply.code, reply.lines.join(" "));
    one_line(text.trim_end(), LONGEST_REPLY)
}

/// Enough for a reason and the address of the page that explains it.
const LONGEST_REPLY: usize = 300;

/// A time-out or a pause: `30 s`, `1 min 30 s`, `2 days`.
pub(super) fn roundly(duration: Duration) -> String {
    // What was measured has fractions; nobody counts them beside minutes.
    let mut left = duration.saturating_add(Duration::from_millis(500)).as_secs();
    let mut parts = Vec::new();
    for (unit, one, many) in
        [(86_400, "day", "days"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s")]
    {
        let count = left / unit;
        left %= unit;
        if count > 0 {
            parts.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    }
    // Two units say enough.
    parts.truncate(2);
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_two_units() {
        for (seconds, want) in [
            (0.2, "0 s"),
            (30.0, "30 s"),
            (90.0, "1 min 30 s"),
            (300.02, "5 min"),
            (4000.0, "1 h 6 min"),
            (172_800.0, "2 days"),
            (90_061.0, "1 day 1 h"),
        ] {
            assert_eq!(roundly(Duration::from_secs_f64(seconds)), want);
        }
    }

    #[test]
    fn a_strangers_words_stay_on_one_line_and_short() {
        let reply = Reply {
            code: 554,
            enhanced: None,
            lines: ["a\x1b[2J\nb", &"\u{202e}c".repeat(400)].into_iter().collect(),
        };
        let text = said(&reply);
        assert!(text.starts_with("554 a\u{fffd}[2J\u{fffd}b \u{fffd}c"), "{text}");
        assert_eq!(text.chars().count(), LONGEST_REPLY + 1);
    }
}
