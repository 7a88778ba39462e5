//! MTA-STS (RFC 8461) as a sender looks at it: the TXT record, and the policy that it announces, which
//! is fetched over HTTPS and kept.
//!
//! - `record` the TXT record, `policy` the policy's text, both without I/O
//! - `fetch` the way from the policy host's addresses to the text
//! - `cache` how long a policy is kept

mod cache;
mod fetch;
mod policy;
mod record;

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use tokio::time::Instant;

pub use self::cache::Memory;
use self::{
    cache::{Attempt, Kept},
    fetch::Failed,
    record::Announced,
};
use super::{anchors, dns::View, text};
use crate::{
    facts::{Family, Lookup, MtaSts, StsStatus},
    name::{Domain, ExchangerName},
};

/// What one look found.
#[derive(Clone, Debug)]
pub struct Look {
    /// What holds now, and how the look ended.
    pub facts: MtaSts,
    /// What the next look is to know.
    pub memory: Memory,
    /// What was asked.
    pub lookups: Vec<Lookup>,
}

/// Looks at a domain through `view`, given what the look before left. The policy host is called at
/// `port`, and all is over at `until`.
pub async fn look(
    domain: &Domain,
    view: &View,
    Memory { kept, failed }: Memory,
    port: u16,
    until: Instant,
) -> Look {
    let now = Timestamp::now();
    let kept = kept.filter(|kept| kept.holds(now));
    let mut failed = failed.filter(|attempt| attempt.rests(now));
    let mut lookups = Vec::new();
    let (id, found) = match announced(domain, view, until, &mut lookups).await {
        Ok(Some(id)) if kept.as_ref().is_some_and(|kept| kept.will_do(&id, now)) => {
            (Some(id), Ok(kept.clone()))
        }
        Ok(Some(id)) => {
            let found = if let Some(before) = failed.as_ref().and_then(|attempt| attempt.at(&id)) {
                Err(before)
            } else {
                let policy = fetched(domain, view, (port, until), &mut lookups).await;
                failed = policy.as_ref().err().map(|why| Attempt::new(id.clone(), why, now));
                policy.map(|policy| Some(Kept::new(id.clone(), policy, now)))
            };
            (Some(id), found)
        }
        Ok(None) => (None, Err(Failed { status: StsStatus::Absent, detail: None })),
        Err(failed) => (None, Err(failed)),
    };
    let (kept, Failed { status, detail }) = match found {
        Ok(new) => (new, Failed { status: StsStatus::Valid, detail: None }),
        Err(failed) => (kept, failed),
    };
    let facts = match &kept {
        Some(kept) => kept.in_force(now, status, detail),
        None => MtaSts::without_policy(status, detail),
    };
    Look { facts: MtaSts { id, ..facts }, memory: Memory { kept, failed }, lookups }
}

/// The `id` of the record; `None` without a record.
async fn announced(
    domain: &Domain,
    view: &View,
    until: Instant,
    lookups: &mut Vec<Lookup>,
) -> Result<Option<String>, Failed> {
    let Some(lookup) = text::look_up(&["_mta-sts"], domain, view, Some(until)).await else {
        return Ok(None);
    };
    let status = lookup.status();
    let announced = record::read(lookup.texts());
    lookups.push(lookup);
    if !status.answered() {
        return Err(Failed::new(StsStatus::DnsError, status.label()));
    }
    match announced {
        Announced::Nothing => Ok(None),
        Announced::Id(id) => Ok(Some(id)),
        Announced::Invalid(why) => Err(Failed::new(StsStatus::RecordInvalid, &why)),
    }
}

/// Looks up the policy host, fetches the policy and reads it.
async fn fetched(
    domain: &Domain,
    view: &View,
    (port, until): (u16, Instant),
    lookups: &mut Vec<Lookup>,
) -> Result<policy::Policy, Failed> {
    let host = format!("mta-sts.{domain}");
    let addresses = addresses(&host, view, until, lookups).await?;
    let peers: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::from((ip, port))).collect();
    let anchors = anchors::of_system().await;
    let body = fetch::fetch(&host, &peers, anchors, until).await?;
    policy::parse(&body).map_err(|why| Failed::new(StsStatus::PolicyInvalid, &why))
}

/// The addresses of the policy host, IPv6 and IPv4 by turns, so that a family that does not work is
/// passed over soon.
async fn addresses(
    host: &str,
    view: &View,
    until: Instant,
    lookups: &mut Vec<Lookup>,
) -> Result<Vec<IpAddr>, Failed> {
    let no_name = || Failed::new(StsStatus::HostUnresolved, "its name is too long");
    let name = ExchangerName::parse(host).map_err(|_| no_name())?.query_name();
    let [a, aaaa] = Family::ALL.map(|f| view.lookup(&name, f.record_type(), Some(until)));
    let (a, aaaa) = tokio::join!(a, aaaa);
    let found = by_turns(&aaaa, &a);
    let said = format!("A {}, AAAA {}", a.status().label(), aaaa.status().label());
    lookups.extend([a, aaaa]);
    if found.is_empty() { Err(Failed::new(StsStatus::HostUnresolved, &said)) } else { Ok(found) }
}

fn by_turns(first: &Lookup, second: &Lookup) -> Vec<IpAddr> {
    let (mut first, mut second) = (first.addresses(), second.addresses());
    let mut found = Vec::new();
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None, None] {
            return found;
        }
        found.extend(turn.into_iter().flatten());
    }
}
