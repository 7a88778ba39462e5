//! What the agent knows now: the newest report of every destination and exchanger.
//!
//! Reports are immutable and replaced whole, so a reader holds a consistent picture however long
//! it takes. What is removed here is gone from the next scrape. Counters and histograms are part
//! of a report and carried from one to the next. Nothing here starts a probe.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{family_counts::FamilyCounts, health::ResolverReport, standing::Standing};
use crate::{
    config::DestinationSettings,
    delivery::Sender,
    envelope::Envelope,
    facts::{
        DomainPolicies, ExchangerFacts, Facts, Family, LookupStatus, MxLookup, RecordType, Session,
        Vantage,
    },
    metrics::histogram::Histogram,
    name::{Destination, Exchanger},
};

/// A handle to the state; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Store {
    // A std mutex: held for a map operation, never across an await.
    shared: Arc<Mutex<Snapshot>>,
}

/// A consistent picture of everything known; cheap to clone parts of.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Every configured destination, probed already or not.
    pub destinations: BTreeMap<Destination, Arc<DestinationReport>>,
    /// Every exchanger that some destination routes to.
    pub exchangers: BTreeMap<Exchanger, Arc<ExchangerReport>>,
    /// Every resolver that is asked, by the value of its label.
    pub resolvers: BTreeMap<Arc<str>, Arc<ResolverReport>>,
    /// How this host looks to receivers; `None` before that was looked at.
    pub vantage: Option<Arc<Vantage>>,
    /// Lookups since start, over all names.
    pub lookups: Arc<BTreeMap<LookupKey, LookupCounts>>,
    /// The port all MX are probed at: exchangers there are labelled without port.
    pub mx_port: u16,
    /// Whose verdicts are given.
    pub terms: Arc<Terms>,
}

/// Which verdicts are given: those of every sender, going by every resolver. Replaced whole, so
/// that who judged by others can tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// The senders, each once.
    pub senders: Arc<[Arc<Sender>]>,
    /// The names of the resolvers.
    pub resolvers: BTreeSet<Arc<str>>,
}

/// One destination's newest round.
#[derive(Clone, Debug)]
pub struct DestinationReport {
    /// What is set for it.
    pub settings: Arc<DestinationSettings>,
    /// The last completed round; `None` before the first.
    pub last: Option<Arc<DestinationRound>>,
    /// What the last look at its policies found; `None` before the first, and for a smart host.
    pub policies: Option<Arc<DomainPolicies>>,
    /// The verdicts, each sender and resolver once; none before everything was observed once.
    pub standings: Arc<[Standing]>,
}

/// What one destination round found.
#[derive(Clone, Debug)]
pub struct DestinationRound {
    /// When it ended.
    pub observed_at: Timestamp,
    /// Through each resolver, the primary first; empty for a smart host.
    pub mx: Vec<MxLookup>,
    /// The exchangers of the route in force, best first, with their preference. While the MX lookup
    /// fails this is the last known route.
    pub route: Vec<(u16, Exchanger)>,
    /// Exchangers that only other resolvers than the primary name, each once: they are probed, so
    /// that it is known what senders find who go by those.
    pub also: Vec<Exchanger>,
    /// The names of the resolvers asked about it, where it has chosen some.
    pub chosen: Vec<Arc<str>>,
}

impl DestinationReport {
    /// One of which nothing is known yet.
    pub fn unobserved(settings: Arc<DestinationSettings>) -> Self {
        Self { settings, last: None, policies: None, standings: Arc::default() }
    }

    /// The resolver whose answers decide where its mail goes; empty while that is not known, and for
    /// a smart host by address.
    pub fn primary_resolver(&self) -> &str {
        let of_mx = self.last.iter().flat_map(|round| &round.mx).map(|mx| &mx.lookup.resolver);
        // A smart host has no MX; verdicts come in the order of the resolvers.
        let of_verdict = self.standings.iter().map(|standing| &standing.resolver);
        of_mx.chain(of_verdict).next().map_or("", |resolver| resolver)
    }

    /// Whether its last round ended longer ago than three of its intervals.
    pub fn overdue(&self, now: Timestamp) -> bool {
        self.last.as_ref().is_some_and(|round| {
            let age = now.duration_since(round.observed_at);
            age > (3 * self.settings.interval).try_into().unwrap_or(SignedDuration::MAX)
        })
    }
}

impl DestinationRound {
    /// How long the lookups took, which are made at the same moment; zero for a smart host.
    pub fn took(&self) -> Duration {
        self.mx.iter().map(|answer| answer.lookup.took()).max().unwrap_or_default()
    }

    /// All exchangers to be probed, those of the route first.
    pub fn exchangers(&self) -> impl Iterator<Item = &Exchanger> {
        self.route.iter().map(|(_, exchanger)| exchanger).chain(&self.also)
    }
}

impl DestinationReport {
    /// What is known of an exchanger as far as it concerns this destination, which may have its own
    /// resolvers and recipients: others of those that share the exchanger may ask more. `None` before
    /// the first round.
    pub fn own(&self, facts: &Arc<ExchangerFacts>) -> Option<Arc<ExchangerFacts>> {
        let chosen = &self.last.as_ref()?.chosen;
        let all = chosen.is_empty();
        let mut own = Arc::clone(facts);
        ExchangerFacts::retain_resolvers(&mut own, |resolver| all || chosen.contains(resolver));
        let envelopes: Vec<Envelope> = self.settings.envelopes().collect();
        let others = |session: &Arc<Session>| {
            session.transactions.iter().any(|asked| !envelopes.contains(&asked.envelope))
        };
        if own.sessions.iter().any(others) {
            for session in &mut Arc::make_mut(&mut own).sessions {
                *session = session.asked_about(&envelopes);
            }
        }
        Some(own)
    }
}

/// One exchanger's newest round and what was counted since it is watched.
#[derive(Clone, Debug, Default)]
pub struct ExchangerReport {
    /// What is known, which grows while a round goes on; `None` before the first lookups.
    pub facts: Option<Arc<ExchangerFacts>>,
    /// When the last round ended; `None` before the first did.
    pub completed_at: Option<Timestamp>,
    /// Counted per family, by `Family as usize`; `None` where nothing was. See [`Self::counts`].
    pub families: [Option<Box<FamilyCounts>>; 2],
}

impl ExchangerReport {
    /// What was counted for a family.
    pub fn counts(&self, family: Family) -> &FamilyCounts {
        static NOTHING: LazyLock<FamilyCounts> = LazyLock::new(FamilyCounts::default);
        self.families[family as usize].as_deref().unwrap_or(&NOTHING)
    }

    /// The same, to count on.
    pub fn counts_mut(&mut self, family: Family) -> &mut FamilyCounts {
        self.families[family as usize].get_or_insert_default()
    }
}

/// What lookups are counted by.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LookupKey {
    /// Record type asked for.
    pub rtype: RecordType,
    /// Name of the resolver.
    pub resolver: Arc<str>,
}

/// Exchanges of one record type with one resolver since start.
#[derive(Clone, Debug, Default)]
pub struct LookupCounts {
    /// By status.
    pub by_status: BTreeMap<LookupStatus, u64>,
    /// Answers that came after the time-out.
    pub late: u64,
    /// Lookups that did not get their turn.
    pub skipped: u64,
    /// Answers over UDP that were truncated.
    pub truncated: u64,
    /// Time of the exchanges that got a response.
    pub duration: Histogram,
}

impl Terms {
    /// Whether verdicts by this resolver are given; that without a name stands for none at all.
    pub fn resolver(&self, name: &str) -> bool {
        name.is_empty() || self.resolvers.contains(name)
    }
}

/// Reports that are copied while nobody can publish.
const PART: usize = 1024;

impl Store {
    /// The picture at this moment, give or take what was replaced while it was taken: a hundred
    /// thousand reports at once would hold up those who publish.
    pub fn snapshot(&self) -> Snapshot {
        let mut picture = {
            let now = self.lock();
            Snapshot {
                destinations: BTreeMap::new(),
                exchangers: BTreeMap::new(),
                resolvers: now.resolvers.clone(),
                vantage: now.vantage.clone(),
                lookups: Arc::clone(&now.lookups),
                mx_port: now.mx_port,
                terms: Arc::clone(&now.terms),
            }
        };
        picture.destinations = self.in_parts(|now| &now.destinations);
        // After those who route to them, so that they are there.
        picture.exchangers = self.in_parts(|now| &now.exchangers);
        picture
    }

    fn in_parts<K: Clone + Ord, V: Clone>(
        &self,
        of: impl Fn(&Snapshot) -> &BTreeMap<K, V>,
    ) -> BTreeMap<K, V> {
        let mut copied: Vec<(K, V)> = Vec::new();
        loop {
            let before = copied.len();
            let now = self.lock();
            let last = copied.last().map(|(key, _)| key.clone());
            let rest = (last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
            let part = of(&now).range::<K, _>(rest).take(PART);
            copied.extend(part.map(|(key, value)| (key.clone(), value.clone())));
            if copied.len() < before + PART {
                return copied.into_iter().collect();
            }
        }
    }

    /// The part of it that belongs to one destination, without a copy of the rest.
    pub fn only(&self, destination: &Destination) -> Snapshot {
        self.lock().only(destination)
    }

    /// Changes the picture; `change` must not block.
    pub fn update<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        change(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Snapshot> {
        // Every change leaves the maps whole, so a panic elsewhere cannot have torn them.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// The part that belongs to one destination; empty when it is not configured. Counts over all
    /// names do not belong to it.
    #[must_use]
    pub fn only(&self, destination: &Destination) -> Self {
        let mut one = Self {
            resolvers: self.resolvers.clone(),
            vantage: self.vantage.clone(),
            mx_port: self.mx_port,
            terms: Arc::clone(&self.terms),
            ..Self::default()
        };
        let Some(report) = self.destinations.get(destination) else { return one };
        for exchanger in report.last.iter().flat_map(|round| round.exchangers()) {
            if let Some(report) = self.exchangers.get(exchanger) {
                one.exchangers.insert(exchanger.clone(), Arc::clone(report));
            }
        }
        one.destinations.insert(destination.clone(), Arc::clone(report));
        one
    }

    /// The resolvers of which no server responds; what is missing from them is their own fault.
    pub fn dead_resolvers(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<ResolverReport>)> {
        self.resolvers.iter().filter(|(_, report)| report.down())
    }

    /// Whether no server of the resolver of this name responds.
    pub fn is_down(&self, resolver: &str) -> bool {
        self.resolvers.get(resolver).is_some_and(|report| report.down())
    }

    /// Forgets what every other resolver said: one that is no longer asked takes its series along.
    pub fn retain_resolvers(&mut self, kept: &BTreeSet<Arc<str>>) {
        Arc::make_mut(&mut self.lookups).retain(|key, _| kept.contains(&key.resolver));
        for report in self.destinations.values_mut() {
            let others = |mx: &MxLookup| !kept.contains(&mx.lookup.resolver);
            if report.last.iter().any(|last| last.mx.iter().any(others))
                && let Some(last) = &mut Arc::make_mut(report).last
            {
                Arc::make_mut(last).mx.retain(|mx| !others(mx));
            }
        }
        for report in self.exchangers.values_mut() {
            let Some(facts) = &report.facts else { continue };
            let mut own = Arc::clone(facts);
            ExchangerFacts::retain_resolvers(&mut own, |resolver| kept.contains(resolver));
            if !Arc::ptr_eq(&own, facts) {
                Arc::make_mut(report).facts = Some(own);
            }
        }
    }

    /// Puts other terms in force: verdicts that are not given any more go at once, those that stay
    /// keep their history. Says whether anything is to be judged anew.
    pub fn judge_by(&mut self, terms: Terms) -> bool {
        if *self.terms == terms {
            return false;
        }
        let given = |standing: &Standing| {
            let sender = terms.senders.iter().any(|s| s.name == standing.sender.name);
            sender && terms.resolver(&standing.resolver)
        };
        for report in self.destinations.values_mut() {
            if !report.standings.iter().all(given) {
                let kept = report.standings.iter().filter(|s| given(s)).cloned().collect();
                Arc::make_mut(report).standings = kept;
            }
        }
        self.terms = Arc::new(terms);
        true
    }

    /// One destination with the exchangers on its route, as `check --json` and the API show it;
    /// `None` when it is not configured or not yet probed.
    pub fn facts(&self, destination: &Destination) -> Option<Facts> {
        let known = self.destinations.get(destination)?;
        let round = known.last.as_ref()?;
        let report = |exchanger| self.exchangers.get(exchanger)?.facts.as_ref();
        let exchangers = round.exchangers().filter_map(report).filter_map(|facts| known.own(facts));
        let (mx, exchangers) = (round.mx.clone(), exchangers.collect());
        let facts = Facts::observed(destination.clone(), round.observed_at, mx, exchangers);
        let observer = self.vantage.as_ref().map(|vantage| vantage.own_host());
        let facts = facts.with_policies(known.policies.as_deref());
        Some(Facts { observer, ..facts })
    }
}
