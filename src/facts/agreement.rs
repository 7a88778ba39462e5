//! Whether resolvers say the same about a name.
//!
//! Answers are sets: their order is the resolver's choice (RFC 1794). A name server may also give
//! another part of a pool to everybody who asks, and each cache keeps its part for a while. So
//! different addresses are no disagreement where one of the two has been seen to change its answer
//! and what both gave lately overlaps. Failures are no answers that could agree with others; two of
//! the same kind do.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Lookup, Record};
use crate::name::ExchangerName;

/// Whether lookups of one name and type through different resolvers agree, each two of them; `None`
/// with fewer than two that were made. Who is known to be out of order is left out by the caller.
pub fn agree<'a>(lookups: impl IntoIterator<Item = &'a Lookup>) -> Option<bool> {
    let asked = |lookup: &&Lookup| !lookup.exchanges.is_empty();
    let lookups: Vec<&Lookup> = lookups.into_iter().filter(asked).collect();
    let (first, rest) = lookups.split_first().filter(|(_, rest)| !rest.is_empty())?;
    // Most often all say the same, record for record, and that is soon told.
    let alike =
        |other: &&Lookup| first.status() == other.status() && records(first) == records(other);
    if rest.iter().all(alike) {
        return Some(true);
    }
    let said: Vec<Said<'_>> = lookups.into_iter().map(Said::of).collect();
    let mut places = said.iter().enumerate();
    Some(places.all(|(place, one)| said[place + 1..].iter().all(|other| one.agrees(other))))
}

fn records(lookup: &Lookup) -> &[Record] {
    lookup.deciding().map_or(&[], |exchange| &exchange.records)
}

/// What one resolver said.
struct Said<'a> {
    lookup: &'a Lookup,
    addresses: BTreeSet<IpAddr>,
    others: BTreeSet<(u16, Option<&'a ExchangerName>)>,
}

impl<'a> Said<'a> {
    fn of(lookup: &'a Lookup) -> Self {
        let other = |record: &'a Record| match record {
            Record::Mx { preference, exchanger } => Some((*preference, exchanger.as_ref())),
            Record::Name(host) => Some((0, Some(host))),
            // A serial tells how new an answer is, not what it says.
            Record::Address(_) | Record::Serial(_) | Record::Text(_) | Record::Tlsa(_) => None,
        };
        let others = records(lookup).iter().filter_map(other).collect();
        Self { lookup, addresses: lookup.addresses().collect(), others }
    }

    fn agrees(&self, other: &Self) -> bool {
        let same_kind =
            self.lookup.status() == other.lookup.status() && self.others == other.others;
        let rotates = |said: &Self| !said.lookup.earlier.addresses.is_empty();
        same_kind
            && (self.addresses == other.addresses
                || (rotates(self) || rotates(other)) && !self.pool().is_disjoint(&other.pool()))
    }

    /// All it gave lately.
    fn pool(&self) -> BTreeSet<IpAddr> {
        let earlier = self.lookup.earlier.addresses.iter();
        self.addresses.iter().chain(earlier).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Earlier, Exchange, LookupStatus, RecordType, Transport};

    fn parsed(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn made(status: LookupStatus, records: Vec<Record>) -> Lookup {
        let server = ([192, 0, 2, 53], 53).into();
        let records = records.into();
        let exchange = Exchange { records, ..Exchange::empty(server, Transport::Udp, status) };
        Lookup::new("any".into(), RecordType::A, "mx.example.com".into(), vec![exchange])
    }

    fn gave(now: &[&str], earlier: &[&str]) -> Lookup {
        let records = parsed(now).into_iter().map(Record::Address).collect();
        let earlier = Earlier { addresses: parsed(earlier), ..Earlier::default() }.into();
        Lookup { earlier, ..made(LookupStatus::Noerror, records) }
    }

    #[test]
    fn different_addresses_agree_when_one_rotates_and_the_pools_overlap() {
        for (one, other, agreed) in [
            (gave(&["192.0.2.1", "192.0.2.2"], &[]), gave(&["192.0.2.2", "192.0.2.1"], &[]), true),
            (gave(&["192.0.2.1"], &[]), gave(&["192.0.2.2"], &[]), false),
            // One gave both, one after the other.
            (gave(&["192.0.2.1"], &["192.0.2.2"]), gave(&["192.0.2.2"], &[]), true),
            (gave(&["192.0.2.1"], &["192.0.2.3"]), gave(&["192.0.2.2"], &["192.0.2.3"]), true),
            (gave(&["192.0.2.1"], &["192.0.2.3"]), gave(&["192.0.2.2"], &["192.0.2.4"]), false),
            // They have one in common, and nobody has seen any of them change.
            (gave(&["192.0.2.1", "192.0.2.2"], &[]), gave(&["192.0.2.1"], &[]), false),
        ] {
            assert_eq!(agree([&one, &other]), Some(agreed), "{one:?} {other:?}");
            assert_eq!(agree([&other, &one]), Some(agreed), "{other:?} {one:?}");
        }
    }

    #[test]
    fn each_two_must_agree() {
        let (one, other) = (gave(&["192.0.2.1"], &["192.0.2.9"]), gave(&["192.0.2.9"], &[]));
        let third = gave(&["192.0.2.1"], &[]);
        assert_eq!(agree([&one, &other]), Some(true));
        assert_eq!(agree([&one, &third]), Some(true));
        assert_eq!(agree([&one, &other, &third]), Some(false));
        assert_eq!(agree([&one, &one, &one]), Some(true));
    }

    #[test]
    fn statuses_must_be_the_same() {
        let of = |status| made(status, Vec::new());
        let (nodata, nxdomain) = (of(LookupStatus::Nodata), of(LookupStatus::Nxdomain));
        let (servfail, timeout) = (of(LookupStatus::Servfail), of(LookupStatus::Timeout));
        assert_eq!(agree([&nodata, &nxdomain]), Some(false));
        assert_eq!(agree([&servfail, &timeout]), Some(false));
        assert_eq!(agree([&servfail, &servfail]), Some(true));
        assert_eq!(agree([&gave(&["192.0.2.1"], &["192.0.2.2"]), &servfail]), Some(false));
    }

    #[test]
    fn mx_sets_are_equal_with_their_preferences_in_any_order() {
        let mx = |preference, name: &str| Record::Mx {
            preference,
            exchanger: Some(ExchangerName::parse(name).unwrap()),
        };
        let set = |records| made(LookupStatus::Noerror, records);
        let one = set(vec![mx(10, "a.example.com"), mx(20, "b.example.com")]);
        let turned = set(vec![mx(20, "b.example.com"), mx(10, "a.example.com")]);
        let swapped = set(vec![mx(20, "a.example.com"), mx(10, "b.example.com")]);
        let null = set(vec![Record::Mx { preference: 0, exchanger: None }]);
        assert_eq!(agree([&one, &turned]), Some(true));
        assert_eq!(agree([&one, &swapped]), Some(false));
        assert_eq!(agree([&one, &null]), Some(false));
    }

    #[test]
    fn it_takes_two_that_were_asked() {
        let unasked = Lookup { exchanges: [].into(), ..gave(&[], &[]) };
        let one = gave(&["192.0.2.1"], &[]);
        assert_eq!(agree([]), None);
        assert_eq!(agree([&one]), None);
        assert_eq!(agree([&one, &unasked]), None);
        assert_eq!(agree([&one, &one, &unasked]), Some(true));
    }
}
