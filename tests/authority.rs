//! The authoritative view against small worlds of its own: a private root, zones below it, and all
//! that delegations get wrong.

use std::{fmt::Write, net::SocketAddr, sync::Arc, time::Duration};

use mxwatch::{
    config::{Dns, Resolver, ResolverKind},
    facts::{
        Lookup, LookupStatus, Missing, NameServer, Record, RecordType, Records, Zone,
        zone_findings::{Finding, ZoneView},
    },
    name::Domain,
    probe::dns::Resolvers,
    world::{dns::DnsServer, zone::Zones},
};

#[allow(dead_code, reason = "each test file uses a part of it")]
mod harness;
use harness::Agent;

/// Name servers that listen at the same port of addresses 127.N.0.x.
struct Internet {
    servers: Vec<DnsServer>,
    net: u8,
    port: u16,
}

impl Internet {
    /// One server for each zone text, the first being the root; `NET` stands for the first two
    /// numbers of their addresses.
    async fn start(net: u8, zones: &[&str]) -> Self {
        'ports: for _ in 0..64 {
            let (mut servers, mut port) = (Vec::new(), 0);
            for (place, text) in zones.iter().enumerate() {
                let last = u8::try_from(place + 1).unwrap();
                let at = SocketAddr::from(([127, net, 0, last], port));
                let zones = Zones::parse(&text.replace("NET", &format!("127.{net}"))).unwrap();
                let Ok(server) = DnsServer::start(at, zones).await else { continue 'ports };
                port = server.addr().port();
                servers.push(server);
            }
            return Self { servers, net, port };
        }
        panic!("no port is free at all addresses");
    }

    fn resolvers(&self) -> Resolvers {
        self.patient(Duration::from_secs(2), Duration::from_secs(3600))
    }

    fn patient(&self, timeout: Duration, interval: Duration) -> Resolvers {
        let root_servers = vec![SocketAddr::from(([127, self.net, 0, 1], self.port))];
        let kind = ResolverKind::Authoritative { root_servers, port: self.port, interval };
        let (attempts, late_window) = (1, Duration::ZERO);
        let patience = Dns { timeout, attempts, late_window, ..Dns::default() };
        Resolvers::new(
            &[Resolver { kind, ..Resolver::authoritative("authoritative", patience) }],
            None,
        )
    }

    async fn look(&self, name: &str, rtype: RecordType) -> Lookup {
        ask(&self.resolvers(), name, rtype).await
    }

    fn asked(&self) -> u64 {
        self.servers.iter().map(DnsServer::all_queries).sum()
    }
}

async fn ask(resolvers: &Resolvers, name: &str, rtype: RecordType) -> Lookup {
    let name = Domain::parse(name).unwrap().query_name();
    let asked = resolvers.lookup(&name, rtype, None);
    tokio::time::timeout(Duration::from_secs(60), asked).await.expect("it ends").remove(0)
}

fn zone(lookup: &Lookup) -> &Arc<Zone> {
    lookup.zone.as_ref().expect("a zone was found")
}

fn server<'a>(zone: &'a Zone, name: &str) -> &'a NameServer {
    let found = zone.servers.iter().find(|server| &*server.name == name);
    found.unwrap_or_else(|| panic!("{name} is not among {:?}", zone.servers))
}

fn walked(zone: &Zone) -> Vec<(&str, Option<&str>)> {
    zone.walk.iter().map(|step| (&*step.zone, step.refers_to.as_deref())).collect()
}

fn found(lookups: &[&Lookup]) -> Vec<(String, Finding)> {
    let views = ZoneView::all(lookups.iter().copied());
    views.iter().flat_map(ZoneView::findings).map(|(name, f)| (name.to_string(), f)).collect()
}

const ROOT: &str = "
$ORIGIN .
test        NS ns.nic.test.
ns.nic.test A  NET.0.2
";

const TEST: &str = "
$ORIGIN test.
@           NS ns.nic
ns.nic      A  NET.0.2
example     NS ns1.example
example     NS ns2.example
ns1.example A  NET.0.3
ns2.example A  NET.0.4
";

const EXAMPLE: &str = "
$ORIGIN example.test.
@       SOA  ns1 hostmaster 7 3600 600 86400 60
@       NS   ns1
@       NS   ns2
ns1     A    NET.0.3
ns2     A    NET.0.4
@       MX   10 mx1
mx1     A    127.0.0.25
a.deep  A    127.0.0.26
alias   CNAME mx1
out     CNAME mx.other.test.
";

#[tokio::test]
async fn every_server_of_the_zone_is_asked_and_the_way_there_is_told() {
    let internet = Internet::start(71, &[ROOT, TEST, EXAMPLE, EXAMPLE]).await;
    let lookup = internet.look("example.test", RecordType::Mx).await;
    assert_eq!(lookup.status(), LookupStatus::Noerror);
    let servers: Vec<_> =
        lookup.exchanges.iter().map(|e| e.further.server_name.as_deref()).collect();
    assert_eq!(servers, [Some("ns1.example.test"), Some("ns2.example.test")]);
    assert!(lookup.exchanges.iter().all(|e| e.authoritative && !e.lame));
    let zone = zone(&lookup);
    let way = [(".", Some("test")), ("test", Some("example.test")), ("example.test", None)];
    assert_eq!((&*zone.name, walked(zone)), ("example.test", way.to_vec()));
    assert_eq!((zone.addresses(), zone.serials()), (2, vec![7]));
    assert!(zone.servers.iter().all(|s| (s.in_parent, s.in_child) == (Some(true), Some(true))));
    assert_eq!(found(&[&lookup]), []);
}

#[tokio::test]
async fn names_between_below_and_beside_lie_in_the_right_zone() {
    let internet = Internet::start(72, &[ROOT, TEST, EXAMPLE, EXAMPLE]).await;
    let resolvers = internet.resolvers();
    for (name, status, apex) in [
        ("a.deep.example.test", LookupStatus::Noerror, "example.test"),
        ("deep.example.test", LookupStatus::Nodata, "example.test"),
        ("gone.example.test", LookupStatus::Nxdomain, "example.test"),
        ("alias.example.test", LookupStatus::Noerror, "example.test"),
        ("nowhere.test", LookupStatus::Nxdomain, "test"),
        ("example.nowhere", LookupStatus::Nxdomain, "."),
    ] {
        let lookup = ask(&resolvers, name, RecordType::A).await;
        assert_eq!((lookup.status(), &*zone(&lookup).name), (status, apex), "{name}: {lookup:?}");
    }
}

#[tokio::test]
async fn one_server_that_differs_is_told_from_the_others() {
    let odd =
        EXAMPLE.replace("mx1     A", "mx1     AAAA !servfail\nmx1     A").replace(" 7 ", " 6 ");
    let odd = odd.replace("MX   10 mx1", "MX   20 mx1");
    let internet = Internet::start(73, &[ROOT, TEST, EXAMPLE, &odd]).await;
    let resolvers = internet.resolvers();
    let mx = ask(&resolvers, "example.test", RecordType::Mx).await;
    let aaaa = ask(&resolvers, "mx1.example.test", RecordType::Aaaa).await;
    assert_eq!(aaaa.status(), LookupStatus::Nodata, "as a resolver that tries on would have it");
    let statuses: Vec<_> = aaaa.exchanges.iter().map(|e| e.status).collect();
    assert_eq!(statuses, [LookupStatus::Nodata, LookupStatus::Servfail]);
    assert_eq!(zone(&mx).serials(), [7, 6]);
    let of = |name: &str, finding| (name.to_owned(), finding);
    let want = [
        of("ns2.example.test", Finding::Servfail),
        of("ns1.example.test", Finding::AnswersDiffer),
        of("ns2.example.test", Finding::AnswersDiffer),
        of("ns2.example.test", Finding::SerialBehind),
    ];
    assert_eq!(found(&[&mx, &aaaa]), want);
}

#[tokio::test]
async fn a_server_without_the_zone_is_lame_and_its_answer_does_not_count() {
    let empty = "$ORIGIN other.test.\n@ MX 10 mx1";
    let internet = Internet::start(74, &[ROOT, TEST, empty, EXAMPLE]).await;
    let lookup = internet.look("example.test", RecordType::Mx).await;
    assert_eq!(lookup.status(), LookupStatus::Noerror);
    assert_eq!(lookup.exchanges.iter().map(|e| e.lame).collect::<Vec<_>>(), [true, false]);
    assert_eq!(found(&[&lookup]), [("ns1.example.test".to_owned(), Finding::Lame)]);
    let internet = Internet::start(75, &[ROOT, TEST, empty, empty]).await;
    let lookup = internet.look("example.test", RecordType::Mx).await;
    assert_eq!((&*zone(&lookup).name, lookup.status()), ("example.test", LookupStatus::Servfail));
}

#[tokio::test]
async fn parent_and_child_that_name_other_servers_are_both_believed() {
    let child = EXAMPLE.replace("@       NS   ns2\n", "@       NS   ns3\nns3     A    NET.0.5\n");
    let internet = Internet::start(76, &[ROOT, TEST, &child, &child, &child]).await;
    let lookup = internet.look("example.test", RecordType::Mx).await;
    assert_eq!(lookup.exchanges.len(), 3);
    let zone = zone(&lookup);
    let listed = |name| (server(zone, name).in_parent, server(zone, name).in_child);
    assert_eq!(listed("ns1.example.test"), (Some(true), Some(true)));
    assert_eq!(listed("ns2.example.test"), (Some(true), Some(false)));
    assert_eq!(listed("ns3.example.test"), (Some(false), Some(true)));
}

#[tokio::test]
async fn a_server_of_parent_and_child_hides_the_delegation_and_not_the_zone() {
    let both = format!("{TEST}\n{EXAMPLE}").replace("example     NS ns2.example\n", "");
    let internet = Internet::start(77, &[ROOT, &both, EXAMPLE, EXAMPLE]).await;
    let lookup = internet.look("mx1.example.test", RecordType::A).await;
    let zone = zone(&lookup);
    assert_eq!((&*zone.name, lookup.exchanges.len()), ("example.test", 2), "{lookup:?}");
    assert!(zone.servers.iter().all(|server| server.in_parent.is_none()));
}

#[tokio::test]
async fn servers_elsewhere_are_found_by_another_walk_and_addresses_from_elsewhere_not_believed() {
    let test = TEST.replace("example     NS ns2.example\n", "example     NS ns.other\n")
        + "other NS ns1.other\nns1.other A NET.0.4\nns.other A NET.0.9\n";
    let other = "$ORIGIN other.test.\n@ NS ns1\nns1 A NET.0.4\nns A NET.0.5\nmx A 127.0.0.27";
    let child = EXAMPLE.replace("@       NS   ns2", "@       NS   ns.other.test.");
    let internet = Internet::start(78, &[ROOT, &test, &child, other, &child]).await;
    let resolvers = internet.patient(Duration::from_millis(300), Duration::from_secs(3600));
    let lookup = ask(&resolvers, "example.test", RecordType::Mx).await;
    let addresses = &server(zone(&lookup), "ns.other.test").addresses;
    let both: Vec<std::net::IpAddr> = [[127, 78, 0, 9], [127, 78, 0, 5]].map(Into::into).to_vec();
    assert_eq!(*addresses, both, "what the parent says, and what is right");
    // An alias that leads out of the zone is followed to the servers of its target.
    let alias = ask(&resolvers, "out.example.test", RecordType::A).await;
    assert_eq!(alias.status(), LookupStatus::Noerror, "{alias:?}");
    assert_eq!(
        alias.addresses().collect::<Vec<_>>(),
        ["127.0.0.27".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(alias.deciding().unwrap().further.cname_chain, ["mx.other.test"]);
}

#[tokio::test]
async fn what_fails_behind_an_alias_is_no_fault_of_the_servers_that_gave_the_alias() {
    let test = format!("{TEST}other NS ns1.other\nns1.other A NET.0.5\n");
    let internet = Internet::start(95, &[ROOT, &test, EXAMPLE, EXAMPLE]).await;
    let lookup = internet.look("out.example.test", RecordType::A).await;
    assert!(!lookup.status().answered(), "nobody listens at the target's server: {lookup:?}");
    assert_eq!(&*zone(&lookup).name, "example.test");
    assert_eq!(found(&[&lookup]), []);
}

#[tokio::test]
async fn delegations_that_need_each_other_end() {
    let test =
        "$ORIGIN test.\n@ NS ns.nic\nns.nic A NET.0.2\na NS ns.b\nb NS ns.a\nself NS ns.self\n";
    let internet = Internet::start(79, &[ROOT, test]).await;
    for (name, apex) in [("mail.a.test", "a.test"), ("mail.self.test", "self.test")] {
        let lookup = internet.look(name, RecordType::Mx).await;
        let zone = zone(&lookup);
        assert_eq!((&*zone.name, lookup.exchanges.len()), (apex, 0), "{lookup:?}");
        assert_eq!(lookup.status(), LookupStatus::Servfail);
        let missing: Vec<_> = zone.servers.iter().map(|server| server.missing).collect();
        assert_eq!(missing, [Some(Missing::Loop)], "{name}");
    }
    assert!(internet.asked() < 60, "{}", internet.asked());
}

#[tokio::test]
async fn a_delegation_that_fans_out_without_end_is_given_up() {
    let mut test = "$ORIGIN test.\n@ NS ns.nic\nns.nic A NET.0.2\n".to_owned();
    let mut level: Vec<String> = vec!["evil".to_owned()];
    for _ in 0..4 {
        let mut below = Vec::new();
        for zone in &level {
            for n in 0..6 {
                let next = format!("{zone}{n}");
                writeln!(test, "{zone} NS ns.{next}").unwrap();
                below.push(next);
            }
        }
        level = below;
    }
    let internet = Internet::start(84, &[ROOT, &test]).await;
    let lookup = internet.look("evil.test", RecordType::Mx).await;
    assert_eq!(lookup.exchanges.len(), 0);
    assert_eq!(zone(&lookup).servers.len(), 6);
    let asked = internet.asked();
    assert!((200..=250).contains(&asked), "the limit is what ended it: {asked}");
}

#[tokio::test]
async fn a_name_server_without_address_and_one_of_the_internet_are_not_asked() {
    let test = TEST.replace("ns2.example A  NET.0.4\n", "")
        + "example NS ns3.example\nns3.example A 0.0.0.0\n";
    let internet =
        Internet::start(80, &[ROOT, &test, &EXAMPLE.replace("ns2     A    NET.0.4\n", "")]).await;
    let lookup = internet.look("example.test", RecordType::Mx).await;
    assert_eq!(lookup.exchanges.len(), 1);
    let zone = zone(&lookup);
    assert_eq!(server(zone, "ns2.example.test").missing, Some(Missing::NoAddress));
    assert_eq!(server(zone, "ns3.example.test").no_route.len(), 1);
}

#[tokio::test]
async fn answers_are_given_again_until_the_interval_is_over() {
    let internet = Internet::start(81, &[ROOT, TEST, EXAMPLE, EXAMPLE]).await;
    let resolvers = internet.patient(Duration::from_secs(2), Duration::from_secs(3600));
    let first = ask(&resolvers, "example.test", RecordType::Mx).await;
    let asked = internet.asked();
    let again = ask(&resolvers, "example.test", RecordType::Mx).await;
    assert_eq!(internet.asked(), asked);
    assert_eq!((first.earlier.asked_at, again.earlier.asked_at.is_some()), (None, true));
    assert_eq!(again.exchanges.len(), first.exchanges.len());
    // Another name of the same zone costs a step and a question, not the whole walk.
    ask(&resolvers, "mx1.example.test", RecordType::A).await;
    assert_eq!(internet.asked(), asked + 3);
    let hasty = internet.patient(Duration::from_secs(2), Duration::ZERO);
    ask(&hasty, "example.test", RecordType::Mx).await;
    let asked = internet.asked();
    assert_eq!(ask(&hasty, "example.test", RecordType::Mx).await.earlier.asked_at, None);
    assert!(internet.asked() > asked);
}

#[tokio::test]
async fn the_records_of_each_server_are_its_own() {
    let other = EXAMPLE.replace("127.0.0.25", "127.0.0.99");
    let internet = Internet::start(82, &[ROOT, TEST, EXAMPLE, &other]).await;
    let lookup = internet.look("mx1.example.test", RecordType::A).await;
    let records: Vec<_> = lookup.exchanges.iter().map(|e| e.records.clone()).collect();
    let want = ["127.0.0.25", "127.0.0.99"]
        .map(|address| Records::from([Record::Address(address.parse().unwrap())]));
    assert_eq!(records, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_asks_name_servers_less_often_than_it_looks() {
    let odd =
        EXAMPLE.replace("mx1     A", "mx1     AAAA !servfail\nmx1     A").replace(" 7 ", " 6 ");
    let internet = Internet::start(83, &[ROOT, TEST, EXAMPLE, &odd]).await;
    let port = internet.port;
    let config = format!(
        "helo_name = 'probe.example.org'\n[probe]\ninterval = '1s'\nport = 1\n\
         [[resolver]]\nname = 'lan'\nservers = ['127.83.0.3:{port}']\n\
         [[resolver]]\nkind = 'authoritative'\nroot_servers = ['127.83.0.1']\nport = {port}\n\
         [[destination]]\ndomain = 'example.test'\n\
         [[destination]]\ndomain = 'deep.example.test'\nresolvers = ['lan']\n"
    );
    let agent = tokio::task::spawn_blocking(move || Agent::start(&config)).await.unwrap();
    let agent = &agent;
    let lan = |agent: &Agent| {
        agent.scrape().sum("mx_dns_lookups_total", &[("resolver", "lan"), ("type", "AAAA")])
    };
    tokio::task::block_in_place(|| {
        let zone = [("zone", "example.test")];
        agent.scrape_until("what the servers said", |scrape| {
            let aaaa =
                [("name", "mx1.example.test"), ("type", "AAAA"), ("resolver", "authoritative")];
            scrape.sample("mx_dns_lookup_status", &aaaa).is_some()
        });
        let (asked, before) = (internet.servers[3].all_queries(), lan(agent));
        assert!(asked > 0);
        harness::wait_until("three rounds more", || (lan(agent) >= before + 3.0).then_some(()));
        assert_eq!(internet.servers[3].all_queries(), asked, "nobody else asks this server");
        let scrape = agent.scrape();
        let counted =
            scrape.sum("mx_dns_lookups_total", &[("resolver", "authoritative"), ("type", "AAAA")]);
        assert!((counted - 2.0).abs() < 0.1, "one for each server: {counted}");
        assert_eq!(scrape.value("mx_zone_servers", &zone), Some(2.0));
        assert_eq!(scrape.value("mx_zone_serials", &zone), Some(2.0));
        let found = |finding| {
            let second = [("server", "ns2.example.test"), ("finding", finding)];
            scrape.value("mx_zone_server_finding", &second)
        };
        assert_eq!((found("servfail"), found("serial_behind")), (Some(1.0), Some(1.0)));
        assert_eq!(scrape.matching("mx_zone_server_finding", &zone).len(), 2);
        assert_eq!(scrape.matching("mx_zone_soa_serial", &zone).len(), 2);
        let deep = [("name", "deep.example.test"), ("resolver", "authoritative")];
        assert_eq!(scrape.matching("mx_dns_lookup_status", &deep).len(), 0, "it has not opted in");
        assert_eq!(scrape.all().iter().filter(|s| s.name == "mx_zone_servers").count(), 1);
    });
}
