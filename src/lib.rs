//! mxwatch.
#![forbid(unsafe_code)]

pub mod agent;
pub mod config;
pub mod connectivity_log;
pub mod facts;
pub mod metrics;
pub mod name;
pub mod probe;
