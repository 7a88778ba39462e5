//! From a situation and a sender to a verdict: the MX lookup first, then an attempt for every
//! family order, and the worst of what may come of it.

use std::{collections::BTreeSet, time::Duration};

use super::{
    behaviour::{
        Behaviour, End, FamilyOrder, HostTempScope, MxSelf, NoMx, NullMxMixed, Parameter, SelfMatch,
    },
    effect::{Ending, effect, noticed},
    ends::{At, Ends, Finish},
    evidence::Evidence,
    itinerary::{self, Failing, Group, Stop, waits_for_better},
    lifetime,
    sender::{Confidence, Sender},
    situation::{Listing, Mx, Own, Situation},
    verdict::{Outcome, Possible, Verdict, Via, Why},
    walk::walk,
};
use crate::facts::{Family, LookupStatus};

/// The verdict about a fresh message.
pub(super) fn verdict(situation: &Situation, sender: &Sender) -> Verdict {
    let attempt = Attempt::new(situation, &sender.behaviour, Duration::ZERO);
    let ends = attempt.ends();
    let mut verdict = conclude(situation, sender, ends, &attempt.hosts);
    if verdict.outcome == Outcome::Defer {
        verdict.delivered_after = delivered_after(situation, sender);
    }
    verdict
}

/// Only giving up TLS depends on a message's age: the retry at which that would deliver.
fn delivered_after(situation: &Situation, sender: &Sender) -> Option<Duration> {
    use super::behaviour::PlainFallback;
    let behaviour = &sender.behaviour;
    let oldest = behaviour.plain_min_age.0;
    if behaviour.plain_fallback != PlainFallback::IfAge || oldest > behaviour.expire.0 {
        return None;
    }
    let age = lifetime::attempts(behaviour).find(|age| *age >= oldest)?;
    let ends = Attempt::new(situation, behaviour, age).ends();
    let delivers = ends.all.iter().all(|end| end.outcome == Outcome::Deliver);
    (age < behaviour.expire.0 && delivers).then_some(age)
}

fn conclude(situation: &Situation, sender: &Sender, ends: Ends, hosts: &[(u16, usize)]) -> Verdict {
    let Ends { mut all, evidence, cut_short } = ends;
    let known = |end: &Finish| end.outcome != Outcome::Unknown;
    // What is known of the ways counts, unless nothing is.
    let guessed = all.iter().any(|end| !known(end)) && all.iter().any(known);
    let rank = |end: &Finish| (known(end), end.outcome, end.wait);
    let worst = (0..all.len()).rev().max_by_key(|&place| rank(&all[place])).unwrap_or_default();
    let worst = if all.is_empty() { nothing() } else { all.remove(worst) };
    all.insert(0, worst.clone());
    let judged = || all.iter().filter(|end| known(end)).map(|end| end.wait);
    let (best, most) = (judged().min(), judged().max());
    let delivers = all.iter().any(|end| end.outcome == Outcome::Deliver);
    let mut confidence = evidence.confidence(sender);
    if guessed {
        confidence = confidence.min(Confidence::Medium);
    }
    if cut_short {
        confidence = Confidence::Low;
    }
    let via = |at: Option<At>| {
        at.map(|(host, family)| Via { exchanger: situation.hosts[host].exchanger.clone(), family })
    };
    let behaviour = &sender.behaviour;
    Verdict {
        outcome: worst.outcome,
        why: worst.why,
        via: via(worst.via),
        at: via(worst.at),
        wait_best: best.unwrap_or(worst.wait),
        wait_worst: most.unwrap_or(worst.wait),
        usable_exchangers: if delivers { usable(situation, behaviour, hosts) } else { 0 },
        confidence,
        censored: evidence.censored,
        cut_short,
        delivered_after: None,
        possible: all
            .into_iter()
            .map(|end| Possible {
                outcome: end.outcome,
                why: end.why,
                via: via(end.via),
                wait: end.wait,
            })
            .collect(),
    }
}

/// An attempt that came to no end at all cannot be; to say so is better than to panic.
fn nothing() -> Finish {
    Finish::by(Outcome::Unknown, Why::NotLookedUp, None, Duration::ZERO)
}

/// How many exchangers would take the message if the others refused the connection.
fn usable(situation: &Situation, sender: &Behaviour, hosts: &[(u16, usize)]) -> usize {
    let Some(&first) = sender.families.first() else { return 0 };
    let itinerary = itinerary::plan(situation, hosts, sender, first);
    let takes = |stop: &Stop| {
        let view = &situation.hosts[stop.host];
        let conduct = &view.servers[stop.server].conduct;
        effect(conduct, view, situation, sender, Duration::ZERO).end == Ending::Delivered
    };
    // Who looks everything up first has left out what a failing host rules out; who does not comes
    // to it.
    let drops = sender.host_temp_scope == HostTempScope::DropGePref;
    let fails = |group: &Group| matches!(group.entry.failed, Some(Failing::Temporarily(_)));
    let stages = itinerary.stages.iter();
    let reached = stages.take_while(|stage| !(drops && stage.groups.iter().any(fails)));
    let bags = reached.flat_map(|stage| &stage.groups).flat_map(|group| &group.bags);
    let useful = bags.flat_map(|bag| &bag.servers).filter(|stop| takes(stop));
    useful.map(|stop| stop.host).collect::<BTreeSet<_>>().len()
}

/// One attempt with a message of a given age.
struct Attempt<'a> {
    situation: &'a Situation,
    sender: &'a Behaviour,
    age: Duration,
    /// The exchangers that count, best first.
    hosts: Vec<(u16, usize)>,
    /// Itself and what is no better were left out.
    own_left_out: bool,
    /// Where it ends before an exchanger is looked up.
    end: Option<Finish>,
    /// Time the MX lookup took.
    spent: Duration,
    evidence: Evidence,
}

impl<'a> Attempt<'a> {
    fn new(situation: &'a Situation, sender: &'a Behaviour, age: Duration) -> Self {
        let mut attempt = Self {
            situation,
            sender,
            age,
            hosts: Vec::new(),
            own_left_out: false,
            end: None,
            spent: noticed(situation.mx_took),
            evidence: Evidence::default(),
        };
        attempt.route();
        if attempt.end.is_none() {
            attempt.leave_out_own_host();
        }
        attempt
    }

    /// Goes by the MX lookup.
    fn route(&mut self) {
        let sender = self.sender;
        match &self.situation.mx {
            Mx::NotLookedUp => self.end_with(Outcome::Unknown, Why::NotLookedUp, None),
            Mx::Null => {
                self.evidence.consult(Parameter::NullMx);
                self.end_with(outcome(sender.null_mx), Why::MxNull, None);
            }
            Mx::Hosts(hosts) => {
                match self.situation.listing {
                    Listing::BesideNull => {
                        self.evidence.consult(Parameter::NullMxMixed);
                        if sender.null_mx_mixed == NullMxMixed::Bounce {
                            self.end_with(Outcome::Bounce, Why::MxNull, None);
                            return;
                        }
                    }
                    // What is known of one way to have no MX is known of the others.
                    Listing::Implicit => self.evidence.consult(Parameter::MxNxdomain),
                    Listing::Plain => {}
                }
                self.hosts.clone_from(hosts);
            }
            Mx::NoDomain(domain) => {
                self.evidence.consult(Parameter::MxNxdomain);
                self.without_mx(sender.mx_nxdomain, Why::MxNxdomain, *domain);
            }
            Mx::Failed(status, domain) => {
                self.evidence.consult(Parameter::MxNxdomain);
                if waits_for_better(*status) {
                    self.spent += sender.dns_timeout.0;
                }
                let then = match status {
                    LookupStatus::Refused | LookupStatus::Notimp => {
                        self.evidence.consult(Parameter::MxRefused);
                        sender.mx_refused
                    }
                    LookupStatus::Formerr => {
                        self.evidence.consult(Parameter::MxFormerr);
                        sender.mx_formerr
                    }
                    _ => NoMx::Defer,
                };
                self.without_mx(then, Why::MxLookup(*status), *domain);
            }
        }
    }

    fn without_mx(&mut self, then: NoMx, why: Why, domain: usize) {
        match then {
            NoMx::Bounce => self.end_with(Outcome::Bounce, why, None),
            NoMx::Defer => self.end_with(Outcome::Defer, why, None),
            NoMx::Implicit => self.hosts = vec![(0, domain)],
        }
    }

    /// A sender that is an exchanger itself hands mail only to better ones (RFC 5321 §5.1).
    fn leave_out_own_host(&mut self) {
        let own = |&&(_, host): &&(u16, usize)| {
            let view = &self.situation.hosts[host];
            match self.sender.self_match {
                SelfMatch::Name => view.own == Some(Own::Name),
                SelfMatch::Address => view.own.is_some(),
            }
        };
        let Some(&(preference, host)) = self.hosts.iter().find(own) else { return };
        self.evidence.consult(Parameter::SelfMatch);
        self.own_left_out = true;
        self.hosts.retain(|(other, _)| *other < preference);
        if self.hosts.is_empty() {
            self.evidence.consult(Parameter::MxSelf);
            let outcome = match self.sender.mx_self {
                MxSelf::Bounce => Outcome::Bounce,
                MxSelf::Defer => Outcome::Defer,
                MxSelf::Freeze => Outcome::Freeze,
            };
            self.end_with(outcome, Why::MxLoop, Some((host, None)));
        }
    }

    fn end_with(&mut self, outcome: Outcome, why: Why, at: Option<At>) {
        self.end = Some(Finish::by(outcome, why, at, self.spent));
    }

    /// Everything that may come of it.
    fn ends(&self) -> Ends {
        let mut ends = Ends { evidence: self.evidence, ..Ends::default() };
        if let Some(end) = &self.end {
            ends.all.push(end.clone());
            return ends;
        }
        let firsts: &[Family] = match self.sender.family_order {
            FamilyOrder::Any => &[Family::Ipv6, Family::Ipv4],
            FamilyOrder::Ipv4First => &[Family::Ipv4],
            FamilyOrder::Ipv6First => &[Family::Ipv6],
        };
        for &first in firsts {
            let mut itinerary = itinerary::plan(self.situation, &self.hosts, self.sender, first);
            itinerary.cost += self.spent;
            let walk = |way| walk(self.situation, way, self.sender, self.age, self.own_left_out);
            ends.merge(walk(&itinerary));
            // Who shuffles before the families count mixes those of equal exchangers.
            if self.sender.family_order == FamilyOrder::Any
                && self.sender.shuffle_addrs
                && let Some(mixed) = itinerary.mixed()
            {
                ends.widen(&walk(&mixed));
            }
        }
        ends
    }
}

const fn outcome(end: End) -> Outcome {
    match end {
        End::Bounce => Outcome::Bounce,
        End::Defer => Outcome::Defer,
    }
}
