//! The real binary, end to end, against worlds on loopback: each test its own world at its own
//! addresses, and nothing that depends on how fast the machine is.

#[allow(dead_code, reason = "shared with the tests against real servers")]
#[path = "../harness/mod.rs"]
mod harness;

mod agent;
mod check;
mod chosen_resolvers;
mod config;
mod demo;
mod ending;
mod healthy;
mod http_sd;
mod judge;
mod log;
mod mta_sts;
mod policy_host;
mod probe;
mod recipients;
mod reload;
mod resilience;
mod resolvers;
mod senders;
mod shards;
mod starting;
mod starttls;
mod stories;
mod submission;
mod verdict;
