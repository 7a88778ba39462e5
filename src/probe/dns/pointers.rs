//! What a response says of who knows more: SOA, NS and the addresses beside them. Pure.
//!
//! A stranger wrote it; whether to believe it is up to the reader, who knows whom it asked.

use std::net::IpAddr;

use hickory_resolver::proto::{
    op::Message,
    rr::{self, Name, RData},
};

/// The pointers of one response, as many as anybody needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Pointers {
    /// The owner of the SOA record in the answer, else in the authority section: the zone that the
    /// answer comes from (RFC 2308 §2).
    pub(super) soa: Option<Name>,
    /// NS records of the authority section: zone and server.
    pub(super) referral: Vec<(Name, Name)>,
    /// NS records of the answer: zone and server.
    pub(super) listed: Vec<(Name, Name)>,
    /// Addresses of the additional section.
    pub(super) addresses: Vec<(Name, IpAddr)>,
    /// The lowest TTL of the NS records.
    pub(super) ttl: Option<u32>,
}

impl Pointers {
    /// A response that says nothing of that.
    pub(super) const NONE: Self = Self {
        soa: None,
        referral: Vec::new(),
        listed: Vec::new(),
        addresses: Vec::new(),
        ttl: None,
    };

    /// Those of a message.
    pub(super) fn read(message: &Message) -> Self {
        let (answers, authorities) = (&message.answers, &message.authorities);
        let soa = answers.iter().chain(authorities).find_map(|record| match &record.data {
            RData::SOA(_) => Some(absolute(&record.name)),
            _ => None,
        });
        let ns = answers.iter().chain(authorities).filter(|r| matches!(r.data, RData::NS(_)));
        let ttl = ns.map(|record| record.ttl).min();
        let address = |record: &rr::Record| match &record.data {
            RData::A(address) => Some((absolute(&record.name), address.0.into())),
            RData::AAAA(address) => Some((absolute(&record.name), address.0.into())),
            _ => None,
        };
        let addresses = message.additionals.iter().filter_map(address).take(MAX_ADDRESSES);
        Self {
            soa,
            referral: servers(authorities),
            listed: servers(answers),
            addresses: addresses.collect(),
            ttl,
        }
    }
}

fn servers(records: &[rr::Record]) -> Vec<(Name, Name)> {
    let server = |record: &rr::Record| match &record.data {
        RData::NS(host) => Some((absolute(&record.name), absolute(&host.0))),
        _ => None,
    };
    records.iter().filter_map(server).take(MAX_SERVERS).collect()
}

/// Names compare as equal only where both are absolute.
fn absolute(name: &Name) -> Name {
    let mut name = name.clone();
    name.set_fqdn(true);
    name
}

/// The root has thirteen; nobody needs more.
const MAX_SERVERS: usize = 26;

/// An IPv4 and an IPv6 address or two of each.
const MAX_ADDRESSES: usize = 104;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::proto::rr::rdata::NS;

    use super::*;

    #[test]
    fn a_strangers_referral_is_bounded() {
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let mut message = Message::query().into_response();
        for n in 0..1000_u32 {
            let host = name(&format!("ns{n}.example.test."));
            let ns = RData::NS(NS(host.clone()));
            message.add_authority(rr::Record::from_rdata(name("example.test."), 60 + n, ns));
            let address = RData::A(Ipv4Addr::from(n).into());
            message.add_additional(rr::Record::from_rdata(host, 60, address));
        }
        let pointers = Pointers::read(&message);
        let sizes = (pointers.referral.len(), pointers.listed.len(), pointers.addresses.len());
        assert_eq!(sizes, (MAX_SERVERS, 0, MAX_ADDRESSES));
        assert_eq!((pointers.ttl, pointers.soa), (Some(60), None));
    }
}
