//! The HTTP server: what the agent knows, for Prometheus, for people and for scripts.
//!
//! | route | methods | answer |
//! |---|---|---|
//! | `/` | GET HEAD | status page of all destinations |
//! | `/domains/NAME` | GET HEAD | status page of one |
//! | `/style.css` | GET HEAD | the style of both |
//! | `/metrics` | GET HEAD | all series, text 0.0.4, gzip by negotiation |
//! | `/probe?target=NAME` | GET HEAD | the series of one destination, likewise |
//! | `/api/v1/domains` | GET HEAD | JSON: the state of every destination |
//! | `/api/v1/domains/NAME` | GET HEAD | JSON: all facts of one |
//! | `/-/healthy` | GET HEAD | 200 as long as the server answers |
//! | `/-/ready` | GET HEAD | 200 after the first rounds, 503 before |
//! | `/-/reload` | POST | loads the configuration anew; 403 unless the lifecycle API is enabled |
//!
//! Before each of them stands what a web configuration (`--web.config.file`) asks: TLS, a login, a limit.
//!
//! Nothing here opens a connection to a mail server: an on-demand probe is a message to the agent.

mod access;
mod api;
mod basic_auth;
mod bucket;
mod control;
mod gate;
mod listen;
mod pages;
mod probe;
mod response;
mod routes;
mod scrape;
mod server;
mod stall;
mod streamed;
mod summary;
mod target;
mod tls;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::Instant,
};

pub use self::{access::Access, listen::bind, server::serve};
use crate::{
    agent::state::{Snapshot, Store},
    config::Config,
    metrics::own::Own,
    name::Destination,
};

/// Everything the server needs from the rest of the program.
#[derive(Debug)]
pub struct App {
    /// What is known.
    pub store: Store,
    /// The agent's own metrics.
    pub own: Arc<Own>,
    /// The configuration in force.
    pub config: Arc<ArcSwap<Config>>,
    /// True once every destination had its first round.
    pub ready: watch::Receiver<bool>,
    /// Whether every list of destinations was had once.
    pub listed: watch::Receiver<bool>,
    /// Asks for a reload; `None` while the lifecycle API is disabled.
    pub reload: Option<mpsc::Sender<ReloadRequest>>,
    /// Asks for a probe of a destination that is not configured.
    pub on_demand: mpsc::Sender<OnDemand>,
    /// Answers made at the same time; the others wait, so that many scrapes at once do not take all
    /// processors from the probes. One whose client does not keep up waits without it.
    pub rendering: Arc<Semaphore>,
    /// Who may ask, and how.
    pub access: Access,
    /// The server's patience.
    pub limits: Limits,
}

/// Answered with what went wrong, in words, or nothing.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// A probe outside of any schedule.
#[derive(Debug)]
pub struct OnDemand {
    /// What to probe; always a mail domain.
    pub destination: Destination,
    /// When the answer must be there, complete or not.
    pub deadline: Instant,
    /// Takes a snapshot that holds this destination and its exchangers.
    pub answer: oneshot::Sender<Snapshot>,
}

/// How long and how much the server bears with a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// For the head of a request, and between two requests of a connection. Shorter than most scrape
    /// intervals: a new connection costs a scraper nothing, idle ones would use up the limit.
    pub head_time: Duration,
    /// For a TLS handshake.
    pub handshake_time: Duration,
    /// For a head, in bytes; hyper wants at least 8192.
    pub head_bytes: usize,
    /// For the client to take a response, from its first hesitation.
    pub response_time: Duration,
    /// For running requests after the stop signal.
    pub drain_time: Duration,
    /// For `/probe` when the scraper does not tell its own limit.
    pub probe_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_time: Duration::from_secs(15),
            handshake_time: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            response_time: Duration::from_secs(60),
            drain_time: Duration::from_secs(2),
            probe_time: Duration::from_secs(10),
        }
    }
}
