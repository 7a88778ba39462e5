//! The walk from the root to the zone that has authority over a name, and to the addresses of name
//! servers that lie elsewhere.
//!
//! An [`Errand`] is all that one lookup may do: every query counts against its budget and its time,
//! so that no delegation, however it is knotted, keeps it going.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hickory_resolver::proto::rr::Name;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    Authority,
    cut::{Cut, Delegate, MAX_ADDRESSES, Reply, lifetime, parent, shown},
};
use crate::{
    config::Dns,
    facts::{Exchange, LookupStatus, Missing, Record, RecordType, Step},
    probe::{
        dns::{
            Patience, exchange::over_udp_alone, message::Question, pointers::Pointers,
            view::rejects_edns,
        },
        public::is_public,
        routing::routed,
    },
};

/// What one lookup may do, and has done.
pub(super) struct Errand<'a> {
    pub(super) authority: &'a Authority,
    /// Each query waits for one of these, and holds it no longer than it is under way.
    permits: &'a Semaphore,
    pub(super) patience: &'a Dns,
    until: Instant,
    queries_left: AtomicUsize,
}

/// One address of a name server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Its name.
    pub(super) name: Arc<str>,
    /// Where it listens.
    pub(super) at: SocketAddr,
}

/// How hard one server is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Insistence {
    /// How often, while it stays silent.
    pub(super) attempts: u32,
    /// Whether to listen on after that.
    pub(super) wait_for_late: bool,
}

impl Insistence {
    /// Where another server will do.
    const ONCE: Self = Self { attempts: 1, wait_for_late: false };
}

/// What came of asking one server.
#[derive(Debug)]
pub(super) struct Tried {
    /// One for each query; none when there was no time or budget for any.
    pub(super) exchanges: Vec<Exchange>,
    /// What the last response says of who knows more.
    pub(super) pointers: Pointers,
}

/// Where a walk ends.
#[derive(Debug)]
pub(super) struct Arrived {
    /// The last zone that delegations lead to.
    pub(super) cut: Arc<Cut>,
    /// The zone that the name lies in: the same, or one below it that the same servers serve.
    pub(super) apex: Name,
    /// Every query on the way.
    pub(super) walk: Vec<Step>,
    /// The answer that showed authority; `None` where none of the servers did.
    pub(super) answer: Option<(Exchange, Pointers)>,
    /// Why no server could be asked.
    pub(super) missing: Option<Missing>,
}

/// What the servers of one zone said.
#[derive(Default)]
pub(super) struct Consulted {
    /// Every query.
    steps: Vec<Step>,
    /// The first answer that is of use.
    pub(super) useful: Option<(Exchange, Pointers, Reply)>,
    /// Why a server could not be asked.
    missing: Option<Missing>,
}

/// The addresses of a name server's name.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// IPv4 first.
    pub(super) addresses: Vec<SocketAddr>,
    /// Why there are none.
    pub(super) missing: Option<Missing>,
}

/// Futures that lead to themselves need a place of a known size.
pub(super) type Boxed<'s, T> = Pin<Box<dyn Future<Output = T> + Send + 's>>;

impl<'a> Errand<'a> {
    pub(super) fn new(
        authority: &'a Authority,
        permits: &'a Semaphore,
        patience: &'a Dns,
        until: Instant,
    ) -> Self {
        let queries_left = AtomicUsize::new(MAX_QUERIES);
        Self { authority, permits, patience, until, queries_left }
    }

    /// Whether nothing more can be asked, so that what is known is not all there is.
    fn over(&self) -> bool {
        self.queries_left.load(Ordering::Relaxed) == 0 || self.late()
    }

    /// Whether there was no time for all of it; another time there may be.
    pub(super) fn late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// When it ends.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    /// Puts one query to one server; `None` when there is no time or budget left.
    async fn query(
        &self,
        server: &Server,
        question: &Question,
        wait_for_late: bool,
    ) -> Option<(Exchange, Pointers)> {
        let spend = |left: usize| left.checked_sub(1);
        self.queries_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).ok()?;
        let _turn = timeout_at(self.until, self.permits.acquire()).await.ok()?.ok()?;
        let late_window = if wait_for_late { self.patience.late_window } else { Duration::ZERO };
        let patience = Patience { timeout: self.patience.timeout, late_window };
        let patience = patience.until(self.until)?;
        let (mut exchange, pointers) = over_udp_alone(server.at, question, patience).await;
        exchange.further.get_mut().server_name = Some(Arc::clone(&server.name));
        Some((exchange, pointers))
    }

    /// Asks one server without recursion, again while it stays silent, as often as allowed.
    pub(super) async fn try_server(
        &self,
        server: &Server,
        name: &Name,
        rtype: RecordType,
        Insistence { attempts, wait_for_late }: Insistence,
    ) -> Tried {
        let mut tried = Tried { exchanges: Vec::new(), pointers: Pointers::NONE };
        let mut question =
            Question { recursion_desired: false, ..Question::new(name.clone(), rtype) };
        let mut silent = 0;
        while silent < attempts {
            let asked = self.query(server, &question, wait_for_late).await;
            let Some((exchange, pointers)) = asked else { break };
            let status = exchange.status;
            tried.exchanges.push(exchange);
            tried.pointers = pointers;
            if question.edns && rejects_edns(status) {
                // RFC 6891 §6.2.2: a server that knows no EDNS is asked again without it.
                question.edns = false;
                continue;
            }
            if status.responded() {
                break;
            }
            silent += 1;
        }
        tried
    }

    /// Goes down from the deepest zone known to enclose a name as far as delegations lead. `chain`
    /// holds the names whose addresses are being looked for on the way.
    pub(super) async fn descend(&self, name: &Name, rtype: RecordType, chain: &[Name]) -> Arrived {
        let mut cut = self.authority.deepest(name);
        let mut walk = cut.walk.clone();
        let mut asked = name.clone();
        loop {
            let consulted = self.consult(&cut, &asked, rtype, chain).await;
            walk.extend(consulted.steps);
            let missing = consulted.missing;
            let at =
                |cut: Arc<Cut>, apex, walk, answer| Arrived { cut, apex, walk, answer, missing };
            let zone = cut.zone.clone();
            match consulted.useful {
                Some((_, _, Reply::Referral(mut below))) => {
                    below.walk.clone_from(&walk);
                    below.walk.truncate(MAX_STEPS);
                    let lifetime = below.lifetime;
                    cut = Arc::new(below);
                    self.authority.cuts.put(cut.zone.clone(), Arc::clone(&cut), lifetime);
                    asked = name.clone();
                }
                // The zone of an alias is that of the name above it, or one in between.
                Some((_, _, Reply::Alias)) if rtype == RecordType::Soa && asked != zone => {
                    asked = parent(&asked);
                }
                Some((exchange, pointers, Reply::Authority(apex))) => {
                    return at(cut, apex.unwrap_or(zone), walk, Some((exchange, pointers)));
                }
                Some((exchange, pointers, _)) => {
                    return at(cut, zone, walk, Some((exchange, pointers)));
                }
                None => return at(cut, zone, walk, None),
            }
        }
    }

    /// Asks the servers of a zone until one is of use: one, then some at once, then some more. Those
    /// whose addresses have to be looked for elsewhere come last.
    pub(super) async fn consult(
        &self,
        cut: &Cut,
        asked: &Name,
        rtype: RecordType,
        chain: &[Name],
    ) -> Consulted {
        let mut consulted = Consulted::default();
        let mut known = interleaved(&cut.servers).into_iter().filter(|s| self.can_reach(s.at));
        for batch in [1, 3, 4] {
            let batch: Vec<Server> = known.by_ref().take(batch).collect();
            self.consult_all(cut, asked, rtype, &batch, &mut consulted).await;
            if consulted.useful.is_some() {
                return consulted;
            }
        }
        let without = |server: &&Delegate| server.addresses.is_empty();
        for server in cut.servers.iter().filter(without).take(MAX_GLUELESS) {
            let Some(name) = &server.host else { continue };
            let host = self.host(name.clone(), chain.to_vec()).await;
            consulted.missing = host.missing.or(consulted.missing);
            let found = host.addresses.into_iter().filter(|at| self.can_reach(*at));
            let found: Vec<Server> =
                found.take(2).map(|at| Server { name: Arc::clone(&server.name), at }).collect();
            self.consult_all(cut, asked, rtype, &found, &mut consulted).await;
            if consulted.useful.is_some() {
                break;
            }
        }
        consulted
    }

    /// Asks these at the same moment; the first in their order that is of use counts.
    async fn consult_all(
        &self,
        cut: &Cut,
        asked: &Name,
        rtype: RecordType,
        servers: &[Server],
        consulted: &mut Consulted,
    ) {
        let asking =
            servers.iter().map(|server| self.try_server(server, asked, rtype, Insistence::ONCE));
        for tried in join_all(asking).await {
            let Tried { mut exchanges, pointers } = tried;
            let Some(last) = exchanges.last_mut() else { continue };
            let reply = cut.read(asked, last, &pointers, self.authority.port);
            last.lame = matches!(reply, Reply::Lame);
            let last = last.clone();
            let refers_to = match &reply {
                Reply::Referral(below) => Some(shown(&below.zone)),
                _ => None,
            };
            consulted.steps.extend(exchanges.into_iter().map(|exchange| Step {
                zone: shown(&cut.zone),
                name: shown(asked),
                rtype,
                exchange,
                refers_to: refers_to.clone(),
            }));
            let useful = !matches!(reply, Reply::Lame | Reply::Failed);
            if useful && consulted.useful.is_none() {
                consulted.useful = Some((last, pointers, reply));
            }
        }
    }

    /// The addresses of a name server, from the servers that have authority over its name.
    pub(super) fn host(&self, name: Name, chain: Vec<Name>) -> Boxed<'_, Host> {
        Box::pin(async move {
            if let Some(host) = self.authority.hosts.get(&name) {
                return host;
            }
            if chain.contains(&name) || chain.len() >= MAX_DEPTH {
                return Host { addresses: Vec::new(), missing: Some(Missing::Loop) };
            }
            let first = chain.is_empty();
            let mut chain = chain;
            chain.push(name.clone());
            let mut host = Host { addresses: Vec::new(), missing: None };
            let mut denied = true;
            let mut ttl: Option<u32> = None;
            for rtype in [RecordType::A, RecordType::Aaaa] {
                let arrived = self.descend(&name, rtype, &chain).await;
                let Some((exchange, _)) = arrived.answer else {
                    denied = false;
                    host.missing = arrived.missing.or(host.missing);
                    continue;
                };
                let lowest = |known: u32| exchange.ttl.map_or(known, |ttl| ttl.min(known));
                ttl = ttl.map_or(exchange.ttl, |known| Some(lowest(known)));
                let addresses = exchange.records.iter().filter_map(|record| match record {
                    Record::Address(address) => {
                        Some(SocketAddr::new(*address, self.authority.port))
                    }
                    _ => None,
                });
                host.addresses.extend(addresses.take(MAX_ADDRESSES / 2));
            }
            host.missing = match host.addresses.is_empty() {
                false => None,
                true if denied => Some(Missing::NoAddress),
                true if self.over() => Some(Missing::Limit),
                true => host.missing.or(Some(Missing::Failed)),
            };
            // What was found on the way to another name may only be a loop from there.
            if !self.over() && (first || host.missing.is_none()) {
                self.authority.hosts.put(name, host.clone(), lifetime(ttl));
            }
            host
        })
    }

    /// Whether an address may be asked: no stranger's delegation is to lead a query to this host or
    /// into its network, and there must be a route.
    pub(super) fn can_reach(&self, server: SocketAddr) -> bool {
        let ip = server.ip().to_canonical();
        let nowhere = ip.is_unspecified() || ip.is_multicast();
        let allowed = self.authority.private || is_public(ip);
        !nowhere && allowed && routed(server)
    }
}

/// The first address of each server, then the second of each, and so on.
fn interleaved(servers: &[Delegate]) -> Vec<Server> {
    let place = |place: usize| {
        servers.iter().filter_map(move |server| {
            let at = *server.addresses.get(place)?;
            Some(Server { name: Arc::clone(&server.name), at })
        })
    };
    (0..MAX_ADDRESSES).flat_map(place).collect()
}

/// Whether an answer of a server that should have authority shows none.
pub(super) fn lame(exchange: &Exchange) -> bool {
    let answered = exchange.status.answered() && !exchange.authoritative;
    answered || exchange.status == LookupStatus::Refused
}

/// Queries of one lookup, those of its survey included.
const MAX_QUERIES: usize = 250;

/// Name servers on the way to a name server on the way; the public DNS does with two.
const MAX_DEPTH: usize = 5;

/// Servers without glue whose addresses are looked for to go on.
const MAX_GLUELESS: usize = 3;

/// Steps kept of one way.
const MAX_STEPS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delegation_on_the_internet_leads_no_query_to_this_host_itself() {
        let (permits, patience) = (Semaphore::new(1), Dns::default());
        let root = SocketAddr::from(([127, 0, 0, 1], 53));
        for (roots, own) in [(&[][..], false), (&[root], true)] {
            let authority = Authority::new(roots, 53, Duration::ZERO);
            let errand = Errand::new(&authority, &permits, &patience, Instant::now());
            for (address, reached) in [
                ("127.0.0.1:53", own),
                ("127.255.0.9:53", own),
                ("[::ffff:127.0.0.1]:53", own),
                ("0.0.0.0:53", false),
                ("[::]:53", false),
                ("224.0.0.1:53", false),
                ("[ff02::1]:53", false),
            ] {
                assert_eq!(errand.can_reach(address.parse().unwrap()), reached, "{address}");
            }
        }
    }
}
