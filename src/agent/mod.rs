//! The agent: keeps every destination and exchanger probed, for ever.
//!
//! One task owns schedule and demand and starts rounds; rounds run apart and publish into the
//! [`state::Store`]. A round that panics is logged, counted and scheduled again. Another task gives
//! the verdicts, whenever facts have changed that they are made of. Configuration is loaded
//! elsewhere and handed in whole.

pub mod backoff;
pub mod changes;
pub mod counting;
pub mod demand;
pub mod family_counts;
mod first_rounds;
pub mod health;
pub mod judgement;
pub mod judging;
mod keeper;
mod key;
pub mod material;
pub mod politeness;
pub mod pools;
mod publish;
pub mod readiness;
mod recent;
pub mod round;
pub mod rounds;
mod routes;
pub mod runtime_delay;
pub mod schedule;
pub mod standing;
pub mod state;
pub mod tallies;

use std::{net::IpAddr, sync::Arc};

use tokio::sync::{oneshot, watch};

pub use self::keeper::{GRACE, run};
use self::{judging::Unjudged, politeness::Politeness, round::Prober, state::Store};
use crate::{
    config::Config, connectivity_log::ConnectivityLog, metrics::own::Own, probe::dns::Resolvers,
};

/// What the agent needs from outside.
#[derive(Debug)]
pub struct Setup {
    /// Where facts go.
    pub store: Store,
    /// Where it is noted what has to be judged anew.
    pub unjudged: Unjudged,
    /// What it says about itself.
    pub own: Arc<Own>,
    /// Becomes true when the program ends.
    pub stop: watch::Receiver<bool>,
    /// Set to true once every destination had its first round, or its deadline passed.
    pub ready: watch::Sender<bool>,
    /// Beats whenever the agent goes about its work, once a second at least.
    pub beat: watch::Sender<()>,
}

/// A configuration in force: what a round needs of it, with what stands outside the file.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// The resolvers it names, as they were when this was made.
    pub resolvers: Resolvers,
    /// Where lookups and sessions are noted.
    pub log: ConnectivityLog,
}

/// A request to put other settings in force; answered once they are.
#[derive(Debug)]
pub struct Reload {
    /// The new settings.
    pub settings: Settings,
    /// Told when done.
    pub done: oneshot::Sender<()>,
}

impl Settings {
    /// Those of a configuration, with what resolv.conf(5) says now. Resolvers that are the same as
    /// `before` go on.
    pub fn new(config: Arc<Config>, log: ConnectivityLog, before: Option<&Resolvers>) -> Self {
        let resolvers = Resolvers::new(&config.resolvers, before);
        Self { config, resolvers, log }
    }
}

/// Builds what rounds are made with. Sessions end when `stop` becomes true.
pub fn prober(
    settings: &Settings,
    politeness: Arc<Politeness>,
    own: &Own,
    stop: watch::Receiver<bool>,
) -> Prober {
    let config = &settings.config;
    Prober {
        resolvers: settings.resolvers.clone(),
        helo_name: Arc::clone(&config.helo_name),
        source_ipv4: config.probe.source_ipv4.map(IpAddr::V4),
        source_ipv6: config.probe.source_ipv6.map(IpAddr::V6),
        mx_port: config.probe.port,
        policy_port: config.probe.policy_port,
        tls: Arc::default(),
        politeness,
        log: settings.log.clone(),
        sessions_in_flight: own.sessions_in_flight.clone(),
        stop,
        deadline: None,
    }
}
