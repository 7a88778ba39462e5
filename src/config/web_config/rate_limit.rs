//! `rate_limit`: how often requests are taken.

use std::time::Duration;

use figment::value::Value;

use crate::config::table::Table;

/// A token bucket: it holds `burst` requests and gets one back after each `interval`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// From one request to the next in the long run; never zero.
    pub interval: Duration,
    /// Requests that may come at once; at least one.
    pub burst: u32,
}

/// Reads the section; an interval of 0, or none, stands for no limit.
pub(super) fn read(table: &Table<'_>) -> Option<RateLimit> {
    let node = table.given("interval")?;
    let interval = match node.value {
        Value::Num(_, number) if number.to_u128() == Some(0) => Duration::ZERO,
        _ if node.value.as_str() == Some("0") => Duration::ZERO,
        _ => node.duration(Duration::ZERO..=LONGEST)?,
    };
    if interval.is_zero() {
        return None;
    }
    let Some(burst) = table.given("burst") else {
        table.missing(
            "burst",
            "missing; without it every request would be refused; write burst: 20",
        );
        return None;
    };
    Some(RateLimit { interval, burst: burst.number(1..=MAX_BURST)? })
}

const LONGEST: Duration = Duration::from_secs(24 * 3600);
const MAX_BURST: u32 = 1_000_000;
