//! `[dns]`: how patiently DNS is asked and how often its health is looked at; each `[[resolver]]`
//! may differ.

use std::time::Duration;

use super::{probe::interval, table::Table};

/// `[dns]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// For one exchange with one server.
    pub timeout: Duration,
    /// How often each server of a resolver is asked before the lookup has failed; at least 1.
    pub attempts: u32,
    /// How long to listen on after a time-out, to tell a late answer from none.
    pub late_window: Duration,
    /// From one look at the health of a resolver to the next.
    pub health_interval: Duration,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            attempts: 2,
            late_window: Duration::from_secs(2),
            health_interval: Duration::from_secs(15),
        }
    }
}

impl Dns {
    pub(super) fn read(root: &Table<'_>) -> Self {
        let dns = Self::default();
        root.section("dns").map_or_else(|| dns.clone(), |table| dns.overridden(&table))
    }

    /// The same with what a table sets, be it `[dns]` or a `[[resolver]]`.
    pub(super) fn overridden(&self, table: &Table<'_>) -> Self {
        let mut dns = self.clone();
        table.set(&mut dns.timeout, "timeout", |node| {
            node.duration(Duration::from_millis(1)..=LONGEST)
        });
        table.set(&mut dns.attempts, "attempts", |node| node.number(1..=MAX_ATTEMPTS));
        table.set(&mut dns.late_window, "late_window", |node| {
            node.duration(Duration::ZERO..=LONGEST)
        });
        table.set(&mut dns.health_interval, "health_interval", interval);
        dns
    }
}

/// No MTA waits longer for DNS.
const LONGEST: Duration = Duration::from_secs(300);

/// A server that stays silent ten times will not speak.
const MAX_ATTEMPTS: u32 = 10;
