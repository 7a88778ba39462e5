//! The addresses of an exchanger: A and AAAA asked separately, never merged.

use std::{collections::BTreeSet, net::IpAddr};

use tokio::time::Instant;

use super::dns::Resolvers;
use crate::{
    facts::{Family, Lookup, RecordType},
    name::Host,
};

/// Asks every resolver for A and AAAA at the same moment; a fixed address needs no lookup.
/// Per resolver, A comes before AAAA; resolvers in their order.
pub async fn look_up(host: &Host, resolvers: &Resolvers, until: Instant) -> Vec<Lookup> {
    let Host::Name(name) = host else { return Vec::new() };
    let name = name.to_dns();
    let (a, aaaa) = tokio::join!(
        resolvers.lookup(&name, RecordType::A, until),
        resolvers.lookup(&name, RecordType::Aaaa, until),
    );
    a.into_iter().zip(aaaa).flat_map(|(a, aaaa)| [a, aaaa]).collect()
}

/// Every distinct address, in ascending order: name servers rotate their answers, and what is
/// probed must not change with them.
pub fn distinct(host: &Host, lookups: &[Lookup]) -> Vec<IpAddr> {
    match host {
        Host::Address(address) => vec![*address],
        Host::Name(_) => {
            let found: BTreeSet<IpAddr> = lookups.iter().flat_map(Lookup::addresses).collect();
            found.into_iter().collect()
        }
    }
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
    use super::*;

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
