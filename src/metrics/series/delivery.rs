//! Families about verdicts: what every sender would do with mail for every destination.
//!
//! While the outcome is not known only that is said: a number would be a guess.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    agent::standing::Standing,
    delivery::{Outcome, Verdict},
    metrics::{
        labelled::Labelled,
        names,
        sink::Gone,
        text::{Closed, Family, Text},
        view::View,
    },
};

/// What the series tell of one verdict.
struct Given<'a> {
    verdict: &'a Verdict,
    outcome: Outcome,
    wait_best: Duration,
    wait_worst: Duration,
    usable_exchangers: usize,
    since: Timestamp,
}

impl Given<'_> {
    fn known(&self) -> bool {
        self.outcome != Outcome::Unknown
    }
}

/// All families.
pub(in crate::metrics) fn write(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let given = given(view);
    let known = || given.iter().filter(|(_, given)| given.known());
    let mut family = Family::new(out, &names::DELIVERY_DELIVERABLE);
    for (labels, given) in known() {
        family.sample(labels, &[], u8::from(given.outcome == Outcome::Deliver))?;
    }
    let mut family = Family::new(out, &names::DELIVERY_OUTCOME);
    for (labels, Given { verdict, .. }) in given.iter() {
        // The last that was tried, too: one dead exchanger is one cause for all who route to it.
        let mx = verdict.at.as_ref().map(|at| view.label(&at.exchanger)).unwrap_or_default();
        let more =
            [("outcome", verdict.outcome.label()), ("reason", verdict.why.label()), ("mx", &*mx)];
        family.sample(labels, &more, 1)?;
    }
    let mut family = Family::new(out, &names::DELIVERY_WAIT);
    let mut bound = Closed::new(["bound"]);
    for (labels, given) in known() {
        family.sample_of(labels, &mut bound, ["best"], given.wait_best)?;
        family.sample_of(labels, &mut bound, ["worst"], given.wait_worst)?;
    }
    let mut family = Family::new(out, &names::DELIVERY_USABLE);
    for (labels, given) in known() {
        family.sample(labels, &[], given.usable_exchangers)?;
    }
    let mut family = Family::new(out, &names::DELIVERY_SINCE);
    for (labels, given) in given.iter() {
        family.sample(labels, &[], given.since)?;
    }
    Ok(())
}

/// Every verdict under its `domain`, `sender` and `resolver` labels, of two alike the last.
fn given<'a>(view: &View<'a>) -> Labelled<Given<'a>> {
    let mut given = Labelled::with_capacity(view.domains.len() * view.snapshot.terms.senders.len());
    let mut distinct: Vec<&Standing> = Vec::new();
    for domain in &view.domains {
        distinct.clear();
        distinct.extend(&*domain.report.standings);
        distinct.sort_by(|a, b| key(a).cmp(&key(b)));
        distinct.dedup_by(|next, kept| {
            let same = key(next) == key(kept);
            if same {
                *kept = *next;
            }
            same
        });
        for Standing { sender, resolver, verdict, history } in distinct.iter().copied() {
            let row = Given {
                verdict,
                outcome: verdict.outcome,
                wait_best: verdict.wait_best,
                wait_worst: verdict.wait_worst,
                usable_exchangers: verdict.usable_exchangers,
                since: history.since(),
            };
            let labels =
                [("domain", &*domain.name), ("sender", &*sender.name), ("resolver", &**resolver)];
            given.push(labels, row);
        }
    }
    given
}

fn key(standing: &Standing) -> (&str, &str) {
    (&standing.sender.name, &standing.resolver)
}
