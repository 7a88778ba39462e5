//! From a failure to the page and back: the shipped rules and Alertmanager configuration in the real
//! programs, in time that runs sixty times as fast ([`compressed`]).

#[allow(dead_code, reason = "shared with the tests of the agent")]
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
#[path = "../servers/mod.rs"]
mod servers;

mod compressed;
mod grouping;
mod inhibition;
mod pages;
mod routing;
mod sample;
mod scene;
mod shipped;
mod words;
