//! What is known as JSON, for scripts.

use serde_json::json;

use super::{
    response::{self, Answer},
    summary,
};
use crate::{agent::state::Snapshot, document::Document, facts::FACTS_VERSION, name::Destination};

pub(super) fn domains(snapshot: &Snapshot) -> Answer {
    let all: Vec<_> = summary::all(snapshot).collect();
    response::json(&json!({ "version": FACTS_VERSION, "domains": all }))
}

/// The facts of one destination, null before its first round.
pub(super) fn domain(snapshot: &Snapshot, destination: &Destination) -> Answer {
    let facts = snapshot.facts(destination);
    response::json(&Document::new(destination, facts.as_ref(), Vec::new()))
}
