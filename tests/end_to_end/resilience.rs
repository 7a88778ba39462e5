//! What breaks around the agent: it tells, stays, and recovers.

use mxwatch::world::{World, dns::DnsServer, smtp_script::Script, zone::Zones};

use crate::{
    config::Config,
    harness::{Agent, Scrape, wait_until},
};

const ZONE: &str = "$ORIGIN a.test.\n@ MX 10 mx\nmx A 127.90.7.1";

fn status<'a>(scrape: &'a Scrape, name: &str, rtype: &str) -> Option<&'a str> {
    let lookup = [("name", name), ("type", rtype)];
    scrape.sample("mx_dns_lookup_status", &lookup).map(|sample| sample.label("status"))
}

fn sessions(scrape: &Scrape) -> f64 {
    scrape.sum("mx_sessions_total", &[("mx", "mx.a.test"), ("reason", "ok")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_vanishes_and_returns() {
    let mx = [127, 90, 7, 1];
    let world = World::builder().smtp(mx, Script::healthy("mx.a.test")).start().await.unwrap();
    let zones = || Zones::parse(ZONE).unwrap();
    let dns = DnsServer::start("127.90.7.53:0".parse().unwrap(), zones()).await.unwrap();
    let address = dns.addr();
    let config = Config::of(&world).resolver(address).domains(&["a.test"]);
    let agent = Agent::start(&config.dns("timeout", "\"500ms\"").text());
    let before = agent.scrape_until("a healthy exchanger", |scrape| sessions(scrape) >= 2.0);

    dns.stop().await;
    let lost = agent.scrape_until("lookups that fail", |scrape| {
        [("a.test", "MX"), ("mx.a.test", "A"), ("mx.a.test", "AAAA")].iter().all(|(name, rtype)| {
            matches!(status(scrape, name, rtype), Some("network_error" | "timeout"))
        })
    });
    // Mail queues for the exchanger known before, so that one stays watched.
    let route = [("domain", "a.test"), ("mx", "mx.a.test"), ("family", "ipv4")];
    assert_eq!(lost.value("mx_route", &route), Some(1.0));
    let lookup = [("name", "a.test"), ("type", "MX")];
    assert_eq!(lost.value("mx_dns_lookup_success", &lookup), Some(0.0));
    agent.wait_for_log(&["route changed", "domain=a.test", "route=\"lookup failed\""]);
    let up = [("mx", "mx.a.test"), ("family", "ipv4")];
    let watched = agent.scrape_until("sessions that go on without DNS", |scrape| {
        sessions(scrape) > sessions(&lost) + 1.0
    });
    assert_eq!(watched.value("mx_exchanger_up", &up), Some(1.0), "SMTP did not change");
    assert_eq!(watched.value("mx_exchanger_addresses", &up), Some(1.0));

    let dns = DnsServer::start(address, zones()).await.unwrap();
    let back = agent.scrape_until("everything as before", |scrape| {
        status(scrape, "a.test", "MX") == Some("noerror")
            && status(scrape, "mx.a.test", "A") == Some("noerror")
            && sessions(scrape) > sessions(&before)
    });
    assert_eq!(back.value("mx_exchanger_up", &[("mx", "mx.a.test")]), Some(1.0));
    assert_eq!(agent.log_with(&["route=\"lookup failed\""]).len(), 1, "told once");
    dns.stop().await;
}

#[test]
fn a_peer_that_is_killed_in_the_middle_of_a_session() {
    // Another process whose exchanger at 127.83.0.5 accepts and says nothing.
    let peer = Agent::demo(&["--interval=60s"]);
    let command = wait_until("the command that names the port", || {
        peer.output().into_iter().find(|line| line.contains("--port "))
    });
    let port = command.split_whitespace().skip_while(|word| *word != "--port").nth(1).unwrap();
    let mut agent = Agent::start(&format!(
        "helo_name = \"probe.example.org\"\n[probe]\ninterval = \"1s\"\n\
         [[destination]]\nsmarthost = \"127.83.0.5:{port}\"\n"
    ));
    agent.scrape_until("an open session", |scrape| {
        scrape.value("mxwatch_sessions_in_flight", &[]) == Some(1.0)
    });
    // Dropping it is SIGKILL.
    drop(peer);
    let scrape = agent.scrape_until("the end of that session", |scrape| {
        ["reset", "closed"].iter().any(|reason| {
            scrape.sum("mx_sessions_total", &[("stage", "banner"), ("reason", reason)]) >= 1.0
        })
    });
    assert_eq!(scrape.value("mxwatch_probe_panics_total", &[]), Some(0.0));
    agent.scrape_until("that nobody is there any more", |scrape| {
        let failure = scrape.sample("mx_exchanger_failure", &[]);
        failure.is_some_and(|f| f.has(&[("stage", "connect"), ("reason", "refused")]))
    });
    assert_eq!(agent.get("/-/healthy").status, 200);
    assert_eq!(agent.terminate().0.code(), Some(0));
}
