//! What is known as JSON, for scripts.

use serde_json::json;

use super::{
    response::{self, Answer},
    summary,
};
use crate::{
    agent::{standing::Standing, state::Snapshot},
    document::{Document, Entry, Surroundings},
    explain::judged::Judged,
    facts::{FACTS_VERSION, Facts},
    name::Destination,
};

pub(super) fn domains(snapshot: &Snapshot) -> Answer {
    let all: Vec<_> = summary::all(snapshot).collect();
    response::json(&json!({ "version": FACTS_VERSION, "domains": all }))
}

/// The facts of one destination, null before its first round, and the verdicts given on it.
pub(super) fn domain(snapshot: &Snapshot, destination: &Destination) -> Answer {
    let facts = snapshot.facts(destination);
    let standings = snapshot.destinations.get(destination).map(|report| &*report.standings);
    let entries = facts.iter().flat_map(|facts| {
        standings.into_iter().flatten().map(move |standing| entry(facts, standing))
    });
    let surroundings = Surroundings {
        vantage: snapshot.vantage.clone(),
        resolvers: snapshot.resolvers.values().filter_map(|report| report.last.clone()).collect(),
    };
    response::json(&Document::new(destination, facts.as_ref(), surroundings, entries.collect()))
}

fn entry(facts: &Facts, standing: &Standing) -> Entry {
    let Standing { sender, resolver, verdict, history } = standing;
    Entry {
        since: Some(history.since()),
        last_change: history.changes().last().map(|change| change.at),
        ..Judged::new(facts, sender, resolver, verdict).into()
    }
}
