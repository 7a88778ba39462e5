//! The standings of one destination out of one picture of the state: which verdicts can be given
//! yet, and what becomes of those given before.
//!
//! Pure but for the judging itself, which is [`delivery`]'s.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

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
    let looked = facts.mta_sts.is_some() || !is_domain(destination);
    let running = round.exchangers().any(|mx| under_way(one, mx));
    for resolver in views(&facts, &one.terms) {
        let complete = complete(one, destination, round, &resolver);
        let before = |sender: &Sender| standing(report, sender, &resolver);
        let ready = |sender: &Sender| complete && (looked || !sender.behaviour.mta_sts);
        let (senders, early): (Vec<_>, Vec<_>) =
            one.terms.senders.iter().partition(|sender| ready(sender) || before(sender).is_some());
        judgement.waits |= !early.is_empty();
        if senders.is_empty() {
            continue;
        }
        let verdicts = verdicts(&facts, &senders, &resolver);
        for (sender, verdict) in senders.into_iter().zip(verdicts) {
            let before = before(sender);
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
        let verdicts = verdicts(facts, &terms.senders, &resolver);
        let first = |(sender, verdict): (&Arc<Sender>, Verdict)| {
            Standing::first(Arc::clone(sender), Arc::clone(&resolver), verdict, at)
        };
        terms.senders.iter().zip(verdicts).map(first).collect::<Vec<_>>()
    };
    views(facts, terms).into_iter().flat_map(by_view).collect()
}

fn verdicts(facts: &Facts, senders: &[impl AsRef<Sender>], resolver: &str) -> Vec<Verdict> {
    delivery::judge_each(facts, senders.iter().map(AsRef::as_ref), resolver)
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
    let asked =
        |exchanger| !is_domain(destination) || asked_about(one, destination, round, exchanger);
    routed && round.exchangers().all(|mx| observed(one, mx, resolver) && asked(mx))
}

/// The recipient of a destination that has one was asked about, or could have been: a session that began
/// for others before this one came to share the exchanger tells nothing about it.
fn asked_about(
    one: &Snapshot,
    destination: &Destination,
    round: &DestinationRound,
    exchanger: &Exchanger,
) -> bool {
    let Some(report) = one.destinations.get(destination) else { return true };
    let Some(recipient) = report.settings.envelopes().find(|asked| !asked.relay_test) else {
        return true;
    };
    let facts = one.exchangers.get(exchanger).and_then(|report| report.facts.as_deref());
    let mut sessions = facts.into_iter().flat_map(|facts| &facts.sessions);
    sessions.all(|session| {
        let asked = session.transactions.iter().any(|said| said.envelope == recipient);
        let later = session.started_at.duration_since(round.observed_at);
        asked || !session.up() || later >= KNOWN_TO_ALL
    })
}

/// After that a session asks about the recipients of every round that has ended, if it asks at all: what it
/// asks about is settled some time before it begins, and a round is taken in some time after it ends.
const KNOWN_TO_ALL: SignedDuration = SignedDuration::from_secs(5);

fn observed(one: &Snapshot, exchanger: &Exchanger, resolver: &str) -> bool {
    let Some(report) = one.exchangers.get(exchanger) else { return false };
    let looked_up = || {
        let lookups = report.facts.iter().flat_map(|facts| &*facts.lookups);
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

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        agent::state::ExchangerReport,
        config::Config,
        delivery::{
            builtin,
            what_if::{RESOLVER, WhatIf},
        },
        facts::{DomainPolicies, ExchangerFacts, TlsRpt, TlsRptStatus},
    };

    pub(in crate::agent) fn facts(text: &str) -> Facts {
        serde_json::from_str::<WhatIf>(text).unwrap().facts().unwrap()
    }

    pub(in crate::agent) fn terms(senders: &[&str]) -> Terms {
        let sender = |name: &&str| Arc::new(builtin::get(name).unwrap().clone());
        Terms {
            senders: senders.iter().map(sender).collect(),
            resolvers: [Arc::from(RESOLVER)].into(),
        }
    }

    pub(in crate::agent) fn destination_report(facts: &Facts) -> Arc<DestinationReport> {
        let hop = |e: &Arc<ExchangerFacts>| (10, e.exchanger.clone());
        let round = DestinationRound {
            observed_at: facts.observed_at,
            mx: facts.mx.clone(),
            route: facts.exchangers.iter().map(hop).collect(),
            also: Vec::new(),
            chosen: Vec::new(),
        };
        let settings = Arc::new(Config::with_helo_name("a.example".into()).default_settings());
        let mta_sts = facts.mta_sts.clone();
        let tls_rpt = TlsRpt::unusable(TlsRptStatus::Absent, None);
        let policies = mta_sts.map(|mta_sts| Arc::new(DomainPolicies { mta_sts, tls_rpt }));
        let unobserved = DestinationReport::unobserved(settings);
        Arc::new(DestinationReport { last: Some(Arc::new(round)), policies, ..unobserved })
    }

    /// An exchanger whose round has ended, at this second.
    pub(in crate::agent) fn exchanger_report(
        facts: &ExchangerFacts,
        second: i64,
    ) -> Arc<ExchangerReport> {
        let at = Timestamp::from_second(second).unwrap();
        let facts = Some(Arc::new(ExchangerFacts { observed_at: at, ..facts.clone() }));
        Arc::new(ExchangerReport { facts, completed_at: Some(at), ..ExchangerReport::default() })
    }

    /// All of it observed.
    pub(in crate::agent) fn picture(facts: &Facts, senders: &[&str]) -> Snapshot {
        let exchangers = facts.exchangers.iter();
        let exchangers = exchangers.map(|e| (e.exchanger.clone(), exchanger_report(e, 100)));
        Snapshot {
            destinations: BTreeMap::from([(facts.destination.clone(), destination_report(facts))]),
            exchangers: exchangers.collect(),
            terms: Arc::new(terms(senders)),
            ..Snapshot::default()
        }
    }

    /// The AAAA lookup of its only exchanger fails.
    pub(in crate::agent) const AAAA_FAILS: &str = r#"{"domain": "example.com",
        "mx": [[10, "mx.example.com"]],
        "hosts": {"mx.example.com": {"a": ["192.0.2.1"], "aaaa": "servfail"}}}"#;
    /// The same domain in health.
    pub(in crate::agent) const HEALTHY: &str = r#"{"domain": "example.com",
        "mx": [[10, "mx.example.com"]], "hosts": {"mx.example.com": {"a": ["192.0.2.1"]}}}"#;

    fn outcomes(judgement: &Judgement) -> Vec<(&str, Outcome)> {
        let outcome = |s: &Standing| s.history.outcome();
        judgement.standings.iter().map(|s| (&*s.sender.name, outcome(s))).collect()
    }

    /// Keeps a judgement in the picture it was made from.
    fn keep(one: &mut Snapshot, facts: &Facts, judgement: Judgement) {
        let report = one.destinations.get_mut(&facts.destination).unwrap();
        Arc::make_mut(report).standings = judgement.standings.into();
    }

    #[test]
    fn every_sender_has_its_verdict_since_the_last_observation() {
        let facts = facts(AAAA_FAILS);
        let one = picture(&facts, &["postfix", "exchange-2010"]);
        let judgement = judge(&one, &facts.destination);
        assert!(!judgement.waits);
        let want = [("postfix", Outcome::Deliver), ("exchange-2010", Outcome::Defer)];
        assert_eq!(outcomes(&judgement), want);
        for standing in &judgement.standings {
            assert_eq!(&*standing.resolver, RESOLVER);
            assert_eq!(standing.history.since(), Timestamp::from_second(100).unwrap());
        }
        assert_eq!(judge_once(&facts, &one.terms).len(), 2);
    }

    #[test]
    fn there_is_no_verdict_before_everything_was_observed() {
        let facts = facts(HEALTHY);
        let whole = picture(&facts, &["postfix"]);
        let mx = facts.exchangers[0].exchanger.clone();
        let mut first_round = whole.clone();
        Arc::make_mut(first_round.exchangers.get_mut(&mx).unwrap()).completed_at = None;
        let mut no_route = whole.clone();
        let report = no_route.destinations.get_mut(&facts.destination).unwrap();
        Arc::make_mut(report).last = None;
        let mut not_asked = whole.clone();
        let report = not_asked.destinations.get_mut(&facts.destination).unwrap();
        let last = Arc::make_mut(report).last.as_mut().unwrap();
        Arc::make_mut(last).mx.clear();
        for (one, waits) in [(first_round, true), (no_route, false), (not_asked, true)] {
            let judgement = judge(&one, &facts.destination);
            assert_eq!((judgement.standings.len(), judgement.waits), (0, waits));
        }
        assert_eq!(judge(&whole, &facts.destination).standings.len(), 1);
    }

    #[test]
    fn what_a_round_has_not_come_to_yet_takes_no_verdict_away() {
        let facts = facts(HEALTHY);
        let mut one = picture(&facts, &["postfix"]);
        let judgement = judge(&one, &facts.destination);
        keep(&mut one, &facts, judgement);
        let mx = &facts.exchangers[0];
        let called = |second, completed: i64| {
            let mut report = exchanger_report(&ExchangerFacts::clone(mx), second);
            let known = Arc::make_mut(&mut report);
            Arc::make_mut(known.facts.as_mut().unwrap()).sessions.clear();
            known.completed_at = Some(Timestamp::from_second(completed).unwrap());
            report
        };
        one.exchangers.insert(mx.exchanger.clone(), called(160, 100));
        let during = judge(&one, &facts.destination);
        assert_eq!((outcomes(&during), during.waits), (vec![("postfix", Outcome::Deliver)], true));
        keep(&mut one, &facts, during);
        one.exchangers.insert(mx.exchanger.clone(), called(160, 161));
        let after = judge(&one, &facts.destination);
        assert_eq!((outcomes(&after), after.waits), (vec![("postfix", Outcome::Unknown)], false));
    }

    #[test]
    fn a_smart_host_by_address_is_judged_without_a_resolver() {
        let mut facts = facts(HEALTHY);
        facts.destination = Destination::parse("192.0.2.1:25").unwrap();
        facts.mx.clear();
        let mx = Arc::make_mut(&mut facts.exchangers[0]);
        mx.exchanger.host = Host::Address("192.0.2.1".parse().unwrap());
        mx.lookups = Arc::default();
        let judgement = judge(&picture(&facts, &["postfix"]), &facts.destination);
        assert_eq!(outcomes(&judgement), [("postfix", Outcome::Deliver)]);
        assert_eq!(&*judgement.standings[0].resolver, "");
    }

    #[test]
    fn other_terms_take_away_what_is_not_asked_for_any_more_and_keep_the_rest() {
        let facts = facts(AAAA_FAILS);
        let mut state = picture(&facts, &["postfix", "exchange-2010"]);
        let judgement = judge(&state, &facts.destination);
        keep(&mut state, &facts, judgement);
        assert!(!state.judge_by(terms(&["postfix", "exchange-2010"])), "they are the same");
        assert!(state.judge_by(terms(&["exim", "exchange-2010"])));
        let given = |state: &Snapshot| {
            let standings = state.destinations[&facts.destination].standings.iter();
            standings.map(|s| s.sender.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(given(&state), ["exchange-2010"]);
        assert!(state.judge_by(Terms { resolvers: [].into(), ..terms(&["exchange-2010"]) }));
        assert!(given(&state).is_empty(), "its resolver is gone");
    }
}
