//! What the servers of a zone do wrong or do not agree on, one sentence each. They stand below a
//! report and at the end of a trace.

use std::net::SocketAddr;

use super::{by_hand::dig_norecurse, place, spoken, trouble::Trouble};
use crate::facts::{
    Exchange, Facts, Lookup, LookupStatus, Missing, NameServer, RecordType, Zone,
    zone_findings::{Said, ZoneView, groups},
};

/// Everything that is wrong at the servers of the zones that facts tell of.
pub fn troubles(facts: &Facts) -> Vec<Trouble> {
    views(facts).iter().flat_map(of_zone).collect()
}

/// The zones in the order in which they were come across: that of the domain first.
pub(super) fn views(facts: &Facts) -> Vec<ZoneView<'_>> {
    let of_domain = facts.mx.iter().map(|answer| &answer.lookup);
    let lookups: Vec<&Lookup> =
        of_domain.chain(facts.exchangers.iter().flat_map(|e| &*e.lookups)).collect();
    let mut views = ZoneView::all(lookups.iter().copied());
    let first = |view: &ZoneView<'_>| {
        let name = &view.zone.name;
        lookups.iter().position(|lookup| lookup.zone.as_ref().is_some_and(|z| z.name == *name))
    };
    views.sort_by_cached_key(first);
    views
}

/// What is wrong in one zone.
pub(super) fn of_zone(view: &ZoneView<'_>) -> Vec<Trouble> {
    let zone = view.zone;
    if let Some(trouble) = intercepted(zone) {
        return vec![trouble];
    }
    let mut troubles: Vec<Trouble> = unreachable(zone).into_iter().collect();
    troubles.extend(silent(zone));
    troubles.extend(without_authority(zone));
    troubles.extend(view.lookups.iter().filter_map(|lookup| difference(zone, lookup)));
    troubles.extend(serials(zone));
    troubles.extend(listings(zone));
    troubles.extend(zone.servers.iter().filter_map(|server| no_address(zone, server)));
    troubles
}

/// A zone in a sentence.
fn called(zone: &Zone) -> &str {
    if &*zone.name == "." { "the root" } else { &zone.name }
}

/// Nobody asks the root in vain: where whoever answers for it has no authority, it is somebody else,
/// and what others say of that zone means nothing.
fn intercepted(zone: &Zone) -> Option<Trouble> {
    let false_ones = soa(zone, |exchange| exchange.lame && exchange.status.answered());
    let first = false_ones.first().filter(|_| &*zone.name == ".")?;
    if !soa(zone, |exchange| !exchange.lame && exchange.status.answered()).is_empty() {
        return None;
    }
    let what = format!(
        "Who answers at {} in the place of the root is not a root server: no answer has authority \
         (AA). As a rule a firewall or the provider answers all DNS itself (interception), and then \
         no authoritative server can be asked from this host.",
        first.server.ip()
    );
    Some(Trouble { what, by_hand: vec![ask_soa(zone, first.server)] })
}

/// That nothing is wrong.
pub(super) fn agreement(zone: &Zone) -> String {
    match zone.servers.len() {
        1 => format!("The only name server of {} answers as it should.", called(zone)),
        2 => format!("Both name servers of {} agree.", called(zone)),
        servers => format!("All {servers} name servers of {} agree.", called(zone)),
    }
}

/// Nobody's fault but of the host that looks.
fn unreachable(zone: &Zone) -> Option<Trouble> {
    let what = format!(
        "No name server of {} could be asked: this host has no route to any of their addresses.",
        called(zone)
    );
    zone.no_route().then_some(Trouble { what, by_hand: Vec::new() })
}

/// Servers that answer no query at all, by why.
fn silent(zone: &Zone) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for status in [LookupStatus::Timeout, LookupStatus::NetworkError, LookupStatus::Malformed] {
        let failing = soa(zone, |exchange| exchange.status == status);
        let Some(first) = failing.first() else { continue };
        let (who, several) = (subject(&failing, &[]), failing.len() > 1);
        let name = called(zone);
        let what = match (status, several) {
            (LookupStatus::Timeout, false) => {
                let took = spoken(first.duration.get());
                format!("{who} does not answer queries about {name} (within {took}).")
            }
            (LookupStatus::Timeout, true) => format!("{who} do not answer queries about {name}."),
            (LookupStatus::NetworkError, _) => {
                format!("{who} cannot be reached with queries about {name} (network error).")
            }
            (_, several) => format!(
                "{who} {} queries about {name} with something that is no DNS message.",
                if several { "answer" } else { "answers" }
            ),
        };
        troubles.push(Trouble { what, by_hand: vec![ask_soa(zone, first.server)] });
    }
    troubles
}

/// Servers that are named and show no authority, or fail when asked for their own zone.
fn without_authority(zone: &Zone) -> Vec<Trouble> {
    let mut troubles: Vec<Trouble> = Vec::new();
    let mut told: Vec<(LookupStatus, bool)> = Vec::new();
    let bad = |e: &Exchange| e.lame || (e.status.responded() && !e.status.answered());
    for exchange in soa(zone, bad) {
        let kind = (exchange.status, exchange.lame);
        if told.contains(&kind) {
            continue;
        }
        told.push(kind);
        let alike = soa(zone, |other| bad(other) && (other.status, other.lame) == kind);
        let who = subject(&alike, &[]);
        let (has, answers) =
            if alike.len() == 1 { ("has", "it answers") } else { ("have", "they answer") };
        let name = called(zone);
        let what = match kind {
            (status, true) if status.answered() => format!(
                "{who} {has} no authority over {name}: {answers} without the AA bit (lame \
                 delegation)."
            ),
            (status, true) => format!(
                "{who} {has} no authority over {name}: {answers} {} (lame delegation).",
                word(status)
            ),
            (status, false) => {
                let verb = if alike.len() == 1 { "answers" } else { "answer" };
                format!("{who} {verb} SOA {name} with {}.", word(status))
            }
        };
        troubles.push(Trouble { what, by_hand: vec![ask_soa(zone, exchange.server)] });
    }
    troubles
}

/// Who answers a question otherwise than most, or that all of them fail.
fn difference(zone: &Zone, lookup: &Lookup) -> Option<Trouble> {
    // Who fails whatever is asked has its own sentence.
    let hopeless = |exchange: &Exchange| {
        let failed = |soa: &&Exchange| {
            soa.server == exchange.server && (soa.lame || !soa.status.responded())
        };
        let usable = exchange.status.answered() && !exchange.lame;
        !usable && zone.servers.iter().flat_map(NameServer::outcomes).any(|soa| failed(&soa))
    };
    let mut groups = groups(lookup);
    for (_, with) in &mut groups {
        with.retain(|exchange| !hopeless(exchange));
    }
    groups.retain(|(_, with)| !with.is_empty());
    let question = format!("{} {}", lookup.rtype.label(), lookup.name);
    let (base, odd) = groups.split_first()?;
    let all: Vec<&Exchange> = groups.iter().flat_map(|(_, with)| with.iter().copied()).collect();
    let ask = |exchange: &Exchange| dig_norecurse(exchange.server, &lookup.name, lookup.rtype);
    if odd.is_empty() {
        let (said, with) = base;
        if said.status.answered() && !said.lame {
            return None;
        }
        let (subject, one) = match with.len() {
            1 => (subject(with, &[]), true),
            _ => (format!("All name servers of {} that answer at all", called(zone)), false),
        };
        let what = format!("{subject} {}.", answers(&said_of(said), &question, one));
        return Some(Trouble { what, by_hand: vec![ask(with.first()?)] });
    }
    let mut what = String::new();
    let mut last_with = false;
    for (said, with) in odd {
        let (who, words) = (subject(with, &all), said_of(said));
        if what.is_empty() {
            what = format!("{who} {}", answers(&words, &question, single(with)));
        } else {
            what = format!("{what}, {who} {}", continued(&words, last_with, single(with)));
        }
        last_with = matches!(words, Words::With(_));
    }
    let (said, with) = base;
    let rest = if with.len() == 1 || with.len() == all.len() - with.len() {
        subject(with, &all)
    } else {
        format!("the other {}", count(names(with).len()))
    };
    what = format!("{what}, {rest} {}.", continued(&said_of(said), last_with, single(with)));
    let by_hand = odd.iter().take(2).chain([base]).filter_map(|(_, with)| with.first());
    Some(Trouble { what, by_hand: by_hand.map(|exchange| ask(exchange)).collect() })
}

/// Copies of the zone that are not the same.
fn serials(zone: &Zone) -> Option<Trouble> {
    let serials = zone.serials();
    let (newest, behind) = serials.split_first()?;
    if behind.is_empty() {
        return None;
    }
    let of = |serial: u32| {
        let holds = |server: &&NameServer| server.serials().any(|own| own == serial);
        let names: Vec<&str> =
            zone.servers.iter().filter(holds).map(|server| &*server.name).collect();
        (listed(&names), names.len())
    };
    let each: Vec<String> = behind
        .iter()
        .take(MOST_NAMED)
        .map(|serial| {
            let (who, several) = of(*serial);
            format!("{who} {} serial {serial}", if several == 1 { "has" } else { "have" })
        })
        .collect();
    let what = format!(
        "The servers of {} do not have the same version of it: {}, and the newest is {newest} (at \
         {}).",
        called(zone),
        each.join(", "),
        of(*newest).0
    );
    let commands = zone.servers.iter().flat_map(|server| &server.soa).filter(|e| e.counts());
    let by_hand = commands.take(MOST_NAMED).map(|e| ask_soa(zone, e.server)).collect();
    Some(Trouble { what, by_hand })
}

/// Servers that only the parent or only the zone names.
fn listings(zone: &Zone) -> Vec<Trouble> {
    let named = |chosen: &dyn Fn(&NameServer) -> bool| {
        let chosen = zone.servers.iter().filter(|server| chosen(server));
        chosen.map(|server| &*server.name).collect::<Vec<&str>>()
    };
    let name = &zone.name;
    let mut troubles = Vec::new();
    let delegated = named(&|server| server.in_child == Some(false));
    if !delegated.is_empty() {
        let what = format!(
            "The delegation of {name} names {}, the NS records of the zone itself do not.",
            listed(&delegated)
        );
        troubles.push(Trouble { what, by_hand: ask_ns(zone) });
    }
    let own = named(&|server| server.in_parent == Some(false));
    if !own.is_empty() {
        let what = format!(
            "The NS records of {name} name {}, its delegation in the parent zone does not.",
            listed(&own)
        );
        troubles.push(Trouble { what, by_hand: ask_ns(zone) });
    }
    troubles
}

fn no_address(zone: &Zone, server: &NameServer) -> Option<Trouble> {
    let NameServer { name, .. } = server;
    let why = match server.missing? {
        Missing::Failed => "the lookup of it fails",
        Missing::Limit => "it was not looked for, because so much else had to be",
        Missing::Loop => {
            "to find it, servers would have to be asked that can only be found through it"
        }
        Missing::NoAddress => "there is neither an A nor an AAAA record",
    };
    let what = format!("{name}, a name server of {}, has no address: {why}.", called(zone));
    Some(Trouble { what, by_hand: Vec::new() })
}

/// The SOA exchanges that count, of all servers, as far as wanted.
fn soa(zone: &Zone, wanted: impl Fn(&Exchange) -> bool) -> Vec<&Exchange> {
    let all = zone.servers.iter().flat_map(NameServer::outcomes);
    all.filter(|exchange| wanted(exchange)).collect()
}

fn ask_soa(zone: &Zone, server: SocketAddr) -> String {
    dig_norecurse(server, &zone.name, RecordType::Soa)
}

/// The NS records as the parent and as the zone has them.
fn ask_ns(zone: &Zone) -> Vec<String> {
    let referring = zone.walk.iter().find(|step| step.refers_to.as_ref() == Some(&zone.name));
    let own = soa(zone, |exchange| exchange.counts() && exchange.status.answered());
    let both = referring.map(|step| &step.exchange).into_iter().chain(own.first().copied());
    both.map(|exchange| dig_norecurse(exchange.server, &zone.name, RecordType::Ns)).collect()
}

/// Said of a server that did its part.
const BEHIND_ALIAS: &str = "an alias whose target cannot be looked up";

/// What is said of an answer.
enum Words {
    /// "answers … with this".
    With(String),
    /// Another verb, for one and for several, and what follows the question.
    Else(&'static str, &'static str),
}

fn said_of(said: &Said) -> Words {
    match said.status {
        _ if said.behind_alias => Words::With(BEHIND_ALIAS.to_owned()),
        _ if said.lame && said.status.answered() => {
            Words::With(format!("{} and no authority", records(said)))
        }
        LookupStatus::Timeout => Words::Else("does not answer", "do not answer"),
        LookupStatus::NetworkError => {
            Words::Else("cannot be reached with", "cannot be reached with")
        }
        LookupStatus::Malformed => Words::With("something that is no DNS message".to_owned()),
        _ => Words::With(records(said)),
    }
}

/// `answers AAAA mx1.example.com with SERVFAIL`.
fn answers(words: &Words, question: &str, one: bool) -> String {
    match words {
        Words::With(what) => {
            format!("{} {question} with {what}", if one { "answers" } else { "answer" })
        }
        Words::Else(singular, plural) => {
            format!("{} {question}", if one { singular } else { plural })
        }
    }
}

/// The same where the question and maybe the verb have been said.
fn continued(words: &Words, verb_said: bool, one: bool) -> String {
    match words {
        Words::With(what) if verb_said => format!("with {what}"),
        Words::With(what) if one => format!("answers with {what}"),
        Words::With(what) => format!("answer with {what}"),
        Words::Else(singular, plural) => (*if one { singular } else { plural }).to_owned(),
    }
}

/// The answer in short: its records, or that there are none.
pub(super) fn records(said: &Said) -> String {
    if said.records.is_empty() {
        return word(said.status);
    }
    let shown: Vec<&str> = said.records.iter().map(String::as_str).collect();
    listed(&shown)
}

pub(super) fn word(status: LookupStatus) -> String {
    status.label().to_uppercase()
}

/// Whether one server is meant.
fn single(with: &[&Exchange]) -> bool {
    with.len() == 1
}

/// The names of servers, each once.
fn names<'e>(with: &[&'e Exchange]) -> Vec<&'e str> {
    let mut names: Vec<&str> = Vec::new();
    for name in with.iter().filter_map(|exchange| exchange.further.server_name.as_deref()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Servers by name; by address too, where not all addresses of that name are meant.
fn subject(with: &[&Exchange], all: &[&Exchange]) -> String {
    let said = |name: &str| {
        let own = with.iter().filter(|e| e.further.server_name.as_deref() == Some(name));
        let every = all.iter().filter(|e| e.further.server_name.as_deref() == Some(name)).count();
        if own.clone().count() == every {
            return name.to_owned();
        }
        let addresses: Vec<String> = own.map(|exchange| place(exchange.server)).collect();
        format!("{name} ({})", addresses.join(", "))
    };
    let named: Vec<String> = names(with).into_iter().map(said).collect();
    listed(&named.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Why a lookup has no answer that counts.
pub(super) fn unanswered(lookup: &Lookup) -> String {
    match &lookup.zone {
        None => "it was not asked".to_owned(),
        Some(zone) if zone.no_route() => {
            format!("this host has no route to the name servers of {}", called(zone))
        }
        Some(zone) if lookup.exchanges.is_empty() => {
            format!("no name server of {} can be asked", called(zone))
        }
        Some(zone) => format!("no name server of {} shows authority over it", called(zone)),
    }
}

/// `a, b and c`; of many the first and how many more.
fn listed(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [init @ .., last] if items.len() <= MOST_NAMED => {
            format!("{} and {last}", init.join(", "))
        }
        many => {
            let shown = &many[..MOST_NAMED - 1];
            format!("{} and {} more", shown.join(", "), many.len() - shown.len())
        }
    }
}

/// A small number in words.
fn count(number: usize) -> String {
    const WORDS: [&str; 11] =
        ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    WORDS.get(number).map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

/// Names and records in one sentence.
const MOST_NAMED: usize = 4;

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use jiff::Timestamp;

    use super::*;
    use crate::facts::{Further, Record, Transport};

    /// What the server at 192.0.2.N said; its name is nsN.example.net.
    fn said(n: u8, status: LookupStatus, records: &[&str]) -> Exchange {
        let empty = Exchange::empty(([192, 0, 2, n], 53).into(), Transport::Udp, status);
        let server_name = Some(format!("ns{n}.example.net").into());
        Exchange {
            further: Further { server_name, ..Further::default() }.into(),
            duration: Duration::from_millis(5).into(),
            authoritative: status.answered(),
            ..empty.with_records(records.iter().map(|a| Record::Address(a.parse().unwrap())))
        }
    }

    fn soa(n: u8, serial: u32) -> Exchange {
        let records = [Record::Serial(serial)].into();
        Exchange { records, ..said(n, LookupStatus::Noerror, &[]) }
    }

    fn server(n: u8, soa: Exchange) -> NameServer {
        NameServer {
            name: format!("ns{n}.example.net").into(),
            in_parent: Some(true),
            in_child: Some(true),
            addresses: vec![[192, 0, 2, n].into()],
            no_route: Vec::new(),
            missing: None,
            soa: vec![soa],
        }
    }

    fn zone(servers: Vec<NameServer>) -> Zone {
        let (name, asked_at) = ("example.net".into(), Timestamp::UNIX_EPOCH);
        Zone { name, asked_at, walk: Vec::new(), servers }
    }

    fn healthy(servers: u8) -> Zone {
        zone((1..=servers).map(|n| server(n, soa(n, 7))).collect())
    }

    fn sentences(zone: &Zone, exchanges: Vec<Exchange>) -> Vec<String> {
        let (resolver, name) = (Arc::from("authoritative"), Arc::from("mx1.example.net"));
        let mut lookup = Lookup::new(resolver, RecordType::Aaaa, name, exchanges);
        lookup.zone = Some(Arc::new(zone.clone()));
        let view = ZoneView { zone, lookups: vec![&lookup] };
        of_zone(&view).into_iter().map(|trouble| trouble.what).collect()
    }

    use LookupStatus::{Nodata, Noerror, Refused, Servfail, Timeout};

    #[test]
    fn the_sentence_of_one_that_fails_among_three() {
        let exchanges = vec![said(1, Nodata, &[]), said(2, Servfail, &[]), said(3, Nodata, &[])];
        let want = "ns2.example.net answers AAAA mx1.example.net with SERVFAIL, the other two with \
                    NODATA.";
        assert_eq!(sentences(&healthy(3), exchanges), [want]);
    }

    #[test]
    fn a_root_without_authority_is_somebody_else() {
        let soa_of = |n, lame| {
            let mut one = server(n, soa(n, 7));
            one.soa.iter_mut().for_each(|exchange| exchange.lame = lame);
            one
        };
        let root = |servers| Zone { name: ".".into(), ..zone(servers) };
        let all = root(vec![soa_of(1, true), soa_of(2, true)]);
        let said = sentences(&all, Vec::new());
        assert!(said.len() == 1 && said[0].contains("interception"), "{said:?}");
        let one = root(vec![soa_of(1, true), soa_of(2, false)]);
        let said = sentences(&one, Vec::new());
        assert!(said.len() == 1 && said[0].contains("no authority over the root"), "{said:?}");
        let elsewhere = zone(vec![soa_of(1, true), soa_of(2, true)]);
        assert!(!sentences(&elsewhere, Vec::new()).concat().contains("interception"));
    }

    #[test]
    fn each_way_to_differ_is_a_sentence() {
        let q = "AAAA mx1.example.net";
        for (exchanges, want) in [
            (vec![said(1, Nodata, &[]), said(2, Nodata, &[]), said(3, Nodata, &[])], String::new()),
            (
                vec![said(1, Servfail, &[]), said(2, Nodata, &[])],
                format!("ns1.example.net answers {q} with SERVFAIL, ns2.example.net with NODATA."),
            ),
            (
                vec![said(1, Nodata, &[]), said(2, Timeout, &[]), said(3, Nodata, &[])],
                format!("ns2.example.net does not answer {q}, the other two answer with NODATA."),
            ),
            (
                vec![
                    said(1, Noerror, &["2001:db8::1"]),
                    said(2, Noerror, &["2001:db8::2", "2001:db8::3"]),
                    said(3, Noerror, &["2001:db8::1"]),
                ],
                format!(
                    "ns2.example.net answers {q} with 2001:db8::2 and 2001:db8::3, the other two \
                     with 2001:db8::1."
                ),
            ),
            (
                vec![
                    said(1, Nodata, &[]),
                    said(2, Servfail, &[]),
                    said(3, Timeout, &[]),
                    said(4, Nodata, &[]),
                    said(5, Nodata, &[]),
                ],
                format!(
                    "ns2.example.net answers {q} with SERVFAIL, ns3.example.net does not answer, \
                     the other three answer with NODATA."
                ),
            ),
            (
                vec![said(1, Servfail, &[]), said(2, Servfail, &[]), said(3, Servfail, &[])],
                format!(
                    "All name servers of example.net that answer at all answer {q} with SERVFAIL."
                ),
            ),
        ] {
            let want: Vec<String> =
                Some(want).filter(|want| !want.is_empty()).into_iter().collect();
            assert_eq!(sentences(&healthy(5), exchanges), want);
        }
    }

    #[test]
    fn the_order_of_records_is_no_difference_and_one_address_of_a_server_may_be() {
        let (a, b) = ("2001:db8::1", "2001:db8::2");
        let same = vec![said(1, Noerror, &[a, b]), said(2, Noerror, &[b, a])];
        assert_eq!(sentences(&healthy(2), same), [""; 0]);
        let mut second = said(1, Servfail, &[]);
        second.server = ([192, 0, 2, 99], 5353).into();
        let split = vec![said(1, Nodata, &[]), second, said(2, Nodata, &[])];
        let want = "ns1.example.net (192.0.2.99:5353) answers AAAA mx1.example.net with SERVFAIL, \
                    the other two with NODATA.";
        assert_eq!(sentences(&healthy(2), split), [want]);
    }

    #[test]
    fn a_server_that_fails_altogether_is_told_once() {
        let lame = Exchange { lame: true, ..said(2, Refused, &[]) };
        let zone = zone(vec![
            server(1, soa(1, 7)),
            server(2, lame.clone()),
            server(3, said(3, Timeout, &[])),
        ]);
        let exchanges = vec![said(1, Nodata, &[]), lame, said(3, Timeout, &[])];
        let want = [
            "ns3.example.net (192.0.2.3) does not answer queries about example.net (within 5 ms).",
            "ns2.example.net (192.0.2.2) has no authority over example.net: it answers REFUSED \
             (lame delegation).",
        ];
        assert_eq!(sentences(&zone, exchanges), want);
    }

    #[test]
    fn servers_that_give_an_alias_are_not_said_to_be_silent_because_its_target_is() {
        let alias = |n| {
            let mut alias = Exchange { authoritative: true, ..said(n, Timeout, &[]) };
            alias.further.get_mut().cname_chain = vec!["mx.example.org".into()];
            alias
        };
        let want = "All name servers of example.net that answer at all answer AAAA mx1.example.net \
                    with an alias whose target cannot be looked up.";
        assert_eq!(sentences(&healthy(2), vec![alias(1), alias(2)]), [want]);
    }

    #[test]
    fn servers_that_nobody_could_ask_do_not_agree() {
        let mut zone = healthy(2);
        for server in &mut zone.servers {
            server.no_route.clone_from(&server.addresses);
            server.soa.clear();
        }
        let want = "No name server of example.net could be asked: this host has no route to any of \
                    their addresses.";
        assert_eq!(sentences(&zone, Vec::new()), [want]);
        let (resolver, name) = (Arc::from("authoritative"), Arc::from("mx1.example.net"));
        let mut lookup = Lookup::new(resolver, RecordType::A, name, Vec::new());
        lookup.zone = Some(Arc::new(zone));
        assert_eq!((lookup.asked(), lookup.status()), (false, LookupStatus::NetworkError));
    }

    #[test]
    fn versions_listings_and_addresses_that_are_missing() {
        let mut zone = healthy(4);
        zone.servers[1].soa = vec![soa(2, 5)];
        zone.servers[2].in_parent = Some(false);
        zone.servers[3].in_child = Some(false);
        zone.servers[3].soa = Vec::new();
        zone.servers[3].missing = Some(Missing::NoAddress);
        let told = sentences(&zone, Vec::new());
        let want = [
            "The servers of example.net do not have the same version of it: ns2.example.net has \
             serial 5, and the newest is 7 (at ns1.example.net and ns3.example.net).",
            "The delegation of example.net names ns4.example.net, the NS records of the zone itself \
             do not.",
            "The NS records of example.net name ns3.example.net, its delegation in the parent zone \
             does not.",
            "ns4.example.net, a name server of example.net, has no address: there is neither an A \
             nor an AAAA record.",
        ];
        assert_eq!(told, want);
        assert_eq!(agreement(&healthy(3)), "All 3 name servers of example.net agree.");
    }
}
