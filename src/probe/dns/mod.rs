//! DNS as a mail server sees it: one question to one resolver, every exchange kept.
//!
//! Built on hickory's wire format but not on its resolver, which retries, caches and merges A with
//! AAAA: what hides a failure from an application must not hide it from us.

mod exchange;
mod message;
mod resolv_conf;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_resolver::proto::rr::Name;
use tokio::time::Instant;

pub use resolv_conf::{SYSTEM_RESOLVER, system_resolver};

use self::{exchange::exchange, message::Question};
use crate::{
    config::{Dns, Resolver},
    facts::{Exchange, Lookup, LookupStatus, RecordType},
    name::presentation,
};

/// How to ask: the resolvers and the patience with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolvers {
    /// The primary first; all are asked at the same moment.
    pub views: Vec<Resolver>,
    /// Time-outs and attempts.
    pub settings: Dns,
}

impl Resolvers {
    /// Asks every resolver the same question at the same moment; answers in the resolvers' order.
    pub async fn lookup(&self, name: &Name, rtype: RecordType, until: Instant) -> Vec<Lookup> {
        let mut answers = Vec::with_capacity(self.views.len());
        match self.views.as_slice() {
            [only] => answers.push(self.lookup_one(only, name, rtype, until).await),
            views => {
                let mut asked = tokio::task::JoinSet::new();
                for (place, view) in views.iter().enumerate() {
                    let (this, view, name) = (self.clone(), view.clone(), name.clone());
                    asked.spawn(async move {
                        (place, this.lookup_one(&view, &name, rtype, until).await)
                    });
                }
                let mut placed = asked.join_all().await;
                placed.sort_by_key(|(place, _)| *place);
                answers.extend(placed.into_iter().map(|(_, lookup)| lookup));
            }
        }
        answers
    }

    /// Puts one question to one resolver as a stub resolver does: its servers in order until one
    /// answers, the whole round again while servers stay silent.
    async fn lookup_one(
        &self,
        resolver: &Resolver,
        name: &Name,
        rtype: RecordType,
        until: Instant,
    ) -> Lookup {
        let mut question = Question { name: name.clone(), rtype, edns: true };
        let mut exchanges: Vec<Exchange> = Vec::with_capacity(1);
        let mut worth_asking: Vec<SocketAddr> = resolver.servers.clone();
        'attempts: for _ in 0..self.settings.attempts {
            let mut silent = Vec::new();
            for &server in &worth_asking {
                let Some(patience) = self.patience(until) else { break 'attempts };
                let mut result = exchange(server, &question, patience).await;
                if question.edns && rejects_edns(result.status) {
                    // RFC 6891 §6.2.2: a server that knows no EDNS is asked again without it.
                    exchanges.push(result);
                    let Some(patience) = self.patience(until) else { break 'attempts };
                    question.edns = false;
                    result = exchange(server, &question, patience).await;
                    question.edns = true;
                }
                let status = result.status;
                exchanges.push(result);
                if status.answered() {
                    break 'attempts;
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
        Lookup {
            resolver: Arc::clone(&resolver.name),
            rtype,
            name: presentation(name).into(),
            exchanges,
        }
    }

    /// What is left for one exchange; `None` when the deadline has passed.
    fn patience(&self, until: Instant) -> Option<Patience> {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = self.settings.timeout.min(left);
        // Listening for a late answer must not make those wait who have a deadline.
        let late_window = self.settings.late_window.min(left.saturating_sub(timeout));
        (!left.is_zero()).then_some(Patience { timeout, late_window })
    }
}

/// How long one exchange may take.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until the exchange has failed.
    timeout: Duration,
    /// How long to listen on after that, to tell a late answer from none.
    late_window: Duration,
}

const fn rejects_edns(status: LookupStatus) -> bool {
    matches!(status, LookupStatus::Formerr | LookupStatus::Notimp)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::UdpSocket;

    use super::*;

    #[tokio::test]
    async fn nobody_listens_for_late_answers_beyond_the_deadline() {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let servers = vec![silent.local_addr().unwrap()];
        let resolvers = Resolvers {
            views: vec![Resolver { name: Arc::from("silent"), servers }],
            settings: Dns { late_window: Duration::from_secs(60), ..Dns::default() },
        };
        let until = Instant::now() + Duration::from_millis(200);
        let name = Name::root();
        let lookup = resolvers.lookup(&name, RecordType::A, until);
        let found = tokio::time::timeout(Duration::from_secs(20), lookup).await.unwrap();
        assert_eq!(found[0].status(), LookupStatus::Timeout);
    }
}
