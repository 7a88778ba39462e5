//! The standings of one destination out of one picture of the state: which verdicts can be given
//! yet, and what becomes of those given before.
//!
//! Pure but for the judging itself, which is [`delivery`]'s.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    standing::Standing,
    state::{DestinationReport, DestinationRound, Snapshot, Terms},
};
use crate::{
    delivery::{self, Outcome, Sender, Verdict, Why},
    facts::Facts,
    name::{Destination, Exchanger, Host},
};

/// What came of judging one destination.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// Every verdict that can be given.
    pub standings: Vec<Standing>,
    /// Some verdict could not be given, or not be brought up to date, before a round that is under
    /// way has ended.
    pub waits: bool,
}

/// Judges a destination for every sender of the terms, going by every resolver.
///
/// A first verdict is given once everything that it rests on was observed. From then on there is
/// always one: where a round that has begun has not come to what decides, the last one stands until
/// that round has ended.
pub fn judge(one: &Snapshot, destination: &Destination) -> Judgement {
    let mut judgement = Judgement::default();
    let Some(report) = one.destinations.get(destination) else { return judgement };
    let facts = report.last.as_ref().and_then(|round| Some((round, one.facts(destination)?)));
    let Some((round, facts)) = facts else { return judgement };
    let at = newest(&facts);
    let running = round.route.iter().any(|(_, mx)| under_way(one, mx));
    for resolver in views(&facts, &one.terms) {
        let complete = complete(one, destination, round, &resolver);
        for sender in &*one.terms.senders {
            let before = standing(report, sender, &resolver);
            if before.is_none() && !complete {
                judgement.waits = true;
                continue;
            }
            let verdict = delivery::judge(&facts, sender, &resolver);
            let sender = Arc::clone(sender);
            judgement.standings.push(match before {
                Some(before) if running && undecided(&verdict) => {
                    judgement.waits = true;
                    before.clone()
                }
                Some(before) => before.next(sender, verdict, at),
                None => Standing::first(sender, Arc::clone(&resolver), verdict, at),
            });
        }
    }
    judgement
}

/// Judges facts that are all there will be.
pub fn judge_once(facts: &Facts, terms: &Terms) -> Vec<Standing> {
    let at = newest(facts);
    let by_view = |resolver: Arc<str>| {
        let first = move |sender: &Arc<Sender>| {
            let verdict = delivery::judge(facts, sender, &resolver);
            Standing::first(Arc::clone(sender), Arc::clone(&resolver), verdict, at)
        };
        terms.senders.iter().map(first).collect::<Vec<_>>()
    };
    views(facts, terms).into_iter().flat_map(by_view).collect()
}

/// The resolvers to go by; none for a domain of which no answer of theirs is known.
fn views(facts: &Facts, terms: &Terms) -> Vec<Arc<str>> {
    let mut views = delivery::views(facts);
    let by_address = |view: &str| view.is_empty() && is_domain(&facts.destination);
    views.retain(|view| terms.resolver(view) && !by_address(view));
    views
}

fn standing<'a>(
    report: &'a DestinationReport,
    sender: &Sender,
    resolver: &str,
) -> Option<&'a Standing> {
    let same = |s: &&Standing| s.sender.name == sender.name && &*s.resolver == resolver;
    report.standings.iter().find(same)
}

/// Everything that a verdict by this resolver rests on was observed once.
fn complete(
    one: &Snapshot,
    destination: &Destination,
    round: &DestinationRound,
    resolver: &str,
) -> bool {
    let routed =
        !is_domain(destination) || round.mx.iter().any(|mx| &*mx.lookup.resolver == resolver);
    routed && round.route.iter().all(|(_, exchanger)| observed(one, exchanger, resolver))
}

fn observed(one: &Snapshot, exchanger: &Exchanger, resolver: &str) -> bool {
    let Some(report) = one.exchangers.get(exchanger) else { return false };
    let looked_up = || {
        let lookups = report.facts.iter().flat_map(|facts| &facts.lookups);
        lookups.into_iter().any(|lookup| &*lookup.resolver == resolver)
    };
    report.completed_at.is_some() && (matches!(exchanger.host, Host::Address(_)) || looked_up())
}

/// A round of this exchanger has found out something and not ended.
fn under_way(one: &Snapshot, exchanger: &Exchanger) -> bool {
    let Some(report) = one.exchangers.get(exchanger) else { return true };
    match (&report.facts, report.completed_at) {
        (Some(facts), Some(completed_at)) => completed_at < facts.observed_at,
        _ => true,
    }
}

/// The verdict would be another if more were known, and more is about to be.
fn undecided(verdict: &Verdict) -> bool {
    verdict.outcome == Outcome::Unknown && matches!(verdict.why, Why::NotLookedUp | Why::NotProbed)
}

/// When the last of these facts was observed.
fn newest(facts: &Facts) -> Timestamp {
    let exchangers = facts.exchangers.iter().map(|exchanger| exchanger.observed_at);
    exchangers.fold(facts.observed_at, Timestamp::max)
}

fn is_domain(destination: &Destination) -> bool {
    matches!(destination, Destination::Domain(_))
}
