//! One round: a destination's route, or one exchanger's addresses and sessions.
//!
//! Rounds observe and hand on; they do not know when they run, nor what becomes of the facts. What
//! is found is published at once, so that a server which hangs holds back nothing but itself.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use prometheus::IntGauge;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{backoff::Backoff, demand::Wanted, politeness::Politeness, state::DestinationRound};
use crate::{
    config::SessionSettings,
    connectivity_log::ConnectivityLog,
    facts::{Family, Lookup, MAX_EXCHANGERS, Session},
    name::{Destination, Exchanger, Host},
    probe::{addresses, dns::Resolvers, route, smtp::session},
};

/// Everything a round needs to know and to hold on to; immutable, replaced whole on reload.
#[derive(Clone, Debug)]
pub struct Prober {
    /// Whom to ask.
    pub resolvers: Resolvers,
    /// The name to give.
    pub helo_name: Arc<str>,
    /// The own IPv4 address to call from.
    pub source_ipv4: Option<IpAddr>,
    /// The own IPv6 address to call from.
    pub source_ipv6: Option<IpAddr>,
    /// The port of every MX.
    pub mx_port: u16,
    /// The gate to all servers.
    pub politeness: Arc<Politeness>,
    /// Lookups that may be under way at the same time.
    pub lookups: Arc<Semaphore>,
    /// Where everything is noted.
    pub log: ConnectivityLog,
    /// Counts open sessions.
    pub sessions_in_flight: IntGauge,
    /// Becomes true when the program ends.
    pub stop: watch::Receiver<bool>,
    /// When everything must be over, for somebody who waits; rounds of the agent have none.
    pub deadline: Option<Instant>,
}

/// What one round of an exchanger leaves to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The addresses found last.
    pub addresses: Vec<IpAddr>,
    /// When a resolver last answered about each family: index by `Family as usize`.
    pub answered: [Option<Instant>; 2],
    /// Which of them are being left alone.
    pub backoff: HashMap<IpAddr, Backoff>,
    /// The last session with each, which tells nothing new in the next round.
    pub told: HashMap<IpAddr, Arc<Session>>,
}

impl Memory {
    /// The addresses that may be called while their lookups fail: after a day without an answer
    /// they may be somebody else's.
    fn still_known(&self, now: Instant) -> Vec<IpAddr> {
        let fresh = |at: Instant| now.saturating_duration_since(at) < KEPT_LONGEST;
        let known =
            |address: &IpAddr| self.answered[Family::of(*address) as usize].is_some_and(fresh);
        self.addresses.iter().copied().filter(known).collect()
    }
}

/// How long addresses are called without a name server that names them.
const KEPT_LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What an exchanger's round has to tell while it goes on.
#[derive(Debug)]
pub enum Progress {
    /// The lookups are done; these addresses are probed, and those sessions will follow.
    Addresses {
        /// A and AAAA through every resolver.
        lookups: Vec<Lookup>,
        /// All addresses found.
        addresses: Vec<IpAddr>,
        /// Those that belong to this round, sat out or not.
        probed: Vec<SocketAddr>,
    },
    /// One session is over.
    Session {
        /// It.
        session: Arc<Session>,
        /// Held for this exchanger; false when it was held for another at the same address.
        held: bool,
    },
}

/// What came of calling an address.
enum Call {
    Held(Arc<Session>),
    /// The deadline came before the turn.
    NoTurn,
    Shared(Arc<Session>),
    /// The program ends.
    Stopped,
}

impl Prober {
    /// Looks up where a destination's mail goes. `None` when the program ends.
    pub async fn route(&self, destination: &Destination) -> Option<DestinationRound> {
        let (mx, duration, route) = match destination {
            Destination::SmartHost(exchanger) => {
                (Vec::new(), Duration::ZERO, vec![(0, exchanger.clone())])
            }
            Destination::Domain(domain) => {
                let look_up = |until| route::look_up(domain, &self.resolvers, until);
                let (mx, duration) = self.lookup(look_up).await?;
                for answer in &mx {
                    self.log.lookup(&answer.lookup);
                }
                let targets = mx.first().map(|primary| primary.route.targets()).unwrap_or_default();
                let exchangers = targets.into_iter().take(MAX_EXCHANGERS).map(|target| {
                    let host = Host::Name(target.exchanger);
                    (target.preference, Exchanger { host, port: self.mx_port })
                });
                (mx, duration, exchangers.collect())
            }
        };
        Some(DestinationRound { observed_at: Timestamp::now(), duration, mx, route })
    }

    /// Looks up an exchanger's addresses and holds a session with each, but for those whose
    /// backoff says not now. `None` when the program ends.
    pub async fn exchanger(
        self: &Arc<Self>,
        exchanger: &Exchanger,
        wanted: &Wanted,
        memory: Memory,
        publish: impl Fn(Progress),
    ) -> Option<Memory> {
        let look_up = |until| addresses::look_up(&exchanger.host, &self.resolvers, until);
        let (lookups, _) = self.lookup(look_up).await?;
        for lookup in &lookups {
            self.log.lookup(lookup);
        }
        let known = memory.still_known(Instant::now());
        let Memory { mut answered, mut backoff, mut told, .. } = memory;
        for family in Family::ALL {
            if addresses::answers(&lookups, family) {
                answered[family as usize] = Some(Instant::now());
            }
        }
        let found = addresses::distinct(&exchanger.host, &lookups, &known);
        let settings = &wanted.session;
        let probed = addresses::to_probe(&found, &settings.families, settings.addresses_per_family);
        backoff.retain(|address, _| probed.contains(address));
        told.retain(|address, _| probed.contains(address));
        let called: Vec<IpAddr> = probed
            .iter()
            .copied()
            .filter(|address| !backoff.get_mut(address).is_some_and(Backoff::sits_out))
            .collect();
        let probed = probed.iter().map(|&address| (address, exchanger.port).into()).collect();
        publish(Progress::Addresses { lookups, addresses: found.clone(), probed });

        // What is older was found out in an earlier round.
        let fresh = wanted.interval * 3 / 4;
        let mut calls = JoinSet::new();
        for address in called {
            let peer = SocketAddr::from((address, exchanger.port));
            let plan = self.plan(peer, settings);
            let (this, host) = (Arc::clone(self), exchanger.host.clone());
            let told = told.get(&address).cloned();
            calls.spawn(async move { this.call(&host, plan, fresh, told).await });
        }
        let max_backoff = self.politeness.limits().max_backoff;
        let mut stopped = false;
        while let Some(ended) = calls.join_next().await {
            // A panic in a session is the round's panic: its supervisor logs and counts it.
            let call = ended.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Call::Stopped,
            });
            let (session, held) = match call {
                Call::Held(session) => (session, true),
                Call::Shared(session) => (session, false),
                Call::NoTurn => continue,
                Call::Stopped => {
                    // The others are saying QUIT; leaving now would cut them off.
                    stopped = true;
                    continue;
                }
            };
            let rest = backoff.entry(session.peer.ip()).or_default();
            rest.learn(&session, wanted.interval, max_backoff);
            if held {
                self.log.session(exchanger, &session);
            }
            told.insert(session.peer.ip(), Arc::clone(&session));
            publish(Progress::Session { session, held });
        }
        (!stopped).then_some(Memory { addresses: found, answered, backoff, told })
    }

    /// Does a lookup when not too many others are under way, and says how long it took. Its time
    /// begins then: waiting here must not be taken for a server's silence. `None` when the program
    /// ends.
    async fn lookup<F: Future>(
        &self,
        look_up: impl FnOnce(Instant) -> F,
    ) -> Option<(F::Output, Duration)> {
        let limited = async {
            let _permit = self.lookups.acquire().await;
            let begun = Instant::now();
            let found = look_up(self.until(LOOKUP_LIMIT)).await;
            (found, begun.elapsed())
        };
        self.unless_stopped(limited).await
    }

    fn plan(&self, peer: SocketAddr, settings: &SessionSettings) -> session::Plan {
        session::Plan {
            peer,
            source: if peer.is_ipv4() { self.source_ipv4 } else { self.source_ipv6 },
            helo_name: Arc::clone(&self.helo_name),
            connect_timeout: settings.connect_timeout,
            banner_timeout: settings.banner_timeout,
            command_timeout: settings.command_timeout,
            session_timeout: settings.session_timeout,
            deadline: self.deadline,
        }
    }

    /// Waits for a turn to call an address and holds a session, unless another exchanger's session
    /// with the same address has just told. The one `told` in the round before does not count, be
    /// it that it took so long that it ended a moment ago.
    async fn call(
        &self,
        host: &Host,
        plan: session::Plan,
        fresh: Duration,
        told: Option<Arc<Session>>,
    ) -> Call {
        let mut stop = self.stop.clone();
        let turn = tokio::select! {
            biased;
            _ = stop.wait_for(|&stopped| stopped) => return Call::Stopped,
            turn = self.politeness.turn(host, plan.peer) => turn,
            // Who waits here has not called, so there is nothing to say about the server.
            () = sleep_until(self.deadline.unwrap_or_else(Instant::now)), if self.deadline.is_some() => {
                return Call::NoTurn;
            }
        };
        if let Some(session) = self.politeness.recent(&plan, fresh)
            && !told.is_some_and(|told| Arc::ptr_eq(&told, &session))
        {
            return Call::Shared(session);
        }
        let _in_flight = InFlight::enter(&self.sessions_in_flight);
        let Some(session) = turn.hold(session::run(plan.clone(), &mut stop)).await else {
            return Call::Stopped;
        };
        let session = Arc::new(session);
        self.politeness.keep(plan, &session, fresh);
        Call::Held(session)
    }

    /// The end of something that begins now and may take `limit`.
    fn until(&self, limit: Duration) -> Instant {
        let end = Instant::now() + limit;
        self.deadline.map_or(end, |deadline| deadline.min(end))
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|&stopped| stopped) => None,
            done = work => Some(done),
        }
    }
}

/// Counts one more while it lives.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl InFlight {
    /// Counts.
    pub fn enter(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// For all exchanges of one lookup, over all servers and attempts.
const LOOKUP_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{
        config::{Config, Dns},
        metrics::own::Own,
        name::ExchangerName,
        world::{World, smtp_script::Script},
    };

    /// One that asks the world, and looks up `lookups` at a time.
    fn prober(world: &World, lookups: usize, stop: watch::Receiver<bool>) -> Prober {
        let config = Config::with_helo_name("probe.example.org".into());
        let servers = vec![world.dns_addr()];
        let resolver = crate::config::Resolver { name: "world".into(), servers };
        Prober {
            resolvers: Resolvers { views: vec![resolver], settings: Dns::default() },
            helo_name: config.helo_name,
            source_ipv4: None,
            source_ipv6: None,
            mx_port: world.smtp_port(),
            politeness: Arc::new(Politeness::new(config.politeness)),
            lookups: Arc::new(Semaphore::new(lookups)),
            log: ConnectivityLog::off(),
            sessions_in_flight: Own::new().sessions_in_flight,
            stop,
            deadline: None,
        }
    }

    #[test]
    fn addresses_are_not_called_for_ever_without_a_name_server_that_names_them() {
        let now = Instant::now();
        let (v4, v6): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let memory = Memory {
            addresses: vec![v4, v6],
            answered: [Some(now), Some(now + KEPT_LONGEST / 2)],
            ..Memory::default()
        };
        assert_eq!(memory.still_known(now + KEPT_LONGEST / 2), [v4, v6]);
        assert_eq!(memory.still_known(now + KEPT_LONGEST), [v6]);
        assert_eq!(memory.still_known(now + KEPT_LONGEST * 2), [] as [IpAddr; 0]);
    }

    #[tokio::test]
    async fn waiting_for_other_lookups_takes_nothing_from_the_time_of_a_lookup() {
        let zone = "$ORIGIN healthy.test.\n@ 60 MX 10 mx1\n";
        let world = World::builder().zone(zone).unwrap().start().await.unwrap();
        let (_stopping, stop) = watch::channel(false);
        let prober = prober(&world, 0, stop);
        tokio::time::pause();
        let destination = Destination::parse("healthy.test").unwrap();
        let mut round = std::pin::pin!(prober.route(&destination));
        let queued = tokio::time::timeout(LOOKUP_LIMIT * 2, &mut round).await;
        assert!(queued.is_err(), "it was not its turn");
        tokio::time::resume();
        prober.lookups.add_permits(1);
        let round = round.await.unwrap();
        assert_eq!(round.route.len(), 1, "{round:?}");
        assert!(round.duration < LOOKUP_LIMIT, "{:?}", round.duration);
    }

    #[tokio::test]
    async fn no_exchanger_is_told_the_same_session_twice() {
        let zone = "$ORIGIN test.\none A 127.90.60.1\ntwo A 127.90.60.1\n";
        let healthy = Script::healthy("one.test");
        let builder = World::builder().zone(zone).unwrap().smtp([127, 90, 60, 1], healthy);
        let world = builder.start().await.unwrap();
        let (_stopping, stop) = watch::channel(false);
        let prober = Arc::new(prober(&world, 9, stop));
        let session = Config::with_helo_name("probe.example.org".into()).probe.session;
        let wanted = Wanted { interval: Duration::from_secs(3600), session };
        let mut memories = HashMap::new();
        // However long ago their own rounds were, the session with the address is a fresh one.
        for (name, calls) in [("one", true), ("two", false), ("one", true), ("two", false)] {
            let host = Host::Name(ExchangerName::parse(&format!("{name}.test")).unwrap());
            let exchanger = Exchanger { host, port: prober.mx_port };
            let memory = memories.remove(name).unwrap_or_default();
            let told = Mutex::new(Vec::new());
            let publish = |progress| {
                if let Progress::Session { held, .. } = progress {
                    told.lock().unwrap().push(held);
                }
            };
            let memory = prober.exchanger(&exchanger, &wanted, memory, publish).await.unwrap();
            memories.insert(name, memory);
            assert_eq!(told.into_inner().unwrap(), [calls], "{name}");
        }
    }
}
