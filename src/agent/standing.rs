//! What a sender would do with mail for a destination, and since when: the current verdict with
//! its history.
//!
//! Pure: moments come from the facts that were judged. An `unknown` in between is no change: facts
//! were missing for a while, and when the same outcome is back, it has held all the time as far as
//! anybody knows.

use std::sync::Arc;

use jiff::Timestamp;

use crate::delivery::{Outcome, Sender, Verdict};

/// The verdict on one destination for one sender, going by the answers of one resolver.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Who sends.
    pub sender: Arc<Sender>,
    /// Whose answers count; empty for a smart host that is an address.
    pub resolver: Arc<str>,
    /// What would become of a message now.
    pub verdict: Arc<Verdict>,
    /// What came before.
    pub history: History,
}

/// Since when an outcome holds, and the changes up to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct History {
    outcome: Outcome,
    since: Timestamp,
    /// What came before; most never change.
    past: Option<Box<Past>>,
}

/// What came before the outcome that holds.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Past {
    /// While the outcome that holds is unknown: the last that was known, and since when.
    settled: Option<(Outcome, Timestamp)>,
    changes: Vec<Change>,
}

/// One change from a known outcome to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// When it was observed.
    pub at: Timestamp,
    /// The outcome before.
    pub from: Outcome,
    /// The outcome after.
    pub to: Outcome,
}

/// Changes remembered: enough to see one that comes and goes.
pub const MAX_CHANGES: usize = 10;

impl Standing {
    /// The first verdict.
    pub fn first(sender: Arc<Sender>, resolver: Arc<str>, verdict: Verdict, at: Timestamp) -> Self {
        let history = History::begin(verdict.outcome, at);
        Self { sender, resolver, verdict: Arc::new(verdict), history }
    }

    /// The next verdict after this one, of the same sender, whose parameters may be others now.
    #[must_use]
    pub fn next(&self, sender: Arc<Sender>, verdict: Verdict, at: Timestamp) -> Self {
        let history = self.history.then(verdict.outcome, at);
        let same = *self.verdict == verdict;
        let verdict = if same { Arc::clone(&self.verdict) } else { Arc::new(verdict) };
        Self { sender, resolver: Arc::clone(&self.resolver), verdict, history }
    }
}

impl History {
    fn begin(outcome: Outcome, at: Timestamp) -> Self {
        Self { outcome, since: at, past: None }
    }

    fn then(&self, outcome: Outcome, at: Timestamp) -> Self {
        if outcome == self.outcome {
            return self.clone();
        }
        // Facts that were put together from others may be older than what was judged before.
        let at = at.max(self.since);
        let mut changes = self.changes().to_vec();
        let (since, settled) = match self.settled() {
            settled if outcome == Outcome::Unknown => (at, settled),
            Some((before, since)) if before == outcome => (since, None),
            Some((from, _)) => {
                if changes.len() == MAX_CHANGES {
                    changes.remove(0);
                }
                changes.push(Change { at, from, to: outcome });
                (at, None)
            }
            None => (at, None),
        };
        let nothing = settled.is_none() && changes.is_empty();
        let past = (!nothing).then(|| Box::new(Past { settled, changes }));
        Self { outcome, since, past }
    }

    /// The outcome that holds.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// When it was first observed.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// The last outcome that was known, and when it was first observed; while the current one is
    /// known, that.
    pub fn settled(&self) -> Option<(Outcome, Timestamp)> {
        if self.outcome != Outcome::Unknown {
            return Some((self.outcome, self.since));
        }
        self.past.as_ref()?.settled
    }

    /// The last changes, the newest last.
    pub fn changes(&self) -> &[Change] {
        self.past.as_ref().map_or(&[], |past| &past.changes)
    }
}

#[cfg(test)]
mod tests {
    use Outcome::{Bounce, Defer, Deliver, Unknown};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The history of outcomes that were observed at these seconds.
    fn history(observed: &[(i64, Outcome)]) -> History {
        let (second, first) = observed[0];
        let begin = History::begin(first, at(second));
        observed[1..].iter().fold(begin, |history, (second, o)| history.then(*o, at(*second)))
    }

    #[test]
    fn an_outcome_holds_since_it_was_first_observed() {
        let history = history(&[(10, Deliver), (20, Deliver), (30, Defer), (40, Defer)]);
        assert_eq!((history.outcome(), history.since()), (Defer, at(30)));
        assert_eq!(history.changes(), [Change { at: at(30), from: Deliver, to: Defer }]);
    }

    #[test]
    fn unknown_in_between_does_not_start_it_anew() {
        let between = history(&[(10, Defer), (20, Unknown)]);
        assert_eq!((between.outcome(), between.since()), (Unknown, at(20)));
        assert_eq!(between.settled(), Some((Defer, at(10))));
        let after = between.then(Defer, at(30));
        assert_eq!((after.outcome(), after.since()), (Defer, at(10)));
        assert_eq!(after.changes(), []);
        let other = between.then(Deliver, at(30));
        assert_eq!((other.outcome(), other.since()), (Deliver, at(30)));
        assert_eq!(other.changes(), [Change { at: at(30), from: Defer, to: Deliver }]);
    }

    #[test]
    fn what_begins_unknown_has_not_changed_when_it_is_known() {
        let history = history(&[(10, Unknown), (20, Unknown), (30, Bounce)]);
        assert_eq!((history.since(), history.changes()), (at(30), &[][..]));
    }

    #[test]
    fn only_the_last_changes_are_remembered() {
        let flapping: Vec<_> =
            (0..40).map(|n| (n, if n % 2 == 0 { Deliver } else { Defer })).collect();
        let history = history(&flapping);
        assert_eq!(history.changes().len(), MAX_CHANGES);
        assert_eq!(history.changes().last().map(|change| change.at), Some(at(39)));
        assert_eq!(history.changes()[0].at, at(30));
    }

    #[test]
    fn time_does_not_run_backwards() {
        assert_eq!(history(&[(10, Deliver), (5, Defer)]).since(), at(10));
    }
}
