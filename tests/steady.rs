//! What the agent takes for the same is judged the same: rounds that find nothing new need not be
//! judged again.

use std::{sync::Arc, time::Duration};

use mxwatch::{
    agent::material,
    delivery::{
        Verdict, builtin, judge,
        what_if::{self, WhatIf},
    },
    facts::{Elapsed, ExchangerFacts, Facts},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    facts: WhatIf,
}

/// The same a round later: other times below a second, other TTLs, another order of addresses.
fn a_round_later(mut facts: Facts) -> Facts {
    for exchanger in &mut facts.exchangers {
        *exchanger = Arc::new(later(ExchangerFacts::clone(exchanger)));
    }
    facts
}

fn later(mut exchanger: ExchangerFacts) -> ExchangerFacts {
    let slower = |took: &mut Elapsed| *took = (took.get() + Duration::from_millis(137)).into();
    let lookups = Arc::make_mut(&mut exchanger.lookups);
    for exchange in lookups.iter_mut().flat_map(|lookup| &mut *lookup.exchanges) {
        exchange.ttl = exchange.ttl.map(|ttl| ttl / 2);
        exchange.records.reverse();
        slower(&mut exchange.duration);
    }
    for session in &mut exchanger.sessions {
        let session = Arc::make_mut(session);
        session.stages.iter_mut().for_each(|stage| slower(&mut stage.duration));
        slower(&mut session.duration);
    }
    exchanger
}

/// What of a verdict does not depend on fractions of a second.
fn gist(verdict: &Verdict) -> impl PartialEq + std::fmt::Debug + use<> {
    let (best, worst) = (verdict.wait_best.as_secs(), verdict.wait_worst.as_secs());
    let usable = verdict.usable_exchangers;
    (verdict.outcome, verdict.why, best, worst, usable, verdict.censored, verdict.possible.len())
}

#[test]
fn a_round_that_finds_nothing_new_changes_no_verdict() {
    let reference = include_str!("reference/vectors.json");
    let reference: Reference = serde_json::from_str(reference).unwrap();
    assert!(reference.vectors.len() >= 26);
    for Vector { id, facts } in reference.vectors {
        let mut before = facts.facts().unwrap();
        // As DNS is, and not as a list of addresses is read.
        before.answers_in_order = false;
        let after = a_round_later(before.clone());
        for (before, after) in before.exchangers.iter().zip(&after.exchangers) {
            assert!(material::same_exchanger(before, after), "{id}: {}", before.exchanger);
        }
        for sender in builtin::all() {
            let gists = [&before, &after].map(|f| gist(&judge(f, sender, what_if::RESOLVER)));
            assert_eq!(gists[0], gists[1], "{id} {}", sender.name);
        }
    }
}
