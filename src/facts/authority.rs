//! The servers that have authority over a zone, and the way from the root that leads to them.
//!
//! What each of them answered to a question about mail stands in the exchanges of a
//! [`Lookup`](super::Lookup); what is wrong with them is told by `zone_findings`.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Exchange, Record, RecordType, last_tries};

/// A zone with its name servers, as they were at one moment.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Zone {
    /// Its name without final dot, `.` for the root.
    pub name: Arc<str>,
    /// When its servers were looked for.
    pub asked_at: Timestamp,
    /// The queries on the way from the root, in the order made. Steps that were made a while ago
    /// for another name are told again.
    pub walk: Vec<Step>,
    /// Those that the delegation or the zone itself names, in the order of their names.
    pub servers: Vec<NameServer>,
}

/// One query on the way down.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Step {
    /// The zone whose server was asked.
    pub zone: Arc<str>,
    /// The name it was asked about.
    pub name: Arc<str>,
    /// The type it was asked for: SOA, but on the way to a name server's address.
    #[serde(rename = "type")]
    pub rtype: RecordType,
    /// The query and what came of it.
    pub exchange: Exchange,
    /// The zone that the answer refers to, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refers_to: Option<Arc<str>>,
}

/// One name server of a zone.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NameServer {
    /// Its name, or the address of a root server that was configured without one.
    pub name: Arc<str>,
    /// Whether the delegation in the parent zone names it; absent where that was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_parent: Option<bool>,
    /// Whether the zone's own NS records name it; absent where those were not to be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_child: Option<bool>,
    /// Its addresses, from the delegation and from its own zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Those of them to which this host has no route, so that they were not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_route: Vec<IpAddr>,
    /// Why it has no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
    /// The SOA of the zone asked of each address, repeated queries included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub soa: Vec<Exchange>,
}

/// Why a name server has no address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Its own zone could not be asked, or failed.
    Failed,
    /// Too much was asked before it was its turn.
    Limit,
    /// Its address depends on a zone whose servers depend on it.
    Loop,
    /// There is neither an A nor an AAAA record of it.
    NoAddress,
}

impl NameServer {
    /// The addresses that were asked.
    pub fn asked(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().copied().filter(|address| !self.no_route.contains(address))
    }

    /// The serial of the zone at each address that has authority and said it.
    pub fn serials(&self) -> impl Iterator<Item = u32> + '_ {
        let counting = self.soa.iter().filter(|exchange| exchange.counts());
        counting.filter_map(|exchange| match exchange.records.first() {
            Some(Record::Serial(serial)) => Some(*serial),
            _ => None,
        })
    }

    /// How its SOA query ended at each address: the last try counts.
    pub fn outcomes(&self) -> impl Iterator<Item = &Exchange> + '_ {
        last_tries(&self.soa)
    }

    /// Time of the SOA query at the slowest address that said anything.
    pub fn slowest(&self) -> Option<Duration> {
        let responded = self.soa.iter().filter(|exchange| exchange.status.responded());
        responded.map(|exchange| exchange.duration.get()).max()
    }
}

impl Zone {
    /// How many addresses were asked.
    pub fn addresses(&self) -> usize {
        self.servers.iter().map(|server| server.asked().count()).sum()
    }

    /// Whether no server could be asked because this host has no route to any.
    pub fn no_route(&self) -> bool {
        self.addresses() == 0 && self.servers.iter().any(|server| !server.no_route.is_empty())
    }

    /// The different serials, the newest first.
    pub fn serials(&self) -> Vec<u32> {
        let mut serials: Vec<u32> = Vec::new();
        for serial in self.servers.iter().flat_map(NameServer::serials) {
            if !serials.contains(&serial) {
                serials.push(serial);
            }
        }
        // RFC 1982 leaves some pairs without an order; any will do for those.
        let ahead_of =
            |serial: &u32| serials.iter().filter(|other| newer(*serial, **other)).count();
        let mut order: Vec<(usize, u32)> = serials.iter().map(|s| (ahead_of(s), *s)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        order.into_iter().map(|(_, serial)| serial).collect()
    }
}

/// Whether one serial is newer than another (RFC 1982 §3.2: they wrap around).
pub const fn newer(serial: u32, than: u32) -> bool {
    serial != than && serial.wrapping_sub(than) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{LookupStatus, Transport};

    fn answered(last: u8, serial: u32) -> Exchange {
        let server = ([192, 0, 2, last], 53).into();
        let empty = Exchange::empty(server, Transport::Udp, LookupStatus::Noerror);
        empty.with_records([Record::Serial(serial)])
    }

    fn zone(serials: &[u32]) -> Zone {
        let soa = serials.iter().map(|serial| answered(1, *serial)).collect();
        let server = NameServer {
            name: "ns1.example.com".into(),
            in_parent: Some(true),
            in_child: Some(true),
            addresses: Vec::new(),
            no_route: Vec::new(),
            missing: None,
            soa,
        };
        let walk = Vec::new();
        let asked_at = Timestamp::UNIX_EPOCH;
        Zone { name: "example.com".into(), asked_at, walk, servers: vec![server] }
    }

    #[test]
    fn serials_wrap_around() {
        assert!(newer(2, 1) && !newer(1, 2) && !newer(1, 1));
        assert!(newer(5, u32::MAX) && !newer(u32::MAX, 5));
        assert_eq!(zone(&[u32::MAX, 5, 3, 5]).serials(), [5, 3, u32::MAX]);
    }

    #[test]
    fn a_lame_server_has_no_serial_and_of_repeated_queries_the_last_counts() {
        let mut zone = zone(&[7, 8]);
        zone.servers[0].soa[1].lame = true;
        assert_eq!(zone.serials(), [7]);
        let silent = Exchange { status: LookupStatus::Timeout, ..answered(2, 0) };
        let server = &mut zone.servers[0];
        server.soa = vec![silent.clone(), answered(1, 7), silent];
        server.soa[2].status = LookupStatus::Servfail;
        let statuses: Vec<_> = server.outcomes().map(|exchange| exchange.status).collect();
        assert_eq!(statuses, [LookupStatus::Noerror, LookupStatus::Servfail]);
    }
}
