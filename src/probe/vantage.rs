//! How this host looks to receivers: which address its sessions leave from, and whether DNS leads
//! from the HELO name to that address and back.
//!
//! No receiver is asked. What is looked up goes through one resolver, the primary, whose view of
//! the own names stands for that of the world.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use futures_util::future::join_all;
use hickory_resolver::proto::rr::Name;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{dns::View, public::is_public, routing::any_source};
use crate::{
    config::Config,
    facts::{Family, FamilyVantage, Lookup, RecordType, Vantage, Way},
    name::ExchangerName,
};

/// What is known before anybody is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    helo_name: Arc<str>,
    /// The configured source in each family: index by `Family as usize`.
    source: [Option<IpAddr>; 2],
    /// The address that receivers see, where the configuration says it.
    public: [Option<IpAddr>; 2],
}

impl Plan {
    /// That of a configuration.
    pub fn new(config: &Config) -> Self {
        let probe = &config.probe;
        Self {
            helo_name: Arc::clone(&config.helo_name),
            source: [probe.source_ipv4.map(IpAddr::V4), probe.source_ipv6.map(IpAddr::V6)],
            public: [probe.public_ipv4.map(IpAddr::V4), probe.public_ipv6.map(IpAddr::V6)],
        }
    }
}

/// Looks at both families at the same moment. Lookups are given up at `deadline`.
pub async fn look(plan: &Plan, view: &View, deadline: Option<Instant>) -> Vantage {
    let look = |family| look_at(plan, family, view, deadline);
    let (ipv4, ipv6) = tokio::join!(look(Family::Ipv4), look(Family::Ipv6));
    let (helo_name, observed_at) = (Arc::clone(&plan.helo_name), Timestamp::now());
    Vantage { helo_name, observed_at, families: [ipv4, ipv6] }
}

async fn look_at(
    plan: &Plan,
    family: Family,
    view: &View,
    deadline: Option<Instant>,
) -> FamilyVantage {
    let (configured, public) = (plan.source[family as usize], plan.public[family as usize]);
    let (way, picked) = way_out(family, configured);
    let source = configured.or(picked);
    let seen_as = public.or_else(|| source.filter(|ip| is_public(*ip)));
    let known = FamilyVantage {
        way,
        source,
        configured: configured.is_some(),
        seen_as,
        ..FamilyVantage::unknown(family)
    };
    let Some(address) = seen_as else { return known };
    let helo = Helo::read(&plan.helo_name);
    let forward = async {
        let Some(Helo::Name(name)) = &helo else { return None };
        Some(view.lookup(&name.query_name(), family.record_type(), deadline).await)
    };
    let reverse_name = Name::from(address).into();
    let reverse = view.lookup(&reverse_name, RecordType::Ptr, deadline);
    let (forward, reverse) = tokio::join!(forward, reverse);
    let to_names = reverse.names().take(MAX_NAMES).map(ExchangerName::query_name);
    let back = to_names.map(async |name| view.lookup(&name, family.record_type(), deadline).await);
    let back = join_all(back).await;
    FamilyVantage {
        forward: match &helo {
            Some(Helo::Literal(literal)) => Some(*literal == address),
            _ => forward.as_ref().and_then(|lookup| holds(lookup, address)),
        },
        reverse: match &helo {
            Some(Helo::Name(name)) => leads_to(&reverse, name.as_str()),
            _ => None,
        },
        confirmed: confirmed(&reverse, &back, address),
        lookups: forward.into_iter().chain([reverse]).chain(back).collect(),
        ..known
    }
}

/// Whether this host knows a way from that source, or any, to the Internet, and the source it
/// would take: connecting a UDP socket sends nothing.
fn way_out(family: Family, source: Option<IpAddr>) -> (Way, Option<IpAddr>) {
    let far = match family {
        Family::Ipv4 => SocketAddr::from((FAR_IPV4, 53)),
        Family::Ipv6 => SocketAddr::from((FAR_IPV6, 53)),
    };
    let from = source.map_or_else(|| any_source(far), |source| (source, 0).into());
    let socket = match UdpSocket::bind(from) {
        Ok(socket) => socket,
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable && source.is_some() => {
            return (Way::NotOurs, None);
        }
        Err(_) => return (Way::NoRoute, None),
    };
    let connected = socket.connect(far).and_then(|()| socket.local_addr());
    connected.map_or((Way::NoRoute, None), |own| (Way::Open, Some(own.ip())))
}

/// The source of sessions that nothing else is said about.
pub fn own_address() -> Option<IpAddr> {
    Family::ALL.into_iter().find_map(|family| way_out(family, None).1)
}

/// a.root-servers.net (root hints of IANA): as far away as any address, and meant to be reached by
/// everybody, which a prefix for documentation is not.
const FAR_IPV4: Ipv4Addr = Ipv4Addr::new(198, 41, 0, 4);
/// The same in IPv6.
const FAR_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30);

/// What is given at EHLO (RFC 5321 §4.1.1.1).
enum Helo {
    Literal(IpAddr),
    Name(ExchangerName),
}

impl Helo {
    /// `None` for what no configuration lets through.
    fn read(text: &str) -> Option<Self> {
        let Some(literal) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
            return ExchangerName::parse(text).ok().map(Self::Name);
        };
        literal.strip_prefix("IPv6:").unwrap_or(literal).parse().ok().map(Self::Literal)
    }
}

/// Whether an address is among those of an answer; `None` without one.
fn holds(forward: &Lookup, address: IpAddr) -> Option<bool> {
    let answered = forward.status().answered();
    answered.then(|| forward.addresses().any(|found| found == address))
}

/// Whether a name is among those of an answer; `None` without one.
fn leads_to(reverse: &Lookup, name: &str) -> Option<bool> {
    let answered = reverse.status().answered();
    answered.then(|| reverse.names().any(|found| found.as_str() == name))
}

/// Whether some name that the address leads to has that address: known to be false only where all
/// of them were looked up and answered.
fn confirmed(reverse: &Lookup, back: &[Lookup], address: IpAddr) -> Option<bool> {
    let reached: Vec<_> = back.iter().map(|lookup| holds(lookup, address)).collect();
    if reached.contains(&Some(true)) {
        return Some(true);
    }
    let all = reverse.names().count() == back.len() && !reached.contains(&None);
    let answered = reverse.status().answered();
    (answered && all).then_some(false)
}

/// Names of one address that are followed, as receivers do it (RFC 7208 §4.6.4).
const MAX_NAMES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Exchange, LookupStatus, Record, Transport};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn lookup(rtype: RecordType, status: LookupStatus, records: Vec<Record>) -> Lookup {
        let server = SocketAddr::from(([192, 0, 2, 53], 53));
        let exchange = Exchange::empty(server, Transport::Udp, status).with_records(records);
        Lookup::new("test".into(), rtype, "example.test".into(), vec![exchange])
    }

    fn forward(status: LookupStatus, addresses: &[&str]) -> Lookup {
        let records = addresses.iter().map(|text| Record::Address(ip(text))).collect();
        lookup(RecordType::A, status, records)
    }

    fn reverse(status: LookupStatus, names: &[&str]) -> Lookup {
        let name = |text: &&str| Record::Name(ExchangerName::parse(text).unwrap());
        lookup(RecordType::Ptr, status, names.iter().map(name).collect())
    }

    #[test]
    fn only_an_answer_tells_that_a_name_or_address_is_another() {
        use LookupStatus::{Nodata, Noerror, Nxdomain, Servfail, Timeout};
        let own = ip("192.0.2.10");
        assert_eq!(holds(&forward(Noerror, &["192.0.2.9", "192.0.2.10"]), own), Some(true));
        assert_eq!(leads_to(&reverse(Noerror, &["a.test", "b.test"]), "b.test"), Some(true));
        for (status, want) in
            [(Noerror, Some(false)), (Nodata, Some(false)), (Nxdomain, Some(false))]
        {
            assert_eq!(holds(&forward(status, &[]), own), want, "{status:?}");
            assert_eq!(leads_to(&reverse(status, &[]), "a.test"), want, "{status:?}");
        }
        for status in [Servfail, Timeout] {
            assert_eq!(holds(&forward(status, &[]), own), None, "{status:?}");
            assert_eq!(leads_to(&reverse(status, &[]), "a.test"), None, "{status:?}");
        }
    }

    #[test]
    fn one_name_that_leads_back_confirms_and_only_all_deny() {
        use LookupStatus::{Noerror, Nxdomain, Servfail};
        let own = ip("192.0.2.10");
        let (right, wrong) = (forward(Noerror, &["192.0.2.10"]), forward(Noerror, &["192.0.2.9"]));
        let lost = forward(Servfail, &[]);
        let two = reverse(Noerror, &["a.test", "b.test"]);
        for (back, want) in [
            ([wrong.clone(), right.clone()], Some(true)),
            ([lost.clone(), right], Some(true)),
            ([wrong.clone(), wrong.clone()], Some(false)),
            ([wrong.clone(), lost], None),
        ] {
            assert_eq!(confirmed(&two, &back, own), want);
        }
        assert_eq!(confirmed(&two, &[wrong], own), None, "one of them was not followed");
        assert_eq!(confirmed(&reverse(Nxdomain, &[]), &[], own), Some(false));
        assert_eq!(confirmed(&reverse(Servfail, &[]), &[], own), None);
    }

    #[test]
    fn a_literal_is_an_address_and_not_looked_up() {
        for (text, want) in [("[192.0.2.1]", "192.0.2.1"), ("[IPv6:2001:db8::1]", "2001:db8::1")] {
            assert!(matches!(Helo::read(text), Some(Helo::Literal(found)) if found == ip(want)));
        }
        assert!(matches!(Helo::read("mail.example.org"), Some(Helo::Name(_))));
    }

    #[test]
    fn a_source_that_is_not_ours_is_told_from_a_missing_route() {
        let foreign = Some(ip("192.0.2.254"));
        assert_eq!(way_out(Family::Ipv4, foreign), (Way::NotOurs, None));
    }
}
