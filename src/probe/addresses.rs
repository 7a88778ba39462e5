//! The addresses of an exchanger: A and AAAA asked separately, never merged.

use std::net::IpAddr;

use tokio::time::Instant;

use super::dns::Resolvers;
use crate::{
    facts::{Addresses, Family, Lookup, RecordType},
    name::Host,
};

/// Asks every resolver for A and AAAA at the same moment; a fixed address needs no lookup.
/// Per resolver, A comes before AAAA; resolvers in their order.
pub async fn look_up(host: &Host, resolvers: &Resolvers, deadline: Option<Instant>) -> Vec<Lookup> {
    let Host::Name(name) = host else { return Vec::new() };
    let name = name.query_name();
    let (a, aaaa) = tokio::join!(
        resolvers.lookup(&name, RecordType::A, deadline),
        resolvers.lookup(&name, RecordType::Aaaa, deadline),
    );
    a.into_iter().zip(aaaa).flat_map(|(a, aaaa)| [a, aaaa]).collect()
}

/// Every distinct address, in ascending order: name servers rotate their answers, and what is
/// probed must not change with them. Of a family that no resolver answers about, those `known`
/// before: a server does not vanish because DNS fails.
pub fn distinct(host: &Host, lookups: &[Lookup], known: &[IpAddr]) -> Addresses {
    if let Host::Address(address) = host {
        return Addresses::from([*address]);
    }
    let mut found: Addresses = lookups.iter().flat_map(Lookup::addresses).collect();
    // Some senders connect to an MX target that spells an address, so it is worth a look.
    if let Host::Name(name) = host {
        found.extend(name.bare_address());
    }
    for family in Family::ALL {
        if !answers(lookups, family) {
            found.extend(known.iter().copied().filter(|&address| Family::of(address) == family));
        }
    }
    found.sort_unstable();
    found.dedup();
    found.shrink_to_fit();
    found
}

/// Whether any resolver answered about a family, if only that there is nothing.
pub fn answers(lookups: &[Lookup], family: Family) -> bool {
    let mut asked = lookups.iter().filter(|lookup| lookup.rtype == family.record_type());
    asked.any(|lookup| lookup.status().answered())
}

/// The addresses to connect to: the first `per_family` of each wanted family.
pub fn to_probe(addresses: &[IpAddr], families: &[Family], per_family: usize) -> Vec<IpAddr> {
    families
        .iter()
        .flat_map(|&family| {
            let own = addresses.iter().copied().filter(move |&a| Family::of(a) == family);
            own.take(per_family)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use super::*;
    use crate::{
        facts::{Exchange, LookupStatus, Record, Transport},
        name::ExchangerName,
    };

    fn lookup(family: Family, status: LookupStatus, addresses: &[IpAddr]) -> Lookup {
        let server = SocketAddr::from(([192, 0, 2, 53], 53));
        let records = addresses.iter().copied().map(Record::Address);
        let exchange = Exchange::empty(server, Transport::Udp, status).with_records(records);
        let (resolver, name) = (Arc::from("test"), Arc::from("mx1.example.test"));
        Lookup::new(resolver, family.record_type(), name, vec![exchange])
    }

    #[test]
    fn an_address_stays_known_while_its_lookup_fails_and_goes_with_an_answer() {
        let host = Host::Name(ExchangerName::parse("mx1.example.test").unwrap());
        let (old, new): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let v6 = "2001:db8::1".parse().unwrap();
        let known = [old, v6];
        for (status, found, want) in [
            (LookupStatus::Noerror, &[new][..], vec![new]),
            (LookupStatus::Nodata, &[], vec![]),
            (LookupStatus::Nxdomain, &[], vec![]),
            (LookupStatus::Servfail, &[], vec![old]),
            (LookupStatus::Timeout, &[], vec![old]),
        ] {
            let answers = [
                lookup(Family::Ipv4, status, found),
                lookup(Family::Ipv6, LookupStatus::Nodata, &[]),
            ];
            assert_eq!(distinct(&host, &answers, &known)[..], want, "{status:?}");
        }
    }

    #[test]
    fn the_limit_holds_per_family() {
        let addresses: Vec<IpAddr> =
            ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"]
                .iter()
                .map(|a| a.parse().unwrap())
                .collect();
        let chosen = to_probe(&addresses, &Family::ALL, 2);
        assert_eq!(chosen, [addresses[0], addresses[1], addresses[3], addresses[4]]);
        assert_eq!(to_probe(&addresses, &[Family::Ipv6], 9), addresses[3..]);
    }
}
