//! The shipped dashboards: their form, what Prometheus answers to every query of
//! them, and how much of it where there are many domains.

mod answers;
mod dashboard;
mod form;
mod scale;
mod selectors;
mod variables;

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
#[path = "../servers/mod.rs"]
mod servers;
