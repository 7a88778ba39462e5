//! What is wrong at which server of a zone: closed words for what the exchanges show.

use std::{cmp::Reverse, collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::{
    Exchange, Lookup, LookupStatus, Record, RecordType, Zone,
    authority::{Missing, NameServer, newer},
    last_tries,
};

/// One thing that is wrong at a name server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Finding {
    /// It is named as a server of the zone and shows no authority over it (RFC 9499, "lame
    /// delegation").
    Lame,
    /// Some query to it had no answer in time.
    Timeout,
    /// It answers some question with SERVFAIL.
    Servfail,
    /// The network does not let queries through, or nobody listens.
    NetworkError,
    /// It answers with what is no DNS message, or with a code that says it does not know how.
    Malformed,
    /// No address of it is to be had.
    NoAddress,
    /// It says something else about mail than most others.
    AnswersDiffer,
    /// Its copy of the zone is older than another's.
    SerialBehind,
    /// The zone lists it, the delegation does not.
    NotInParent,
    /// The delegation names it, the zone does not.
    NotInChild,
}

impl Finding {
    /// All of them, the worst first.
    pub const ALL: [Self; 10] = [
        Self::Lame,
        Self::Timeout,
        Self::Servfail,
        Self::NetworkError,
        Self::Malformed,
        Self::NoAddress,
        Self::AnswersDiffer,
        Self::SerialBehind,
        Self::NotInParent,
        Self::NotInChild,
    ];

    /// Value of the `finding` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AnswersDiffer => "answers_differ",
            Self::Lame => "lame",
            Self::Malformed => "malformed",
            Self::NetworkError => "network_error",
            Self::NoAddress => "no_address",
            Self::NotInChild => "not_in_child",
            Self::NotInParent => "not_in_parent",
            Self::SerialBehind => "serial_behind",
            Self::Servfail => "servfail",
            Self::Timeout => "timeout",
        }
    }
}

/// A zone with everything that was asked of its servers.
#[derive(Clone, Debug)]
pub struct ZoneView<'a> {
    /// The newest picture of it.
    pub zone: &'a Zone,
    /// The lookups that its servers answered, in the order given.
    pub lookups: Vec<&'a Lookup>,
}

impl<'a> ZoneView<'a> {
    /// Every zone that lookups tell of, by name, but for those that only led to others.
    pub fn all(lookups: impl IntoIterator<Item = &'a Lookup>) -> Vec<Self> {
        let mut zones: BTreeMap<&str, Self> = BTreeMap::new();
        for lookup in lookups {
            let Some(zone) = &lookup.zone else { continue };
            let view =
                zones.entry(&zone.name).or_insert_with(|| Self { zone, lookups: Vec::new() });
            if view.zone.asked_at < zone.asked_at {
                view.zone = zone;
            }
            view.lookups.push(lookup);
        }
        zones.into_values().collect()
    }

    /// What is wrong, the worst first: each server and finding once.
    pub fn findings(&self) -> Vec<(&'a Arc<str>, Finding)> {
        let serials = self.zone.serials();
        let newest = serials.first().copied();
        let in_sync = serials.len() <= 1;
        let odd = |lookup: &&'a Lookup| odd_ones(lookup, in_sync);
        let differing: Vec<SocketAddr> = self.lookups.iter().flat_map(odd).collect();
        let mut found = Vec::new();
        for finding in Finding::ALL {
            for server in &self.zone.servers {
                let holds = match finding {
                    // Who had no time to look has found nothing.
                    Finding::NoAddress => {
                        server.missing.is_some_and(|missing| missing != Missing::Limit)
                    }
                    Finding::NotInParent => server.in_parent == Some(false),
                    Finding::NotInChild => server.in_child == Some(false),
                    Finding::SerialBehind => {
                        newest.is_some_and(|newest| server.serials().any(|s| newer(newest, s)))
                    }
                    Finding::AnswersDiffer => {
                        let mut of_server = self.of_server(server);
                        of_server.any(|exchange| differing.contains(&exchange.server))
                    }
                    _ => self.of_server(server).any(|exchange| shows(exchange) == Some(finding)),
                };
                if holds {
                    found.push((&server.name, finding));
                }
            }
        }
        found
    }

    /// All that was asked of a server; where it was asked again, the last try.
    fn of_server(&self, server: &'a NameServer) -> impl Iterator<Item = &'a Exchange> {
        let asked = self.lookups.iter().flat_map(|lookup| last_tries(&lookup.exchanges));
        let named =
            move |exchange: &&Exchange| exchange.further.server_name.as_ref() == Some(&server.name);
        server.outcomes().chain(asked.filter(named))
    }
}

/// The failure that one exchange shows.
fn shows(exchange: &Exchange) -> Option<Finding> {
    if exchange.failed_behind_alias() {
        return None;
    }
    if exchange.lame {
        return Some(Finding::Lame);
    }
    match exchange.status {
        LookupStatus::Timeout => Some(Finding::Timeout),
        LookupStatus::Servfail | LookupStatus::Bogus => Some(Finding::Servfail),
        LookupStatus::NetworkError => Some(Finding::NetworkError),
        LookupStatus::Malformed | LookupStatus::Formerr | LookupStatus::Notimp => {
            Some(Finding::Malformed)
        }
        LookupStatus::Refused => Some(Finding::Lame),
        LookupStatus::Noerror | LookupStatus::Nodata | LookupStatus::Nxdomain => None,
    }
}

/// What a server says about a question, in a form that two servers can agree on: records in any
/// order, TTLs left out.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Said {
    /// How it ended.
    pub status: LookupStatus,
    /// No authority was shown.
    pub lame: bool,
    /// An alias was given, and it is its target that cannot be looked up.
    pub behind_alias: bool,
    /// The records as text, sorted.
    pub records: Vec<String>,
}

impl Said {
    /// Of one exchange.
    pub fn of(exchange: &Exchange) -> Self {
        let mut records: Vec<String> = exchange.records.iter().map(text).collect();
        records.sort_by_cached_key(|text| preference_first(text));
        let behind_alias = exchange.failed_behind_alias();
        Self { status: exchange.status, lame: exchange.lame, behind_alias, records }
    }
}

/// MX sort by number, the rest as text.
fn preference_first(text: &str) -> (u16, String) {
    let number = text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
    (number, text.to_owned())
}

/// One record as a zone file would have it.
fn text(record: &Record) -> String {
    match record {
        Record::Address(address) => address.to_string(),
        Record::Mx { preference, exchanger: Some(exchanger) } => {
            format!("{preference} {exchanger}")
        }
        Record::Mx { preference, exchanger: None } => format!("{preference} ."),
        Record::Name(name) => name.to_string(),
        Record::Serial(serial) => format!("serial {serial}"),
        Record::Text(text) => format!("{text:?}"),
        Record::Tlsa(tlsa) => tlsa.to_string(),
    }
}

/// The different answers to a question with the exchanges that gave them, the most frequent first;
/// of those that are as frequent the one that a resolver would take.
pub fn groups(lookup: &Lookup) -> Vec<(Said, Vec<&Exchange>)> {
    let mut groups: Vec<(Said, Vec<&Exchange>)> = Vec::new();
    for exchange in last_tries(&lookup.exchanges) {
        let said = Said::of(exchange);
        match groups.iter_mut().find(|(known, _)| *known == said) {
            Some((_, with)) => with.push(exchange),
            None => groups.push((said, vec![exchange])),
        }
    }
    let usable = |said: &Said| said.status.answered() && !said.lame;
    groups.sort_by_key(|(said, with)| (Reverse(usable(said)), Reverse(with.len())));
    groups
}

/// Those who answer, but not as most others do; all of them where no answer has a majority.
/// Servers that are `in_sync` and give other addresses hand out a pool in turns.
fn odd_ones(lookup: &Lookup, in_sync: bool) -> Vec<SocketAddr> {
    let mut groups = groups(lookup);
    groups.retain(|(said, _)| said.status.answered() && !said.lame);
    if in_sync && matches!(lookup.rtype, RecordType::A | RecordType::Aaaa) {
        groups = regardless_of_records(groups);
    }
    let tie = matches!(groups.as_slice(), [(_, a), (_, b), ..] if a.len() == b.len());
    let odd = groups.iter().skip(usize::from(!tie));
    odd.flat_map(|(_, with)| with.iter().map(|exchange| exchange.server)).collect()
}

fn regardless_of_records(groups: Vec<(Said, Vec<&Exchange>)>) -> Vec<(Said, Vec<&Exchange>)> {
    let mut merged: Vec<(Said, Vec<&Exchange>)> = Vec::new();
    for (said, with) in groups {
        match merged.iter_mut().find(|(known, _)| known.status == said.status) {
            Some((_, alike)) => alike.extend(with),
            None => merged.push((said, with)),
        }
    }
    merged.sort_by_key(|(_, with)| Reverse(with.len()));
    merged
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::facts::{
        Further,
        LookupStatus::{Nodata, Nxdomain, Servfail},
        RecordType, Transport,
    };

    fn said(name: &str, last: u8, status: LookupStatus, millis: u64) -> Exchange {
        Exchange {
            further: Further { server_name: Some(name.into()), ..Further::default() }.into(),
            duration: Duration::from_millis(millis).into(),
            authoritative: true,
            ..Exchange::empty(([192, 0, 2, last], 53).into(), Transport::Udp, status)
        }
    }

    fn lookup(exchanges: Vec<Exchange>) -> Lookup {
        let (name, walk, servers) = ("example.com".into(), Vec::new(), Vec::new());
        let asked_at = jiff::Timestamp::UNIX_EPOCH;
        let zone = Some(Arc::new(Zone { name, asked_at, walk, servers }));
        let made = Lookup::new("test".into(), RecordType::A, "example.com".into(), exchanges);
        Lookup { zone, ..made }
    }

    #[test]
    fn two_names_of_one_address_are_two_servers_and_of_tries_the_last_counts() {
        let asked = lookup(vec![
            said("ns1.example.com", 1, LookupStatus::Timeout, 5000),
            said("ns1.example.com", 1, LookupStatus::Nodata, 20),
            said("ns2.example.com", 1, LookupStatus::Nodata, 30),
        ]);
        let counted: Vec<_> = last_tries(&asked.exchanges).map(|e| e.status).collect();
        assert_eq!(counted, [LookupStatus::Nodata; 2]);
        assert_eq!(groups(&asked).len(), 1);
    }

    #[test]
    fn what_is_asked_at_the_same_moment_takes_as_long_as_the_slowest() {
        let asked = lookup(vec![
            said("ns1.example.com", 1, LookupStatus::Timeout, 5000),
            said("ns1.example.com", 1, LookupStatus::Timeout, 5000),
            said("ns2.example.com", 2, LookupStatus::Nodata, 30),
        ]);
        assert_eq!(asked.took(), Duration::from_secs(10));
        assert_eq!(asked.took_to_answer(), Duration::from_millis(30));
        assert_eq!(asked.status(), LookupStatus::Nodata);
    }

    #[test]
    fn lame_servers_alone_are_a_failure_of_the_lookup() {
        let lame = Exchange { lame: true, ..said("ns1.example.com", 1, LookupStatus::Noerror, 1) };
        assert_eq!(lookup(vec![lame]).status(), LookupStatus::Servfail);
    }

    #[test]
    fn a_server_that_there_was_no_time_to_look_for_is_not_said_to_have_no_address() {
        let found = |missing| {
            let server = NameServer {
                name: "ns1.example.com".into(),
                in_parent: None,
                in_child: None,
                addresses: Vec::new(),
                no_route: Vec::new(),
                missing: Some(missing),
                soa: Vec::new(),
            };
            let (name, walk, asked_at) =
                ("example.com".into(), Vec::new(), jiff::Timestamp::UNIX_EPOCH);
            let zone = Zone { name, asked_at, walk, servers: vec![server] };
            ZoneView { zone: &zone, lookups: Vec::new() }.findings().len()
        };
        assert_eq!((found(Missing::Limit), found(Missing::Loop)), (0, 1));
    }

    #[test]
    fn of_two_answers_that_are_as_frequent_both_are_odd() {
        let answers = |statuses: &[LookupStatus]| {
            let name = |n: usize| format!("ns{n}.example.com");
            let one = |(n, status): (usize, &LookupStatus)| {
                said(&name(n), u8::try_from(n).unwrap(), *status, 1)
            };
            odd_ones(&lookup(statuses.iter().enumerate().map(one).collect()), true).len()
        };
        assert_eq!(answers(&[Nodata, Nodata, Nodata]), 0);
        assert_eq!(answers(&[Nodata, Nxdomain, Nodata]), 1);
        assert_eq!(answers(&[Nodata, Nxdomain]), 2);
        assert_eq!(answers(&[Nodata, Servfail]), 0, "a failure is another finding");
    }

    #[test]
    fn other_addresses_from_servers_in_sync_are_a_pool() {
        let gave = |n: u8, last: u8| Exchange {
            records: [Record::Address([192, 0, 2, last].into())].into(),
            ..said(&format!("ns{n}.example.com"), n, LookupStatus::Noerror, 1)
        };
        let pool = lookup(vec![gave(1, 11), gave(2, 12), gave(3, 13)]);
        assert_eq!((odd_ones(&pool, true).len(), odd_ones(&pool, false).len()), (0, 3));
        let none = said("ns4.example.com", 4, LookupStatus::Nodata, 1);
        let lacking = lookup(vec![gave(1, 11), gave(2, 12), none]);
        assert_eq!(odd_ones(&lacking, true), [([192, 0, 2, 4], 53).into()]);
    }
}
