//! Manners towards the servers we call: never two sessions to one address, few to one provider,
//! a bounded number over all.
//!
//! A session that only waits gives its place back, soon where the limit guards this host, later
//! where it guards the provider: a thousand sessions with silent servers cost nobody anything and
//! must not hold up the rest.

use std::{
    collections::HashMap,
    hash::Hash,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use super::recent::Recent;
use crate::{config, facts::Session, name::Host, probe::smtp::session::Plan};

/// The gate that every session passes.
#[derive(Debug)]
pub struct Politeness {
    limits: config::Politeness,
    overall: Arc<Semaphore>,
    providers: Gates<String>,
    addresses: Arc<Gates<SocketAddr>>,
    recent: Arc<Recent>,
}

impl Politeness {
    /// A gate with the given limits.
    pub fn new(limits: config::Politeness) -> Self {
        Self {
            overall: Arc::new(Semaphore::new(limits.max_sessions)),
            providers: Gates::new(limits.max_sessions_per_provider),
            addresses: Arc::new(Gates::new(1)),
            recent: Arc::default(),
            limits,
        }
    }

    /// The same gate with other limits: sessions under way keep their addresses taken.
    #[must_use]
    pub fn with_limits(&self, limits: config::Politeness) -> Self {
        let addresses = Arc::clone(&self.addresses);
        Self { addresses, recent: Arc::clone(&self.recent), ..Self::new(limits) }
    }

    /// A session held with the same address a moment ago, under a plan as good as this one.
    pub fn recent(&self, plan: &Plan, fresh: Duration) -> Option<Arc<Session>> {
        self.recent.find(plan, fresh)
    }

    /// Keeps a session for others at the same address.
    pub fn keep(&self, plan: Plan, session: &Arc<Session>, fresh: Duration) {
        self.recent.keep(plan, session, fresh);
    }

    /// What it was made with.
    pub fn limits(&self) -> &config::Politeness {
        &self.limits
    }

    /// Waits for a turn to call `peer`, an address of `host`.
    pub async fn turn(&self, host: &Host, peer: SocketAddr) -> Turn {
        // The scarcest last, so that none is held while waiting for another.
        let address = acquire(self.addresses.gate(peer)).await;
        let provider = acquire(self.providers.gate(host.provider().into_owned())).await;
        let overall = acquire(Arc::clone(&self.overall)).await;
        Turn { _address: address, provider: Some(provider), overall: Some(overall) }
    }
}

/// A turn to hold a session; over when dropped.
#[derive(Debug)]
pub struct Turn {
    _address: OwnedSemaphorePermit,
    provider: Option<OwnedSemaphorePermit>,
    overall: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Holds a session, and gives places back when it turns out to be waiting. Its address stays
    /// taken to the end.
    pub async fn hold<T>(mut self, session: impl Future<Output = T>) -> T {
        let mut session = std::pin::pin!(session);
        tokio::select! {
            ended = &mut session => return ended,
            () = sleep(BUSY) => self.overall = None,
        }
        tokio::select! {
            ended = &mut session => return ended,
            () = sleep(LIVELY) => self.provider = None,
        }
        session.await
    }
}

/// How long a session may take before this host counts it as waiting: beyond that it uses the
/// network's time, not ours.
const BUSY: Duration = Duration::from_millis(100);

/// How much longer before the provider's limit does too: its servers are silent, not loaded.
const LIVELY: Duration = Duration::from_secs(5);

async fn acquire(gate: Arc<Semaphore>) -> OwnedSemaphorePermit {
    gate.acquire_owned().await.expect("gates are never closed")
}

/// One semaphore for each key that is in use.
#[derive(Debug)]
struct Gates<K> {
    width: usize,
    open: Mutex<(HashMap<K, Weak<Semaphore>>, usize)>,
}

impl<K: Eq + Hash> Gates<K> {
    fn new(width: usize) -> Self {
        Self { width, open: Mutex::new((HashMap::new(), 64)) }
    }

    fn gate(&self, key: K) -> Arc<Semaphore> {
        let mut guard = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, sweep_at) = &mut *guard;
        if let Some(gate) = open.get(&key).and_then(Weak::upgrade) {
            return gate;
        }
        if open.len() >= *sweep_at {
            open.retain(|_, gate| gate.strong_count() > 0);
            *sweep_at = (open.len() * 2).max(64);
        }
        let gate = Arc::new(Semaphore::new(self.width));
        open.insert(key, Arc::downgrade(&gate));
        gate
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::name::ExchangerName;

    fn host(name: &str) -> Host {
        Host::Name(ExchangerName::parse(name).unwrap())
    }

    fn peer(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 25).into()
    }

    fn gate(overall: usize, provider: usize) -> Politeness {
        Politeness::new(config::Politeness {
            max_sessions: overall,
            max_sessions_per_provider: provider,
            max_backoff: Duration::from_secs(300),
        })
    }

    /// Whether a turn is to be had at once.
    fn at_once(gate: &Politeness, name: &str, last: u8) -> Option<Turn> {
        let host = host(name);
        let mut turn = std::pin::pin!(gate.turn(&host, peer(last)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match turn.as_mut().poll(&mut context) {
            std::task::Poll::Ready(turn) => Some(turn),
            std::task::Poll::Pending => None,
        }
    }

    /// Holds a session that never ends for `time`, and returns it.
    async fn silent_for(turn: Turn, time: Duration) -> impl Future<Output = ()> {
        let mut held = Box::pin(turn.hold(std::future::pending::<()>()));
        tokio::select! {
            () = &mut held => {}
            () = sleep(time) => {}
        }
        held
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_to_one_address_never_overlap_even_while_silent() {
        let gate = gate(9, 9);
        let first = at_once(&gate, "mx1.example.com", 1).unwrap();
        let silent = silent_for(first, Duration::from_secs(60)).await;
        assert!(at_once(&gate, "mail.example.net", 1).is_none());
        drop(silent);
        assert!(at_once(&gate, "mail.example.net", 1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_is_its_registrable_domain_and_a_silent_session_frees_its_place() {
        let gate = gate(9, 1);
        let first = at_once(&gate, "mx1.mail.example.co.uk", 1).unwrap();
        assert!(at_once(&gate, "mx2.example.co.uk", 2).is_none(), "same provider");
        assert!(at_once(&gate, "mx1.other.co.uk", 3).is_some(), "another provider");
        let _silent = silent_for(first, BUSY + LIVELY + BUSY).await;
        assert!(at_once(&gate, "mx2.example.co.uk", 2).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_overall_limit_counts_busy_sessions_only() {
        let gate = gate(2, 9);
        let first = at_once(&gate, "mx1.example.com", 1).unwrap();
        let _second = at_once(&gate, "mx1.example.net", 2).unwrap();
        assert!(at_once(&gate, "mx1.example.org", 3).is_none());
        let _silent = silent_for(first, BUSY + BUSY).await;
        assert!(at_once(&gate, "mx1.example.org", 3).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn other_limits_do_not_free_an_address_in_use() {
        let gate = gate(1, 1);
        let first = at_once(&gate, "mx1.example.com", 1).unwrap();
        let wider =
            gate.with_limits(config::Politeness { max_sessions: 9, ..gate.limits().clone() });
        assert!(at_once(&wider, "mx1.example.net", 1).is_none(), "the same address");
        assert!(at_once(&wider, "mx1.example.net", 2).is_some());
        drop(first);
        assert!(at_once(&wider, "mx1.example.net", 1).is_some());
    }

    #[test]
    fn gates_no_longer_used_are_forgotten() {
        let gates = Gates::new(1);
        for key in 0..10_000 {
            drop(gates.gate(key));
        }
        assert!(gates.open.lock().unwrap().0.len() <= 128);
    }
}
