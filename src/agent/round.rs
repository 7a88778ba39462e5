//! One round: a destination's route, or one exchanger's addresses and sessions.
//!
//! Rounds observe and hand on; they do not know when they run, nor what becomes of the facts. What
//! is found is published at once, so that a server which hangs holds back nothing but itself.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use prometheus::IntGauge;
use smallvec::SmallVec;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    backoff::Backoff, demand::Wanted, politeness::Politeness, pools::Pools, state::DestinationRound,
};
use crate::{
    config::{DestinationSettings, SessionSettings, Starttls},
    connectivity_log::ConnectivityLog,
    facts::{
        Addresses, DomainPolicies, Family, Lookup, MAX_EXCHANGERS, MxLookup, ResolverFacts,
        Session, TlsaFacts, Vantage,
    },
    name::{Destination, Domain, Exchanger, Host},
    probe::{
        addresses,
        dns::{Resolvers, View},
        mta_sts, route,
        smtp::session::{self, Security},
        tls::{self, dane::Expected},
        tls_rpt, tlsa, vantage,
    },
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
    /// The port of every MTA-STS policy host.
    pub policy_port: u16,
    /// What shakes hands with exchangers.
    pub tls: Arc<tls::Client>,
    /// The gate to all servers.
    pub politeness: Arc<Politeness>,
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
    /// The addresses found last: of most exchangers one.
    pub addresses: Addresses,
    /// When a resolver last answered about each family: index by `Family as usize`.
    pub answered: [Option<Instant>; 2],
    /// How it went with each that was called.
    pub called: SmallVec<[Called; 1]>,
    /// What each resolver gave lately.
    pub pools: Pools,
}

/// How it went with one address.
#[derive(Clone, Debug)]
pub struct Called {
    /// Which.
    pub address: IpAddr,
    /// Whether it is being left alone.
    pub backoff: Backoff,
    /// The last session with it, which tells nothing new in the next round.
    pub told: Arc<Session>,
}

impl Memory {
    /// The addresses that may be called while their lookups fail: after a day without an answer
    /// they may be somebody else's.
    fn still_known(&self, now: Instant) -> Addresses {
        let fresh = |at: Instant| now.saturating_duration_since(at) < KEPT_LONGEST;
        let known =
            |address: &IpAddr| self.answered[Family::of(*address) as usize].is_some_and(fresh);
        self.addresses.iter().copied().filter(known).collect()
    }
}

/// What one look at the policies of a domain found.
#[derive(Clone, Debug)]
pub struct PolicyRound {
    /// For everybody.
    pub policies: DomainPolicies,
    /// For the next look.
    pub memory: mta_sts::Memory,
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
        /// The TLSA records through those whose AD bit is trusted.
        tlsa: Vec<Arc<TlsaFacts>>,
        /// All addresses found.
        addresses: Addresses,
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
    /// Only the resolvers of these names are asked, or all if there is none.
    pub async fn route(
        &self,
        destination: &Destination,
        chosen: &[Arc<str>],
    ) -> Option<DestinationRound> {
        let resolvers = self.resolvers.chosen(chosen);
        let (mut mx, mut route, mut also) = (Vec::new(), Vec::new(), Vec::new());
        match destination {
            Destination::SmartHost(exchanger) => route.push((0, exchanger.clone())),
            Destination::Domain(domain) => {
                let look_up = route::look_up(domain, &resolvers, self.deadline);
                mx = self.unless_stopped(look_up).await?;
                self.note(mx.iter().map(|answer| &answer.lookup));
                (route, also) = self.hops(&mx);
            }
        }
        let chosen =
            if chosen.is_empty() { Vec::new() } else { resolvers.names().cloned().collect() };
        let observed_at = Timestamp::now();
        Some(DestinationRound { observed_at, mx, route, also, chosen })
    }

    /// The exchangers that the primary names, best first, and those that only others name.
    fn hops(&self, mx: &[MxLookup]) -> (Vec<(u16, Exchanger)>, Vec<Exchanger>) {
        let exchanger = |name| Exchanger { host: Host::Name(name), port: self.mx_port };
        let mut hops = mx.iter().map(|answer| {
            let targets = answer.route.targets().into_owned().into_iter().take(MAX_EXCHANGERS);
            targets.map(|target| (target.preference, exchanger(target.exchanger)))
        });
        let route: Vec<_> = hops.next().map(Iterator::collect).unwrap_or_default();
        let mut also: Vec<Exchanger> = Vec::new();
        for (_, exchanger) in hops.flatten() {
            let known = also.contains(&exchanger) || route.iter().any(|(_, mx)| *mx == exchanger);
            if !known && also.len() < MAX_EXCHANGERS {
                also.push(exchanger);
            }
        }
        (route, also)
    }

    /// Writes lookups down, but for those that were written down when they were made.
    fn note<'a>(&self, lookups: impl IntoIterator<Item = &'a Lookup>) {
        for lookup in lookups.into_iter().filter(|lookup| lookup.earlier.asked_at.is_none()) {
            self.log.lookup(lookup);
        }
    }

    /// Looks up an exchanger's addresses and holds a session with each, but for those whose
    /// backoff says not now. `None` when the program ends.
    pub async fn exchanger(
        &self,
        exchanger: &Exchanger,
        wanted: &Wanted,
        memory: Memory,
        publish: impl Fn(Progress),
    ) -> Option<Memory> {
        let resolvers = self.resolvers.among(&wanted.resolvers);
        let look_up = async {
            let lookups = addresses::look_up(&exchanger.host, &resolvers, self.deadline).await;
            self.note(&lookups);
            let tlsa = tlsa::look_up(exchanger, &lookups, &resolvers, self.deadline).await;
            self.note(tlsa.iter().flat_map(|tlsa| &tlsa.lookups));
            (lookups, tlsa)
        };
        // Not a part of the round, which waits for silent servers long after it.
        let (mut lookups, tlsa) = self.unless_stopped(Box::pin(look_up)).await?;
        let known = memory.still_known(Instant::now());
        let Memory { mut answered, called: mut before, mut pools, .. } = memory;
        pools.learn(&mut lookups, Instant::now());
        for family in Family::ALL {
            if addresses::answers(&lookups, family) {
                answered[family as usize] = Some(Instant::now());
            }
        }
        let found = addresses::distinct(&exchanger.host, &lookups, &known);
        let settings = &wanted.session;
        let probed = addresses::to_probe(&found, &settings.families, settings.addresses_per_family);
        before.retain(|call| probed.contains(&call.address));
        let mut sits_out = |address: &IpAddr| {
            let known = before.iter_mut().find(|call| call.address == *address);
            known.is_some_and(|call| call.backoff.sits_out())
        };
        let called: Vec<IpAddr> =
            probed.iter().copied().filter(|address| !sits_out(address)).collect();
        let probed = probed.iter().map(|&address| (address, exchanger.port).into()).collect();
        let dane = Expected::new(&exchanger.host, &tlsa).map(Arc::new);
        publish(Progress::Addresses { lookups, tlsa, addresses: found.clone(), probed });

        // What is older was found out in an earlier round.
        let fresh = wanted.interval * 3 / 4;
        // Not tasks of their own: most exchangers have one address, and a task costs more than it does.
        let mut calls = FuturesUnordered::new();
        for address in called {
            let peer = SocketAddr::from((address, exchanger.port));
            let plan =
                session::Plan { dane: dane.clone(), ..self.plan(&exchanger.host, peer, wanted) };
            let told = before.iter().find(|call| call.address == address);
            let told = told.map(|call| Arc::clone(&call.told));
            calls.push(self.call(plan, fresh, told));
        }
        let max_backoff = self.politeness.limits().max_backoff;
        let mut stopped = false;
        while let Some(call) = calls.next().await {
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
            let address = session.peer.ip();
            let known = before.iter().position(|call| call.address == address);
            let place = known.unwrap_or_else(|| {
                // Who has more than one address keeps to them.
                before.reserve_exact(1);
                let (backoff, told) = (Backoff::default(), Arc::clone(&session));
                before.push(Called { address, backoff, told });
                before.len() - 1
            });
            let call = &mut before[place];
            call.told = Arc::clone(&session);
            call.backoff.learn(&session, wanted.interval, max_backoff);
            if held {
                self.log.session(exchanger, &session);
            }
            publish(Progress::Session { session, held });
        }
        (!stopped).then_some(Memory { addresses: found, answered, called: before, pools })
    }

    /// Looks at the policies of a domain through its primary resolver, given what the look before left.
    /// `None` when the program ends.
    pub async fn policies(
        &self,
        domain: &Domain,
        settings: &DestinationSettings,
        memory: mta_sts::Memory,
    ) -> Option<PolicyRound> {
        let resolvers = self.resolvers.chosen(&settings.resolvers);
        let view = resolvers.views().first()?;
        let until = Instant::now() + settings.policy.timeout;
        let until = self.deadline.map_or(until, |deadline| deadline.min(until));
        let look = async {
            tokio::join!(
                mta_sts::look(domain, view, memory, self.policy_port, until),
                tls_rpt::look(domain, view, until),
            )
        };
        // Few of them get as far as TLS.
        let (found, (tls_rpt, lookup)) = self.unless_stopped(Box::pin(look)).await?;
        self.note(found.lookups.iter().chain(&lookup));
        let policies = DomainPolicies { mta_sts: found.facts, tls_rpt };
        Some(PolicyRound { policies, memory: found.memory })
    }

    /// Puts the control query to a resolver. `None` when the program ends.
    pub async fn control(&self, view: &Arc<View>) -> Option<ResolverFacts> {
        let facts = self.unless_stopped(view.control()).await?;
        self.note(facts.servers.iter().map(|server| &server.control));
        Some(facts)
    }

    /// Looks at how this host looks to receivers. `None` when the program ends.
    pub async fn vantage(&self, plan: &vantage::Plan, view: &Arc<View>) -> Option<Vantage> {
        // Many lookups at once, and seldom.
        let look = Box::pin(vantage::look(plan, view, self.deadline));
        let vantage = self.unless_stopped(look).await?;
        self.note(vantage.families.iter().flat_map(|family| &family.lookups));
        Some(vantage)
    }

    fn plan(&self, host: &Host, peer: SocketAddr, wanted: &Wanted) -> session::Plan {
        let settings = &wanted.session;
        session::Plan {
            peer,
            host: host.clone(),
            security: security(settings, peer.port()),
            dane: None,
            login: settings.login.clone(),
            envelopes: Arc::clone(&wanted.envelopes),
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
    async fn call(&self, plan: session::Plan, fresh: Duration, told: Option<Arc<Session>>) -> Call {
        let mut stop = self.stop.clone();
        let turn = tokio::select! {
            biased;
            _ = stop.wait_for(|&stopped| stopped) => return Call::Stopped,
            turn = self.politeness.turn(&plan.host, plan.peer) => turn,
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
        // Boxed, or it would have room twice: where it is made and where it is held.
        let session = Box::pin(session::run(plan.clone(), &self.tls, &mut stop));
        let Some(session) = turn.hold(session).await else {
            return Call::Stopped;
        };
        let session = Arc::new(session);
        self.politeness.keep(plan, &session, fresh);
        Call::Held(session)
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

/// When a session with this port is encrypted.
fn security(settings: &SessionSettings, port: u16) -> Security {
    if settings.is_tls_implicit(port) {
        return Security::Implicit;
    }
    match settings.starttls {
        Starttls::Never => Security::Never,
        Starttls::Opportunistic => Security::Opportunistic,
        Starttls::Always => Security::Always,
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

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Mutex};

    use super::*;
    use crate::{
        config::{Config, Dns, Resolver},
        metrics::own::Own,
        name::ExchangerName,
        world::{World, smtp_script::Script},
    };

    /// One that asks the world.
    fn prober(world: &World, stop: watch::Receiver<bool>) -> Prober {
        let config = Config::with_helo_name("probe.example.org".into());
        let servers = vec![world.dns_addr()];
        let resolver = Resolver::of_servers("world", servers, Dns::default());
        Prober {
            resolvers: Resolvers::new(&[resolver], None),
            helo_name: config.helo_name,
            source_ipv4: None,
            source_ipv6: None,
            mx_port: world.smtp_port(),
            policy_port: config.probe.policy_port,
            tls: Arc::default(),
            politeness: Arc::new(Politeness::new(config.politeness)),
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
            addresses: Addresses::from_slice(&[v4, v6]),
            answered: [Some(now), Some(now + KEPT_LONGEST / 2)],
            ..Memory::default()
        };
        assert_eq!(memory.still_known(now + KEPT_LONGEST / 2)[..], [v4, v6]);
        assert_eq!(memory.still_known(now + KEPT_LONGEST)[..], [v6]);
        assert_eq!(memory.still_known(now + KEPT_LONGEST * 2).len(), 0);
    }

    #[tokio::test]
    async fn no_exchanger_is_told_the_same_session_twice() {
        let zone = "$ORIGIN test.\none A 127.90.60.1\ntwo A 127.90.60.1\n";
        let healthy = Script::healthy("one.test");
        let builder = World::builder().zone(zone).unwrap().smtp([127, 90, 60, 1], healthy);
        let world = builder.start().await.unwrap();
        let (_stopping, stop) = watch::channel(false);
        let prober = Arc::new(prober(&world, stop));
        let session = Config::with_helo_name("probe.example.org".into()).probe.session;
        let interval = Duration::from_secs(3600);
        let wanted =
            Wanted { interval, session, resolvers: Arc::default(), envelopes: Arc::default() };
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
