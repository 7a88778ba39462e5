//! One zone on the way down, as the zone above delegates it, and what a server's answer means for
//! the way. Pure: no sockets, no clock.
//!
//! Only what the server asked can know is believed: a referral leads strictly downwards and towards
//! the name asked about, and addresses count for names within the zone that was asked (RFC 5452
//! §6).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_resolver::proto::rr::Name;

use super::super::pointers::Pointers;
use crate::{
    facts::{Exchange, LookupStatus, Step},
    name::presentation,
};

/// A zone as far as it takes to go on from it.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    /// Its name.
    pub(super) zone: Name,
    /// Its servers, each name once.
    pub(super) servers: Vec<Delegate>,
    /// Whether a zone above delegates it here; the root is nobody's.
    pub(super) delegated: bool,
    /// How long that holds.
    pub(super) lifetime: Duration,
    /// The queries that led here.
    pub(super) walk: Vec<Step>,
}

/// One server as a delegation names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Delegate {
    /// Its name to be shown.
    pub(super) name: Arc<str>,
    /// The same to be looked up; none where only an address was configured.
    pub(super) host: Option<Name>,
    /// The addresses that came with the delegation and may be believed.
    pub(super) addresses: Vec<SocketAddr>,
}

/// What an answer means for the way.
#[derive(Debug)]
pub(super) enum Reply {
    /// It has authority over the name. The zone that the answer comes from, where it says so: one
    /// that the same server serves hides the delegation from its parent.
    Authority(Option<Name>),
    /// The name is an alias; of its zone nothing is said.
    Alias,
    /// Others have authority.
    Referral(Cut),
    /// It shows no authority over the zone that is delegated to it (RFC 9499, "lame delegation").
    Lame,
    /// It does not answer.
    Failed,
}

impl Cut {
    /// The root with these servers.
    pub(super) fn root(servers: Vec<Delegate>) -> Self {
        let (zone, walk) = (Name::root(), Vec::new());
        Self { zone, servers, delegated: false, lifetime: LONGEST, walk }
    }

    /// Reads what a server of this zone said about a name. Servers of zones below listen at `port`.
    pub(super) fn read(
        &self,
        asked: &Name,
        exchange: &Exchange,
        pointers: &Pointers,
        port: u16,
    ) -> Reply {
        let knows = exchange.authoritative && exchange.status.answered();
        let of_zone = |zone: &&Name| self.zone.zone_of(zone) && zone.zone_of(asked);
        if knows && !exchange.further.cname_chain.is_empty() && exchange.records.is_empty() {
            return Reply::Alias;
        }
        if knows && (pointers.soa.is_some() || pointers.referral.is_empty()) {
            return Reply::Authority(pointers.soa.as_ref().filter(of_zone).cloned());
        }
        // Records come from whoever has authority, a referral without any.
        let referral = (exchange.answers == 0).then(|| self.referral(asked, pointers, port));
        if let Some(cut) = referral.flatten() {
            return Reply::Referral(cut);
        }
        if knows {
            return Reply::Authority(None);
        }
        match exchange.status {
            status if status.answered() => Reply::Lame,
            LookupStatus::Refused => Reply::Lame,
            _ => Reply::Failed,
        }
    }

    /// The zone that authority records lead to; `None` where that is not further down.
    fn referral(&self, asked: &Name, pointers: &Pointers, port: u16) -> Option<Self> {
        let below =
            |zone: &Name| self.zone.zone_of(zone) && *zone != self.zone && zone.zone_of(asked);
        let (zone, _) = pointers.referral.iter().find(|(zone, _)| below(zone))?;
        let hosts = pointers.referral.iter().filter(|(of, _)| of == zone).map(|(_, host)| host);
        let servers = delegates(hosts, pointers, &self.zone, port);
        let lifetime = lifetime(pointers.ttl);
        Some(Self { zone: zone.clone(), servers, delegated: true, lifetime, walk: Vec::new() })
    }
}

/// The servers of these names, each once, with those addresses beside them that lie in a zone whose
/// server was asked.
pub(super) fn delegates<'a>(
    hosts: impl Iterator<Item = &'a Name>,
    pointers: &Pointers,
    bailiwick: &Name,
    port: u16,
) -> Vec<Delegate> {
    let mut servers: Vec<Delegate> = Vec::new();
    for host in hosts {
        let known = servers.iter().any(|server| server.host.as_ref() == Some(host));
        if known || servers.len() == MAX_SERVERS {
            continue;
        }
        let believed = pointers.addresses.iter().filter(|(of, _)| of == host);
        let believed = believed.filter(|(of, _)| bailiwick.zone_of(of));
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for (_, address) in believed.take(MAX_ADDRESSES) {
            let address = SocketAddr::new(*address, port);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let name = shown(host);
        servers.push(Delegate { name, host: Some(host.clone()), addresses });
    }
    servers
}

/// How long something with this TTL is kept: neither so short that one look at a domain asks twice,
/// nor so long that a change stays unseen.
pub(super) fn lifetime(ttl: Option<u32>) -> Duration {
    Duration::from_secs(ttl.unwrap_or_default().into()).clamp(SHORTEST, LONGEST)
}

/// A zone's or server's name as it is shown, `.` for the root.
pub(super) fn shown(name: &Name) -> Arc<str> {
    if name.is_root() { ".".into() } else { presentation(name).into() }
}

/// The name one label further up.
pub(super) fn parent(name: &Name) -> Name {
    let mut parent = name.base_name();
    parent.set_fqdn(true);
    parent
}

/// Servers of one zone: as many as the root has.
pub(super) const MAX_SERVERS: usize = 13;

/// Addresses of one server.
pub(super) const MAX_ADDRESSES: usize = 4;

const SHORTEST: Duration = Duration::from_secs(30);

const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::facts::{Record, Transport};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn cut(zone: &str) -> Cut {
        Cut { zone: name(zone), delegated: true, ..Cut::root(Vec::new()) }
    }

    fn exchange(status: LookupStatus, authoritative: bool) -> Exchange {
        let empty = Exchange::empty(([192, 0, 2, 1], 53).into(), Transport::Udp, status);
        Exchange { authoritative, ..empty }
    }

    fn referral(zone: &str, servers: &[&str], addresses: &[(&str, &str)]) -> Pointers {
        let address = |(of, ip): &(&str, &str)| (name(of), ip.parse::<IpAddr>().unwrap());
        Pointers {
            referral: servers.iter().map(|server| (name(zone), name(server))).collect(),
            addresses: addresses.iter().map(address).collect(),
            ttl: Some(300),
            ..Pointers::NONE
        }
    }

    fn read(zone: &str, exchange: &Exchange, pointers: &Pointers) -> Reply {
        cut(zone).read(&name("mx1.example.test."), exchange, pointers, 53)
    }

    #[test]
    fn a_referral_goes_down_and_towards_the_name_or_it_is_none() {
        let silent = exchange(LookupStatus::Refused, false);
        for (from, to, followed) in [
            (".", "test.", true),
            ("test.", "example.test.", true),
            (".", "example.test.", true),
            ("test.", "test.", false),
            ("example.test.", "test.", false),
            ("example.test.", ".", false),
            ("test.", "other.test.", false),
            ("example.test.", "a.mx1.example.test.", false),
        ] {
            let reply = read(from, &silent, &referral(to, &["ns.example.net."], &[]));
            assert_eq!(matches!(reply, Reply::Referral(_)), followed, "{from} to {to}: {reply:?}");
            assert_eq!(matches!(reply, Reply::Lame), !followed, "{from} to {to}: {reply:?}");
        }
    }

    #[test]
    fn glue_is_believed_within_the_zone_that_was_asked() {
        let addresses = [
            ("ns1.example.test.", "192.0.2.1"),
            ("ns1.example.test.", "192.0.2.1"),
            ("NS1.example.test.", "2001:db8::1"),
            ("ns.example.net.", "192.0.2.66"),
            ("ns.other.test.", "192.0.2.3"),
        ];
        let servers =
            ["ns1.example.test.", "ns.example.net.", "ns.other.test.", "ns1.example.test."];
        let pointers = referral("example.test.", &servers, &addresses);
        let silent = exchange(LookupStatus::Refused, false);
        let Reply::Referral(cut) = read("test.", &silent, &pointers) else { panic!() };
        let found: Vec<_> = cut.servers.iter().map(|s| (&*s.name, s.addresses.len())).collect();
        assert_eq!(found, [("ns1.example.test", 2), ("ns.example.net", 0), ("ns.other.test", 1)]);
    }

    #[test]
    fn a_zone_below_on_the_same_server_is_told_by_its_soa() {
        let nodata = exchange(LookupStatus::Nodata, true);
        for (soa, apex) in [
            (Some("example.test."), Some("example.test.")),
            (Some("test."), Some("test.")),
            (Some("."), None),
            (Some("other.test."), None),
            (None, None),
        ] {
            let pointers = Pointers { soa: soa.map(name), ..Pointers::NONE };
            let Reply::Authority(found) = read("test.", &nodata, &pointers) else { panic!() };
            assert_eq!(found, apex.map(name), "{soa:?}");
        }
    }

    #[test]
    fn who_shows_no_authority_is_lame_and_who_fails_is_not() {
        use LookupStatus::{Nodata, Noerror, Nxdomain, Refused, Servfail, Timeout};
        for (status, authoritative, lame) in [
            (Noerror, false, true),
            (Nodata, false, true),
            (Nxdomain, false, true),
            (Refused, false, true),
            (Servfail, false, false),
            (Timeout, false, false),
        ] {
            let reply = read("example.test.", &exchange(status, authoritative), &Pointers::NONE);
            assert_eq!(matches!(reply, Reply::Lame), lame, "{status:?}: {reply:?}");
            assert_eq!(matches!(reply, Reply::Failed), !lame, "{status:?}: {reply:?}");
        }
        let answer = Exchange { answers: 1, ..exchange(Noerror, false) };
        let below = referral("example.test.", &["ns.example.net."], &[]);
        assert!(matches!(read("test.", &answer, &below), Reply::Lame), "a resolver's answer");
    }

    #[test]
    fn an_alias_says_nothing_of_its_zone_and_one_that_is_followed_is_an_answer() {
        let mut alias = exchange(LookupStatus::Nodata, true);
        alias.further.get_mut().cname_chain = vec!["mx.example.net".to_owned()];
        assert!(matches!(read("test.", &alias, &Pointers::NONE), Reply::Alias));
        let records = [Record::Address("192.0.2.1".parse().unwrap())].into();
        let followed = Exchange { records, answers: 1, status: LookupStatus::Noerror, ..alias };
        assert!(matches!(read("test.", &followed, &Pointers::NONE), Reply::Authority(None)));
    }

    #[test]
    fn a_referral_with_the_aa_bit_is_still_one() {
        let nodata = exchange(LookupStatus::Nodata, true);
        let pointers = referral("example.test.", &["ns.example.net."], &[]);
        assert!(matches!(read("test.", &nodata, &pointers), Reply::Referral(_)));
    }
}
