//! The TLSA records of an exchanger's port (RFC 7672 §2.2), through every resolver whose AD bit is
//! trusted.
//!
//! Nothing is asked where the addresses are not proved by DNSSEC: a DANE sender does not ask then
//! either. An alias makes it two names under which they may stand. What is asked next is decided apart
//! from the asking.

use std::sync::Arc;

use futures_util::future::join_all;
use hickory_resolver::proto::rr::Name;
use tokio::time::Instant;

use super::dns::{Resolvers, View};
use crate::{
    facts::{Lookup, LookupStatus, Record, RecordType, TlsaFacts, TlsaRecord, TlsaStatus},
    name::{Exchanger, ExchangerName, Host, QueryName},
};

/// Asks every resolver that is trusted and, by the address `lookups` made before, gives an address;
/// a fixed address has no name under which there could be records. In the order of the resolvers.
pub async fn look_up(
    exchanger: &Exchanger,
    lookups: &[Lookup],
    resolvers: &Resolvers,
    deadline: Option<Instant>,
) -> Vec<Arc<TlsaFacts>> {
    let Host::Name(host) = &exchanger.host else { return Vec::new() };
    let trusted = resolvers.views().iter().filter(|view| view.trusts_ad());
    let each = join_all(trusted.map(async |view| {
        let addresses = lookups.iter().filter(|lookup| lookup.resolver == *view.name());
        let plan = Plan::new(host, addresses)?;
        let asking = Asking { view, host, port: exchanger.port, deadline };
        Some(Arc::new(asking.run(plan).await?))
    }));
    each.await.into_iter().flatten().collect()
}

/// What the address lookups of a host leave to be asked.
#[derive(Debug, Eq, PartialEq)]
enum Plan {
    /// They are not proved, but the host is an alias, which for itself may be (RFC 7672 §2.2.2).
    Alias,
    /// They are proved: its records under these names, until there are some (§2.2.3).
    Bases(Vec<ExchangerName>),
    /// They are not proved, so no record counts.
    Nothing,
}

impl Plan {
    /// `None` without any address: there is nothing to call, so nobody asks.
    fn new<'a>(
        host: &ExchangerName,
        addresses: impl Iterator<Item = &'a Lookup> + Clone,
    ) -> Option<Self> {
        let mut found = addresses.filter(|lookup| lookup.status() == LookupStatus::Noerror);
        let first = found.clone().next()?;
        let Some(proved) = found.find(|lookup| lookup.authentic_data()) else {
            return Some(if chain(first).is_empty() { Self::Nothing } else { Self::Alias });
        };
        // The name that an alias comes to in the end.
        let target = chain(proved).last().and_then(|name| name.clone().try_into().ok());
        let target = target.filter(|target| target != host);
        Some(Self::Bases(target.into_iter().chain([host.clone()]).collect()))
    }
}

/// The canonical names passed on the way.
fn chain(lookup: &Lookup) -> &[String] {
    lookup.deciding().map_or(&[], |exchange| &exchange.further.cname_chain)
}

/// What the records are by the lookup of them; `None` where that did not get its turn.
fn status(lookup: &Lookup) -> Option<TlsaStatus> {
    if !lookup.asked() {
        return None;
    }
    Some(match lookup.status() {
        LookupStatus::Nodata | LookupStatus::Nxdomain => TlsaStatus::Absent,
        LookupStatus::Noerror if !lookup.authentic_data() => TlsaStatus::Insecure,
        LookupStatus::Noerror if records(lookup).any(TlsaRecord::usable) => TlsaStatus::Secure,
        LookupStatus::Noerror => TlsaStatus::Unusable,
        _ => TlsaStatus::Error,
    })
}

/// Whether a sender goes by it and asks no further.
fn decides(status: TlsaStatus) -> bool {
    !matches!(status, TlsaStatus::Absent | TlsaStatus::Insecure)
}

/// What it comes to for a host that is an alias and as a whole not proved, by the lookup of the alias:
/// `Ok` when that is, so that its own records count.
fn alias(lookup: &Lookup) -> Result<(), Option<TlsaStatus>> {
    match lookup.status() {
        _ if !lookup.asked() => Err(None),
        LookupStatus::Noerror if lookup.authentic_data() => Ok(()),
        status if status.answered() => Err(Some(TlsaStatus::Insecure)),
        _ => Err(Some(TlsaStatus::Error)),
    }
}

fn records(lookup: &Lookup) -> impl Iterator<Item = &TlsaRecord> {
    let records = lookup.deciding().into_iter().flat_map(|exchange| &exchange.records);
    records.filter_map(|record| match record {
        Record::Tlsa(record) => Some(&**record),
        _ => None,
    })
}

/// The questions about one exchanger to one resolver.
struct Asking<'a> {
    view: &'a View,
    host: &'a ExchangerName,
    port: u16,
    deadline: Option<Instant>,
}

impl Asking<'_> {
    /// At most three questions, one after the other; `None` when one of them did not get its turn.
    async fn run(&self, plan: Plan) -> Option<TlsaFacts> {
        let mut lookups = Vec::new();
        let bases = match plan {
            Plan::Bases(bases) => bases,
            Plan::Nothing => return Some(self.facts(TlsaStatus::Insecure, lookups)),
            Plan::Alias => {
                let own = self.ask(&self.host.query_name(), RecordType::Cname).await;
                let proved = alias(&own);
                lookups.push(own);
                match proved {
                    Ok(()) => vec![self.host.clone()],
                    Err(status) => return Some(self.facts(status?, lookups)),
                }
            }
        };
        let mut facts = self.facts(TlsaStatus::Absent, lookups);
        for base in bases {
            let lookup = match service(&base, self.port) {
                Some(name) => self.ask(&name.into(), RecordType::Tlsa).await,
                // No name of that length exists.
                None => continue,
            };
            let status = status(&lookup)?;
            // Records that are not proved are worth telling of, though none of them counts.
            if decides(status) || facts.status == TlsaStatus::Absent {
                (facts.status, facts.base) = (status, base);
                facts.records = records(&lookup).cloned().collect();
            }
            facts.lookups.push(lookup);
            if decides(status) {
                break;
            }
        }
        Some(facts)
    }

    async fn ask(&self, name: &QueryName, rtype: RecordType) -> Lookup {
        self.view.lookup(name, rtype, self.deadline).await
    }

    /// Without records.
    fn facts(&self, status: TlsaStatus, lookups: Vec<Lookup>) -> TlsaFacts {
        TlsaFacts {
            resolver: Arc::clone(self.view.name()),
            status,
            base: self.host.clone(),
            records: Vec::new(),
            lookups,
        }
    }
}

/// Where the records of a port stand (RFC 6698 §3); `None` where the name would be too long.
fn service(base: &ExchangerName, port: u16) -> Option<Name> {
    let transport = base.to_dns().prepend_label("_tcp").ok()?;
    transport.prepend_label(format!("_{port}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Exchange, Further, Transport};

    const HOST: &str = "mx.example.test";

    fn name(text: &str) -> ExchangerName {
        ExchangerName::parse(text).unwrap()
    }

    fn lookup(status: LookupStatus, proved: bool, chain: &[&str], records: &[&str]) -> Lookup {
        let server = ([127, 0, 0, 1], 53).into();
        let records = records.iter().filter_map(|text| TlsaRecord::parse(text));
        let cname_chain = chain.iter().map(|&name| name.to_owned()).collect();
        let exchange = Exchange {
            authentic_data: proved,
            further: Further { cname_chain, ..Further::default() }.into(),
            records: records.map(|record| Record::Tlsa(record.into())).collect(),
            ..Exchange::empty(server, Transport::Udp, status)
        };
        Lookup::new("local".into(), RecordType::A, HOST.into(), vec![exchange])
    }

    #[test]
    fn what_is_asked_follows_from_the_addresses() {
        use LookupStatus::{Nodata, Noerror, Servfail};
        let bases =
            |names: &[&str]| Some(Plan::Bases(names.iter().map(|text| name(text)).collect()));
        let chain = &["alias.example.test", "host.example.net"];
        for (a, aaaa, plan) in [
            (lookup(Noerror, true, &[], &[]), lookup(Nodata, true, &[], &[]), bases(&[HOST])),
            (
                lookup(Noerror, false, &[], &[]),
                lookup(Nodata, false, &[], &[]),
                Some(Plan::Nothing),
            ),
            // RFC 7672 §2.2.2 is content with one of them.
            (lookup(Servfail, false, &[], &[]), lookup(Noerror, true, &[], &[]), bases(&[HOST])),
            (lookup(Noerror, false, &[], &[]), lookup(Noerror, true, &[], &[]), bases(&[HOST])),
            // That there is no address may be proved; it is nothing to call.
            (lookup(Noerror, false, &[], &[]), lookup(Nodata, true, &[], &[]), Some(Plan::Nothing)),
            (lookup(Nodata, true, &[], &[]), lookup(Nodata, true, &[], &[]), None),
            (lookup(Servfail, false, &[], &[]), lookup(Nodata, true, &[], &[]), None),
            (
                lookup(Noerror, true, chain, &[]),
                lookup(Nodata, true, chain, &[]),
                bases(&["host.example.net", HOST]),
            ),
            (
                lookup(Noerror, false, chain, &[]),
                lookup(Nodata, false, chain, &[]),
                Some(Plan::Alias),
            ),
            (lookup(Noerror, true, &[HOST], &[]), lookup(Nodata, true, &[], &[]), bases(&[HOST])),
        ] {
            let made = Plan::new(&name(HOST), [&a, &aaaa].into_iter());
            assert_eq!(made, plan, "{a:?}\n{aaaa:?}");
        }
    }

    #[test]
    fn an_answer_comes_to_one_status() {
        use LookupStatus::{Bogus, Nodata, Noerror, Nxdomain, Refused, Servfail, Timeout};
        let [good, bad] = ["3 1 1", "1 1 1"].map(|kind| format!("{kind} {}", "00".repeat(32)));
        let (good, bad) = (good.as_str(), bad.as_str());
        for (answer, want) in [
            (lookup(Nodata, true, &[], &[]), TlsaStatus::Absent),
            (lookup(Nodata, false, &[], &[]), TlsaStatus::Absent),
            (lookup(Nxdomain, true, &[], &[]), TlsaStatus::Absent),
            (lookup(Noerror, true, &[], &[bad, good]), TlsaStatus::Secure),
            (lookup(Noerror, true, &[], &[bad]), TlsaStatus::Unusable),
            (lookup(Noerror, true, &[], &[]), TlsaStatus::Unusable),
            (lookup(Noerror, false, &[], &[good]), TlsaStatus::Insecure),
            (lookup(Servfail, false, &[], &[]), TlsaStatus::Error),
            (lookup(Bogus, false, &[], &[]), TlsaStatus::Error),
            (lookup(Timeout, false, &[], &[]), TlsaStatus::Error),
            (lookup(Refused, false, &[], &[]), TlsaStatus::Error),
        ] {
            assert_eq!(status(&answer), Some(want), "{answer:?}");
        }
        let no_turn = Lookup::new("local".into(), RecordType::Tlsa, HOST.into(), Vec::new());
        assert_eq!(status(&no_turn), None);
    }

    #[test]
    fn an_alias_may_be_proved_though_its_target_is_not() {
        use LookupStatus::{Bogus, Noerror, Nxdomain, Servfail};
        for (answer, want) in [
            (lookup(Noerror, true, &[], &[]), Ok(())),
            (lookup(Noerror, false, &[], &[]), Err(Some(TlsaStatus::Insecure))),
            (lookup(Nxdomain, true, &[], &[]), Err(Some(TlsaStatus::Insecure))),
            (lookup(Servfail, false, &[], &[]), Err(Some(TlsaStatus::Error))),
            (lookup(Bogus, false, &[], &[]), Err(Some(TlsaStatus::Error))),
        ] {
            assert_eq!(alias(&answer), want, "{answer:?}");
        }
    }

    #[test]
    fn records_stand_below_the_host_by_port() {
        let at = |port| service(&name(HOST), port).unwrap().to_ascii();
        assert_eq!(at(25), "_25._tcp.mx.example.test.");
        assert_eq!(at(465), "_465._tcp.mx.example.test.");
        let long = ["a".repeat(62), "b".repeat(62), "c".repeat(62), "d".repeat(62)].join(".");
        assert_eq!(service(&name(&long), 25), None);
    }
}
