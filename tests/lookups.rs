//! Lookups over real sockets against the embedded world: one exchange is one query to one server,
//! and every way to fail keeps its name.

use std::{net::SocketAddr, time::Duration};

use mxwatch::{
    config::{Dns, Resolver, ResolverKind, ResolverTransport},
    facts::{Lookup, LookupStatus, RecordType, Transport},
    name::Domain,
    probe::dns::Resolvers,
    world::{answer, dns::DnsServer, zone::Zones},
};
use tokio::{net::UdpSocket, time::Instant};

const ZONE: &str = "
$ORIGIN lookups.test.
$TTL 300
@          MX    10 mx1
mx1     90 A     192.0.2.1
mx1        A     192.0.2.2
mx1        AAAA  !servfail
refused    A     !refused
formerr    A     !formerr
notimp     A     !notimp
silent     A     !silent
slow       A     !delay=200ms 192.0.2.3
late       A     !delay=2s 192.0.2.4
big        A     !truncate 192.0.2.5
garbage    A     !garbage
forged     A     !wrong-id
alias      CNAME mx1
";

async fn world(address: &str) -> DnsServer {
    DnsServer::start(address.parse().unwrap(), Zones::parse(ZONE).unwrap()).await.unwrap()
}

fn resolvers(servers: &[SocketAddr], attempts: u32) -> Resolvers {
    let (timeout, late_window) = (Duration::from_secs(2), Duration::from_millis(100));
    patient(servers, Dns { timeout, attempts, late_window, ..Dns::default() })
}

fn patient(servers: &[SocketAddr], patience: Dns) -> Resolvers {
    Resolvers::new(&[Resolver::of_servers("test", servers.to_vec(), patience)], None)
}

async fn ask(resolvers: &Resolvers, name: &str, rtype: RecordType) -> Lookup {
    let name = Domain::parse(&format!("{name}.lookups.test")).unwrap().query_name();
    let until = Instant::now() + Duration::from_secs(30);
    resolvers.lookup(&name, rtype, Some(until)).await.remove(0)
}

#[tokio::test]
async fn each_way_to_answer_has_its_status() {
    let server = world("127.0.0.1:0").await;
    let resolvers = resolvers(&[server.addr()], 1);
    for (name, rtype, status) in [
        ("mx1", RecordType::A, LookupStatus::Noerror),
        ("mx1", RecordType::Aaaa, LookupStatus::Servfail),
        ("mx1", RecordType::Mx, LookupStatus::Nodata),
        ("gone", RecordType::A, LookupStatus::Nxdomain),
        ("refused", RecordType::A, LookupStatus::Refused),
        ("formerr", RecordType::A, LookupStatus::Formerr),
        ("notimp", RecordType::A, LookupStatus::Notimp),
        ("garbage", RecordType::A, LookupStatus::Malformed),
        ("forged", RecordType::A, LookupStatus::Timeout),
        ("slow", RecordType::A, LookupStatus::Noerror),
        ("alias", RecordType::A, LookupStatus::Noerror),
        ("alias", RecordType::Mx, LookupStatus::Nodata),
    ] {
        let lookup = ask(&resolvers, name, rtype).await;
        assert_eq!(lookup.status(), status, "{name} {rtype:?}: {lookup:?}");
    }
    let lookup = ask(&resolvers, "alias", RecordType::A).await;
    let exchange = lookup.deciding().unwrap();
    assert_eq!(exchange.further.cname_chain, ["mx1.lookups.test"]);
    assert_eq!((exchange.answers, exchange.ttl), (2, Some(90)));
    let slow = ask(&resolvers, "slow", RecordType::A).await;
    assert!(slow.deciding().unwrap().duration.get() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp_in_the_same_exchange() {
    let server = world("127.0.0.1:0").await;
    let lookup = ask(&resolvers(&[server.addr()], 1), "big", RecordType::A).await;
    let [exchange] = &*lookup.exchanges else { panic!("{lookup:?}") };
    assert_eq!(exchange.status, LookupStatus::Noerror);
    assert_eq!((exchange.transport, exchange.truncated), (Transport::Tcp, true));
}

#[tokio::test]
async fn a_late_answer_is_told_from_none() {
    let server = world("127.0.0.1:0").await;
    let hasty = |late_window| {
        patient(
            &[server.addr()],
            Dns { timeout: Duration::from_millis(300), attempts: 1, late_window, ..Dns::default() },
        )
    };
    let late = ask(&hasty(Duration::from_secs(10)), "late", RecordType::A).await;
    assert_eq!(late.status(), LookupStatus::Timeout);
    let after = late.exchanges[0].further.late.expect("an answer came");
    assert!(after >= Duration::from_secs(2), "{after:?}");
    let silent = ask(&hasty(Duration::from_millis(300)), "silent", RecordType::A).await;
    assert_eq!((silent.status(), silent.exchanges[0].further.late), (LookupStatus::Timeout, None));
}

#[tokio::test]
async fn a_server_that_rejects_edns_is_asked_again_without_it() {
    let server = world("127.0.0.1:0").await;
    let lookup = ask(&resolvers(&[server.addr()], 2), "formerr", RecordType::A).await;
    assert_eq!(lookup.exchanges.len(), 2, "{lookup:?}");
    assert_eq!(lookup.status(), LookupStatus::Formerr);
}

#[tokio::test]
async fn a_server_that_says_no_is_asked_once_and_a_silent_one_as_often_as_set() {
    let server = world("127.0.0.1:0").await;
    let resolvers = resolvers(&[server.addr()], 3);
    let refused = ask(&resolvers, "refused", RecordType::A).await;
    assert_eq!(refused.exchanges.len(), 1);
    let silent = ask(&resolvers, "silent", RecordType::A).await;
    assert_eq!(silent.exchanges.len(), 3);
    let name = "silent.lookups.test";
    let asked = server.queries(name, hickory_resolver::proto::rr::RecordType::A);
    assert_eq!(asked, 3, "one exchange is one query");
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_cannot_answer() {
    // An address of this test's own: once the socket is closed, its port stays closed.
    let closed = UdpSocket::bind("127.44.0.1:0").await.unwrap().local_addr().unwrap();
    let server = world("127.0.0.1:0").await;
    let lookup = ask(&resolvers(&[closed, server.addr()], 2), "mx1", RecordType::A).await;
    let statuses: Vec<_> = lookup.exchanges.iter().map(|e| e.status).collect();
    assert_eq!(statuses, [LookupStatus::NetworkError, LookupStatus::Noerror]);
    assert_eq!(lookup.status(), LookupStatus::Noerror);
    let servfail = ask(&resolvers(&[server.addr(), closed], 1), "mx1", RecordType::Aaaa).await;
    assert_eq!(servfail.status(), LookupStatus::Servfail, "what a server said outweighs silence");
    let servers: Vec<_> = servfail.exchanges.iter().map(|e| (e.server, e.counts())).collect();
    let first = server.addr();
    assert_eq!(servers, [(first, true), (closed, true), (first, false)], "is it DNSSEC?");
}

#[tokio::test]
async fn servers_on_ipv6_are_asked_too() {
    if !mxwatch::world::World::ipv6_available() {
        assert!(std::env::var_os("CI").is_none(), "CI must have an IPv6 loopback");
        eprintln!("skipped: this host has no IPv6 loopback");
        return;
    }
    let server = world("[::1]:0").await;
    let resolvers = resolvers(&[server.addr()], 1);
    assert_eq!(ask(&resolvers, "mx1", RecordType::A).await.status(), LookupStatus::Noerror);
    let big = ask(&resolvers, "big", RecordType::A).await;
    assert_eq!(big.deciding().unwrap().transport, Transport::Tcp);
}

#[tokio::test]
async fn all_resolvers_are_asked_at_the_same_moment_and_answer_in_their_order() {
    let (one, two) = (world("127.0.0.1:0").await, world("127.0.0.1:0").await);
    two.set_zones(Zones::parse("$ORIGIN lookups.test.\nslow A !refused").unwrap());
    let named =
        |name, server: &DnsServer| Resolver::of_servers(name, vec![server.addr()], Dns::default());
    let resolvers = Resolvers::new(&[named("test", &one), named("other", &two)], None);
    let name = Domain::parse("slow.lookups.test").unwrap().query_name();
    let answers = resolvers.lookup(&name, RecordType::A, None).await;
    let seen: Vec<_> = answers.iter().map(|l| (&*l.resolver, l.status())).collect();
    assert_eq!(seen, [("test", LookupStatus::Noerror), ("other", LookupStatus::Refused)]);
}

#[tokio::test]
async fn each_resolver_has_its_own_patience_and_every_try_is_an_exchange() {
    let server = world("127.0.0.1:0").await;
    let named = |name, attempts, millis| {
        let (timeout, late_window) = (Duration::from_millis(millis), Duration::ZERO);
        let patience = Dns { timeout, attempts, late_window, ..Dns::default() };
        Resolver::of_servers(name, vec![server.addr()], patience)
    };
    let resolvers = Resolvers::new(&[named("once", 1, 400), named("thrice", 3, 100)], None);
    let name = Domain::parse("silent.lookups.test").unwrap().query_name();
    let answers = resolvers.lookup(&name, RecordType::A, None).await;
    for (lookup, (tries, least)) in answers.iter().zip([(1, 400), (3, 100)]) {
        assert_eq!(lookup.exchanges.len(), tries, "{}", lookup.resolver);
        for exchange in &lookup.exchanges {
            assert_eq!(exchange.status, LookupStatus::Timeout);
            assert!(exchange.duration.get() >= Duration::from_millis(least), "{exchange:?}");
        }
    }
    let asked = hickory_resolver::proto::rr::RecordType::A;
    assert_eq!(server.queries("silent.lookups.test", asked), 4, "one exchange is one query");
}

#[tokio::test]
async fn over_tcp_alone_no_datagram_is_sent() {
    let server = world("127.0.0.1:0").await;
    let kind =
        ResolverKind::Servers { addresses: vec![server.addr()], transport: ResolverTransport::Tcp };
    let resolver = Resolver { kind, ..Resolver::of_servers("tcp", vec![], Dns::default()) };
    let lookup = ask(&Resolvers::new(&[resolver], None), "mx1", RecordType::A).await;
    let exchange = &lookup.exchanges[0];
    assert_eq!((exchange.status, exchange.transport), (LookupStatus::Noerror, Transport::Tcp));
    assert!(!exchange.truncated);
    let asked = hickory_resolver::proto::rr::RecordType::A;
    let over = |via| server.queries_via(via, "mx1.lookups.test", asked);
    assert_eq!((over(answer::Transport::Udp), over(answer::Transport::Tcp)), (0, 1));
}
