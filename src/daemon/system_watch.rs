//! Notices when resolv.conf(5) names other servers. It is read anew every time, for the file may be
//! a link whose target is replaced; what is seen only once may have been half written.

use std::{sync::Arc, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{
    config::{Config, Resolver, ResolverKind},
    probe::dns::{Expanded, Resolvers},
};

/// What it has seen so far.
pub(super) struct SystemWatch {
    ticks: Interval,
    /// What the last look found, where that was not what is in force.
    changed: Option<Expanded>,
}

impl SystemWatch {
    pub(super) fn new() -> Self {
        let mut ticks = interval(SYSTEM_LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, changed: None }
    }

    /// Resolves when two looks have found the same change; never where no resolver is the system's.
    /// Cancel safe.
    pub(super) async fn look(&mut self, (config, resolvers): (Arc<Config>, Resolvers)) {
        let system = |resolver: &Resolver| matches!(resolver.kind, ResolverKind::System { .. });
        if !config.resolvers.iter().any(system) {
            std::future::pending::<()>().await;
        }
        loop {
            self.ticks.tick().await;
            let now = Expanded::new(&config.resolvers);
            if resolvers.are(&now) {
                self.changed = None;
            } else if self.changed.as_ref() == Some(&now) {
                self.changed = None;
                return;
            } else {
                self.changed = Some(now);
            }
        }
    }
}

/// How often resolv.conf(5) is looked at; it is small, and nobody waits for it to the second.
const SYSTEM_LOOK: Duration = Duration::from_secs(2);
