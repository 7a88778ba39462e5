//! The name servers of one zone: who lists them, where they are, and which version of the zone each
//! of them has.

use std::{net::SocketAddr, sync::Arc};

use futures_util::future::join_all;
use hickory_resolver::proto::rr::Name;
use jiff::Timestamp;
use tokio::{sync::Mutex, time::timeout_at};

use super::{
    cut::{Delegate, MAX_ADDRESSES, MAX_SERVERS, delegates, lifetime, shown},
    walk::{Arrived, Errand, Insistence, Server, lame},
};
use crate::facts::{Missing, NameServer, RecordType, Zone};

/// A zone, and where to put questions about it.
#[derive(Clone, Debug)]
pub(super) struct Surveyed {
    /// As it is told.
    pub(super) zone: Arc<Zone>,
    /// Every address that can be asked.
    pub(super) servers: Arc<[Server]>,
}

/// A zone's survey while it is made, for others who want it to wait for, and after that.
pub(super) type Slot = Arc<Mutex<Option<(tokio::time::Instant, Surveyed)>>>;

/// One server as it comes together.
struct Candidate {
    delegate: Delegate,
    in_parent: Option<bool>,
    in_child: Option<bool>,
    missing: Option<Missing>,
}

impl Errand<'_> {
    /// The survey of the zone that a walk arrived at: the one of a short while ago, or a new one.
    pub(super) async fn survey(&self, arrived: &Arrived) -> Surveyed {
        let slot = self.authority.slot(&arrived.apex);
        let Ok(mut slot) = timeout_at(self.until(), slot.lock()).await else {
            return self.survey_anew(arrived).await;
        };
        match &*slot {
            Some((until, known)) if *until > tokio::time::Instant::now() => known.clone(),
            _ => {
                let surveyed = self.survey_anew(arrived).await;
                // What was cut short is not told to others.
                if !self.late() {
                    let kept = lifetime(Some(u32::MAX)).min(self.authority.interval);
                    let until = tokio::time::Instant::now() + kept;
                    *slot = Some((until, surveyed.clone()));
                }
                surveyed
            }
        }
    }

    async fn survey_anew(&self, arrived: &Arrived) -> Surveyed {
        let asked_at = Timestamp::now();
        let mut candidates = self.candidates(arrived).await;
        let complete = |candidate: Candidate| self.complete(candidate, &arrived.apex);
        candidates = join_all(candidates.into_iter().map(complete)).await;
        let asked = candidates.into_iter().map(|candidate| self.ask_soa(candidate, &arrived.apex));
        let (mut servers, mut addresses) = (Vec::new(), Vec::new());
        for (server, at) in join_all(asked).await {
            let one = |at| Server { name: Arc::clone(&server.name), at };
            addresses.extend(at.into_iter().map(one));
            servers.push(server);
        }
        let (name, walk) = (shown(&arrived.apex), arrived.walk.clone());
        let zone = Arc::new(Zone { name, asked_at, walk, servers });
        Surveyed { zone, servers: addresses.into() }
    }

    /// All servers that the delegation or the zone itself names, with the addresses that come along.
    async fn candidates(&self, arrived: &Arrived) -> Vec<Candidate> {
        let Arrived { cut, apex, .. } = arrived;
        let listed = match arrived.answer {
            Some(_) => self.listed(arrived).await,
            None => None,
        };
        let delegated = cut.delegated && cut.zone == *apex;
        // A server of parent and child hides the delegation, and the root has none.
        let parents = if delegated || listed.is_none() { &cut.servers[..] } else { &[] };
        let mut candidates: Vec<Candidate> = Vec::new();
        for delegate in parents {
            let in_child = listed.as_ref().map(|l| l.iter().any(|own| own.name == delegate.name));
            let in_parent = delegated.then_some(true);
            let delegate = delegate.clone();
            candidates.push(Candidate { delegate, in_parent, in_child, missing: None });
        }
        for own in listed.into_iter().flatten() {
            if let Some(known) = candidates.iter_mut().find(|known| known.delegate.name == own.name)
            {
                add(&mut known.delegate.addresses, own.addresses);
                continue;
            }
            let (in_parent, in_child) = (delegated.then_some(false), Some(true));
            let mut delegate = own;
            // The root has no delegation, but addresses that were known before.
            let known = cut.servers.iter().find(|known| known.name == delegate.name);
            add(&mut delegate.addresses, known.map_or(Vec::new(), |known| known.addresses.clone()));
            candidates.push(Candidate { delegate, in_parent, in_child, missing: None });
        }
        candidates.truncate(MAX_SERVERS);
        // Servers rotate their answers, and what is told first must not change with them.
        candidates.sort_by(|a, b| a.delegate.name.cmp(&b.delegate.name));
        candidates
    }

    /// The zone's own NS records, as the first of its servers gives them that has authority.
    async fn listed(&self, arrived: &Arrived) -> Option<Vec<Delegate>> {
        let Arrived { cut, apex, .. } = arrived;
        let (exchange, pointers, _) = self.consult(cut, apex, RecordType::Ns, &[]).await.useful?;
        let hosts = pointers.listed.iter().filter(|(of, _)| of == apex).map(|(_, host)| host);
        let listed = delegates(hosts, &pointers, apex, self.authority.port);
        (exchange.status.answered() && !listed.is_empty()).then_some(listed)
    }

    /// Looks for addresses besides those that came with a delegation, which may be old or not all.
    async fn complete(&self, mut candidate: Candidate, apex: &Name) -> Candidate {
        let known = !candidate.delegate.addresses.is_empty();
        // Those of the root come with it; to ask for each again leads nowhere else.
        if let Some(host) = candidate.delegate.host.clone().filter(|_| !(apex.is_root() && known)) {
            let host = self.host(host, Vec::new()).await;
            candidate.missing = host.missing.filter(|_| !known);
            add(&mut candidate.delegate.addresses, host.addresses);
        }
        candidate
    }

    /// Asks every address for the SOA at the same moment; the addresses that could be asked.
    async fn ask_soa(&self, candidate: Candidate, apex: &Name) -> (NameServer, Vec<SocketAddr>) {
        let Candidate { delegate, in_parent, in_child, missing } = candidate;
        let Delegate { name, addresses, .. } = delegate;
        let (to_ask, no_route): (Vec<SocketAddr>, Vec<SocketAddr>) =
            addresses.iter().partition(|at| self.can_reach(**at));
        let one = |at: &SocketAddr| Server { name: Arc::clone(&name), at: *at };
        let servers: Vec<Server> = to_ask.iter().map(one).collect();
        let hard = Insistence { attempts: self.patience.attempts, wait_for_late: false };
        let ask = |server| self.try_server(server, apex, RecordType::Soa, hard);
        let tried = join_all(servers.iter().map(ask)).await;
        let mut soa: Vec<_> = tried.into_iter().flat_map(|tried| tried.exchanges).collect();
        for exchange in &mut soa {
            exchange.lame = lame(exchange);
        }
        let ips = |of: &[SocketAddr]| of.iter().map(SocketAddr::ip).collect();
        let (addresses, no_route) = (ips(&addresses), ips(&no_route));
        let server = NameServer { name, in_parent, in_child, addresses, no_route, missing, soa };
        (server, to_ask)
    }
}

/// Adds what is new, while there is room.
fn add(addresses: &mut Vec<SocketAddr>, more: Vec<SocketAddr>) {
    for address in more {
        let known = addresses.iter().any(|known| known.ip() == address.ip());
        if !known && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
}
