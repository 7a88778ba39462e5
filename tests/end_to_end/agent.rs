//! The agent at work: it shares sessions, waits for nobody, keeps its manners.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use hickory_resolver::proto::rr::RecordType;
use mxwatch::world::{World, smtp_script::Script};

use crate::{
    config::Config,
    harness::{Agent, Scrape, run, wait_until},
};

/// The samples of one exchanger over IPv4.
fn ipv4(mx: &str) -> [(&str, &str); 2] {
    [("mx", mx), ("family", "ipv4")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_domains_at_three_exchangers_cost_three_exchangers() {
    let ipv6 = World::ipv6_available();
    let domains: Vec<String> = (0..200).map(|n| format!("d{n}.test")).collect();
    let mut zone = "$ORIGIN test.\nmx1.provider A 127.90.1.1\nmx2.provider A 127.90.1.2\n\
                    mx3.provider A 127.90.1.3\n"
        .to_owned();
    if ipv6 {
        zone.push_str("mx1.provider AAAA ::1\n");
    }
    for n in 0..200 {
        for mx in 1..=3 {
            writeln!(zone, "d{n} MX {mx}0 mx{mx}.provider").unwrap();
        }
    }
    let mut places: Vec<IpAddr> = (1..=3).map(|n| [127, 90, 1, n].into()).collect();
    if ipv6 {
        places.push(Ipv6Addr::LOCALHOST.into());
    }
    let builder = World::builder().zone(&zone).unwrap();
    let builder =
        places.iter().fold(builder, |b, ip| b.smtp(*ip, Script::healthy("provider.test")));
    let world = builder.start().await.unwrap();

    let begun = Instant::now();
    let mut agent = Agent::start(&Config::of(&world).domains(&domains).text());
    wait_until("five rounds of every exchanger and two of every domain", || {
        let served = places.iter().all(|&ip| world.smtp(ip).tally().accepted >= 5);
        let asked = domains.iter().all(|d| world.dns().queries(d, RecordType::MX) >= 2);
        (served && asked).then_some(())
    });
    let scrape = agent.scrape();
    let (status, _) = agent.terminate();
    assert_eq!(status.code(), Some(0));

    // One each interval of a second, and one at the start out of line.
    let most = begun.elapsed().as_secs() + 2;
    for &ip in &places {
        let tally = world.smtp(ip).tally();
        assert!(tally.accepted <= most, "{ip}: {tally:?}, at most {most}");
        assert_eq!(tally.peak, 1, "{ip}: sessions overlap");
    }
    for mx in ["mx1.provider.test", "mx2.provider.test", "mx3.provider.test"] {
        for rtype in [RecordType::A, RecordType::AAAA] {
            let asked = world.dns().queries(mx, rtype);
            assert!((5..=most).contains(&asked), "{mx} {rtype}: {asked}, at most {most}");
        }
    }
    for domain in &domains {
        let asked = world.dns().queries(domain, RecordType::MX);
        assert!(asked <= most, "{domain}: {asked}, at most {most}");
    }
    assert_eq!(scrape.matching("mx_route", &ipv4("mx1.provider.test")).len(), 200);
    let counted = scrape.sum("mx_sessions_total", &ipv4("mx2.provider.test"));
    assert!(counted >= 4.0, "{counted}");
    assert_eq!(scrape.value("mxwatch_destinations", &[]), Some(200.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_silent_exchangers_delay_nobody() {
    let silent: Vec<[u8; 4]> = (1..=100).map(|n| [127, 90, 2, n]).collect();
    let healthy: Vec<[u8; 4]> = (201..=203).map(|n| [127, 90, 2, n]).collect();
    let mut zone = "$ORIGIN test.\n".to_owned();
    let mut domains = Vec::new();
    for [.., n] in silent.iter().chain(&healthy) {
        writeln!(zone, "d{n} MX 10 mx.d{n}\nmx.d{n} A 127.90.2.{n}").unwrap();
        domains.push(format!("d{n}.test"));
    }
    let mut builder = World::builder().zone(&zone).unwrap();
    for &ip in &silent {
        builder = builder.smtp(ip, Script::silent());
    }
    for &ip in &healthy {
        builder = builder.smtp(ip, Script::healthy("mx.test"));
    }
    let world = builder.start().await.unwrap();
    let config = Config::of(&world)
        .domains(&domains)
        .probe("banner_timeout", "\"20s\"")
        .probe("session_timeout", "\"20s\"")
        .section("[politeness]\nmax_sessions = 4");
    let agent = Agent::start(&config.text());
    wait_until("a session with every silent exchanger at the same time", || {
        silent.iter().all(|&ip| world.smtp(ip).tally().open == 1).then_some(())
    });
    let in_flight = agent.scrape().value("mxwatch_sessions_in_flight", &[]);
    assert!(in_flight >= Some(100.0), "{in_flight:?}");
    // Far fewer seconds than the silent ones take.
    let before: Vec<u64> = healthy.iter().map(|&ip| world.smtp(ip).tally().accepted).collect();
    let begun = Instant::now();
    wait_until("five more rounds of every healthy exchanger", || {
        let more = |(&ip, before)| world.smtp(ip).tally().accepted >= before + 5;
        healthy.iter().zip(&before).all(more).then_some(())
    });
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(silent.iter().all(|&ip| world.smtp(ip).tally().peak == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_us_is_called_less_often_until_we_are_welcome() {
    let (no, later, healthy) = ([127, 90, 3, 1], [127, 90, 3, 2], [127, 90, 3, 3]);
    let world = World::builder()
        .zone(
            "$ORIGIN test.\na MX 10 no\nb MX 10 later\nc MX 10 nobody\nd MX 10 healthy\n\
             no A 127.90.3.1\nlater A 127.90.3.2\nhealthy A 127.90.3.3\nnobody A 127.90.3.9",
        )
        .unwrap()
        .smtp(no, Script::banner("554 5.7.1 no"))
        .smtp(later, Script::banner("421 4.3.2 later"))
        .smtp(healthy, Script::healthy("healthy.test"))
        .start()
        .await
        .unwrap();
    let config = Config::of(&world).domains(&["a.test", "b.test", "c.test", "d.test"]);
    let agent = Agent::start(&config.section("[politeness]\nmax_backoff = \"4s\"").text());
    wait_until("ten rounds", || (world.smtp(healthy).tally().accepted >= 10).then_some(()));
    // In rounds 0, 2, 6 and 10; one more for the round that goes on just now.
    for ip in [no, later] {
        let called = world.smtp(ip).tally().accepted;
        assert!((2..=5).contains(&called), "{ip:?}: {called} of ten rounds");
    }
    // RFC 5321 §3.1: after a 554 the server waits for QUIT.
    world.smtp(no).until(|tally| tally.quit == tally.accepted).await;
    let backoff = |scrape: &Scrape, mx| scrape.value("mx_probe_backoff_seconds", &ipv4(mx));
    let scrape = agent.scrape_until("the longest pauses", |scrape| {
        ["no.test", "later.test", "nobody.test"].iter().all(|mx| backoff(scrape, mx) == Some(4.0))
    });
    assert_eq!(backoff(&scrape, "healthy.test"), Some(0.0));
    let refused = scrape.sum("mx_sessions_total", &ipv4("nobody.test"));
    assert!(refused < scrape.sum("mx_sessions_total", &ipv4("healthy.test")) / 2.0, "{refused}");
    // What is known of who is left alone stays known.
    assert_eq!(scrape.value("mx_exchanger_up", &ipv4("no.test")), Some(0.0));
    let banner = [("mx", "no.test"), ("stage", "banner")];
    assert_eq!(scrape.value("mx_smtp_reply_code", &banner), Some(554.0));

    world.smtp(no).set_script(Script::healthy("no.test"));
    agent.scrape_until("the end of the pause", |scrape| {
        backoff(scrape, "no.test") == Some(0.0)
            && scrape.value("mx_exchanger_up", &ipv4("no.test")) == Some(1.0)
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_comes_after_the_first_round() {
    let mx = [127, 90, 4, 1];
    let world = World::builder()
        .zone("$ORIGIN slow.test.\n@ MX 10 mx\nmx A 127.90.4.1")
        .unwrap()
        .smtp(mx, Script::silent())
        .start()
        .await
        .unwrap();
    let config = Config::of(&world).domains(&["slow.test"]).probe("interval", "\"60s\"");
    let agent = Agent::start(&config.probe("banner_timeout", "\"5s\"").text());
    assert_eq!(agent.get("/-/healthy").status, 200);
    let early = agent.get("/-/ready");
    assert_eq!(early.status, 503, "{early:?}");
    agent.wait_ready();
    let scrape = agent.scrape();
    let failure = scrape.sample("mx_exchanger_failure", &ipv4("mx.slow.test")).unwrap();
    assert_eq!((failure.label("stage"), failure.label("reason")), ("banner", "timeout"));
    agent.wait_for_log(&["ready: every destination"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipv6_to_listen_on_and_to_ask() {
    if !World::ipv6_available() {
        println!("skipped: this host has no IPv6 loopback");
        return;
    }
    let mx = Ipv6Addr::LOCALHOST;
    let world = World::builder()
        .zone("$ORIGIN six.test.\n@ MX 10 mx\nmx AAAA ::1")
        .unwrap()
        .dns_at((Ipv6Addr::LOCALHOST, 0).into())
        .smtp(mx, Script::healthy("mx.six.test"))
        .start()
        .await
        .unwrap();
    assert!(world.dns_addr().is_ipv6());
    let listen = ["--web.listen-address=[::1]:0", "--web.listen-address=127.0.0.1:0"];
    let agent = Agent::start_with(&Config::of(&world).domains(&["six.test"]).text(), &listen);
    agent.wait_ready();
    let families: Vec<bool> = agent.addresses().iter().map(SocketAddr::is_ipv6).collect();
    assert!(families.contains(&true) && families.contains(&false), "{:?}", agent.addresses());
    for &address in agent.addresses() {
        let reply = crate::harness::request(address, "GET", "/metrics", &[]).unwrap();
        let scrape = Scrape::parse(&reply.body);
        let up =
            |family| scrape.value("mx_exchanger_up", &[("mx", "mx.six.test"), ("family", family)]);
        assert_eq!((up("ipv6"), up("ipv4")), (Some(1.0), None), "{address}");
        let none = scrape.value("mx_exchanger_addresses", &ipv4("mx.six.test"));
        assert_eq!(none, Some(0.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_leave_as_configured_and_destinations_keep_their_own_settings() {
    let [plain, narrow, relay] = [[127, 90, 48, 1], [127, 90, 48, 2], [127, 90, 48, 3]];
    let mapped = |v4: [u8; 4]| std::net::Ipv4Addr::from(v4).to_ipv6_mapped();
    let zone = format!(
        "$ORIGIN own.test.\nplain MX 10 mx.plain\nmx.plain A 127.90.48.1\n\
         narrow MX 10 mx.narrow\nmx.narrow A 127.90.48.2\nmx.narrow AAAA {}",
        mapped([127, 90, 48, 4])
    );
    let world = World::builder()
        .zone(&zone)
        .unwrap()
        .smtp(plain, Script::healthy("mx.plain"))
        .smtp(narrow, Script::healthy("mx.narrow"))
        .smtp(relay, Script::slow_banner(Duration::from_secs(2)))
        .start()
        .await
        .unwrap();
    let port = world.smtp_port();
    let own = format!(
        "[[destination]]\ndomain = \"narrow.own.test\"\nfamilies = [\"ipv4\"]\n\
         [[destination]]\nsmarthost = \"127.90.48.3:{port}\"\nbanner_timeout = \"300ms\"\n\
         interval = \"30s\""
    );
    let config = Config::of(&world).domains(&["plain.own.test"]).section(&own);
    let agent = Agent::start(&config.probe("source_ipv4", "\"127.90.48.77\"").text());
    let scrape = agent.scrape_until("three rounds of those that have one a second", |scrape| {
        let ok = |mx| scrape.sum("mx_sessions_total", &[("mx", mx), ("reason", "ok")]);
        ok("mx.plain.own.test") >= 3.0 && ok("mx.narrow.own.test") >= 3.0
    });
    let failure = scrape.sample("mx_exchanger_failure", &[("mx", "127.90.48.3")]);
    let failure = failure.expect("its own patience is shorter than its banner");
    assert_eq!(failure.labels["stage"], "banner");
    assert_eq!(world.smtp(relay).tally().accepted, 1, "its own interval is longer");
    let v6 = [("mx", "mx.narrow.own.test"), ("family", "ipv6")];
    assert_eq!(scrape.value("mx_exchanger_addresses", &v6), Some(1.0));
    assert_eq!(scrape.value("mx_exchanger_up", &v6), None, "that family is not called");
    let commands = world.smtp(plain).commands();
    assert!(commands.contains(&"EHLO probe.example.org".to_owned()), "{commands:?}");
    let facts = agent.get("/api/v1/domains/plain.own.test");
    assert!(facts.body.contains("\"source\":\"127.90.48.77\""), "{}", facts.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_names_of_one_address_share_its_sessions() {
    let address = [127, 90, 49, 1];
    let mut zone = "$ORIGIN hosted.test.\n".to_owned();
    let customers: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
    for name in &customers {
        writeln!(zone, "{name} MX 10 mx.{name}\nmx.{name} A 127.90.49.1").unwrap();
    }
    let builder = World::builder().zone(&zone).unwrap();
    let world = builder.smtp(address, Script::healthy("mx.hosted.test")).start().await.unwrap();
    let domains: Vec<String> = customers.iter().map(|name| format!("{name}.hosted.test")).collect();
    let config = Config::of(&world).domains(&domains).probe("interval", "\"2s\"");
    let begun = Instant::now();
    let agent = Agent::start(&config.text());
    let scrape = agent.scrape_until("all up, and some intervals gone", |scrape| {
        let up = |name: &String| {
            let mx = format!("mx.{name}.hosted.test");
            scrape.value("mx_exchanger_up", &ipv4(&mx)) == Some(1.0)
        };
        customers.iter().all(up) && world.smtp(address).tally().accepted >= 3
    });
    let accepted = world.smtp(address).tally().accepted;
    // Every three quarters of an interval at most, one to begin with, and one for rounds that had
    // to wait for a busy machine; without sharing it would be thirty in every interval.
    let most = begun.elapsed().as_secs_f64() / 1.5 + 2.0;
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let calls = accepted as f64;
    assert!(calls <= most, "{accepted} sessions for 30 names in {:?}", begun.elapsed());
    let counted = scrape.sum("mx_sessions_total", &[("reason", "ok")]);
    assert!(counted <= calls, "{counted}: each session is counted once");
}

#[test]
fn it_tells_what_it_was_built_from() {
    let said = run(&["--version"]).stdout;
    let lines: Vec<&str> = said.lines().collect();
    let [name, revision, rustc] = lines[..] else { panic!("{said}") };
    assert_eq!(name, concat!("mxwatch ", env!("CARGO_PKG_VERSION")));
    let revision = revision.strip_prefix("revision ").unwrap();
    let (rustc, _) = rustc.strip_prefix("rustc ").unwrap().split_once(" for ").unwrap();
    assert!(rustc.starts_with("1."), "{rustc}");
    let agent = Agent::start("helo_name = \"probe.example.org\"");
    let built = [("version", env!("CARGO_PKG_VERSION")), ("revision", revision), ("rustc", rustc)];
    assert_eq!(agent.scrape().value("mxwatch_build_info", &built), Some(1.0));
}
