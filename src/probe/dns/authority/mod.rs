//! The authoritative view: every server that has authority over a name, each asked by itself.
//!
//! No resolver stands in between, so that what one server does wrong is seen as its own doing.
//!
//! - [`Authority`] the view, with what it holds on to
//! - `walk` from the root down to a zone, `cut` what each answer on the way means
//! - `survey` the servers of a zone
//! - `hints` where the root is, `kept` what is held on to

mod cut;
mod hints;
mod kept;
mod survey;
mod walk;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use hickory_resolver::proto::rr::Name;
use jiff::Timestamp;
use tokio::{sync::Semaphore, time::Instant};

use self::{
    cut::{Cut, parent},
    kept::Kept,
    survey::{Slot, Surveyed},
    walk::{Boxed, Errand, Host, Insistence, Tried, lame},
};
use super::pointers::Pointers;
use crate::{
    config::Dns,
    facts::{Exchange, Lookup, LookupStatus, RecordType, Zone},
    name::ExchangerName,
};

/// Asks the servers that have authority.
#[derive(Debug)]
pub(super) struct Authority {
    root: Arc<Cut>,
    /// Its root is not that of the Internet, so its servers may be this host's own.
    private: bool,
    /// Where the servers listen that delegations name.
    port: u16,
    /// How long an answer is given again.
    interval: Duration,
    cuts: Kept<Name, Arc<Cut>>,
    hosts: Kept<Name, Host>,
    zones: Kept<Name, Slot>,
    answers: Kept<(Name, RecordType), Lookup>,
}

impl Authority {
    /// One that begins at these servers, or at the root of the Internet if there are none.
    pub(super) fn new(root_servers: &[SocketAddr], port: u16, interval: Duration) -> Self {
        Self {
            root: Arc::new(hints::root(root_servers, port)),
            private: !root_servers.is_empty(),
            port,
            interval,
            cuts: Kept::new(MOST_KEPT),
            hosts: Kept::new(MOST_KEPT),
            zones: Kept::new(MOST_KEPT),
            answers: Kept::new(MOST_KEPT),
        }
    }

    /// Puts a question to every server that has authority over the name, or tells what they said
    /// when they were last asked. `made` fills in what is not known here.
    pub(super) async fn lookup(
        &self,
        name: &Name,
        rtype: RecordType,
        errand: (&Semaphore, &Dns, Instant),
        made: impl FnOnce(Vec<Exchange>) -> Lookup,
    ) -> Lookup {
        let key = (name.clone(), rtype);
        if let Some(lookup) = self.answers.get(&key) {
            return lookup;
        }
        let (permits, patience, until) = errand;
        let errand = Errand::new(self, permits, patience, until);
        let asked_at = Timestamp::now();
        let (exchanges, zone) = errand.answer(name.clone(), rtype, 0).await;
        // Who had no time for anything has learned nothing of the zone.
        let learned = !(errand.late() && exchanges.is_empty());
        let lookup = Lookup { zone: learned.then_some(zone), ..made(exchanges) };
        if !errand.late() {
            let mut kept = lookup.clone();
            kept.earlier.get_mut().asked_at = Some(asked_at);
            self.answers.put(key, kept, self.interval);
        }
        lookup
    }

    /// The deepest zone known that a name lies in.
    fn deepest(&self, name: &Name) -> Arc<Cut> {
        let mut zone = name.clone();
        while !zone.is_root() {
            if let Some(cut) = self.cuts.get(&zone) {
                return cut;
            }
            zone = parent(&zone);
        }
        Arc::clone(&self.root)
    }

    /// Where a zone's survey is kept.
    fn slot(&self, zone: &Name) -> Slot {
        self.zones.get(zone).unwrap_or_else(|| {
            let slot = Slot::default();
            self.zones.put(zone.clone(), Arc::clone(&slot), SLOT_KEPT);
            slot
        })
    }
}

impl Errand<'_> {
    /// Finds the zone of a name and asks all its servers at the same moment.
    fn answer(
        &self,
        name: Name,
        rtype: RecordType,
        aliases: usize,
    ) -> Boxed<'_, (Vec<Exchange>, Arc<Zone>)> {
        Box::pin(async move {
            let arrived = self.descend(&name, RecordType::Soa, &[]).await;
            let Surveyed { zone, servers } = self.survey(&arrived).await;
            let hard = Insistence { attempts: self.patience.attempts, wait_for_late: true };
            let ask = |server| self.try_server(server, &name, rtype, hard);
            let tried = join_all(servers.iter().map(ask)).await;
            let target = tried.iter().find_map(leads_to).filter(|_| aliases < MAX_ALIASES);
            let onward = match &target {
                Some(target) => {
                    let (exchanges, zone) = self.answer(target.clone(), rtype, aliases + 1).await;
                    let made = Lookup::new("".into(), rtype, "".into(), exchanges);
                    Some(Lookup { zone: Some(zone), ..made })
                }
                None => None,
            };
            let mut exchanges = Vec::new();
            for mut tried in tried {
                for exchange in &mut tried.exchanges {
                    exchange.lame = lame(exchange);
                }
                let leads_on = target.is_some() && leads_to(&tried) == target;
                if let (Some(onward), Some(last)) = (&onward, tried.exchanges.last_mut())
                    && leads_on
                {
                    follow(last, onward);
                }
                exchanges.append(&mut tried.exchanges);
            }
            (exchanges, zone)
        })
    }
}

/// The name that an answer with authority ends at, where the server knows nothing of it.
fn leads_to(tried: &Tried) -> Option<Name> {
    let Tried { exchanges, pointers: Pointers { soa: None, .. } } = tried else { return None };
    let last = exchanges.last()?;
    let open = last.authoritative && last.status == LookupStatus::Nodata;
    let target = last.further.cname_chain.last().filter(|_| open)?;
    Some(ExchangerName::try_from(target.clone()).ok()?.to_dns())
}

/// Completes an alias with what the servers of its target say, as a resolver would.
fn follow(alias: &mut Exchange, onward: &Lookup) {
    alias.status = onward.status();
    let Some(target) = onward.deciding() else { return };
    alias.answers = target.answers;
    alias.records.clone_from(&target.records);
    if !target.further.cname_chain.is_empty() {
        let chain = &mut alias.further.get_mut().cname_chain;
        chain.extend_from_slice(&target.further.cname_chain);
    }
    alias.ttl = match (alias.ttl, target.ttl) {
        (Some(alias), Some(target)) => Some(alias.min(target)),
        (alias, target) => alias.or(target),
    };
}

/// Aliases that lead from zone to zone.
const MAX_ALIASES: usize = 8;

/// For each of the things that are kept; an agent that watches more asks more often.
const MOST_KEPT: usize = 1 << 16;

/// Longer than anything in it.
const SLOT_KEPT: Duration = Duration::from_secs(2 * 3600);
