//! Where mail for a domain goes: its MX lookup and what RFC 5321 §5.1 makes of the answer.
//!
//! Addresses of the exchangers are not looked up here.

use tokio::time::Instant;

use super::dns::Resolvers;
use crate::{
    facts::{Lookup, LookupStatus, MxLookup, MxTarget, Record, RecordType, Route},
    name::Domain,
};

/// Asks every resolver for the MX of a domain.
pub async fn look_up(
    domain: &Domain,
    resolvers: &Resolvers,
    deadline: Option<Instant>,
) -> Vec<MxLookup> {
    let lookups = resolvers.lookup(&domain.query_name(), RecordType::Mx, deadline).await;
    lookups.into_iter().map(|lookup| MxLookup { route: route(domain, &lookup), lookup }).collect()
}

/// Reads a route from an MX lookup.
pub fn route(domain: &Domain, lookup: &Lookup) -> Route {
    let records = lookup.deciding().map_or(&[][..], |exchange| &exchange.records);
    match lookup.status() {
        LookupStatus::Noerror => from_records(records),
        // RFC 5321 §5.1: "If an empty list of MXs is returned, the address is treated as if it was
        // associated with an implicit MX RR, with a preference of 0".
        LookupStatus::Nodata => Route::Implicit { exchanger: domain.implicit_exchanger() },
        LookupStatus::Nxdomain => Route::NoDomain,
        LookupStatus::Bogus
        | LookupStatus::Formerr
        | LookupStatus::Malformed
        | LookupStatus::NetworkError
        | LookupStatus::Notimp
        | LookupStatus::Refused
        | LookupStatus::Servfail
        | LookupStatus::Timeout => Route::Unknown,
    }
}

fn from_records(records: &[Record]) -> Route {
    let mut targets = Vec::with_capacity(records.len());
    let mut null = false;
    for record in records {
        match record {
            Record::Mx { preference, exchanger: Some(exchanger) } => {
                targets.push(MxTarget { preference: *preference, exchanger: exchanger.clone() });
            }
            Record::Mx { exchanger: None, .. } => null = true,
            _ => {}
        }
    }
    if targets.is_empty() {
        return Route::Null;
    }
    targets.sort();
    let listed = targets.len();
    // A host listed twice keeps its best preference, which the sort put first.
    let mut seen = std::collections::BTreeSet::new();
    targets.retain(|target| seen.insert(target.exchanger.clone()));
    targets.shrink_to_fit();
    Route::Mx { duplicate: targets.len() < listed, targets, null_mixed: null }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use super::*;
    use crate::{
        facts::{Exchange, Transport},
        name::ExchangerName,
    };

    fn lookup(status: LookupStatus, records: Vec<Record>) -> Lookup {
        let server = SocketAddr::from(([192, 0, 2, 53], 53));
        let exchange = Exchange::empty(server, Transport::Udp, status).with_records(records);
        let (resolver, name) = (Arc::from("test"), Arc::from("example.test"));
        Lookup::new(resolver, RecordType::Mx, name, vec![exchange])
    }

    fn mx(preference: u16, target: &str) -> Record {
        let exchanger = (target != ".").then(|| ExchangerName::parse(target).unwrap());
        Record::Mx { preference, exchanger }
    }

    fn route_of(status: LookupStatus, records: Vec<Record>) -> Route {
        route(&Domain::parse("example.test").unwrap(), &lookup(status, records))
    }

    fn shown(route: &Route) -> Vec<String> {
        let targets = route.targets();
        targets.iter().map(|t| format!("{} {}", t.preference, t.exchanger)).collect()
    }

    #[test]
    fn no_mx_makes_the_domain_its_own_exchanger() {
        let route = route_of(LookupStatus::Nodata, vec![]);
        assert_eq!(shown(&route), ["0 example.test"]);
        assert!(matches!(route, Route::Implicit { .. }), "{route:?}");
    }

    #[test]
    fn a_domain_that_does_not_exist_has_no_route_and_no_implicit_mx() {
        assert_eq!(route_of(LookupStatus::Nxdomain, vec![]), Route::NoDomain);
    }

    #[test]
    fn a_failed_lookup_says_nothing_about_the_route() {
        for status in [
            LookupStatus::Formerr,
            LookupStatus::Malformed,
            LookupStatus::NetworkError,
            LookupStatus::Notimp,
            LookupStatus::Refused,
            LookupStatus::Servfail,
            LookupStatus::Timeout,
        ] {
            assert_eq!(route_of(status, vec![]), Route::Unknown, "{status:?}");
        }
    }

    #[test]
    fn a_sole_root_is_a_null_mx_and_beside_others_it_is_left_out() {
        let null = route_of(LookupStatus::Noerror, vec![mx(0, ".")]);
        assert_eq!(null, Route::Null);
        let mixed = route_of(LookupStatus::Noerror, vec![mx(0, "."), mx(10, "mx1.example.test")]);
        assert_eq!(shown(&mixed), ["10 mx1.example.test"]);
        assert!(matches!(mixed, Route::Mx { null_mixed: true, .. }), "{mixed:?}");
    }

    #[test]
    fn targets_come_by_preference_then_name_each_once() {
        let records = vec![
            mx(20, "b.example.test"),
            mx(10, "c.example.test"),
            mx(20, "a.example.test"),
            mx(30, "c.example.test"),
            mx(40, "192.0.2.1.example.test"),
        ];
        let route = route_of(LookupStatus::Noerror, records);
        let want = ["10 c.example.test", "20 a.example.test", "20 b.example.test"];
        assert_eq!(shown(&route)[..3], want);
        assert!(matches!(route, Route::Mx { duplicate: true, .. }), "{route:?}");
    }
}
