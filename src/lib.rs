//! mxwatch probes the mail domains you send to, per mail exchanger and per address family, and
//! exposes what it finds to Prometheus.
//!
//! # The way of one probe
//!
//! ```text
//! config ──▶ agent ──▶ probe ──▶ facts ──▶ agent::state ──┬──▶ metrics ──▶ web
//!                                  └─────▶ delivery ──────┴──▶ explain ──▶ check, judge
//! ```
//!
//! One direction, no way back: [`probe`] knows no metrics, [`metrics`], [`explain`] and [`web`]
//! never call a mail server, and a failed probe is a value in [`facts`], not an error.
//!
//! # Where things live
//!
//! What is known and said about it:
//! - [`name`]: domains, exchangers, destinations, parsed once; [`envelope`]: mailboxes.
//! - [`shard`]: which of several agents watches a destination.
//! - [`secret`]: passwords, which are never shown.
//! - [`facts`]: what was observed, as plain data with closed sets of labels.
//! - [`delivery`]: what a sender would do, by a pure function of facts and its parameters.
//! - [`config`]: what a user can set, and everything that is wrong with it at once.
//!
//! Observation:
//! - [`probe`]: DNS exchanges, routes, policies of domains, the own vantage, SMTP sessions; parsers
//!   without I/O.
//! - [`agent`]: schedule, politeness, demand, state; one round of each thing at a time.
//! - [`once`]: one look without an agent.
//!
//! What comes out:
//! - [`metrics`]: names, histograms and the text format.
//! - [`web`]: the HTTP server and its pages.
//! - [`explain`]: facts and verdicts in words.
//! - [`document`]: facts and verdicts as JSON, for scripts.
//! - `shown`: what of a stranger's text may be seen.
//! - [`connectivity_log`]: one JSON line per lookup and session.
//!
//! The program:
//! - [`program`]: what runs when it is called.
//! - [`cli`], [`log`]: command line and logging; [`build`]: what it was built from.
//! - [`daemon`]: the life of the agent's process; [`http_sd`]: lists of destinations from servers;
//!   [`on_demand`]: `/probe` of other domains.
//! - [`systemd`]: what the service manager hears, and the sockets it hands over.
//! - [`check`], [`config_check`], [`judge`], [`senders`], [`demo`], [`healthy`]: what else it does when
//!   asked; [`chosen`], [`ended`], [`host_name`]: what they have in common.
//! - [`world`]: a small mail internet on loopback, for demo and tests.
#![forbid(unsafe_code)]

pub mod agent;
mod alike;
pub mod build;
pub mod check;
pub mod chosen;
pub mod cli;
pub mod config;
pub mod config_check;
pub mod connectivity_log;
pub mod daemon;
pub mod delivery;
pub mod demo;
mod dense;
pub mod document;
pub mod ended;
pub mod envelope;
pub mod explain;
pub mod facts;
pub mod healthy;
pub mod host_name;
pub mod http_sd;
pub mod judge;
pub mod log;
pub mod metrics;
pub mod name;
pub mod on_demand;
pub mod once;
pub mod probe;
pub mod program;
pub mod secret;
pub mod senders;
pub mod shard;
mod shown;
pub mod systemd;
pub mod web;
pub mod world;
