//! Families about verdicts: what every sender would do with mail for every destination.
//!
//! While the outcome is not known only that is said: a number would be a guess.

use super::unix_seconds;
use crate::{
    agent::standing::Standing,
    delivery::{Outcome, Verdict},
    metrics::{
        names,
        text::{Block, Family},
        view::View,
    },
};

/// All families.
pub(in crate::metrics) fn write(view: &View<'_>, out: &mut String) {
    let mut family = Family::new(out, &names::DELIVERY_DELIVERABLE);
    for (labels, verdict) in known(view) {
        family.sample(labels, &[], u8::from(verdict.outcome == Outcome::Deliver));
    }
    let mut family = Family::new(out, &names::DELIVERY_OUTCOME);
    for (labels, Standing { verdict, .. }) in &view.standings {
        // The last that was tried, too: one dead exchanger is one cause for all who route to it.
        let at = verdict.at.as_ref();
        let mx = at.map(|at| at.exchanger.label(view.snapshot.mx_port)).unwrap_or_default();
        let more =
            [("outcome", verdict.outcome.label()), ("reason", verdict.why.label()), ("mx", &mx)];
        family.sample(labels, &more, 1);
    }
    let mut family = Family::new(out, &names::DELIVERY_WAIT);
    for (labels, verdict) in known(view) {
        let bounds = [("best", verdict.wait_best), ("worst", verdict.wait_worst)];
        for (bound, wait) in bounds {
            family.sample(labels, &[("bound", bound)], wait.as_secs_f64());
        }
    }
    let mut family = Family::new(out, &names::DELIVERY_USABLE);
    for (labels, verdict) in known(view) {
        family.sample(labels, &[], verdict.usable_exchangers);
    }
    let mut family = Family::new(out, &names::DELIVERY_SINCE);
    for (labels, standing) in &view.standings {
        family.sample(labels, &[], unix_seconds(standing.history.since()));
    }
}

fn known<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a Block, &'a Verdict)> {
    let known = |standing: &Standing| standing.verdict.outcome != Outcome::Unknown;
    let standings = view.standings.iter().filter(move |(_, standing)| known(standing));
    standings.map(|(labels, standing)| (labels, &*standing.verdict))
}
