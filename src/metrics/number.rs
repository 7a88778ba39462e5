//! Numbers as the text format has them, without the detour of `core::fmt` or of binary fractions, which
//! takes longer than the rest of a line.

use std::time::Duration;

use jiff::Timestamp;

use crate::facts::Elapsed;

/// A value of a sample.
pub(super) trait Number {
    /// Appends it in digits, never with an exponent.
    fn push(self, to: &mut String);
}

macro_rules! whole {
    ($($kind:ty),*) => {
        $(impl Number for $kind {
            fn push(self, to: &mut String) {
                to.push_str(itoa::Buffer::new().format(self));
            }
        })*
    };
}

whole!(u8, u16, u32, u64, usize, i32);

/// Seconds, to the nanosecond.
impl Number for Duration {
    fn push(self, to: &mut String) {
        self.as_secs().push(to);
        push_fraction(to, 1_000_000_000 + self.subsec_nanos());
    }
}

/// Seconds, to the microsecond.
impl Number for Elapsed {
    fn push(self, to: &mut String) {
        self.get().push(to);
    }
}

/// Seconds since 1970, to the millisecond: that is how finely Prometheus itself counts time.
impl Number for Timestamp {
    fn push(self, to: &mut String) {
        let millis = self.as_millisecond();
        if millis < 0 {
            to.push('-');
        }
        let (seconds, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
        seconds.push(to);
        push_fraction(to, 1000 + rest);
    }
}

/// Appends the digits of a number after its first as a decimal fraction, none where all are zero.
fn push_fraction(to: &mut String, after_one: impl itoa::Integer) {
    let mut buffer = itoa::Buffer::new();
    let digits = &buffer.format(after_one)[1..];
    // By bytes: this is done some hundred thousand times a scrape.
    if let Some(last) = digits.bytes().rposition(|digit| digit != b'0') {
        to.push('.');
        to.push_str(&digits[..=last]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pushed(number: impl Number) -> String {
        let mut text = String::new();
        number.push(&mut text);
        text
    }

    proptest! {
        #[test]
        fn a_whole_number_is_written_as_rust_shows_it(number: u64) {
            prop_assert_eq!(pushed(number), number.to_string());
        }

        #[test]
        fn a_duration_is_written_in_seconds_with_all_of_its_digits(
            // Up to a year, with any number of zeros at the end.
            nanos in 0..31_557_600 * 10_u64.pow(9),
            zeros in 0..10_u32,
        ) {
            let nanos = nanos / 10_u64.pow(zeros) * 10_u64.pow(zeros);
            let text = pushed(Duration::from_nanos(nanos));
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            prop_assert_eq!(format!("{whole}{fraction:0<9}").parse(), Ok(nanos));
            prop_assert!(!fraction.ends_with('0') && text.ends_with(|last: char| last != '.'));
        }
    }

    #[test]
    fn durations_have_no_more_digits_than_they_need() {
        for (nanos, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (150_000_000, "0.15"),
            (1_000_000_000, "1"),
            (401_510_000_000, "401.51"),
        ] {
            assert_eq!(pushed(Duration::from_nanos(nanos)), text);
        }
        assert_eq!(pushed(Duration::MAX), "18446744073709551615.999999999");
    }

    #[test]
    fn moments_are_written_in_seconds_since_1970() {
        for (moment, text) in [
            ("1970-01-01T00:00:00Z", "0"),
            ("1970-01-01T00:00:00.0509Z", "0.05"),
            ("1969-12-31T23:59:58.5Z", "-1.5"),
            ("2026-11-22T03:22:24.120999999Z", "1795317744.12"),
        ] {
            assert_eq!(pushed(moment.parse::<Timestamp>().unwrap()), text, "{moment}");
        }
    }
}
