//! Observation: asks DNS servers and mail exchangers, and returns facts.
//!
//! A failed probe is a value, not an error. Nothing here knows of metrics, schedules or verdicts;
//! the agent and `check` call it.

pub mod addresses;
pub mod anchors;
pub mod dns;
pub(crate) mod https;
mod media_type;
pub mod mta_sts;
mod public;
pub mod route;
mod routing;
pub mod smtp;
mod tagged;
mod text;
pub mod tls;
pub mod tls_rpt;
pub mod tlsa;
pub mod vantage;
mod words;
