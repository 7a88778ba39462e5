//! The newest lookup of each name, type and resolver, and of it what the series tell.

use std::{cmp::Ordering, time::Duration};

use jiff::Timestamp;

use super::labelled::Labelled;
use crate::{
    agent::state::Snapshot,
    facts::{Decided, Lookup, LookupStatus, RecordType},
};

/// What one lookup came to.
#[derive(Debug)]
pub(super) struct LastLookup<'a> {
    pub(super) lookup: &'a Lookup,
    pub(super) rtype: RecordType,
    pub(super) status: LookupStatus,
    pub(super) took: Duration,
    /// Of an answer: how many records it has, its TTL.
    pub(super) answers: Option<usize>,
    pub(super) ttl: Option<u32>,
    pub(super) authentic_data: bool,
    /// It asked the servers of a zone.
    pub(super) of_zone: bool,
}

impl<'a> LastLookup<'a> {
    fn new(lookup: &'a Lookup) -> Self {
        let Decided { exchange, status } = lookup.decided();
        let answer = exchange.filter(|_| status.answered());
        Self {
            lookup,
            rtype: lookup.rtype,
            status,
            took: lookup.took(),
            answers: answer.map(|exchange| exchange.answers),
            ttl: answer.and_then(|exchange| exchange.ttl),
            authentic_data: exchange.is_some_and(|exchange| exchange.authentic_data),
            of_zone: lookup.zone.is_some(),
        }
    }
}

/// All of them under their labels, in the order of these.
pub(super) fn newest(snapshot: &Snapshot) -> Labelled<LastLookup<'_>> {
    let mut all: Vec<(Timestamp, &Lookup)> =
        Vec::with_capacity(snapshot.destinations.len() + 2 * snapshot.exchangers.len());
    // One that did not get its turn tells nothing about the resolver.
    let asked = |(_, lookup): &(Timestamp, &Lookup)| lookup.asked();
    let rounds = snapshot.destinations.values().filter_map(|report| report.last.as_ref());
    for round in rounds {
        let begin = all.len();
        all.extend(round.mx.iter().map(|mx| (round.observed_at, &mx.lookup)).filter(asked));
        all[begin..].sort_by(by_labels);
    }
    let known = snapshot.exchangers.values().filter_map(|report| report.facts.as_deref());
    for facts in known {
        let begin = all.len();
        all.extend(facts.lookups.iter().map(|lookup| (facts.observed_at, lookup)).filter(asked));
        all[begin..].sort_by(by_labels);
    }
    // These are two sorted stretches by now, or little more, which costs a merge alone.
    all.sort_by(by_labels);
    all.dedup_by(|next, kept| {
        let same = by_labels(next, kept) == Ordering::Equal;
        if same && kept.0 < next.0 {
            *kept = *next;
        }
        same
    });
    let mut rows = Labelled::with_capacity(all.len());
    for (_, lookup) in all {
        let labels = [
            ("name", &*lookup.name),
            ("type", lookup.rtype.label()),
            ("resolver", &*lookup.resolver),
        ];
        rows.push(labels, LastLookup::new(lookup));
    }
    rows
}

fn by_labels((_, a): &(Timestamp, &Lookup), (_, b): &(Timestamp, &Lookup)) -> Ordering {
    (&a.name, a.rtype, &a.resolver).cmp(&(&b.name, b.rtype, &b.resolver))
}
