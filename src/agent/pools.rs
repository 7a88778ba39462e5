//! The addresses that each resolver gave lately: what tells a name server that rotates its answers
//! from resolvers that disagree.
//!
//! Kept from round to round of one exchanger, and only where there are resolvers to be compared.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::facts::{Lookup, RecordType};

/// Of one exchanger, by resolver and type: each address with when it was last given.
/// Boxed because where there is one resolver only there is nothing in it.
#[derive(Clone, Debug, Default)]
pub struct Pools(Option<Box<ByResolver>>);

type ByResolver = HashMap<(Arc<str>, RecordType), Pool>;

type Pool = Vec<(IpAddr, Instant)>;

impl Pools {
    /// Takes the answers of a round and notes beside each what the same resolver gave before.
    pub fn learn(&mut self, lookups: &mut [Lookup], now: Instant) {
        let several = lookups.iter().any(|lookup| lookup.resolver != lookups[0].resolver);
        if !several {
            self.0 = None;
            return;
        }
        let pools = self.0.get_or_insert_default();
        pools.retain(|(resolver, _), pool| {
            pool.retain(|(_, at)| now.saturating_duration_since(*at) < KEPT);
            !pool.is_empty() && lookups.iter().any(|lookup| lookup.resolver == *resolver)
        });
        for lookup in lookups {
            let given: Vec<IpAddr> = lookup.addresses().collect();
            let pool = pools.entry((Arc::clone(&lookup.resolver), lookup.rtype)).or_default();
            pool.retain(|(address, _)| !given.contains(address));
            if !pool.is_empty() {
                let earlier = pool.iter().map(|(address, _)| *address);
                lookup.earlier.get_mut().addresses = earlier.collect();
            }
            // The newest stand last, so the oldest make room.
            pool.extend(given.into_iter().map(|address| (address, now)));
            pool.drain(..pool.len().saturating_sub(MOST));
        }
    }
}

/// An address that was not given for so long is no part of what the name server rotates.
const KEPT: Duration = Duration::from_secs(3600);

/// Addresses kept of one resolver and type.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Exchange, LookupStatus, Record, Transport};

    fn lookup(resolver: &str, list: &[[u8; 4]]) -> Lookup {
        let server = ([192, 0, 2, 53], 53).into();
        let records = list.iter().map(|address| Record::Address((*address).into())).collect();
        let empty = Exchange::empty(server, Transport::Udp, LookupStatus::Noerror);
        let exchange = Exchange { records, ..empty };
        Lookup::new(resolver.into(), RecordType::A, "mx.example.com".into(), vec![exchange])
    }

    /// What is noted beside the first of these answers.
    fn earlier(pools: &mut Pools, now: Instant, answers: &[(&str, &[[u8; 4]])]) -> Vec<IpAddr> {
        let mut lookups: Vec<_> = answers.iter().map(|(name, list)| lookup(name, list)).collect();
        pools.learn(&mut lookups, now);
        lookups.swap_remove(0).earlier.addresses.clone()
    }

    const ONE: [u8; 4] = [192, 0, 2, 1];
    const TWO: [u8; 4] = [192, 0, 2, 2];

    #[test]
    fn what_a_resolver_gave_before_is_known_for_an_hour() {
        let (mut pools, begin) = (Pools::default(), Instant::now());
        let other = ("public", &[TWO][..]);
        assert_eq!(earlier(&mut pools, begin, &[("lan", &[ONE]), other]), [] as [IpAddr; 0]);
        let soon = begin + Duration::from_secs(60);
        assert_eq!(earlier(&mut pools, soon, &[("lan", &[TWO]), other]), [IpAddr::from(ONE)]);
        let almost = begin + KEPT - Duration::from_secs(1);
        assert_eq!(earlier(&mut pools, almost, &[("lan", &[TWO]), other]), [IpAddr::from(ONE)]);
        let after = begin + KEPT;
        assert_eq!(earlier(&mut pools, after, &[("lan", &[TWO]), other]), [] as [IpAddr; 0]);
    }

    #[test]
    fn a_resolver_alone_has_no_pool() {
        let (mut pools, now) = (Pools::default(), Instant::now());
        for list in [[ONE], [TWO]] {
            assert_eq!(earlier(&mut pools, now, &[("lan", &list)]), [] as [IpAddr; 0]);
        }
        assert!(pools.0.is_none());
        earlier(&mut pools, now, &[("lan", &[ONE]), ("public", &[ONE])]);
        earlier(&mut pools, now, &[("lan", &[ONE]), ("other", &[ONE])]);
        assert!(
            !pools.0.unwrap().keys().any(|(resolver, _)| &**resolver == "public"),
            "it is gone"
        );
    }

    #[test]
    fn a_pool_has_an_end() {
        let (mut pools, now) = (Pools::default(), Instant::now());
        for last in 0..=200 {
            earlier(&mut pools, now, &[("lan", &[[198, 51, 100, last]]), ("public", &[ONE])]);
        }
        let known = earlier(&mut pools, now, &[("lan", &[ONE]), ("public", &[ONE])]);
        assert_eq!(known.len(), MOST);
        assert_eq!(known.last(), Some(&IpAddr::from([198, 51, 100, 200])));
    }
}
