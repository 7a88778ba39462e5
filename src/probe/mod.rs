//! Observation: asks DNS servers and mail exchangers, and returns facts.
//!
//! A failed probe is a value, not an error. Nothing here knows of metrics, schedules or verdicts;
//! the agent and `check` call it.

pub mod addresses;
mod anchors;
pub mod dns;
mod public;
pub mod route;
mod routing;
pub mod smtp;
pub mod tls;
pub mod tlsa;
pub mod vantage;
