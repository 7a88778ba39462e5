//! What senders would do, from the configuration to metric, log and page.

use std::time::Duration;

use mxwatch::world::{World, smtp_script::Script, zone::Zones};

use crate::{
    config::Config,
    harness::{Agent, CONFIG, Sample, Scrape, wait_until},
};

/// The only verdict on a domain for one sender.
fn outcome<'a>(scrape: &'a Scrape, domain: &str, sender: &str) -> Option<&'a Sample> {
    scrape.sample("mx_delivery_outcome", &[("domain", domain), ("sender", sender)])
}

/// Whether that verdict is this outcome, for this reason.
fn is(scrape: &Scrape, domain: &str, sender: &str, wanted: &str, reason: &str) -> bool {
    let wanted = [("outcome", wanted), ("reason", reason), ("resolver", "world")];
    outcome(scrape, domain, sender).is_some_and(|sample| sample.has(&wanted))
}

fn value(scrape: &Scrape, name: &str, domain: &str, sender: &str) -> Option<f64> {
    scrape.value(name, &[("domain", domain), ("sender", sender)])
}

const SINCE: &str = "mx_delivery_outcome_since_timestamp_seconds";
const SENDERS: [&str; 2] = ["exchange-2010", "postfix"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aaaa_lookup_that_fails_stops_one_sender_and_not_the_other() {
    const WELL: &str = "$ORIGIN test.\nstory MX 10 mx.story\nmx.story A 127.90.60.1\n";
    let ill = format!("{WELL}mx.story AAAA !servfail");
    let mx = [127, 90, 60, 1];
    let world = World::builder()
        .zone(WELL)
        .unwrap()
        .smtp(mx, Script::healthy("mx.story.test"))
        .start()
        .await
        .unwrap();
    let agent = Agent::start(&Config::of(&world).domains(&["story.test"]).text());
    let both =
        |scrape: &Scrape| SENDERS.iter().all(|s| is(scrape, "story.test", s, "deliver", "ok"));
    let before = agent.scrape_until("both deliver", both);
    for sender in SENDERS {
        assert!(outcome(&before, "story.test", sender).unwrap().has(&[("mx", "mx.story.test")]));
        assert_eq!(value(&before, "mx_delivery_deliverable", "story.test", sender), Some(1.0));
        assert_eq!(
            value(&before, "mx_delivery_usable_exchangers", "story.test", sender),
            Some(1.0)
        );
        let wait = before.matching("mx_delivery_wait_seconds", &[("sender", sender)]);
        assert_eq!(wait.iter().map(|sample| sample.value).collect::<Vec<_>>(), [0.0, 0.0]);
    }
    let began = value(&before, SINCE, "story.test", "exchange-2010").unwrap();

    world.dns().set_zones(Zones::parse(&ill).unwrap());
    let held =
        |scrape: &Scrape| is(scrape, "story.test", "exchange-2010", "defer", "host_dns_temp");
    let during = agent.scrape_until("Exchange defers", held);
    let deferred = value(&during, SINCE, "story.test", "exchange-2010").unwrap();
    assert!(deferred > began, "{deferred} {began}");
    let deliverable = |sender| value(&during, "mx_delivery_deliverable", "story.test", sender);
    assert_eq!((deliverable("exchange-2010"), deliverable("postfix")), (Some(0.0), Some(1.0)));
    assert!(is(&during, "story.test", "postfix", "deliver", "ok"));
    let line = ["level=warn", "no longer delivered", "domain=story.test", "sender=exchange-2010"];
    let line = agent.wait_for_log(&line);
    for part in ["resolver=world", "was=deliver", "outcome=defer", "reason=host_dns_temp"] {
        assert!(line.contains(part), "{part}: {line}");
    }

    let goal = world.smtp(mx).tally().accepted + 3;
    wait_until("some rounds", || (world.smtp(mx).tally().accepted >= goal).then_some(()));
    let later = agent.scrape();
    assert!(held(&later));
    assert_eq!(value(&later, SINCE, "story.test", "exchange-2010"), Some(deferred));
    let page = agent.get("/domains/story.test").body;
    assert!(page.contains("next try by exchange-2010 in "), "{page}");
    assert!(agent.get("/").body.contains("deferred</span> by exchange-2010"));

    world.dns().set_zones(Zones::parse(WELL).unwrap());
    let after = agent.scrape_until("both deliver again", both);
    assert!(value(&after, SINCE, "story.test", "exchange-2010") > Some(deferred));
    assert_eq!(value(&after, SINCE, "story.test", "postfix"), Some(began), "it never stopped");
    agent.wait_for_log(&["level=info", "delivered again", "sender=exchange-2010", "was=defer"]);
    assert_eq!(
        agent.log_with(&["deliver", "sender=exchange-2010"]).len(),
        2,
        "one for each change"
    );
    assert!(agent.log_with(&["sender=postfix"]).is_empty());
    let page = agent.get("/domains/story.test").body;
    let changes = page.split_once("Last changes").expect("changes").1.matches('→').count();
    assert_eq!(changes, 2, "{page}");
    let list: serde_json::Value = serde_json::from_str(&agent.get("/api/v1/domains").body).unwrap();
    let verdicts = list["domains"][0]["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), 2, "{list}");
    assert!(verdicts.iter().all(|v| v["outcome"] == "deliver" && v["reason"] == "ok"), "{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_banner_on_the_first_exchanger_costs_minutes() {
    let world = World::builder()
        .zone(
            "$ORIGIN test.\nstory MX 10 mx1.story\nstory MX 20 mx2.story\n\
             mx1.story A 127.90.61.1\nmx2.story A 127.90.61.2",
        )
        .unwrap()
        .smtp([127, 90, 61, 1], Script::silent())
        .smtp([127, 90, 61, 2], Script::healthy("mx2.story.test"))
        .start()
        .await
        .unwrap();
    let config = Config::of(&world).domains(&["story.test"]).probe("banner_timeout", "\"1s\"");
    let agent = Agent::start(&config.text());
    let scrape = agent
        .scrape_until("a verdict", |scrape| outcome(scrape, "story.test", "postfix").is_some());
    for (sender, least) in [("postfix", 300.0), ("exchange-2010", 300.0)] {
        assert!(is(&scrape, "story.test", sender, "deliver", "ok"), "{sender}");
        assert!(outcome(&scrape, "story.test", sender).unwrap().has(&[("mx", "mx2.story.test")]));
        let usable = value(&scrape, "mx_delivery_usable_exchangers", "story.test", sender);
        assert_eq!(usable, Some(1.0), "{sender}");
        for bound in ["best", "worst"] {
            let labels = [("sender", sender), ("bound", bound)];
            let wait = scrape.value("mx_delivery_wait_seconds", &labels).unwrap();
            assert!(wait >= least, "{sender} {bound} {wait}");
        }
    }
    assert!(agent.get("/").body.contains("delivered late</span> by every sender"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_is_given_before_everything_was_seen_once() {
    let mx = [127, 90, 62, 1];
    let world = World::builder()
        .zone("$ORIGIN test.\nslow MX 10 mx\nmx A 127.90.62.1\nlost MX !servfail")
        .unwrap()
        .smtp(mx, Script::slow_banner(Duration::from_secs(2)))
        .start()
        .await
        .unwrap();
    let agent = Agent::start(&Config::of(&world).domains(&["slow.test", "lost.test"]).text());
    let first = agent.scrape_until("the session begins", |_| world.smtp(mx).tally().open == 1);
    assert!(outcome(&first, "slow.test", "postfix").is_none());
    let reply = agent.get("/probe?target=slow.test");
    let probed = Scrape::parse(&reply.body);
    for sender in SENDERS {
        assert!(is(&probed, "slow.test", sender, "deliver", "ok"), "{sender} {}", reply.body);
    }
    let scrape = agent.scrape_until("the other one", |scrape| {
        is(scrape, "lost.test", "postfix", "defer", "mx_servfail")
    });
    let unknown = scrape.matching("mx_delivery_outcome", &[("outcome", "unknown")]);
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_who_is_judged_and_keeps_the_history_of_those_who_stay() {
    let world = World::builder()
        .zone("$ORIGIN test.\nstory MX 10 mx\nmx A 127.90.63.1\nmx AAAA !servfail")
        .unwrap()
        .smtp([127, 90, 63, 1], Script::healthy("mx.test"))
        .start()
        .await
        .unwrap();
    let config = |senders: &str| {
        Config::of(&world).domains(&["story.test"]).top(&format!("senders = [{senders}]")).text()
    };
    let agent = Agent::start_with(&config("\"postfix\", \"exim\""), &["--web.enable-lifecycle"]);
    let given = |scrape: &Scrape| {
        let samples = scrape.matching("mx_delivery_outcome", &[("domain", "story.test")]);
        let mut senders: Vec<_> = samples.iter().map(|s| s.label("sender").to_owned()).collect();
        senders.sort();
        senders
    };
    let before = agent.scrape_until("both", |scrape| given(scrape) == ["exim", "postfix"]);
    let since = value(&before, SINCE, "story.test", "postfix");
    assert!(since.is_some());

    agent.write(CONFIG, &config("\"postfix\", \"exchange-2010\""));
    assert_eq!(agent.post("/-/reload").status, 200);
    assert!(!agent.scrape().mentions("exim"), "its series went with the reload");
    let after =
        agent.scrape_until("the new one", |scrape| given(scrape) == ["exchange-2010", "postfix"]);
    assert!(is(&after, "story.test", "exchange-2010", "defer", "host_dns_temp"));
    assert_eq!(value(&after, SINCE, "story.test", "postfix"), since);
    assert!(agent.log_with(&["sender=postfix"]).is_empty(), "nothing changed for it");
}
