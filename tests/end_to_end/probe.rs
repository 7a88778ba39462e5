//! `/probe?target=`: configured domains from their last round, others when that is allowed.

use std::time::{Duration, Instant};

use mxwatch::world::{World, smtp_script::Script};

use crate::{
    config::Config,
    harness::{Agent, Scrape},
};

/// A domain that is configured, one that is not and whose first exchanger is silent.
async fn world(net: u8) -> World {
    World::builder()
        .zone(&format!(
            "$ORIGIN test.\nown MX 10 healthy\nother MX 10 silent\nother MX 20 healthy\n\
             mute MX 10 silent\nhealthy A 127.90.{net}.1\nsilent A 127.90.{net}.2"
        ))
        .unwrap()
        .smtp([127, 90, net, 1], Script::healthy("healthy.test"))
        .smtp([127, 90, net, 2], Script::silent())
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_configured_domains_are_probed() {
    let world = world(20).await;
    let config = Config::of(&world).domains(&["own.test"]).probe("interval", "\"60s\"");
    let agent = Agent::start(&config.text());
    let reply = agent.get("/probe?target=own.test");
    assert_eq!(reply.status, 200, "{reply:?}");
    let scrape = Scrape::parse(&reply.body);
    assert_eq!(scrape.value("probe_success", &[]), Some(1.0));
    let up = [("mx", "healthy.test"), ("family", "ipv4")];
    assert_eq!(scrape.value("mx_exchanger_up", &up), Some(1.0));
    assert!(scrape.value("probe_duration_seconds", &[]).is_some());
    let verdict = [("domain", "own.test"), ("sender", "postfix"), ("resolver", "world")];
    assert_eq!(scrape.value("mx_delivery_deliverable", &verdict), Some(1.0), "judged already");
    assert_eq!(world.smtp([127, 90, 20, 1]).tally().accepted, 1, "answered from the last round");

    let reply = agent.get("/probe?target=other.test");
    assert_eq!(reply.status, 403, "{reply:?}");
    assert!(reply.body.contains("probe_any_target"), "{reply:?}");
    assert_eq!(world.smtp([127, 90, 20, 2]).tally().accepted, 0);
    assert_eq!(agent.get("/probe").status, 400);
    assert_eq!(agent.get("/probe?target=not%20a%20name").status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_exchanger_does_not_take_the_rest_along() {
    let world = world(21).await;
    let config = Config::of(&world)
        .domains(&["own.test"])
        .probe("interval", "\"60s\"")
        .probe("banner_timeout", "\"60s\"")
        .probe("session_timeout", "\"120s\"")
        .section("[web]\nprobe_any_target = true");
    let agent = Agent::start(&config.text());
    let hurry = [("X-Prometheus-Scrape-Timeout-Seconds", "3")];
    let begun = Instant::now();
    let reply = agent.request("GET", "/probe?target=other.test", &hurry);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(reply.status, 200, "{reply:?}");
    let scrape = Scrape::parse(&reply.body);
    assert_eq!(scrape.value("probe_success", &[]), Some(1.0), "the second exchanger is up");
    for (name, rtype) in [("other.test", "MX"), ("silent.test", "A"), ("healthy.test", "A")] {
        let lookup = [("name", name), ("type", rtype), ("status", "noerror")];
        assert_eq!(scrape.value("mx_dns_lookup_status", &lookup), Some(1.0), "{name}");
    }
    let failure = scrape.sample("mx_exchanger_failure", &[("mx", "silent.test")]).unwrap();
    assert!(failure.has(&[("stage", "banner"), ("reason", "timeout")]), "{failure}");
    assert_eq!(scrape.value("mx_exchanger_up", &[("mx", "healthy.test")]), Some(1.0));
    for sender in ["exchange-2010", "postfix"] {
        let verdict = [("domain", "other.test"), ("sender", sender)];
        let verdict = scrape.sample("mx_delivery_outcome", &verdict).unwrap();
        assert!(verdict.has(&[("outcome", "deliver"), ("mx", "healthy.test")]), "{verdict}");
    }
    assert!(!scrape.mentions("own.test"), "one domain only");

    let reply = agent.request("GET", "/probe?target=mute.test", &hurry);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(Scrape::parse(&reply.body).value("probe_success", &[]), Some(0.0));
    // Smart hosts of the client's choice would make a port scanner of us.
    assert_eq!(agent.get("/probe?target=127.90.21.1:25").status, 403);
    assert!(!agent.scrape().mentions("other.test"), "nothing of it stays");
}
