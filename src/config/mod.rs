//! The configuration: what a user can set, checked, complete and immutable.
//!
//! [`load`] makes a [`Config`] out of defaults, a TOML file, the `MXWATCH_` environment and
//! destination files, or says everything that is wrong with them. Each section has its own file,
//! with its defaults and bounds. Nothing here probes or looks a name up; what has to be done when
//! a file changes is the agent's business, [`Watch`] only tells that it did.

mod destination;
mod destination_files;
mod destination_list;
mod dns;
mod envelope;
mod environment;
mod file_sd;
mod helo;
mod http_sd;
mod key;
mod leaf;
mod load;
mod metrics;
mod pem;
mod policy;
mod politeness;
mod probe;
mod problem;
mod reading;
mod resolver;
mod resolver_transport;
mod secret_file;
mod sender;
mod smart_host;
mod source;
mod table;
mod target_list;
mod watch;
mod web;
pub mod web_config;
mod yaml;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

pub use self::{
    destination::DestinationSettings,
    destination_files::Watched,
    dns::Dns,
    helo::parse_helo_name,
    http_sd::{Authorization, HttpSd},
    load::{Loaded, load},
    metrics::{Detail, Metrics},
    policy::PolicySettings,
    politeness::Politeness,
    probe::{Probe, SessionSettings, Starttls},
    problem::{Place, Problem, Problems},
    resolver::{Resolver, ResolverKind, parse_server},
    resolver_transport::{ResolverTls, ResolverTransport},
    secret_file::{SecretFile, is_unseen_credential},
    target_list::TargetList,
    watch::{Watch, watch},
    web::Web,
};
use crate::{delivery::Sender, name::Destination, shard::Shard};

/// Everything a user can set, after defaults, file, environment and destination files.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name given with EHLO (RFC 5321 §4.1.1.1): a fully qualified domain or an address literal.
    pub helo_name: Arc<str>,
    /// What is to be watched, with what is set for each: by this agent, or by all shards together.
    pub destinations: BTreeMap<Destination, Arc<DestinationSettings>>,
    /// The share of it that this agent watches; the command line says, for the file is the same for
    /// all. Without one it watches everything.
    pub shard: Option<Shard>,
    /// Servers that name further destinations; what they name is not in here.
    pub http_sd: Vec<HttpSd>,
    /// How exchangers are probed.
    pub probe: Probe,
    /// How patiently DNS is asked where a resolver says nothing else.
    pub dns: Dns,
    /// The resolvers, the primary first; never empty.
    pub resolvers: Vec<Resolver>,
    /// The senders whose verdict is given, each once.
    pub senders: Arc<[Arc<Sender>]>,
    /// Every own sender, judged or not, in the order of the file.
    pub own_senders: Arc<[Arc<Sender>]>,
    /// Limits towards others.
    pub politeness: Politeness,
    /// The HTTP server.
    pub web: Web,
    /// What `/metrics` holds.
    pub metrics: Metrics,
    /// Where every lookup and session is written, if anywhere.
    pub connectivity_log: Option<PathBuf>,
}

impl Config {
    /// All defaults and no destinations, under the given name.
    pub fn with_helo_name(helo_name: Arc<str>) -> Self {
        Self {
            helo_name,
            destinations: BTreeMap::new(),
            shard: None,
            http_sd: Vec::new(),
            probe: Probe::default(),
            dns: Dns::default(),
            resolvers: vec![Resolver::system(Dns::default())],
            senders: sender::defaults(),
            own_senders: Arc::from([]),
            politeness: Politeness::default(),
            web: Web::default(),
            metrics: Metrics::default(),
            connectivity_log: None,
        }
    }

    /// The sender of that name, built-in or own; the error says what may have been meant.
    pub fn sender(&self, name: &str) -> Result<Arc<Sender>, String> {
        let own = self.own_senders.iter().map(|sender| &*sender.name);
        sender::find(name, &self.own_senders).ok_or_else(|| sender::unknown(name, own))
    }

    /// The destinations that this agent watches itself.
    pub fn own_destinations(
        &self,
    ) -> impl Iterator<Item = (&Destination, &Arc<DestinationSettings>)> {
        self.destinations.iter().filter(|(destination, _)| self.in_share(destination))
    }

    /// Whether this agent watches a destination itself.
    pub fn watches(&self, destination: &Destination) -> bool {
        self.destinations.contains_key(destination) && self.in_share(destination)
    }

    /// The other shard that watches a destination, where it is configured.
    pub fn elsewhere(&self, destination: &Destination) -> Option<Shard> {
        let shard = self.shard?.of(destination);
        let configured = self.destinations.contains_key(destination);
        (configured && !self.in_share(destination)).then_some(shard)
    }

    fn in_share(&self, destination: &Destination) -> bool {
        self.shard.is_none_or(|shard| shard.watches(destination))
    }

    /// The settings of a destination that is not configured.
    pub fn default_settings(&self) -> DestinationSettings {
        DestinationSettings::default_of(&self.probe)
    }
}
