//! One resolver as it is asked: a question is put to its servers as a stub resolver does it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_resolver::proto::rr::Name;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::{
    Patience,
    exchange::{Channel, exchange},
    message::Question,
    validation::tell_bogus,
};
use crate::{
    config::{Resolver, ResolverKind},
    facts::{Exchange, Lookup, LookupStatus, RecordType},
    name::presentation,
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
}

/// Where answers come from.
#[derive(Debug)]
enum Source {
    /// Recursive resolvers, of which one that answers will do.
    Servers { addresses: Vec<SocketAddr>, channel: Channel },
}

impl View {
    /// One that has at most `at_once` lookups under way. The system's servers are looked for by
    /// the caller; without, the view has none.
    pub(super) fn new(of: Arc<str>, resolver: Resolver, at_once: usize) -> Self {
        let source = match &resolver.kind {
            ResolverKind::Servers { addresses, transport } => Source::Servers {
                addresses: addresses.clone(),
                channel: Channel::new(transport, addresses),
            },
            ResolverKind::System { .. } => {
                Source::Servers { addresses: Vec::new(), channel: Channel::Udp }
            }
        };
        let Source::Servers { channel, .. } = &source;
        let permits = Semaphore::new(at_once.min(channel.capacity()));
        Self { of, resolver, source, at_once, permits }
    }

    /// Whether another one would be the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        (&self.of, &self.resolver, self.at_once) == (&other.of, &other.resolver, other.at_once)
    }

    /// Value of the `resolver` label.
    pub fn name(&self) -> &Arc<str> {
        &self.resolver.name
    }

    /// The name of the configured resolver it belongs to; another one for each server of the system.
    pub fn of(&self) -> &Arc<str> {
        &self.of
    }

    /// Puts one question, when it is its turn: waiting for that takes nothing from the time of the
    /// lookup, which must not be taken for a server's silence.
    pub async fn lookup(
        &self,
        name: &Name,
        rtype: RecordType,
        deadline: Option<Instant>,
    ) -> Lookup {
        let made = |exchanges| {
            let asked = presentation(name).into();
            Lookup::new(Arc::clone(self.name()), rtype, asked, exchanges)
        };
        let Some(_turn) = self.turn(deadline).await else { return made(Vec::new()) };
        let limit =
            |now: Instant| deadline.map_or(now + LOOKUP_LIMIT, |d| d.min(now + LOOKUP_LIMIT));
        match &self.source {
            Source::Servers { addresses, channel } => {
                channel.prepare().await;
                let until = limit(Instant::now());
                let mut exchanges = self.ask_servers(addresses, channel, name, rtype, until).await;
                tell_bogus(channel, (name, rtype), &mut exchanges, self.patience(until)).await;
                made(exchanges)
            }
        }
    }

    /// `None` when the deadline comes first.
    async fn turn(&self, deadline: Option<Instant>) -> Option<SemaphorePermit<'_>> {
        let permit = self.permits.acquire();
        match deadline {
            None => permit.await.ok(),
            Some(deadline) => timeout_at(deadline, permit).await.ok()?.ok(),
        }
    }

    /// Asks the servers in order until one answers, the whole round again while servers stay silent.
    async fn ask_servers(
        &self,
        addresses: &[SocketAddr],
        channel: &Channel,
        name: &Name,
        rtype: RecordType,
        until: Instant,
    ) -> Vec<Exchange> {
        let mut question = Question::new(name.clone(), rtype);
        let mut exchanges: Vec<Exchange> = Vec::with_capacity(1);
        let mut worth_asking: Vec<SocketAddr> = addresses.to_vec();
        for _ in 0..self.resolver.patience.attempts {
            let mut silent = Vec::new();
            for &server in &worth_asking {
                let Some(patience) = self.patience(until) else { return exchanges };
                let mut result = exchange(channel, server, &question, patience).await;
                if rejects_edns(result.status) {
                    // RFC 6891 §6.2.2: a server that knows no EDNS is asked again without it.
                    exchanges.push(result);
                    let Some(patience) = self.patience(until) else { return exchanges };
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

    /// What is left for one exchange; `None` when the deadline has passed.
    fn patience(&self, until: Instant) -> Option<Patience> {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = self.resolver.patience.timeout.min(left);
        // Listening for a late answer must not make those wait who have a deadline.
        let late_window = self.resolver.patience.late_window.min(left.saturating_sub(timeout));
        (!left.is_zero()).then_some(Patience { timeout, late_window })
    }
}

const fn rejects_edns(status: LookupStatus) -> bool {
    matches!(status, LookupStatus::Formerr | LookupStatus::Notimp)
}

/// For all exchanges of one lookup, over all servers and attempts.
const LOOKUP_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::UdpSocket;

    use super::*;
    use crate::{config::Dns, probe::dns::Resolvers};

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
        let name = Name::root();
        let lookup = resolvers.lookup(&name, RecordType::A, Some(until));
        let found = tokio::time::timeout(Duration::from_secs(20), lookup).await.unwrap();
        assert_eq!(found[0].status(), LookupStatus::Timeout);
    }

    #[tokio::test]
    async fn waiting_for_other_lookups_takes_nothing_from_the_time_of_a_lookup() {
        let patience =
            Dns { timeout: Duration::from_millis(50), attempts: 1, late_window: Duration::ZERO };
        let (_socket, resolver) = silent(patience).await;
        let view = View::new("silent".into(), resolver, 0);
        let name = Name::root();
        let deadline = Instant::now() + Duration::from_millis(20);
        let given_up = view.lookup(&name, RecordType::A, Some(deadline)).await;
        assert_eq!(given_up.exchanges.len(), 0, "it was not its turn");
        tokio::time::pause();
        let mut waiting = std::pin::pin!(view.lookup(&name, RecordType::A, None));
        let queued = tokio::time::timeout(LOOKUP_LIMIT * 2, &mut waiting).await;
        assert!(queued.is_err(), "it was still not its turn");
        tokio::time::resume();
        view.permits.add_permits(1);
        assert_eq!(waiting.await.exchanges.len(), 1);
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
