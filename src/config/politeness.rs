//! `[politeness]`: limits towards those who are probed.

use std::time::Duration;

use super::table::Table;

/// `[politeness]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Politeness {
    /// Sessions that are busy at the same time, over all. One that only waits for a silent server
    /// does not count.
    pub max_sessions: usize,
    /// The same towards one provider (registrable domain of the exchanger).
    pub max_sessions_per_provider: usize,
    /// The longest pause towards an address that refuses us; the pause doubles up to it.
    pub max_backoff: Duration,
}

impl Default for Politeness {
    fn default() -> Self {
        Self {
            max_sessions: 128,
            max_sessions_per_provider: 8,
            max_backoff: Duration::from_secs(5 * 60),
        }
    }
}

impl Politeness {
    pub(super) fn read(root: &Table<'_>) -> Self {
        let mut politeness = Self::default();
        if let Some(table) = root.section("politeness") {
            table.set(&mut politeness.max_sessions, "max_sessions", |node| {
                node.number(1..=MAX_SESSIONS)
            });
            table.set(
                &mut politeness.max_sessions_per_provider,
                "max_sessions_per_provider",
                |node| node.number(1..=MAX_SESSIONS),
            );
            table.set(&mut politeness.max_backoff, "max_backoff", |node| {
                node.duration(Duration::from_secs(1)..=LONGEST_BACKOFF)
            });
        }
        politeness
    }
}

/// As many as there are ports to leave from.
const MAX_SESSIONS: usize = 65_535;

const LONGEST_BACKOFF: Duration = Duration::from_secs(7 * 24 * 3600);
