//! What the agent writes: one line for each change, one for each lookup and session in the
//! connectivity log, and never a line that a stranger's server wrote.

use std::{fmt::Write, path::Path};

use mxwatch::world::{
    World,
    smtp_script::{Action, Script, Verb},
};
use serde_json::Value;

use crate::{
    config::Config,
    harness::{Agent, wait_until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_when_something_changes_and_none_while_it_stays() {
    let (a, b) = ([127, 90, 30, 1], [127, 90, 30, 2]);
    let world = World::builder()
        .zone(
            "$ORIGIN test.\none MX 10 a\ntwo MX 10 b\na A 127.90.30.1\nb A 127.90.30.2\n\
             b AAAA !servfail\nlost MX !servfail",
        )
        .unwrap()
        .smtp(a, Script::healthy("a.test"))
        .smtp(b, Script::banner("450 4.7.1 not now"))
        .start()
        .await
        .unwrap();
    let domains = ["one.test", "two.test", "lost.test"];
    let agent = Agent::start(&Config::of(&world).domains(&domains).text());
    let rounds = |n| {
        let goal = [a, b].map(|ip| world.smtp(ip).tally().accepted + n);
        wait_until("some rounds", || {
            let now = [a, b].map(|ip| world.smtp(ip).tally().accepted);
            (now[0] >= goal[0] && now[1] >= goal[1]).then_some(())
        });
    };
    rounds(4);
    for line in [
        &["exchanger up", "mx=a.test"][..],
        &["level=warn", "exchanger refuses us", "mx=b.test", "stage=banner", "reason=reply_4xx"],
        &["exchanger refuses us", "text=\"450 4.7.1 not now\"", "address=127.90.30.2"],
        &["level=warn", "lookup changed", "name=b.test", "rtype=AAAA", "status=servfail"],
        &["level=warn", "route changed", "domain=lost.test", "status=servfail"],
        &["route found", "domain=one.test"],
    ] {
        assert_eq!(agent.log_with(line).len(), 1, "{line:?}");
    }
    world.smtp(a).set_script(Script::closes_on_accept());
    world.smtp(b).set_script(Script::healthy("b.test"));
    agent.wait_for_log(&["exchanger down", "mx=a.test", "was=up", "reason=closed"]);
    agent.wait_for_log(&["level=info", "exchanger up", "mx=b.test", "was=\"banner reply_4xx\""]);
    rounds(4);
    for (lines, count) in [
        (&["exchanger", " mx=a.test"][..], 2),
        (&["exchanger", " mx=b.test"], 2),
        (&["route", "domain=lost.test"], 1),
        (&["level=warn", "not delivered", "domain=lost.test", "sender=postfix"], 1),
        (&["not delivered", "domain=two.test", "sender=exchange-2010", "outcome=defer"], 1),
        (&["delivered again", "domain=two.test", "sender=postfix"], 1),
        (&["no longer delivered", "domain=one.test", "was=deliver", "reason=banner_closed"], 2),
    ] {
        assert_eq!(agent.log_with(lines).len(), count, "{lines:?} {:?}", agent.log());
    }
}

/// The lines of a connectivity log, each of which is an object.
fn events(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connectivity_log_tells_each_lookup_and_session() {
    let (healthy, silent) = ([127, 90, 31, 1], [127, 90, 31, 2]);
    let world = World::builder()
        .zone(
            "$ORIGIN test.\na MX 10 healthy\na MX 20 silent\nhealthy A 127.90.31.1\n\
             healthy AAAA !servfail\nsilent A 127.90.31.2",
        )
        .unwrap()
        .smtp(healthy, Script::healthy("healthy.test"))
        .smtp(silent, Script::silent())
        .start()
        .await
        .unwrap();
    let config = Config::of(&world).top("connectivity_log = \"connectivity.jsonl\"");
    let config = config.domains(&["a.test"]).probe("banner_timeout", "\"1s\"");
    let agent = Agent::start(&config.text());
    let path = agent.path("connectivity.jsonl");
    let wait_for = |what: &str, wanted: &dyn Fn(&Value) -> bool| {
        wait_until(what, || events(&path).into_iter().find(wanted))
    };
    let up =
        wait_for("the healthy session", &|e| e["event"] == "session" && e["failure"].is_null());
    assert!(up["mx"].as_str().unwrap().starts_with("healthy.test"), "{up}");
    assert_eq!(up["helo_name"], "probe.example.org");
    assert_eq!(up["peer"], format!("127.90.31.1:{}", world.smtp_port()));
    assert!(up["time"].as_str().is_some_and(|t| t.parse::<jiff::Timestamp>().is_ok()), "{up}");
    let stages = up["stages"].as_array().unwrap();
    let codes: Vec<_> = stages
        .iter()
        .map(|s| (s["stage"].as_str().unwrap(), s["reply"]["code"].as_u64()))
        .collect();
    assert_eq!(
        codes,
        [("connect", None), ("banner", Some(220)), ("ehlo", Some(250)), ("quit", Some(221))]
    );
    assert!(stages.iter().all(|s| s["duration_seconds"].as_f64() > Some(0.0)), "{up}");

    let down = wait_for("the silent session", &|e| !e["failure"].is_null());
    assert_eq!(down["failure"]["stage"], "banner");
    assert_eq!(down["failure"]["reason"], "timeout");
    assert!(down["mx"].as_str().unwrap().starts_with("silent.test"), "{down}");
    let lookup = wait_for("the MX lookup", &|e| e["event"] == "lookup" && e["type"] == "MX");
    assert_eq!((&lookup["name"], &lookup["status"]), (&"a.test".into(), &"noerror".into()));
    assert_eq!(lookup["exchanges"][0]["server"], world.dns_addr().to_string());
    wait_for("the failed lookup", &|e| {
        e["type"] == "AAAA" && e["name"] == "healthy.test" && e["status"] == "servfail"
    });

    // Rotation as logrotate does it.
    let old = agent.path("connectivity.jsonl.1");
    std::fs::rename(&path, &old).unwrap();
    wait_for("a session in the new file", &|e| e["event"] == "session");
    assert!(!events(&old).is_empty());
    let dropped = agent.scrape().value("mxwatch_connectivity_log_dropped_total", &[]);
    assert_eq!(dropped, Some(0.0));
}

/// Servers whose words would do harm where they are shown as they are.
const HOSTILE: [&[u8]; 4] = [
    b"554-\x1b[31mred\x07 \xff\r\n554 5.7.1 level=error \"}{\" <script>alert(1)</script>\r\n",
    b"554 one\rts=2026 level=error message=forged\r\n",
    b"554 one\nts=2026 level=error message=forged\r\n{\"forged\":true}\r\n",
    b"\x00\x1b]0;\"level=forged\x07\nlevel=error message=forged\r\n",
];

async fn hostile_world(net: u8) -> World {
    let mut zone = "$ORIGIN hostile.test.\n".to_owned();
    let mut builder = World::builder();
    for (n, words) in (1..).zip(HOSTILE) {
        writeln!(zone, "@ MX 10 mx{n}\nmx{n} A 127.90.{net}.{n}").unwrap();
        let script = Script::healthy("mx.test").on(Verb::Banner, Action::raw(words));
        builder = builder.smtp([127, 90, net, n], script);
    }
    builder.zone(&zone).unwrap().start().await.unwrap()
}

/// Nothing in it moves a cursor, rings a bell or begins a line.
fn assert_printable(text: &str) {
    let bad = |c: &char| c.is_control() && *c != '\n';
    assert_eq!(text.chars().find(bad), None, "{text:?}");
}

/// The line without what stands in quotes.
fn unquoted(line: &str) -> String {
    let (mut outside, mut quoted, mut escaped) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            _ => outside.push(c),
        }
    }
    assert!(!quoted, "a quote stays open: {line}");
    outside
}

async fn hostile(format: &str, net: u8) {
    let world = hostile_world(net).await;
    let config = Config::of(&world).top("connectivity_log = \"connectivity.jsonl\"");
    let config = config.domains(&["hostile.test"]).probe("interval", "\"60s\"").text();
    let flag = format!("--log.format={format}");
    let agent = Agent::start_with(&config, &[&flag, "--log.level=debug"]);
    wait_until("a log line about each", || {
        let told = ["exchanger down", "exchanger refuses us"];
        let lines = told.map(|words| agent.log_with(&[words]).len());
        (lines.iter().sum::<usize>() == HOSTILE.len()).then_some(())
    });
    for line in agent.log() {
        assert_printable(&line);
        if format == "json" {
            let value: Value = serde_json::from_str(&line).unwrap();
            assert!(value["message"].is_string() && value["forged"].is_null(), "{line}");
        } else {
            assert!(line.starts_with("ts="), "{line}");
            assert!(!unquoted(&line).contains("forged"), "{line}");
        }
    }
    let path = agent.path("connectivity.jsonl");
    wait_until("every session in the connectivity log", || {
        let sessions = events(&path).iter().filter(|e| e["event"] == "session").count();
        (sessions == HOSTILE.len()).then_some(())
    });
    assert_printable(&std::fs::read_to_string(&path).unwrap());
    for path in ["/", "/domains/hostile.test", "/api/v1/domains/hostile.test"] {
        let page = agent.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert_printable(&page.body);
        assert!(path.starts_with("/api") || !page.body.contains("<script>alert"), "{path}");
    }
    let page = agent.get("/domains/hostile.test").body;
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    agent.scrape();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_words_stay_words_in_logfmt() {
    hostile("logfmt", 32).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_words_stay_words_in_json() {
    hostile("json", 33).await;
}
