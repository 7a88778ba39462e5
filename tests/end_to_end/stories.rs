//! The three stories mxwatch is there for, each from the configuration to the metric that pages and
//! the sentence that explains it.

use std::time::Duration;

use mxwatch::world::{World, smtp_script::Script};
use serde_json::Value;

use crate::{
    config::Config,
    harness::{Agent, Scrape},
};

/// The verdict of a sender on a domain as the API tells it.
fn told(agent: &Agent, domain: &str, sender: &str) -> Value {
    let document = agent.get(&format!("/api/v1/domains/{domain}")).body;
    let document: Value = serde_json::from_str(&document).unwrap();
    let verdicts = document["verdicts"].as_array().unwrap();
    let own = verdicts.iter().find(|verdict| verdict["sender"] == sender);
    own.unwrap_or_else(|| panic!("no verdict of {sender}: {document}")).clone()
}

fn deliverable(scrape: &Scrape, domain: &str, sender: &str) -> Option<f64> {
    scrape.value("mx_delivery_deliverable", &[("domain", domain), ("sender", sender)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aaaa_lookup_that_fails_holds_mail_back_although_a_works() {
    let world = World::builder()
        .zone(
            "$ORIGIN test.\nfirst MX 10 mx.first\nmx.first A 127.90.70.1\nmx.first AAAA !servfail",
        )
        .unwrap()
        .smtp([127, 90, 70, 1], Script::healthy("mx.first.test"))
        .start()
        .await
        .unwrap();
    let config = Config::of(&world).domains(&["first.test"]);
    let config = config.top("senders = [\"exchange-2010\", \"sendmail\", \"postfix\"]");
    let agent = Agent::start(&config.text());
    agent.scrape_until("Exchange and Sendmail hold it, Postfix does not", |scrape| {
        let one = |sender| deliverable(scrape, "first.test", sender);
        (one("exchange-2010"), one("sendmail"), one("postfix")) == (Some(0.0), Some(0.0), Some(1.0))
    });
    let exchange = told(&agent, "first.test", "exchange-2010");
    let server = world.dns_addr();
    assert_eq!(
        exchange["text"],
        format!(
            "Exchange 2010 would hold the message: the AAAA lookup of mx.first.test fails (SERVFAIL \
             from {server}), and this sender wants an answer to it although A works. It would try \
             again in 1 min and return the message after 2 days."
        )
    );
    assert_eq!(exchange["log"], "451 4.4.0 DNS query failed");
    assert_eq!(exchange["cure"]["who"], "destination");
    let sendmail = told(&agent, "first.test", "sendmail");
    assert!(sendmail["cure"]["what"].as_str().unwrap().contains("WorkAroundBrokenAAAA"));
    let page = agent.get("/domains/first.test").body;
    assert!(page.contains("wants an answer to it although A works"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchanger_that_never_greets_stops_some_and_delays_the_others() {
    let world = World::builder()
        .zone(
            "$ORIGIN test.\nsecond MX 10 mx1.second\nsecond MX 20 mx2.second\n\
             mx1.second A 127.90.71.1\nmx2.second A 127.90.71.2",
        )
        .unwrap()
        .smtp([127, 90, 71, 1], Script::silent())
        .smtp([127, 90, 71, 2], Script::healthy("mx2.second.test"))
        .start()
        .await
        .unwrap();
    let config = Config::of(&world).domains(&["second.test"]).probe("banner_timeout", "\"1s\"");
    let agent = Agent::start(&config.top("senders = [\"ims-5.5\", \"postfix\"]").text());
    let scrape = agent.scrape_until("one holds it, one delivers it", |scrape| {
        let one = |sender| deliverable(scrape, "second.test", sender);
        (one("ims-5.5"), one("postfix")) == (Some(0.0), Some(1.0))
    });
    let lost = [("sender", "postfix"), ("bound", "worst")];
    assert_eq!(scrape.value("mx_delivery_wait_seconds", &lost), Some(300.0));
    let stuck = told(&agent, "second.test", "ims-5.5");
    assert_eq!(stuck["reason"], "banner_timeout");
    let begin = "The Internet Mail Service of Exchange 5.5 would hold the message after 5 min: \
                 mx1.second.test [127.90.71.1] accepts the connection and does not greet within 5 \
                 min.";
    assert!(stuck["text"].as_str().unwrap().starts_with(begin), "{stuck}");
    assert_eq!(stuck["censored"], true, "the probe waited a second");
    let late = told(&agent, "second.test", "postfix");
    assert!(late["text"].as_str().unwrap().contains("after losing 5 min"), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_domain_of_many_that_is_held_is_seen_long_before_the_ndr() {
    let mut zone = "$ORIGIN test.\nill MX 10 mx.ill\nmx.ill A 127.90.72.1\nmx.ill AAAA !silent\n\
                    mx A 127.90.72.1\n"
        .to_owned();
    let well: Vec<String> = (0..40).map(|n| format!("well{n}")).collect();
    zone.extend(well.iter().map(|name| format!("{name} MX 10 mx\n")));
    let world = World::builder()
        .zone(&zone)
        .unwrap()
        .smtp([127, 90, 72, 1], Script::healthy("mx.test"))
        .start()
        .await
        .unwrap();
    let mut domains: Vec<String> = well.iter().map(|name| format!("{name}.test")).collect();
    domains.push("ill.test".to_owned());
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let agent = Agent::start(
        &Config::of(&world).domains(&domains).top("senders = [\"exchange-2010\"]").text(),
    );
    let scrape = agent.scrape_until("all are judged", |scrape| {
        scrape.matching("mx_delivery_deliverable", &[]).len() == domains.len()
    });
    let failing = scrape.matching("mx_delivery_outcome", &[("outcome", "defer")]);
    assert_eq!(failing.len(), 1);
    assert!(failing[0].has(&[("domain", "ill.test"), ("mx", "mx.ill.test")]));
    let overview = agent.get("/").body;
    let first = overview.find("/domains/").map(|at| &overview[at..]).unwrap();
    assert!(first.starts_with("/domains/ill.test"), "what is wrong comes first");
    let verdict = told(&agent, "ill.test", "exchange-2010");
    let days = Duration::from_secs(2 * 24 * 3600).as_secs_f64();
    assert_eq!(verdict["expires_seconds"], days);
    let page = agent.get("/domains/ill.test").body;
    assert!(page.contains("Held since "), "{page}");
    assert!(page.contains("returned in 47 h") || page.contains("returned in 48 h"), "{page}");
}
