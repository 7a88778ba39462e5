//! Numbers as the text format has them, without the detour of `core::fmt`, which takes longer than the
//! rest of a line.

/// A value of a sample.
pub(super) trait Number {
    /// Appends it: a whole number in digits, any other in the shortest form that reads back, never with
    /// an exponent.
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

impl Number for f64 {
    fn push(self, to: &mut String) {
        let mut buffer = zmij::Buffer::new();
        let shortest = buffer.format(self);
        // Numbers far from 1 have an exponent, and NaN and the infinities words of their own.
        if shortest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-')) {
            to.push_str(shortest.strip_suffix(".0").unwrap_or(shortest));
        } else {
            to.push_str(&self.to_string());
        }
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
        fn a_number_is_written_as_rust_shows_it(number: f64, whole: u64, nanos in 0..10_u64.pow(12)) {
            prop_assert_eq!(pushed(number), number.to_string());
            prop_assert_eq!(pushed(whole), whole.to_string());
            let seconds = std::time::Duration::from_nanos(nanos).as_secs_f64();
            prop_assert_eq!(pushed(seconds), seconds.to_string());
        }
    }

    #[test]
    fn numbers_that_are_no_fractions_of_seconds_are_written_too() {
        for number in [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e-7,
            1e21,
            1.7e9,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::INFINITY,
            f64::NAN,
        ] {
            assert_eq!(pushed(number), number.to_string());
        }
        assert_eq!([pushed(0_u8), pushed(u64::MAX)], ["0", "18446744073709551615"]);
    }
}
