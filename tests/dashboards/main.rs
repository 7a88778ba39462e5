//! The shipped dashboards: their form, and what Prometheus answers to every query of them.

mod answers;
mod dashboard;
mod form;
mod promql;

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
#[path = "../servers/mod.rs"]
mod servers;
