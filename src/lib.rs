//! mxwatch.
#![forbid(unsafe_code)]

pub mod agent;
pub mod check;
pub mod cli;
pub mod config;
pub mod connectivity_log;
pub mod daemon;
pub mod demo;
pub mod explain;
pub mod facts;
pub mod log;
pub mod metrics;
pub mod name;
pub mod on_demand;
pub mod once;
pub mod probe;
pub mod web;
pub mod world;
