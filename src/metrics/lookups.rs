//! The newest lookup of each name, type and resolver, and of it what the series tell.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::texts::{Place, Texts};
use crate::facts::{Decided, Elapsed, Lookup, LookupStatus, RecordType};

/// What one lookup came to.
#[derive(Debug)]
pub(super) struct LastLookup<'a> {
    pub(super) lookup: &'a Lookup,
    /// When it is from, in microseconds since 1970.
    at: i64,
    pub(super) name: Place,
    /// The value of the `resolver` label: five families ask for it, and the lookup lies far away.
    pub(super) resolver: &'a str,
    pub(super) took: Elapsed,
    pub(super) rtype: RecordType,
    pub(super) status: LookupStatus,
    /// Of an answer: how many records it has, its TTL.
    pub(super) answers: Option<u16>,
    pub(super) ttl: Option<u32>,
    pub(super) authentic_data: bool,
    /// It asked the servers of a zone.
    pub(super) of_zone: bool,
}

// A scrape may gather a hundred thousand.
const _: () = assert!(size_of::<LastLookup<'_>>() <= 64);

impl<'a> LastLookup<'a> {
    fn new(lookup: &'a Lookup, at: Timestamp, name: Place) -> Self {
        let Decided { exchange, status } = lookup.decided();
        let answer = exchange.filter(|_| status.answered());
        Self {
            lookup,
            at: at.as_microsecond(),
            name,
            resolver: &lookup.resolver,
            took: lookup.took().into(),
            rtype: lookup.rtype,
            status,
            answers: answer.map(|exchange| exchange.answers),
            ttl: answer.and_then(|exchange| exchange.ttl),
            authentic_data: exchange.is_some_and(|exchange| exchange.authentic_data),
            of_zone: lookup.zone.is_some(),
        }
    }
}

/// Lookups as they are gathered.
#[derive(Debug, Default)]
pub(super) struct Lookups<'a> {
    all: Vec<LastLookup<'a>>,
}

impl<'a> Lookups<'a> {
    pub(super) fn with_capacity(lookups: usize) -> Self {
        Self { all: Vec::with_capacity(lookups) }
    }

    /// Adds what was found out at one moment about one name, the text of which may be `known`.
    pub(super) fn add(
        &mut self,
        texts: &mut Texts,
        at: Timestamp,
        lookups: impl Iterator<Item = &'a Lookup>,
        known: (&str, Place),
    ) {
        let begin = self.all.len();
        // One that did not get its turn tells nothing about the resolver.
        for lookup in lookups.filter(|lookup| lookup.asked()) {
            let name = if *lookup.name == *known.0 { known.1 } else { texts.add(&lookup.name) };
            self.all.push(LastLookup::new(lookup, at, name));
        }
        self.all[begin..].sort_unstable_by(|a, b| by_labels(texts, a, b));
    }

    /// All of them in the order of their labels, of two alike the newest.
    pub(super) fn newest(self, texts: &Texts) -> Vec<LastLookup<'a>> {
        let mut all = self.all;
        // These are two sorted stretches by now, or little more, which costs a merge alone.
        all.sort_by(|a, b| by_labels(texts, a, b));
        all.dedup_by(|next, kept| {
            let same = by_labels(texts, next, kept) == Ordering::Equal;
            if same && kept.at < next.at {
                std::mem::swap(kept, next);
            }
            same
        });
        all
    }
}

fn by_labels(texts: &Texts, a: &LastLookup<'_>, b: &LastLookup<'_>) -> Ordering {
    let names = || texts.get(a.name).cmp(texts.get(b.name));
    let resolvers = || a.resolver.cmp(b.resolver);
    names().then(a.rtype.cmp(&b.rtype)).then_with(resolvers)
}
