//! Several resolvers side by side: what each of them sees, whether they agree, and that what only
//! one of them knows is probed and judged.

use std::net::{Ipv4Addr, SocketAddr};

use mxwatch::world::{World, dns::DnsServer, smtp_script::Script, zone::Zones};
use serde_json::Value;

use crate::{
    config::Config,
    harness::{Agent, Scrape, program, run_command},
};

/// A second name server, with its own idea of everything.
async fn public(zone: &str) -> DnsServer {
    let zones = Zones::parse(zone).unwrap();
    DnsServer::start((Ipv4Addr::LOCALHOST, 0).into(), zones).await.unwrap()
}

/// Looks up at both, which are `world` and `public`.
fn config(world: &World, public: &DnsServer) -> Config {
    let server = public.addr();
    let section = format!("[[resolver]]\nname = \"public\"\nservers = [\"{server}\"]");
    Config::of(world).section(&section)
}

fn agree(scrape: &Scrape, name: &str, rtype: &str) -> Option<f64> {
    scrape.value("mx_resolvers_agree", &[("name", name), ("type", rtype)])
}

/// What a sender that goes by this resolver would do.
fn outcome<'a>(scrape: &'a Scrape, domain: &str, resolver: &str) -> Option<[&'a str; 3]> {
    let labels = [("domain", domain), ("resolver", resolver)];
    let sample = scrape.sample("mx_delivery_outcome", &labels)?;
    Some(["outcome", "reason", "mx"].map(|label| sample.label(label)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aaaa_failure_of_one_resolver_is_cured_by_asking_the_other() {
    let zone = "$ORIGIN test.\nstory MX 10 mx.story\nmx.story A 127.90.80.1\n";
    let world = World::builder()
        .zone(&format!("{zone}mx.story AAAA !servfail"))
        .unwrap()
        .smtp([127, 90, 80, 1], Script::healthy("mx.story.test"))
        .start()
        .await
        .unwrap();
    let public = public(zone).await;
    let config = config(&world, &public).domains(&["story.test"]);
    let agent = Agent::start(&config.top("senders = [\"exchange-2010\"]").text());
    let scrape = agent.scrape_until("both views are judged", |scrape| {
        outcome(scrape, "story.test", "world").is_some()
            && outcome(scrape, "story.test", "public").is_some()
    });
    let mx = "mx.story.test";
    assert_eq!(outcome(&scrape, "story.test", "world"), Some(["defer", "host_dns_temp", mx]));
    assert_eq!(outcome(&scrape, "story.test", "public"), Some(["deliver", "ok", mx]));
    let findings = scrape.matching("mx_exchanger_finding", &[]);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].has(&[
        ("mx", mx),
        ("resolver", "world"),
        ("finding", "aaaa_servfail_a_ok")
    ]));
    assert_eq!(agree(&scrape, "story.test", "MX"), Some(1.0));
    assert_eq!(agree(&scrape, mx, "A"), Some(1.0));
    assert_eq!(agree(&scrape, mx, "AAAA"), Some(0.0));

    let document: Value =
        serde_json::from_str(&agent.get("/api/v1/domains/story.test").body).unwrap();
    let found = serde_json::json!(
        [{"resolver": "world", "mx": mx, "finding": "aaaa_servfail_a_ok"}]
    );
    assert_eq!(document["findings"], found);
    let verdicts = document["verdicts"].as_array().unwrap();
    let held = verdicts.iter().find(|verdict| verdict["resolver"] == "world").unwrap();
    assert_eq!(held["cure"]["who"], "your_resolver");
    let cure = "AAAA of mx.story.test is answered through public: let the sender ask there, which \
                cures it at once";
    assert!(held["cure"]["what"].as_str().unwrap().starts_with(cure), "{held}");
    let page = agent.get("/domains/story.test").body;
    for part in [
        "aaaa servfail a ok",
        "its AAAA lookup fails through world",
        "The answer to AAAA is NODATA through public: another resolver cures it at once.",
    ] {
        assert!(page.contains(part), "{part:?} is missing in {page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_rotate_are_no_disagreement_once_that_was_seen() {
    let zone = |last: u8| format!("$ORIGIN test.\nturn MX 10 mx.turn\nmx.turn A 127.90.81.{last}");
    let world = World::builder()
        .zone(&zone(1))
        .unwrap()
        .smtp([127, 90, 81, 1], Script::healthy("mx.turn.test"))
        .smtp([127, 90, 81, 2], Script::healthy("mx.turn.test"))
        .start()
        .await
        .unwrap();
    let public = public(&zone(2)).await;
    let agent = Agent::start(&config(&world, &public).domains(&["turn.test"]).text());
    let until = |what, addresses, agreed| {
        agent.scrape_until(what, |scrape| {
            let ipv4 = [("mx", "mx.turn.test"), ("family", "ipv4")];
            scrape.value("mx_exchanger_addresses", &ipv4) == Some(addresses)
                && agree(scrape, "mx.turn.test", "A") == Some(agreed)
        })
    };
    until("each gives its own, and nobody has seen more", 2.0, 0.0);
    world.dns().set_zones(Zones::parse(&zone(2)).unwrap());
    until("both give the second", 1.0, 1.0);
    public.set_zones(Zones::parse(&zone(1)).unwrap());
    until("each gives another again, and both gave both", 2.0, 1.0);
    assert!(world.smtp([127, 90, 81, 2]).tally().accepted > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_second_resolver_names_is_probed_and_judged() {
    let inside = "$ORIGIN test.\nhost MX 10 in.host\nin.host A 127.90.82.1\n\
                  address MX 10 mx.address\nmx.address A 127.90.82.10\n";
    let outside = "$ORIGIN test.\nhost MX 30 out.host\nout.host A 127.90.82.2\n\
                   address MX 10 mx.address\nmx.address A 127.90.82.11\n";
    let healthy = || Script::healthy("mx.test");
    let world = World::builder()
        .zone(inside)
        .unwrap()
        .smtp([127, 90, 82, 1], healthy())
        .smtp([127, 90, 82, 2], healthy())
        .smtp([127, 90, 82, 11], healthy())
        .start()
        .await
        .unwrap();
    let public = public(outside).await;
    let config = config(&world, &public).domains(&["host.test", "address.test"]);
    let agent = Agent::start(&config.top("senders = [\"postfix\"]").text());
    let judged = |what, domain: &str, resolver: &str, wanted: [&str; 3]| {
        agent.scrape_until(what, |scrape| outcome(scrape, domain, resolver) == Some(wanted))
    };
    judged("in.host", "host.test", "world", ["deliver", "ok", "in.host.test"]);
    let scrape = judged("out.host", "host.test", "public", ["deliver", "ok", "out.host.test"]);
    assert_eq!(scrape.value("mx_exchanger_up", &[("mx", "out.host.test")]), Some(1.0));
    assert_eq!(agree(&scrape, "host.test", "MX"), Some(0.0));
    // Nobody listens at the address that the first resolver gives.
    let refused = ["defer", "connect_refused", "mx.address.test"];
    judged("the wrong address", "address.test", "world", refused);
    let well = ["deliver", "ok", "mx.address.test"];
    judged("the right address", "address.test", "public", well);
    let document = agent.get("/api/v1/domains/address.test").body;
    let document: Value = serde_json::from_str(&document).unwrap();
    let text = document["verdicts"][1]["text"].as_str().unwrap();
    assert!(text.contains("mx.address.test [127.90.82.11]"), "its own address: {text}");
    let document = agent.get("/api/v1/domains").body;
    let document: Value = serde_json::from_str(&document).unwrap();
    let hops = &document["domains"][1]["exchangers"];
    assert_eq!(hops[1]["mx"], "out.host.test");
    assert_eq!(hops[1]["preference"], 30);
    assert_eq!(hops[1]["named_only_by"], serde_json::json!(["public"]));
    let page = agent.get("/domains/host.test").body;
    assert!(page.contains("out.host.test <span class=\"by\">only by public</span>"), "{page}");

    // What becomes of it is judged anew although the primary resolver's route has no part in it.
    let failing = outside.replace("out.host A 127.90.82.2", "out.host A !servfail");
    public.set_zones(Zones::parse(&failing).unwrap());
    let lost = ["defer", "host_dns_temp", "out.host.test"];
    judged("its address cannot be had", "host.test", "public", lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_shows_resolvers_side_by_side() {
    let zone = "$ORIGIN test.\nmx.split A 127.90.83.1\nout.split A 127.90.83.2\n";
    let world = World::builder()
        .zone(&format!("{zone}split MX 10 mx.split\nmx.split AAAA !servfail"))
        .unwrap()
        .smtp([127, 90, 83, 1], Script::healthy("mx.split.test"))
        .smtp([127, 90, 83, 2], Script::healthy("out.split.test"))
        .start()
        .await
        .unwrap();
    let public = public(&format!("{zone}split MX 10 mx.split\nsplit MX 20 out.split")).await;
    let (lan, public): (SocketAddr, SocketAddr) = (world.dns_addr(), public.addr());
    let mut command = program();
    command.args(["check", "--helo-name=probe.example.org", "--timeout=2s", "split.test"]);
    command.args([format!("--dns-server={lan}"), format!("--dns-server={public}")]);
    command.arg(format!("--port={}", world.smtp_port()));
    let ran = run_command(command);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        // The same answer once, others apart, each with who gave it.
        &*format!("MX 10 mx.split.test through {lan}: "),
        &format!("10 mx.split.test, 20 out.split.test through {public}: "),
        &format!(" A 127.90.83.1 through {lan} "),
        &format!(" AAAA SERVFAIL through {lan}: "),
        &format!(" none through {public}: "),
        &format!(" 20 out.split.test named only through {public}"),
        "Resolvers give different MX records of split.test:",
        &format!(
            "The answer to AAAA is NODATA through {public}: another resolver cures it at once."
        ),
        // Only outside is there another exchanger, should this one fail.
        &format!("postfix delivers via mx.split.test (ipv4) by {lan} One failure"),
        &format!("postfix delivers via mx.split.test (ipv4) by {public}"),
        &format!("exchange-2010 defers: host_dns_temp at mx.split.test by {lan}"),
        &format!("exchange-2010 delivers via mx.split.test (ipv4) by {public}"),
    ] {
        assert!(words.contains(part), "{part:?} is missing in\n{}", ran.stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_that_looks_knows_itself_among_the_exchangers_and_is_judged_like_any() {
    let zone = "$ORIGIN example.org.\na MX 10 probe\nprobe A 127.90.72.1";
    let builder = World::builder().zone(zone).unwrap();
    let own = Script::healthy("probe.example.org");
    let world = builder.smtp([127, 90, 72, 1], own).start().await.unwrap();
    let agent = Agent::start(&Config::of(&world).domains(&["a.example.org"]).text());
    let found = [("domain", "a.example.org"), ("resolver", "world"), ("finding", "self_loop")];
    let scrape = agent.scrape_until("the finding, and the verdicts", |scrape| {
        let judged = scrape.matching("mx_delivery_deliverable", &[]).len() == 2;
        judged && scrape.value("mx_domain_finding", &found) == Some(1.0)
    });
    assert!(scrape.sum("mx_delivery_deliverable", &[]) > 1.5, "it takes that mail itself");
}
