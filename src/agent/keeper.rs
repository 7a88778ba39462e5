//! The task that keeps everything probed: starts rounds when they are due, follows the routes they
//! find, and puts other settings in force.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tracing::{debug, error, info, warn};

use super::{
    Reload, Settings, Setup,
    demand::{Changes, Demand, MAX_ENVELOPES},
    first_rounds::FirstRounds,
    health::ResolverReport,
    key::Key,
    prober,
    publish::Publisher,
    readiness::Readiness,
    round::{InFlight, Memory, PolicyRound, Prober},
    rounds::{Ended, Rounds},
    schedule::{Due, Now, Schedule, first_round_delay},
    state::{DestinationReport, DestinationRound, Terms},
};
use crate::{
    config::{Config, DestinationSettings},
    dense::{DenseMap, Keyed},
    facts::{ResolverFacts, Vantage},
    name::{Destination, Domain, Exchanger},
    probe::{
        dns::{Resolvers, View},
        mta_sts,
        vantage::Plan,
    },
};

/// Runs until `stop`; then open sessions are ended with QUIT, for at most [`GRACE`].
/// `prober` is replaced on reload, for others who probe through the same gate.
///
/// The store knows every destination once this returns, so that whoever answers from it then says
/// of none that it is not configured; rounds begin when the future is polled.
pub fn run(
    setup: Setup,
    settings: &Settings,
    prober: Arc<ArcSwap<Prober>>,
    reloads: mpsc::Receiver<Reload>,
) -> impl Future<Output = ()> + Send + use<> {
    let stop = setup.stop.clone();
    let mut agent = Agent::new(setup, prober);
    agent.apply(settings);
    work(agent, stop, reloads)
}

async fn work(
    mut agent: Agent,
    mut stop: watch::Receiver<bool>,
    mut reloads: mpsc::Receiver<Reload>,
) {
    let mut patrol = tokio::time::interval(PATROL);
    // One for all: a new one each time wakes the runtime from its sleep, which is a system call.
    let mut alarm = pin!(sleep_until(Instant::now()));
    loop {
        agent.setup.beat.send_replace(());
        let next = agent.schedule.next_due();
        if let Some(next) = next.filter(|&next| next != alarm.deadline()) {
            alarm.as_mut().reset(next);
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|&stopped| stopped) => break,
            Some(reload) = reloads.recv() => {
                agent.apply(&reload.settings);
                // Whoever asked may have gone; the reload stands.
                let _ = reload.done.send(());
            }
            // Before the ends of rounds, of which there is always another in a big agent.
            () = &mut alarm, if next.is_some() => agent.start_due(),
            _ = patrol.tick() => agent.patrol(),
            Some(ended) = agent.rounds.next() => agent.round_ended(ended),
        }
    }
    let open = agent.rounds.len();
    info!(open, "stopping, ending open sessions");
    let drained = async { while agent.rounds.next().await.is_some() {} };
    if tokio::time::timeout(GRACE, drained).await.is_err() {
        debug!("some rounds did not end in time");
    }
}

struct Agent {
    setup: Setup,
    publisher: Publisher,
    prober: Arc<ArcSwap<Prober>>,
    schedule: Schedule<Key>,
    first_rounds: FirstRounds<Key, Due<Key>>,
    demand: Demand,
    memories: DenseMap<Remembered>,
    /// MTA-STS policies that hold until they expire.
    policies: HashMap<Domain, mta_sts::Memory>,
    /// The resolvers whose health is looked at.
    views: BTreeMap<Arc<str>, Arc<View>>,
    /// How this host is looked at, and through which of them.
    vantage: Option<(Plan, Arc<View>)>,
    rounds: Rounds<Key, Found>,
    readiness: Readiness,
}

/// What the last round of an exchanger left to the next.
struct Remembered {
    exchanger: Exchanger,
    memory: Memory,
}

impl Keyed for Remembered {
    type Key = Exchanger;

    fn key(&self) -> &Exchanger {
        &self.exchanger
    }
}

/// What came of a round; `None` inside when the program ended it.
enum Found {
    Destination(Destination, Option<DestinationRound>),
    Exchanger(Exchanger, Option<Memory>),
    Policies(Domain, Option<PolicyRound>),
    Resolver(Arc<View>, Option<ResolverFacts>),
    Vantage(Arc<View>, Plan, Option<Vantage>),
}

impl Agent {
    fn new(setup: Setup, prober: Arc<ArcSwap<Prober>>) -> Self {
        Self {
            publisher: Publisher::new(setup.store.clone(), setup.unjudged.clone()),
            prober,
            readiness: Readiness::new(setup.ready.clone()),
            setup,
            schedule: Schedule::default(),
            first_rounds: FirstRounds::default(),
            demand: Demand::default(),
            memories: DenseMap::default(),
            policies: HashMap::new(),
            views: BTreeMap::new(),
            vantage: None,
            rounds: Rounds::default(),
        }
    }

    /// Puts settings in force: what is gone stops, what is new starts, the rest keeps its
    /// schedule, counters and histograms.
    fn apply(&mut self, settings: &Settings) {
        let config = &settings.config;
        let mut politeness = Arc::clone(&self.prober.load().politeness);
        if *politeness.limits() != config.politeness {
            politeness = Arc::new(politeness.with_limits(config.politeness.clone()));
        }
        let names =
            |resolvers: &Resolvers| -> BTreeSet<Arc<str>> { resolvers.names().cloned().collect() };
        let resolvers = names(&settings.resolvers);
        let terms = Terms { senders: Arc::clone(&config.senders), resolvers: resolvers.clone() };
        if self.setup.store.update(|state| state.judge_by(terms)) {
            self.setup.unjudged.everything();
        }
        // After the terms, by which rounds under way pass over what others said.
        if names(&self.prober.load().resolvers) != resolvers {
            self.setup.store.update(|state| state.retain_resolvers(&resolvers));
        }
        let new = prober(settings, politeness, &self.setup.own, self.setup.stop.clone());
        self.prober.store(Arc::new(new));
        self.setup.store.update(|state| state.mx_port = config.probe.port);
        let now = Now::read();
        self.watch_resolvers(&settings.resolvers, config, now);
        self.watch_vantage(&settings.resolvers, config, now);

        let gone: Vec<Destination> =
            self.demand.destinations().filter(|known| !config.watches(known)).cloned().collect();
        for destination in gone {
            self.remove(&destination);
        }
        let mut new = 0;
        for (destination, wanted) in config.own_destinations() {
            match self.demand.settings(destination) {
                Some(had) if had == wanted => {}
                Some(_) => self.set(destination, wanted, Duration::ZERO, now),
                None => {
                    let delay = first_round_delay(new, wanted.interval);
                    new += 1;
                    self.readiness.expect(destination, now.instant + delay + wanted.interval);
                    self.set(destination, wanted, delay, now);
                }
            }
        }
        self.readiness.patrol(now.instant);
    }

    /// Looks at the health of these resolvers from now on. One that is asked in another way than
    /// before is another resolver.
    fn watch_resolvers(&mut self, resolvers: &Resolvers, config: &Config, now: Now) {
        // How many of its queries go on at once is no other way: that depends on how many resolvers there are.
        let kept = |view: &Arc<View>| resolvers.views().iter().any(|new| new.is_same_as(view));
        let gone = self.views.iter().filter(|(_, view)| !kept(view)).map(|(name, _)| name);
        for name in gone.cloned().collect::<Vec<_>>() {
            self.views.remove(&name);
            self.schedule.remove(&Key::Resolver(Arc::clone(&name)));
            self.setup.store.update(|state| state.resolvers.remove(&name));
        }
        for (place, view) in resolvers.views().iter().enumerate() {
            let name = view.name();
            let of = config.resolvers.iter().find(|resolver| resolver.name == *view.of());
            let Some(of) = of else { continue };
            let new = ResolverReport::new(&of.kind, place == 0);
            let down = self.setup.store.update(|state| {
                let known = state.resolvers.get(name);
                let report = match known {
                    Some(known) => new.with_rounds_of(known),
                    None => new,
                };
                let down = report.down();
                state.resolvers.insert(Arc::clone(name), Arc::new(report));
                down
            });
            view.hurry(down);
            self.views.insert(Arc::clone(name), Arc::clone(view));
            let key = Key::Resolver(Arc::clone(name));
            self.schedule.set(&key, view.health_interval(), Duration::ZERO, now);
        }
    }

    /// Looks from now on at how this host looks by this configuration, through the primary.
    fn watch_vantage(&mut self, resolvers: &Resolvers, config: &Config, now: Now) {
        let wanted = resolvers.views().first().map(|view| (Plan::new(config), Arc::clone(view)));
        let same = |(plan, view): &(Plan, Arc<View>)| {
            wanted.as_ref().is_some_and(|(new, by)| plan == new && view.is_same_as(by))
        };
        let kept = self.vantage.as_ref().is_some_and(same);
        self.vantage = wanted;
        if kept {
            return;
        }
        self.schedule.remove(&Key::Vantage);
        self.setup.store.update(|state| state.vantage = None);
        self.schedule.set(&Key::Vantage, VANTAGE_INTERVAL, Duration::ZERO, now);
    }

    fn set(
        &mut self,
        destination: &Destination,
        settings: &Arc<DestinationSettings>,
        delay: Duration,
        now: Now,
    ) {
        self.schedule.set(&Key::Destination(destination.clone()), settings.interval, delay, now);
        if let Destination::Domain(domain) = destination {
            let key = Key::Policies(domain.clone());
            self.schedule.set(&key, settings.policy.interval, delay, now);
        }
        self.setup.store.update(|state| {
            let settings = Arc::clone(settings);
            let report = match state.destinations.get(destination) {
                Some(known) => DestinationReport { settings, ..DestinationReport::clone(known) },
                None => DestinationReport::unobserved(settings),
            };
            state.destinations.insert(destination.clone(), Arc::new(report));
        });
        let changes = self.demand.set(destination, settings);
        self.follow(changes, now);
    }

    fn remove(&mut self, destination: &Destination) {
        self.schedule.remove(&Key::Destination(destination.clone()));
        if let Destination::Domain(domain) = destination {
            self.schedule.remove(&Key::Policies(domain.clone()));
            self.policies.remove(domain);
        }
        self.readiness.forget(destination);
        let changes = self.demand.remove(destination);
        self.setup.store.update(|state| state.destinations.remove(destination));
        self.setup.unjudged.destination(destination);
        self.follow(changes, Now::read());
    }

    /// Starts and stops exchangers as their demand changes.
    fn follow(&mut self, changes: Changes, now: Now) {
        for exchanger in changes.gone {
            self.schedule.remove(&Key::Exchanger(exchanger.clone()));
            self.memories.remove(&exchanger);
            self.setup.store.update(|state| state.exchangers.remove(&exchanger));
        }
        for (exchanger, envelopes) in changes.crowded {
            warn!(%exchanger, envelopes, asked = MAX_ENVELOPES,
                "more recipients are to be asked about than one session takes; the others stay unknown");
        }
        for (exchanger, wanted) in changes.set {
            let key = Key::Exchanger(exchanger.clone());
            self.schedule.set(&key, wanted.interval, Duration::ZERO, now);
            self.setup.store.update(|state| {
                state.exchangers.entry(exchanger).or_default();
            });
        }
    }

    fn start_due(&mut self) {
        let now = Now::read();
        while let Some(due) = self.schedule.take_due(now) {
            // Resolvers are few, and how they are matters to all.
            let many = !matches!(due.key, Key::Resolver(_) | Key::Vantage);
            if many && due.first && !due.skipped {
                self.first_rounds.wait(due);
            } else {
                self.start(due, now.instant);
            }
        }
        self.start_first_rounds(now);
    }

    fn start_first_rounds(&mut self, now: Now) {
        while let Some(due) = self.first_rounds.next() {
            if self.is_wanted(&due.key) {
                self.schedule.begun(&due.key, now);
                self.first_rounds.begin(due.key.clone(), now.instant);
                self.start(due, now.instant);
            } else {
                // Removed while it waited.
                self.schedule.ended(&due.key, now);
            }
        }
    }

    fn patrol(&mut self) {
        let now = Now::read();
        self.readiness.patrol(now.instant);
        self.first_rounds.patrol(now.instant);
        self.start_first_rounds(now);
    }

    fn is_wanted(&self, key: &Key) -> bool {
        match key {
            Key::Destination(destination) => self.demand.settings(destination).is_some(),
            Key::Policies(domain) => {
                self.demand.settings(&Destination::Domain(domain.clone())).is_some()
            }
            Key::Exchanger(exchanger) => self.demand.wanted(exchanger).is_some(),
            Key::Resolver(name) => self.views.contains_key(name),
            Key::Vantage => self.vantage.is_some(),
        }
    }

    fn start(&mut self, due: Due<Key>, now: Instant) {
        let own = &self.setup.own;
        let rounds = match &due.key {
            Key::Destination(_) => &own.domain_rounds,
            Key::Exchanger(_) => &own.exchanger_rounds,
            Key::Policies(_) => &own.policy_rounds,
            Key::Resolver(_) => &own.resolver_rounds,
            Key::Vantage => &own.vantage_rounds,
        };
        if due.skipped {
            rounds.skipped.inc();
            return;
        }
        own.round_lag_seconds.observe((now - due.at).as_secs_f64());
        let in_flight = InFlight::enter(&rounds.in_flight);
        let prober = self.prober.load_full();
        match due.key.clone() {
            Key::Destination(destination) => {
                let Some(settings) = self.demand.settings(&destination).cloned() else { return };
                self.rounds.start(due.key, async move {
                    let _in_flight = in_flight;
                    let round = prober.route(&destination, &settings.resolvers).await;
                    Found::Destination(destination, round)
                });
            }
            Key::Exchanger(exchanger) => {
                let Some(wanted) = self.demand.wanted(&exchanger).cloned() else { return };
                // Back with the end of the round, unless that panics: then it begins anew.
                let known = self.memories.remove(&exchanger);
                let memory = known.map(|known| known.memory).unwrap_or_default();
                let publisher = self.publisher.clone();
                self.rounds.start(due.key, async move {
                    let _in_flight = in_flight;
                    let publish = |progress| publisher.progress(&exchanger, progress);
                    let memory = prober.exchanger(&exchanger, &wanted, memory, publish).await;
                    Found::Exchanger(exchanger, memory)
                });
            }
            Key::Policies(domain) => {
                let destination = Destination::Domain(domain.clone());
                let Some(settings) = self.demand.settings(&destination).cloned() else { return };
                let memory = self.policies.get(&domain).cloned().unwrap_or_default();
                self.rounds.start(due.key, async move {
                    let _in_flight = in_flight;
                    let round = prober.policies(&domain, &settings, memory).await;
                    Found::Policies(domain, round)
                });
            }
            Key::Resolver(name) => {
                let Some(view) = self.views.get(&name).cloned() else { return };
                self.rounds.start(due.key, async move {
                    let _in_flight = in_flight;
                    let facts = prober.control(&view).await;
                    Found::Resolver(view, facts)
                });
            }
            Key::Vantage => {
                let Some((plan, view)) = self.vantage.clone() else { return };
                self.rounds.start(due.key, async move {
                    let _in_flight = in_flight;
                    let vantage = prober.vantage(&plan, &view).await;
                    Found::Vantage(view, plan, vantage)
                });
            }
        }
    }

    fn round_ended(&mut self, ended: Ended<Key, Found>) {
        let now = Now::read();
        self.schedule.ended(&ended.key, now);
        self.first_rounds.ended(&ended.key);
        self.start_first_rounds(now);
        match ended.outcome {
            Ok(Found::Destination(destination, Some(round))) => {
                self.destination_ended(&destination, round);
            }
            Ok(Found::Exchanger(exchanger, Some(memory))) => {
                self.exchanger_ended(exchanger, memory);
            }
            Ok(Found::Policies(domain, Some(round))) => self.policies_ended(domain, round),
            Ok(Found::Resolver(view, Some(facts))) => self.resolver_ended(&view, facts),
            Ok(Found::Vantage(view, plan, Some(vantage))) => {
                self.vantage_ended((plan, view), vantage);
            }
            Ok(
                Found::Destination(_, None)
                | Found::Exchanger(_, None)
                | Found::Policies(_, None)
                | Found::Resolver(_, None)
                | Found::Vantage(_, _, None),
            ) => {}
            Err(panic) => {
                self.setup.own.probe_panics.inc();
                error!(what = %ended.key, panic, "a round panicked; it will be started again");
            }
        }
    }

    fn destination_ended(&mut self, destination: &Destination, round: DestinationRound) {
        // Removed by a reload while its round was under way.
        let Some(settings) = self.demand.settings(destination).cloned() else { return };
        let Some(exchangers) = self.publisher.destination(destination, round) else { return };
        let changes = self.demand.set_route(destination, &settings, &exchangers);
        self.follow(changes, Now::read());
        self.readiness.routed(destination, &exchangers);
    }

    fn exchanger_ended(&mut self, exchanger: Exchanger, memory: Memory) {
        let Some(wanted) = self.demand.wanted(&exchanger) else { return };
        self.publisher.exchanger_ended(&exchanger, &memory.called, wanted.interval);
        self.readiness.probed(&exchanger);
        self.memories.insert(Remembered { exchanger, memory });
    }

    fn policies_ended(&mut self, domain: Domain, round: PolicyRound) {
        // Removed by a reload while its round was under way.
        if self.demand.settings(&Destination::Domain(domain.clone())).is_none() {
            return;
        }
        self.publisher.policies(&domain, round.policies);
        if round.memory.is_empty() {
            self.policies.remove(&domain);
        } else {
            self.policies.insert(domain, round.memory);
        }
    }

    fn resolver_ended(&mut self, view: &Arc<View>, facts: ResolverFacts) {
        // Removed by a reload while its round was under way, or another by now.
        let known = self.views.get(view.name()).filter(|known| known.is_same_as(view));
        if let Some(known) = known {
            known.hurry(self.publisher.resolver(facts));
        }
    }

    fn vantage_ended(&mut self, (plan, view): (Plan, Arc<View>), vantage: Vantage) {
        let wanted = self.vantage.as_ref();
        if wanted.is_some_and(|(known, by)| *known == plan && by.is_same_as(&view)) {
            self.publisher.vantage(vantage);
        }
    }
}

/// From one look at the own vantage to the next: names and addresses of servers change rarely.
const VANTAGE_INTERVAL: Duration = Duration::from_secs(300);

/// How often deadlines of readiness are looked at.
const PATROL: Duration = Duration::from_secs(1);

/// How long sessions may take to say QUIT when the program ends; inside the 5 s promised.
pub const GRACE: Duration = Duration::from_secs(3);
