//! A snapshot arranged by label values, each combination once.
//!
//! The text format forbids the same sample twice, while two entries of a snapshot may well carry
//! the same labels: a host probed at two ports is looked up for each, and a stranger's MX target
//! can spell the address of a smart host. What was observed last wins.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::text::Block;
use crate::{
    agent::{
        standing::Standing,
        state::{DestinationReport, DestinationRound, ExchangerReport, Snapshot},
    },
    facts::{AddressPair, ExchangerFacts, Family, Lookup, RecordType, StsMode, Target},
    name::{ExchangerName, Host},
};

/// What a scrape is written from.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Every destination under its `domain` label.
    pub(super) domains: Vec<Domain<'a>>,
    /// Every exchanger under its `mx` label, in their order.
    pub(super) exchangers: Vec<Exchanger<'a>>,
    /// Every lookup under its labels.
    pub(super) lookups: Vec<(Block, &'a Lookup)>,
    /// What each resolver makes of a host as an MX target where that is remarkable, once for all
    /// domains that list it.
    pub(super) targets: HashMap<(&'a ExchangerName, &'a str), Target>,
    /// Every verdict under its `domain`, `sender` and `resolver` labels.
    pub(super) standings: Vec<(Block, &'a Standing)>,
}

pub(super) struct Domain<'a> {
    pub(super) name: String,
    /// `domain="…"`.
    pub(super) labels: Block,
    pub(super) report: &'a DestinationReport,
}

impl<'a> Domain<'a> {
    pub(super) fn round(&self) -> Option<&'a DestinationRound> {
        self.report.last.as_deref()
    }
}

pub(super) struct Exchanger<'a> {
    pub(super) name: String,
    /// `mx="…",family="…"`, by family.
    labels: [Block; 2],
    pub(super) report: &'a ExchangerReport,
    /// A domain with an MTA-STS policy in force routes to it.
    pub(super) under_sts: bool,
}

impl<'a> Exchanger<'a> {
    pub(super) fn facts(&self) -> Option<&'a ExchangerFacts> {
        self.report.facts.as_deref()
    }

    pub(super) fn labels(&self, family: Family) -> &Block {
        &self.labels[family as usize]
    }
}

impl<'a> View<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let domains = domains(snapshot);
        Self {
            snapshot,
            exchangers: exchangers(snapshot),
            lookups: lookups(snapshot),
            targets: targets(snapshot),
            standings: standings(&domains),
            domains,
        }
    }

    /// The exchanger under this `mx` label.
    pub(super) fn exchanger(&self, name: &str) -> Option<&Exchanger<'a>> {
        let place = self.exchangers.binary_search_by(|exchanger| (*exchanger.name).cmp(name));
        self.exchangers.get(place.ok()?)
    }
}

fn domains<'a>(snapshot: &'a Snapshot) -> Vec<Domain<'a>> {
    let by_name: BTreeMap<_, _> =
        snapshot.destinations.iter().map(|(key, report)| (key.to_string(), report)).collect();
    let domain = |(name, report): (String, &'a Arc<DestinationReport>)| {
        let labels = Block::new([("domain", name.as_str())]);
        Domain { name, labels, report }
    };
    by_name.into_iter().map(domain).collect()
}

fn exchangers(snapshot: &Snapshot) -> Vec<Exchanger<'_>> {
    let mut by_name: BTreeMap<String, &ExchangerReport> = BTreeMap::new();
    let observed = |report: &ExchangerReport| report.facts.as_ref().map(|f| f.observed_at);
    for (key, report) in &snapshot.exchangers {
        let kept = by_name.entry(key.label(snapshot.mx_port)).or_insert(report);
        if observed(kept) < observed(report) {
            *kept = report;
        }
    }
    let under_sts = under_sts(snapshot);
    let block = |name: &str, family: Family| Block::new([("mx", name), ("family", family.label())]);
    by_name
        .into_iter()
        .map(|(name, report)| {
            let labels = Family::ALL.map(|family| block(&name, family));
            let under_sts = under_sts.contains(&name);
            Exchanger { name, labels, report, under_sts }
        })
        .collect()
}

/// The labels of the exchangers that a domain routes to whose MTA-STS policy says how they are to be.
fn under_sts(snapshot: &Snapshot) -> HashSet<String> {
    let bound = snapshot.destinations.values().filter(|report| {
        report.policies.as_ref().is_some_and(|policies| policies.mta_sts.mode != StsMode::None)
    });
    let rounds = bound.filter_map(|report| report.last.as_ref());
    let routed = rounds.flat_map(|round| &round.route);
    routed.map(|(_, exchanger)| exchanger.label(snapshot.mx_port)).collect()
}

fn lookups(snapshot: &Snapshot) -> Vec<(Block, &Lookup)> {
    type Key<'a> = (&'a str, RecordType, &'a str);
    let rounds = snapshot.destinations.values().filter_map(|d| d.last.as_ref());
    let of_domains =
        rounds.flat_map(|round| round.mx.iter().map(|mx| (round.observed_at, &mx.lookup)));
    let facts = snapshot.exchangers.values().filter_map(|e| e.facts.as_deref());
    let of_exchangers = facts.flat_map(|f| f.lookups.iter().map(|lookup| (f.observed_at, lookup)));

    let mut newest: BTreeMap<Key<'_>, (Timestamp, &Lookup)> = BTreeMap::new();
    // One that did not get its turn tells nothing about the resolver.
    let asked = of_domains.chain(of_exchangers).filter(|(_, lookup)| lookup.asked());
    for (at, lookup) in asked {
        let Lookup { name, rtype, resolver, .. } = lookup;
        let kept = newest.entry((name, *rtype, resolver)).or_insert((at, lookup));
        if kept.0 < at {
            *kept = (at, lookup);
        }
    }
    let labels = |(name, rtype, resolver): Key<'_>| {
        Block::new([("name", name), ("type", rtype.label()), ("resolver", resolver)])
    };
    newest.into_iter().map(|(key, (_, lookup))| (labels(key), lookup)).collect()
}

fn targets(snapshot: &Snapshot) -> HashMap<(&ExchangerName, &str), Target> {
    let own = snapshot.vantage.as_ref().map(|vantage| vantage.own_host());
    let mut targets = HashMap::new();
    for (exchanger, report) in &snapshot.exchangers {
        let (Host::Name(name), Some(facts)) = (&exchanger.host, report.facts.as_deref()) else {
            continue;
        };
        // Another port is that of a smart host.
        if exchanger.port == snapshot.mx_port {
            let made = AddressPair::by_resolver(facts).into_iter();
            let made = made.map(|(by, pair)| ((name, by), pair.target(facts, own.as_ref())));
            // Most are nothing remarkable, and need not be looked for.
            targets.extend(made.filter(|(_, target)| *target != Target::default()));
        }
    }
    targets
}

fn standings<'a>(domains: &[Domain<'a>]) -> Vec<(Block, &'a Standing)> {
    let of_domain = |domain: &Domain<'a>| {
        let mut given: BTreeMap<(&str, &str), &Standing> = BTreeMap::new();
        for standing in &*domain.report.standings {
            given.insert((&standing.sender.name, &standing.resolver), standing);
        }
        let labels =
            |(sender, resolver)| domain.labels.and("sender", sender).and("resolver", resolver);
        given.into_iter().map(|(key, standing)| (labels(key), standing)).collect::<Vec<_>>()
    };
    domains.iter().flat_map(of_domain).collect()
}
