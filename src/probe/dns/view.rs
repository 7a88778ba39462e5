//! One resolver as it is asked: a question is put to its servers as a stub resolver does it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hickory_resolver::proto::rr::Name;
use jiff::Timestamp;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::{
    Patience,
    authority::Authority,
    exchange::{Channel, exchange},
    message::Question,
    validation::tell_bogus,
};
use crate::{
    config::{Dns, Resolver, ResolverKind},
    facts::{Exchange, Lookup, LookupStatus, RecordType, ResolverFacts, ServerFacts},
    name::{QueryName, presentation},
};

/// A named view of the DNS, with what is held on to between lookups.
#[derive(Debug)]
pub struct View {
    /// The configured resolver it belongs to.
    of: Arc<str>,
    /// What it is made from.
    resolver: Resolver,
    source: Source,
    at_once: usize,
    permits: Semaphore,
    /// It does not respond, so nobody waits long for it.
    hurried: AtomicBool,
}

/// Where answers come from.
#[derive(Debug)]
enum Source {
    /// The servers that have authority, all of them.
    Authority(Box<Authority>),
    /// Recursive resolvers, of which one that answers will do.
    Servers { addresses: Vec<SocketAddr>, channel: Channel },
}

impl View {
    /// One that has at most `at_once` lookups under way. The system's servers are looked for by
    /// the caller; without, the view has none.
    pub(super) fn new(of: Arc<str>, resolver: Resolver, at_once: usize) -> Self {
        let source = match &resolver.kind {
            ResolverKind::Authoritative { root_servers, port, interval } => {
                Source::Authority(Box::new(Authority::new(root_servers, *port, *interval)))
            }
            ResolverKind::Servers { addresses, transport } => Source::Servers {
                addresses: addresses.clone(),
                channel: Channel::new(transport, addresses),
            },
            ResolverKind::System { .. } => {
                Source::Servers { addresses: Vec::new(), channel: Channel::Udp(Vec::new()) }
            }
        };
        let most = match &source {
            Source::Authority(_) => at_once,
            Source::Servers { channel, .. } => at_once.min(channel.capacity()),
        };
        let (permits, hurried) = (Semaphore::new(most), AtomicBool::new(false));
        Self { of, resolver, source, at_once, permits, hurried }
    }

    /// Whether it is that view of that resolver.
    pub(super) fn is(&self, of: &Arc<str>, resolver: &Resolver) -> bool {
        (&self.of, &self.resolver) == (of, resolver)
    }

    /// Whether the other is that view, too, however many lookups each may have under way.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        other.is(&self.of, &self.resolver)
    }

    /// The most lookups that it may have under way.
    pub(super) const fn at_once(&self) -> usize {
        self.at_once
    }

    /// Value of the `resolver` label.
    pub fn name(&self) -> &Arc<str> {
        &self.resolver.name
    }

    /// The name of the configured resolver it belongs to; another one for each server of the system.
    pub fn of(&self) -> &Arc<str> {
        &self.of
    }

    /// Whether its AD bit is believed.
    pub fn trusts_ad(&self) -> bool {
        self.resolver.trust_ad == Some(true)
    }

    /// How often its health is looked at.
    pub fn health_interval(&self) -> Duration {
        self.resolver.patience.health_interval
    }

    /// Whether it is asked hurriedly from now on: each server once, a second for all of them and no
    /// listening for late answers. Thousands of lookups through a resolver that is known to be dead
    /// must not hold up those through the others. What they bring is observed all the same.
    pub fn hurry(&self, hurried: bool) {
        self.hurried.store(hurried, Ordering::Relaxed);
    }

    /// Asks each server for NS of the control name, all at the same moment and never hurriedly, so
    /// that a slow one is found alive. It waits for no turn: lookups that pile up before a dead
    /// resolver are what it has to tell of. Servers that have authority are strangers', and none of them is this resolver.
    pub async fn control(&self) -> ResolverFacts {
        let servers = match &self.source {
            Source::Authority(_) => Vec::new(),
            Source::Servers { addresses, channel } => {
                join_all(addresses.iter().map(|&server| self.control_of(channel, server))).await
            }
        };
        let (resolver, of) = (Arc::clone(self.name()), Arc::clone(&self.of));
        ResolverFacts { resolver, of, observed_at: Timestamp::now(), servers }
    }

    async fn control_of(&self, channel: &Channel, server: SocketAddr) -> ServerFacts {
        let (name, rtype) = (&self.resolver.control_name, RecordType::Ns);
        // How late an answer comes matters to lookups; the next look tells whether one does.
        let pace = Dns { late_window: Duration::ZERO, ..self.resolver.patience.clone() };
        channel.prepare().await;
        let until = Instant::now() + LOOKUP_LIMIT;
        let exchanges = self.ask_servers(&[server], channel, name, rtype, &pace, until).await;
        let asked = if name.is_root() { ".".into() } else { presentation(name).into() };
        ServerFacts {
            server,
            control: Lookup::new(Arc::clone(self.name()), rtype, asked, exchanges),
        }
    }

    /// How patiently it is asked at this moment.
    fn pace(&self, servers: usize) -> Dns {
        let own = self.resolver.patience.clone();
        if !self.hurried.load(Ordering::Relaxed) {
            return own;
        }
        let share = HURRIED / u32::try_from(servers.max(1)).unwrap_or(u32::MAX);
        Dns { timeout: own.timeout.min(share), attempts: 1, late_window: Duration::ZERO, ..own }
    }

    /// Puts one question, when it is its turn: waiting for that takes nothing from the time of the
    /// lookup, which must not be taken for a server's silence. Without a turn there is no exchange.
    pub async fn lookup(
        &self,
        asked: &QueryName,
        rtype: RecordType,
        deadline: Option<Instant>,
    ) -> Lookup {
        let name = asked.as_dns();
        let made = |exchanges| {
            Lookup::new(Arc::clone(self.name()), rtype, Arc::clone(asked.text()), exchanges)
        };
        let (addresses, channel) = match &self.source {
            // Each of its queries waits for its turn.
            Source::Authority(authority) => {
                let errand = (&self.permits, &self.resolver.patience, until(deadline));
                return authority.lookup(name, rtype, errand, made).await;
            }
            Source::Servers { addresses, channel } => (addresses, channel),
        };
        let Some(_turn) = self.turn(deadline).await else { return made(Vec::new()) };
        channel.prepare().await;
        let (pace, until) = (self.pace(addresses.len()), until(deadline));
        let mut exchanges = self.ask_servers(addresses, channel, name, rtype, &pace, until).await;
        tell_bogus(channel, (name, rtype), &mut exchanges, || left(&pace, until)).await;
        made(exchanges)
    }

    /// `None` when the deadline comes first, or when it takes longer than a lookup: so many are
    /// waiting for this resolver that it is not answering, and others must not wait for it, too.
    async fn turn(&self, deadline: Option<Instant>) -> Option<SemaphorePermit<'_>> {
        let Dns { timeout, attempts, .. } = self.resolver.patience;
        let longest = Instant::now() + timeout * attempts;
        let until = deadline.map_or(longest, |deadline| deadline.min(longest));
        timeout_at(until, self.permits.acquire()).await.ok()?.ok()
    }

    /// Asks the servers in order until one answers, the whole round again while servers stay silent.
    async fn ask_servers(
        &self,
        addresses: &[SocketAddr],
        channel: &Channel,
        name: &Name,
        rtype: RecordType,
        pace: &Dns,
        until: Instant,
    ) -> Vec<Exchange> {
        let mut question = Question::new(name.clone(), rtype);
        let mut exchanges: Vec<Exchange> = Vec::with_capacity(1);
        let mut worth_asking: Vec<SocketAddr> = addresses.to_vec();
        for _ in 0..pace.attempts {
            let mut silent = Vec::new();
            for &server in &worth_asking {
                let Some(patience) = left(pace, until) else { return exchanges };
                let mut result = exchange(channel, server, &question, patience).await;
                if rejects_edns(result.status) {
                    // RFC 6891 §6.2.2: a server that knows no EDNS is asked again without it.
                    exchanges.push(result);
                    let Some(patience) = left(pace, until) else { return exchanges };
                    question.edns = false;
                    result = exchange(channel, server, &question, patience).await;
                    question.edns = true;
                }
                let status = result.status;
                exchanges.push(result);
                if status.answered() {
                    return exchanges;
                }
                if !status.responded() {
                    silent.push(server);
                }
            }
            // A server that said no says it again; only a lost datagram is worth repeating.
            worth_asking = silent;
            if worth_asking.is_empty() {
                break;
            }
        }
        exchanges
    }
}

/// What is left for one exchange; `None` when the deadline has passed.
fn left(pace: &Dns, until: Instant) -> Option<Patience> {
    let Dns { timeout, late_window, .. } = *pace;
    Patience { timeout, late_window }.until(until)
}

/// When a lookup that begins now is given up.
fn until(deadline: Option<Instant>) -> Instant {
    let end = Instant::now() + LOOKUP_LIMIT;
    deadline.map_or(end, |deadline| deadline.min(end))
}

pub(super) const fn rejects_edns(status: LookupStatus) -> bool {
    matches!(status, LookupStatus::Formerr | LookupStatus::Notimp)
}

/// For all exchanges of one lookup, over all servers and attempts.
const LOOKUP_LIMIT: Duration = Duration::from_secs(60);

/// For all exchanges of one lookup through a resolver that does not respond.
const HURRIED: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::UdpSocket;

    use super::*;
    use crate::probe::dns::Resolvers;

    async fn silent(patience: Dns) -> (UdpSocket, Resolver) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let servers = vec![socket.local_addr().unwrap()];
        (socket, Resolver::of_servers("silent", servers, patience))
    }

    #[tokio::test]
    async fn nobody_listens_for_late_answers_beyond_the_deadline() {
        let late_window = Duration::from_secs(60);
        let (_socket, resolver) = silent(Dns { late_window, ..Dns::default() }).await;
        let resolvers = Resolvers::new(&[resolver], None);
        let until = Instant::now() + Duration::from_millis(200);
        let name = QueryName::from(Name::root());
        let lookup = resolvers.lookup(&name, RecordType::A, Some(until));
        let found = tokio::time::timeout(Duration::from_secs(20), lookup).await.unwrap();
        assert_eq!(found[0].status(), LookupStatus::Timeout);
    }

    #[tokio::test]
    async fn waiting_for_other_lookups_takes_nothing_from_the_time_of_a_lookup() {
        let (timeout, late_window) = (Duration::from_millis(50), Duration::ZERO);
        let patience = Dns { timeout, attempts: 1, late_window, ..Dns::default() };
        let (_socket, resolver) = silent(patience).await;
        let view = View::new("silent".into(), resolver, 0);
        let name = QueryName::from(Name::root());
        let deadline = Instant::now() + Duration::from_millis(20);
        let given_up = view.lookup(&name, RecordType::A, Some(deadline)).await;
        assert_eq!(given_up.exchanges.len(), 0, "it was not its turn");
        let given_up = view.lookup(&name, RecordType::A, None).await;
        assert_eq!(given_up.exchanges.len(), 0, "it would have taken longer than a lookup");
        let mut waiting = std::pin::pin!(view.lookup(&name, RecordType::A, None));
        tokio::select! {
            biased;
            _ = &mut waiting => unreachable!("it is not its turn yet"),
            () = std::future::ready(()) => view.permits.add_permits(1),
        }
        let turned = waiting.await;
        assert_eq!(turned.exchanges.len(), 1);
        assert!(turned.took() >= timeout, "the whole time-out was its own");
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_resolver_that_is_down_and_its_health_is_looked_at_patiently() {
        let (first, _) = silent(Dns::default()).await;
        let (second, _) = silent(Dns::default()).await;
        let both = vec![first.local_addr().unwrap(), second.local_addr().unwrap()];
        let resolver = Resolver::of_servers("silent", both, Dns::default());
        let view = Arc::new(View::new("silent".into(), resolver, 1));
        // The clock goes on by itself as soon as there is nothing to do but to wait.
        tokio::time::pause();
        let seconds = async || {
            let lookup = view.lookup(&Name::root().into(), RecordType::A, None).await;
            (lookup.exchanges.len(), lookup.took().as_secs_f64().round())
        };
        assert_eq!(seconds().await, (4, 20.0));
        view.hurry(true);
        assert_eq!(seconds().await, (2, 1.0));
        let control = view.control().await;
        let asked = control.servers.iter().map(|server| &server.control);
        let asked: Vec<_> = asked.map(|c| (c.exchanges.len(), c.took().as_secs())).collect();
        assert_eq!((control.up(), asked), (Some(false), vec![(2, 10), (2, 10)]));
        view.hurry(false);
        assert_eq!(seconds().await, (4, 20.0));
    }

    #[tokio::test]
    async fn a_view_that_stays_the_same_keeps_its_turns_over_a_reload() {
        let (_socket, resolver) = silent(Dns::default()).await;
        let before = Resolvers::new(std::slice::from_ref(&resolver), None);
        let after = Resolvers::new(std::slice::from_ref(&resolver), Some(&before));
        assert!(Arc::ptr_eq(&before.views()[0], &after.views()[0]));
        let hasty = Resolver { patience: Dns { attempts: 7, ..Dns::default() }, ..resolver };
        let after = Resolvers::new(&[hasty], Some(&before));
        assert!(!Arc::ptr_eq(&before.views()[0], &after.views()[0]));
    }
}
