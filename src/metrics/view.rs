//! A snapshot arranged by label values, each combination once.
//!
//! The text format forbids the same sample twice, while two entries of a snapshot may well carry
//! the same labels: a host probed at two ports is looked up for each, and a stranger's MX target
//! can spell the address of a smart host. What was observed last wins.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use jiff::Timestamp;

use super::{
    lookups::{LastLookup, Lookups},
    texts::{Place, Texts},
};
use crate::{
    agent::state::{DestinationReport, DestinationRound, ExchangerReport, Snapshot},
    facts::{AddressPair, ExchangerFacts, ExchangerFinding, StsMode, Target},
    name::{self, Destination, ExchangerName, Host},
};

/// What a scrape is written from.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// The values of the labels that most series have.
    pub(super) texts: Texts,
    /// Every destination under its `domain` label, in their order.
    pub(super) domains: Vec<Domain<'a>>,
    /// Every exchanger under its `mx` label, in their order.
    pub(super) exchangers: Vec<Exchanger<'a>>,
    /// What each resolver makes of a host as an MX target where that is remarkable, once for all
    /// domains that list it.
    pub(super) targets: Targets<'a>,
}

type Targets<'a> = HashMap<(&'a ExchangerName, &'a str), Target>;

/// What many families ask of a report stands beside it: the reports themselves lie far apart.
pub(super) struct Domain<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) text: Place,
    pub(super) report: &'a DestinationReport,
    pub(super) round: Option<&'a DestinationRound>,
    pub(super) observed_at: Option<Timestamp>,
    /// The resolver whose answers decide where its mail goes, or nothing.
    pub(super) primary_resolver: &'a str,
}

pub(super) struct Exchanger<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) text: Place,
    pub(super) report: &'a ExchangerReport,
    pub(super) facts: Option<&'a ExchangerFacts>,
    pub(super) completed_at: Option<Timestamp>,
    /// A domain with an MTA-STS policy in force routes to it.
    pub(super) under_sts: bool,
    /// What is remarkable about its addresses, by resolver; mostly nothing.
    pub(super) findings: Vec<(&'a str, ExchangerFinding)>,
}

impl<'a> View<'a> {
    /// Arranges a snapshot; beside it the newest lookups, which not all series need.
    pub(super) fn new(snapshot: &'a Snapshot) -> (Self, Vec<LastLookup<'a>>) {
        let mut texts = Texts::default();
        let each = snapshot.destinations.len() + 2 * snapshot.exchangers.len();
        let mut lookups = Lookups::with_capacity(each);
        let domains = domains(snapshot, &mut texts, &mut lookups);
        let (exchangers, targets) = exchangers(snapshot, &mut texts, &mut lookups);
        let lookups = lookups.newest(&texts);
        (Self { snapshot, texts, domains, exchangers, targets }, lookups)
    }

    /// The escaped value of a label.
    pub(super) fn text(&self, place: Place) -> &str {
        self.texts.get(place)
    }

    /// The exchanger under this `mx` label.
    pub(super) fn exchanger(&self, name: &str) -> Option<&Exchanger<'a>> {
        let place = self.exchangers.binary_search_by(|exchanger| (*exchanger.name).cmp(name));
        self.exchangers.get(place.ok()?)
    }

    /// The `mx` label of an exchanger.
    pub(super) fn label<'e>(&self, exchanger: &'e name::Exchanger) -> Cow<'e, str> {
        exchanger.label(self.snapshot.mx_port)
    }
}

fn domains<'a>(
    snapshot: &'a Snapshot,
    texts: &mut Texts,
    lookups: &mut Lookups<'a>,
) -> Vec<Domain<'a>> {
    let mut domains: Vec<Domain<'_>> = Vec::with_capacity(snapshot.destinations.len());
    // Mostly they come in the order of their labels, which is seen while these are at hand.
    let mut in_order = true;
    for (destination, report) in &snapshot.destinations {
        let name = match destination {
            Destination::Domain(domain) => Cow::Borrowed(domain.as_str()),
            Destination::SmartHost(_) => Cow::Owned(destination.to_string()),
        };
        let text = texts.add(&name);
        let round = report.last.as_deref();
        if let Some(round) = round {
            let asked = round.mx.iter().map(|mx| &mx.lookup);
            lookups.add(texts, round.observed_at, asked, (&name, text));
        }
        let observed_at = round.map(|round| round.observed_at);
        let primary_resolver = report.primary_resolver();
        in_order &= domains.last().is_none_or(|before| before.name <= name);
        domains.push(Domain { name, text, report, round, observed_at, primary_resolver });
    }
    if !in_order {
        domains.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }
    domains
}

fn exchangers<'a>(
    snapshot: &'a Snapshot,
    texts: &mut Texts,
    lookups: &mut Lookups<'a>,
) -> (Vec<Exchanger<'a>>, Targets<'a>) {
    let own = snapshot.vantage.as_ref().map(|vantage| vantage.own_host());
    let under_sts = under_sts(snapshot);
    let mut targets = HashMap::new();
    let mut exchangers: Vec<Exchanger<'_>> = Vec::with_capacity(snapshot.exchangers.len());
    // As with domains.
    let mut in_order = true;
    for (exchanger, report) in &snapshot.exchangers {
        let name = exchanger.label(snapshot.mx_port);
        let text = texts.add(&name);
        let mut findings = Vec::new();
        let facts = report.facts.as_deref();
        if let Some(facts) = facts {
            lookups.add(texts, facts.observed_at, facts.lookups.iter(), (&name, text));
            for (resolver, pair) in AddressPair::by_resolver(facts) {
                let pair = pair.decided();
                findings.extend(pair.findings().map(|finding| (resolver, finding)));
                // Another port is that of a smart host.
                if let (Host::Name(host), true) =
                    (&exchanger.host, exchanger.port == snapshot.mx_port)
                {
                    let target = pair.target(exchanger, own.as_ref());
                    // Most are nothing remarkable, and need not be looked for.
                    if target != Target::default() {
                        targets.insert((host, resolver), target);
                    }
                }
            }
        }
        let under_sts = under_sts.contains(&name);
        let completed_at = report.completed_at;
        in_order &= exchangers.last().is_none_or(|before| before.name < name);
        let exchanger = Exchanger { name, text, report, facts, completed_at, under_sts, findings };
        exchangers.push(exchanger);
    }
    if !in_order {
        arrange(&mut exchangers);
    }
    (exchangers, targets)
}

/// By their labels; of two alike what was observed last.
fn arrange(exchangers: &mut Vec<Exchanger<'_>>) {
    exchangers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let observed = |exchanger: &Exchanger<'_>| exchanger.facts.map(|facts| facts.observed_at);
    exchangers.dedup_by(|next, kept| {
        let same = next.name == kept.name;
        if same && observed(kept) < observed(next) {
            std::mem::swap(kept, next);
        }
        same
    });
}

/// The labels of the exchangers that a domain routes to whose MTA-STS policy says how they are to be.
fn under_sts(snapshot: &Snapshot) -> HashSet<Cow<'_, str>> {
    let bound = snapshot.destinations.values().filter(|report| {
        report.policies.as_ref().is_some_and(|policies| policies.mta_sts.mode != StsMode::None)
    });
    let rounds = bound.filter_map(|report| report.last.as_ref());
    let routed = rounds.flat_map(|round| &round.route);
    routed.map(|(_, exchanger)| exchanger.label(snapshot.mx_port)).collect()
}
