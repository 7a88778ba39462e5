//! How attempts end: every distinct end of the ways a sender may go, and what they rest on.
//!
//! It collects; which end is the verdict is `judge`'s.

use std::time::Duration;

use super::{
    evidence::Evidence,
    verdict::{Outcome, Why},
};
use crate::facts::Family;

/// A host, and the family of its address where it came to one.
pub(super) type At = (usize, Option<Family>);

/// How one way ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Finish {
    pub(super) outcome: Outcome,
    pub(super) why: Why,
    /// What took the message, or ended the attempt by itself.
    pub(super) via: Option<At>,
    /// What was tried last.
    pub(super) at: Option<At>,
    pub(super) wait: Duration,
}

impl Finish {
    /// What one host, or address of it, ends by itself.
    pub(super) fn by(outcome: Outcome, why: Why, at: Option<At>, wait: Duration) -> Self {
        Self { outcome, why, via: at, at, wait }
    }
}

/// Every end there is, and what it rests on.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Distinct in all but `at`, in the order found.
    pub(super) all: Vec<Finish>,
    pub(super) evidence: Evidence,
    /// There were more ways than are worth going.
    pub(super) cut_short: bool,
}

/// Different ends that are kept at most.
const MAX_ENDS: usize = 64;

impl Ends {
    /// Keeps an end, unless one like it is known or there are too many.
    pub(super) fn add(&mut self, finish: Finish) {
        let key = |f: &Finish| (f.outcome, f.why, f.via, f.wait);
        if self.all.iter().any(|known| key(known) == key(&finish)) {
            return;
        }
        if self.all.len() == MAX_ENDS {
            self.cut_short = true;
            return;
        }
        self.all.push(finish);
    }

    /// Takes over what another walk came to.
    pub(super) fn merge(&mut self, other: Self) {
        other.all.into_iter().for_each(|finish| self.add(finish));
        self.evidence.absorb(other.evidence);
        self.cut_short |= other.cut_short;
    }

    /// Takes over of another walk what goes beyond: ends of another kind, and waits that are shorter
    /// or longer than any of their kind. Those in between tell nothing new.
    pub(super) fn widen(&mut self, other: &Self) {
        let kind = |f: &Finish| (f.outcome, f.why, f.via);
        for finish in &other.all {
            let waits = || other.all.iter().filter(|f| kind(f) == kind(finish)).map(|f| f.wait);
            let known = || self.all.iter().filter(|f| kind(f) == kind(finish)).map(|f| f.wait);
            let longer = known().max().is_none_or(|most| finish.wait > most);
            let shorter = known().min().is_none_or(|least| finish.wait < least);
            let longest = longer && waits().max() == Some(finish.wait);
            if longest || (shorter && waits().min() == Some(finish.wait)) {
                self.add(finish.clone());
            }
        }
        self.evidence.absorb(other.evidence);
        self.cut_short |= other.cut_short;
    }
}
