//! What the world's DNS knows: records and the faults that stand in their place, by name and type.
//!
//! Plain values, made from zone text and read by [`super::answer`]. Nothing here
//! touches a socket.

mod parse;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

pub(super) use text::dns_name;

/// Every zone a world serves. Names outside of them are refused.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    apexes: BTreeSet<Name>,
    nodes: BTreeMap<Name, Node>,
}

impl Zones {
    /// Parses zone text: lines of `NAME [TTL] TYPE RDATA`, with `$ORIGIN`, `$TTL`, `@` and `;`
    /// comments as in a master file (RFC 1035 §5.1); indentation means nothing. Types are A, AAAA,
    /// CNAME, MX, NS, SOA and TXT.
    ///
    /// Each `$ORIGIN` makes a zone. Its SOA may be left out. NS records of another name delegate it.
    ///
    /// Faults stand before the RDATA or in its place, and hold for that name and type, or with
    /// `*` as type for all types of the name:
    ///
    /// | word | the server |
    /// |---|---|
    /// | `!servfail` `!refused` `!formerr` `!notimp` | answers with that code |
    /// | `!nxdomain` `!nodata` | denies the name, or the records of that type |
    /// | `!silent` | never answers |
    /// | `!delay=1500ms` | waits, then goes on with the records or another fault |
    /// | `!truncate` | over UDP sets TC and leaves the records out; over TCP sends them |
    /// | `!garbage` | answers with the right id and bytes that are no DNS message |
    /// | `!wrong-id` | answers correctly under another id |
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        Self::default().with(text)
    }

    /// These zones and those of one more text; records of the same name and type accumulate.
    pub fn with(mut self, text: &str) -> Result<Self, ZoneError> {
        parse::read(&mut self, text)?;
        Ok(self)
    }

    /// Adds an origin, with an SOA of its own making if it has none yet.
    fn add_apex(&mut self, apex: &Name, soa: RData) {
        self.apexes.insert(apex.clone());
        let set = self.nodes.entry(apex.clone()).or_default();
        let set = set.types.entry(RecordType::SOA).or_default();
        if set.records.is_empty() {
            set.records.push((NEGATIVE_TTL, soa));
        }
    }

    /// The nearest origin at or above a name.
    pub(super) fn apex(&self, name: &Name) -> Option<Name> {
        let mut name = name.clone();
        loop {
            if self.apexes.contains(&name) {
                return Some(name);
            }
            if name.is_root() {
                return None;
            }
            name = name.base_name();
            name.set_fqdn(true);
        }
    }

    /// The SOA record of an origin, as a negative answer carries it (RFC 2308 §3).
    pub(super) fn soa(&self, apex: &Name) -> Option<Record> {
        let set = self.nodes.get(apex)?.types.get(&RecordType::SOA)?;
        let (ttl, data) = set.records.first()?;
        let minimum = if let RData::SOA(soa) = data { soa.minimum } else { *ttl };
        Some(Record::from_rdata(apex.clone(), (*ttl).min(minimum), data.clone()))
    }

    /// The delegation on the way from an origin down to a name, the topmost of them.
    pub(super) fn referral(&self, apex: &Name, name: &Name) -> Option<Referral> {
        let depth = usize::from(name.num_labels());
        let mut cuts = (usize::from(apex.num_labels()) + 1..=depth).map(|labels| {
            let mut cut = name.trim_to(labels);
            cut.set_fqdn(true);
            cut
        });
        let (cut, node) = cuts.find_map(|cut| {
            let node = self.nodes.get(&cut)?;
            (!node.records(RecordType::NS).is_empty()).then_some((cut, node))
        })?;
        let mut referral = Referral::default();
        for (ttl, data) in node.records(RecordType::NS) {
            referral.servers.push(Record::from_rdata(cut.clone(), *ttl, data.clone()));
            let RData::NS(host) = data else { continue };
            let Some(glue) = self.nodes.get(&host.0) else { continue };
            for (ttl, data) in
                [RecordType::A, RecordType::AAAA].iter().flat_map(|rtype| glue.records(*rtype))
            {
                referral.addresses.push(Record::from_rdata(host.0.clone(), *ttl, data.clone()));
            }
        }
        Some(referral)
    }

    /// What is written about a name.
    pub(super) fn node(&self, name: &Name) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Whether the name exists, be it only because a name below it does (RFC 8020).
    pub(super) fn exists(&self, name: &Name) -> bool {
        // Names sort from the root downwards, so descendants follow their ancestor at once.
        self.nodes.range(name..).next().is_some_and(|(next, _)| name.zone_of(next))
    }
}

/// Who has authority over a name that lies in no zone of the world, though in the name of one.
#[derive(Clone, Debug, Default)]
pub(super) struct Referral {
    /// NS records.
    pub(super) servers: Vec<Record>,
    /// The addresses that are written about those.
    pub(super) addresses: Vec<Record>,
}

/// Everything written about one name.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    every: Behaviour,
    types: BTreeMap<RecordType, TypeSet>,
}

impl Node {
    /// How the server behaves when asked for this type.
    pub(super) fn behaviour(&self, rtype: RecordType) -> Behaviour {
        let own = self.types.get(&rtype).map(|set| set.behaviour).unwrap_or_default();
        Behaviour { delay: own.delay.or(self.every.delay), fault: own.fault.or(self.every.fault) }
    }

    /// The records of a type with their TTLs.
    pub(super) fn records(&self, rtype: RecordType) -> &[(u32, RData)] {
        self.types.get(&rtype).map_or(&[], |set| &set.records)
    }
}

/// The records and the behaviour of one type at one name.
#[derive(Clone, Debug, Default)]
struct TypeSet {
    behaviour: Behaviour,
    records: Vec<(u32, RData)>,
}

/// What a server does beside, or instead of, handing out records.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Behaviour {
    /// How long it waits first.
    pub(super) delay: Option<Duration>,
    /// What it gets wrong.
    pub(super) fault: Option<Fault>,
}

/// One way of answering wrongly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    FormErr,
    Garbage,
    NoData,
    NotImp,
    NxDomain,
    Refused,
    ServFail,
    Silent,
    Truncate,
    WrongId,
}

impl Fault {
    /// The fault of a zone text word without its `!`.
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "formerr" => Self::FormErr,
            "garbage" => Self::Garbage,
            "nodata" => Self::NoData,
            "notimp" => Self::NotImp,
            "nxdomain" => Self::NxDomain,
            "refused" => Self::Refused,
            "servfail" => Self::ServFail,
            "silent" => Self::Silent,
            "truncate" => Self::Truncate,
            "wrong-id" => Self::WrongId,
            _ => return None,
        })
    }
}

/// Why a zone text cannot be read, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("zone text, line {line}: {reason}")]
pub struct ZoneError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// The TTL of a synthesised SOA and its minimum, in seconds.
const NEGATIVE_TTL: u32 = 60;
