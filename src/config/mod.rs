//! The configuration as the rest of the program sees it: checked, complete, immutable.
//!
//! Nothing here reads a file.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use crate::{facts::Family, name::Destination};

/// Everything a user can set, after defaults, file, environment and destination files.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name given with EHLO (RFC 5321 §4.1.1.1): a fully qualified domain or an address literal.
    pub helo_name: Arc<str>,
    /// What to watch, with what is set for each.
    pub destinations: BTreeMap<Destination, DestinationSettings>,
    /// How exchangers are probed.
    pub probe: Probe,
    /// How DNS is asked.
    pub dns: Dns,
    /// The resolvers, the primary first; empty means those of `/etc/resolv.conf`.
    pub resolvers: Vec<Resolver>,
    /// Limits towards others.
    pub politeness: Politeness,
    /// The HTTP server.
    pub web: Web,
    /// What `/metrics` holds.
    pub metrics: Metrics,
    /// Where every lookup and session is written, if anywhere.
    pub connectivity_log: Option<PathBuf>,
}

/// What may differ from destination to destination. All set: defaults are already filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationSettings {
    /// From one round to the next.
    pub interval: Duration,
    /// Limits of the sessions with its exchangers.
    pub session: SessionSettings,
    /// Labels from a `file_sd` entry, for `mx_destination_info`.
    pub labels: BTreeMap<String, String>,
}

/// How the sessions with an exchanger go. Where several destinations share an exchanger, it is
/// probed with the shortest interval, the longest patience and the most addresses of them.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSettings {
    /// The families to connect to; looked up are always both.
    pub families: Vec<Family>,
    /// How many addresses of each family are probed in a round.
    pub addresses_per_family: usize,
    /// For the TCP handshake.
    pub connect_timeout: Duration,
    /// From the established connection to the complete banner.
    pub banner_timeout: Duration,
    /// For each later reply.
    pub command_timeout: Duration,
    /// For the whole session, whatever the server drips.
    pub session_timeout: Duration,
}

/// `[probe]`: the defaults of every destination, and what holds for all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The port of every MX.
    pub port: u16,
    /// The default interval.
    pub interval: Duration,
    /// The default session settings.
    pub session: SessionSettings,
    /// The own IPv4 address that sessions leave from.
    pub source_ipv4: Option<Ipv4Addr>,
    /// The own IPv6 address that sessions leave from.
    pub source_ipv6: Option<Ipv6Addr>,
}

/// `[dns]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// For one exchange with one server.
    pub timeout: Duration,
    /// How often each server of a resolver is asked before the lookup has failed; at least 1.
    pub attempts: u32,
    /// How long to listen on after a time-out, to tell a late answer from none.
    pub late_window: Duration,
}

/// `[[resolver]]`: a named DNS view.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolver {
    /// Value of the `resolver` label.
    pub name: Arc<str>,
    /// Its servers, asked in this order until one answers; never empty.
    pub servers: Vec<SocketAddr>,
}

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

/// `[web]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Web {
    /// Connections served at the same time; more are closed at once.
    pub max_connections: usize,
    /// Whether `/probe` may be asked for domains that are not configured.
    pub probe_any_target: bool,
}

/// `[metrics]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// How much is exposed.
    pub detail: Detail,
}

/// How many series an exchanger has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Detail {
    /// All: at most 60 series per exchanger and family.
    Full,
    /// States, failures and last durations: at most 20.
    Lean,
}
