//! Families about verdicts: what every sender would do with mail for every destination.
//!
//! While the outcome is not known only that is said: a number would be a guess.

use jiff::Timestamp;

use crate::{
    agent::standing::Standing,
    delivery::Outcome,
    facts::Elapsed,
    metrics::{
        labels::Closed,
        names,
        sink::Gone,
        text::{Family, Text},
        texts::Place,
        view::View,
    },
    name::Exchanger,
};

/// What the series tell of one verdict.
struct Given<'a> {
    domain: Place,
    /// The values of the labels `sender` and `resolver`.
    by: [&'a str; 2],
    outcome: Outcome,
    reason: &'static str,
    /// The last that was tried, too: one dead exchanger is one cause for all who route to it.
    at: Option<&'a Exchanger>,
    wait_best: Elapsed,
    wait_worst: Elapsed,
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
    let known = || given.iter().filter(|given| given.known());
    let mut each = Closed::new(["sender", "resolver"]);
    let mut family = Family::by(out, &names::DELIVERY_DELIVERABLE, "domain");
    for given in known() {
        let delivers = u8::from(given.outcome == Outcome::Deliver);
        family.row(view.text(given.domain), each.tail(given.by), delivers)?;
    }
    let mut family = Family::by(out, &names::DELIVERY_OUTCOME, "domain");
    let mut outcome = Closed::new(["sender", "resolver", "outcome", "reason"]);
    for given in &given {
        let mx = given.at.map(|at| view.label(at)).unwrap_or_default();
        let [sender, resolver] = given.by;
        let labels = [sender, resolver, given.outcome.label(), given.reason];
        family.row_with(view.text(given.domain), outcome.middle(labels), &[("mx", &mx)], 1)?;
    }
    let mut family = Family::by(out, &names::DELIVERY_WAIT, "domain");
    let mut bound = Closed::new(["sender", "resolver", "bound"]);
    for given in known() {
        let (domain, [sender, resolver]) = (view.text(given.domain), given.by);
        family.row(domain, bound.tail([sender, resolver, "best"]), given.wait_best)?;
        family.row(domain, bound.tail([sender, resolver, "worst"]), given.wait_worst)?;
    }
    let mut family = Family::by(out, &names::DELIVERY_USABLE, "domain");
    for given in known() {
        family.row(view.text(given.domain), each.tail(given.by), given.usable_exchangers)?;
    }
    let mut family = Family::by(out, &names::DELIVERY_SINCE, "domain");
    for given in &given {
        family.row(view.text(given.domain), each.tail(given.by), given.since)?;
    }
    Ok(())
}

/// Every verdict in the order of its `domain`, `sender` and `resolver` labels, of two alike the last.
fn given<'a>(view: &View<'a>) -> Vec<Given<'a>> {
    let many = view.domains.len() * view.snapshot.terms.senders.len();
    let mut given = Vec::with_capacity(many);
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
        given.extend(distinct.iter().copied().map(|standing| {
            let Standing { sender, resolver, verdict, history } = standing;
            Given {
                domain: domain.text,
                by: [&*sender.name, &**resolver],
                outcome: verdict.outcome,
                reason: verdict.why.label(),
                at: verdict.at.as_ref().map(|at| &at.exchanger),
                wait_best: verdict.wait_best.into(),
                wait_worst: verdict.wait_worst.into(),
                usable_exchangers: verdict.usable_exchangers,
                since: history.since(),
            }
        }));
    }
    given
}

fn key(standing: &Standing) -> (&str, &str) {
    (&standing.sender.name, &standing.resolver)
}
