//! `policy_*` of `[probe]` and `[[destination]]`: how the policies of mail domains are looked at.

use std::time::Duration;

use super::table::Table;

/// How MTA-STS and TLS-RPT of a domain are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySettings {
    /// From one look to the next.
    pub interval: Duration,
    /// For all of one look: the records, and the policy with whatever its host drips.
    pub timeout: Duration,
}

impl Default for PolicySettings {
    /// A minute is what RFC 8461 §3.3 suggests.
    fn default() -> Self {
        Self { interval: Duration::from_secs(600), timeout: Duration::from_secs(60) }
    }
}

impl PolicySettings {
    /// What the table sets, the rest from `base`.
    pub(super) fn read(table: &Table<'_>, base: &Self) -> Self {
        let mut policy = base.clone();
        table.set(&mut policy.interval, "policy_interval", |node| {
            node.duration(SHORTEST_INTERVAL..=LONGEST_INTERVAL)
        });
        table.set(&mut policy.timeout, "policy_timeout", |node| {
            node.duration(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT)
        });
        policy
    }
}

const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// A policy that has expired is noticed with the next look.
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);

/// Who waits for longer holds up nothing but the next look.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);
