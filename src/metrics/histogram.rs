//! A histogram over the fixed mail buckets: plain counts that a report carries along.

use std::{ops::AddAssign, time::Duration};

/// Upper bounds in seconds: mail answers in milliseconds or makes you wait for minutes
/// (RFC 5321 §4.5.3.2 grants a banner 300 s).
pub const BOUNDS: [f64; 7] = [0.01, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0];

/// Counts per bucket, the last one unbounded, and the sum. What is observed once a second or less, by many,
/// is counted in 32 bits: that is enough for 136 years.
#[derive(Clone, Debug, Default)]
pub struct Histogram<C = u64> {
    /// Not cumulative; one more than [`BOUNDS`].
    pub counts: [C; BOUNDS.len() + 1],
    /// In nanoseconds, enough for five centuries.
    sum: u64,
}

impl<C: AddAssign + From<u8>> Histogram<C> {
    /// Adds one observation.
    pub fn observe(&mut self, value: Duration) {
        let seconds = value.as_secs_f64();
        let bucket = BOUNDS.iter().position(|&bound| seconds <= bound).unwrap_or(BOUNDS.len());
        self.counts[bucket] += C::from(1);
        self.sum = self.sum.saturating_add(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
    }
}

impl<C> Histogram<C> {
    /// Of all observations together.
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum)
    }
}
