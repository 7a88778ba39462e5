//! How long something takes, small enough to be kept with each of hundreds of thousands of exchanges and
//! stages. What computes with time uses [`Duration`].

use std::{cmp::Ordering, fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::seconds;

/// A duration in whole microseconds, up to nine years; what is longer is that. Its JSON is a number of seconds.
///
/// 48 bits that may lie anywhere: a [`Duration`] would take 16 octets and have them aligned.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Elapsed([u16; 3]);

impl Elapsed {
    /// No time at all.
    pub const ZERO: Self = Self([0; 3]);

    const LONGEST: u64 = (1 << 48) - 1;

    /// To compute with.
    pub fn get(self) -> Duration {
        Duration::from_micros(self.micros())
    }

    fn micros(self) -> u64 {
        let Self([low, middle, high]) = self;
        u64::from(low) | u64::from(middle) << 16 | u64::from(high) << 32
    }
}

impl Ord for Elapsed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.micros().cmp(&other.micros())
    }
}

impl PartialOrd for Elapsed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Duration> for Elapsed {
    #[expect(clippy::cast_possible_truncation, reason = "sixteen bits are taken at a time")]
    fn from(duration: Duration) -> Self {
        let micros = duration.as_micros().min(Self::LONGEST.into()) as u64;
        Self([micros as u16, (micros >> 16) as u16, (micros >> 32) as u16])
    }
}

impl fmt::Debug for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Serialize for Elapsed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        seconds::serialize(&self.get(), to)
    }
}

impl<'de> Deserialize<'de> for Elapsed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        seconds::deserialize(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_comes_back_in_whole_microseconds() {
        let longest = Duration::from_micros(Elapsed::LONGEST);
        for (duration, back) in [
            (Duration::ZERO, Duration::ZERO),
            (Duration::from_nanos(1999), Duration::from_micros(1)),
            (Duration::from_millis(70), Duration::from_millis(70)),
            (Duration::from_secs(3600), Duration::from_secs(3600)),
            (Duration::from_secs(366 * 86400), Duration::from_secs(366 * 86400)),
            (longest, longest),
            (longest + Duration::from_secs(1), longest),
            (Duration::MAX, longest),
        ] {
            assert_eq!(Elapsed::from(duration).get(), back, "{duration:?}");
        }
    }

    #[test]
    fn the_shorter_one_comes_first() {
        let ascending = [0, 1, 0xffff, 0x1_0000, 0x1_0001, 0xffff_ffff, 1 << 32, (1 << 48) - 1];
        let elapsed = ascending.map(|micros| Elapsed::from(Duration::from_micros(micros)));
        assert!(elapsed.is_sorted_by(|a, b| a < b), "{elapsed:?}");
    }
}
