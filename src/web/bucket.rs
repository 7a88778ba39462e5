//! A token bucket: how many requests are taken, whoever sends them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::config::web_config::RateLimit;

/// Full at first; a request takes one token out of it, and each interval puts one back.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: RateLimit,
    /// When it will be full again if nothing more is taken.
    full_at: Mutex<Instant>,
}

impl Bucket {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, full_at: Mutex::new(Instant::now()) }
    }

    /// Takes a token where there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let RateLimit { interval, burst } = self.limit;
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let after = (*full_at).max(now) + interval;
        let taken = after.saturating_duration_since(now) <= interval.saturating_mul(burst);
        if taken {
            *full_at = after;
        }
        taken
    }

    /// Until a token is there for sure.
    pub(super) fn interval(&self) -> Duration {
        self.limit.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_taken_and_then_one_per_interval() {
        let interval = Duration::from_millis(100);
        let bucket = Bucket::new(RateLimit { interval, burst: 3 });
        let now = Instant::now();
        let taken = |at: Instant| (0..10).filter(|_| bucket.take(at)).count();
        assert_eq!(taken(now), 3);
        assert_eq!(taken(now + interval / 2), 0);
        assert_eq!(taken(now + interval), 1);
        assert_eq!(taken(now + interval * 3), 2);
        assert_eq!(taken(now + interval * 1000), 3, "never more than the burst");
    }
}
