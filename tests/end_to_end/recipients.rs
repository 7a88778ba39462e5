//! Recipients: what is asked about, by whom, and where it is told.

use mxwatch::world::{World, smtp_script::Script};

use crate::{
    config::Config,
    harness::{Agent, program, run_command},
};

/// Two domains at one exchanger.
async fn world(last: u8, script: &str) -> World {
    let ip = [127, 90, 62, last];
    let zone = format!(
        "$ORIGIN test.\none MX 10 mx\ntwo MX 10 mx\nthree MX 10 mx\nmx A {}.{}.{}.{}\n",
        ip[0], ip[1], ip[2], ip[3]
    );
    let script = Script::healthy("mx.test").with(script).unwrap();
    World::builder().zone(&zone).unwrap().smtp(ip, script).start().await.unwrap()
}

fn asking(domain: &str, more: &str) -> String {
    format!("[[destination]]\ndomain = \"{domain}\"\n{more}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destinations_that_share_an_exchanger_ask_in_one_session_and_see_their_own() {
    let world = world(1, "rcpt 450 4.2.0 Greylisted").await;
    let config = Config::of(&world)
        .section(&asking("one.test", "recipient = \"a@one.test\""))
        .section(&asking("two.test", "recipient = \"b@two.test\"\nmail_from = \"c@example.org\""))
        .section(&asking("three.test", ""));
    let mut agent = Agent::start(&config.text());
    let of = |domain| [("domain", domain), ("mx", "mx.test"), ("family", "ipv4")];
    let scrape = agent.scrape_until("both classes", |scrape| {
        ["one.test", "two.test"].iter().all(|domain| {
            let classes = scrape.matching("mx_recipient_class", &of(domain));
            classes.len() == 1 && classes[0].has(&[("class", "greylisted")])
        })
    });
    let code = |domain, stage| {
        let [domain, mx, family] = of(domain);
        scrape.value("mx_recipient_reply_code", &[domain, mx, family, ("stage", stage)])
    };
    assert_eq!((code("one.test", "mail"), code("one.test", "rcpt")), (Some(250.0), Some(450.0)));
    assert_eq!(code("three.test", "rcpt"), None, "it did not ask");
    assert_eq!(scrape.matching("mx_relay_denied", &[]).len(), 0);
    // The recipient's trouble is not the exchanger's.
    assert_eq!(scrape.value("mx_exchanger_up", &of("")[1..]), Some(1.0));
    // Verdicts follow what was observed.
    let outcome =
        |domain, outcome| [("domain", domain), ("sender", "postfix"), ("outcome", outcome)];
    agent.scrape_until("verdicts by the own recipient", |scrape| {
        let (one, three) = (outcome("one.test", "defer"), outcome("three.test", "deliver"));
        [one, three].iter().all(|labels| scrape.value("mx_delivery_outcome", labels) == Some(1.0))
    });
    for (domain, own, other) in
        [("one.test", "a@one.test", "b@two.test"), ("two.test", "b@two.test", "a@one.test")]
    {
        for path in [format!("/api/v1/domains/{domain}"), format!("/domains/{domain}")] {
            let body = agent.get(&path).body;
            assert!(body.contains(own) && !body.contains(other), "{path}: {body}");
        }
    }
    let (status, _) = agent.terminate();
    assert_eq!(status.code(), Some(0));
    let said = world.smtp([127, 90, 62, 1]).commands();
    let whole: &[&str] = &[
        "MAIL FROM:<>",
        "RCPT TO:<a@one.test>",
        "RSET",
        "MAIL FROM:<c@example.org>",
        "RCPT TO:<b@two.test>",
        "RSET",
        "QUIT",
    ];
    assert!(said.windows(whole.len()).any(|window| window == whole), "{said:?}");
    assert!(!said.iter().any(|line| line.to_uppercase().starts_with("DATA")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_relay_is_an_alarm() {
    let world = world(2, "rcpt 250 2.1.5 Ok").await;
    let config = Config::of(&world)
        .section(&asking("one.test", "recipient = \"a@one.test\"\nexpect_relay_denied = true"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mxwatch.toml");
    std::fs::write(&file, config.text()).unwrap();
    let mut command = program();
    command.args([
        "check",
        "--color=never",
        &format!("--config.file={}", file.display()),
        "one.test",
    ]);
    let ran = tokio::task::spawn_blocking(move || run_command(command)).await.unwrap();
    let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("to a@one.test from <>: accepted (250 2.1.5 Ok)"), "{text}");
    assert!(
        text.contains(
            "takes mail for relay-test@example.net, which is somebody else's. If this host is not one \
             that may relay there, it is an open relay"
        ),
        "{text}"
    );
    let agent = Agent::start(&config.text());
    agent.scrape_until("the relay", |scrape| {
        scrape.value("mx_relay_denied", &[("domain", "one.test"), ("mx", "mx.test")]) == Some(0.0)
    });
    agent.wait_for_log(&["an open relay", "mx=mx.test", "recipient=relay-test@example.net"]);
    assert!(agent.get("/api/v1/domains").body.contains("\"state\":\"open_relay\""));
    assert!(agent.get("/").body.contains("open relay"));
}

/// The session with the exchanger that others share may begin before the recipient is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_verdict_waits_for_the_recipient() {
    let world = world(4, "rcpt 550 5.1.1 No such user").await;
    let config = Config::of(&world)
        .domains(&["three.test"])
        .section(&asking("one.test", "recipient = \"a@one.test\""))
        .probe("interval", "\"1s\"");
    let agent = Agent::start(&config.text());
    agent.scrape_until("the verdict by the recipient", |scrape| {
        let of = [("domain", "one.test"), ("sender", "postfix"), ("reason", "rcpt_5xx")];
        scrape.value("mx_delivery_outcome", &of) == Some(1.0)
    });
    let changed = agent.log_with(&["delivered", "domain=one.test", "was=deliver"]);
    assert!(changed.is_empty(), "it was never thought to be delivered: {changed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_this_host_is_not_down() {
    let banner = "banner 554 5.7.1 Client host [192.0.2.1] blocked using zen.example.test";
    let world = world(3, banner).await;
    let config = Config::of(&world).domains(&["one.test"]).probe("interval", "\"1s\"");
    let agent = Agent::start(&config.text());
    let scrape = agent.scrape_until("the failure", |scrape| {
        let of = [("mx", "mx.test"), ("stage", "banner"), ("reason", "refusing_us")];
        scrape.value("mx_exchanger_failure", &of) == Some(1.0)
    });
    assert_eq!(
        scrape.value("mx_exchanger_up", &[("mx", "mx.test"), ("family", "ipv4")]),
        Some(0.0)
    );
    agent.wait_for_log(&["exchanger refuses us", "mx=mx.test", "reason=refusing_us"]);
    let page = agent.get("/domains/one.test").body;
    assert!(page.contains("is up and refuses this host at the banner"), "{page}");
    agent.scrape_until("a longer and longer pause", |scrape| {
        scrape.value("mx_probe_backoff_seconds", &[("mx", "mx.test")]) >= Some(4.0)
    });
}
