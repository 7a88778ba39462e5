//! packaging/kubernetes: what kustomize makes of it is what the APIs know, its parts agree with each
//! other and with the program, and the agent reads the configuration in it as it would in a pod.
//!
//! No cluster is here: what an API server, a kubelet or the operator does with it is not tried.

#[allow(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the tests against real servers")]
#[path = "../servers/mod.rs"]
mod servers;

mod configuration;
mod job;
mod manifests;
mod parts;
mod pods;
mod schema;
