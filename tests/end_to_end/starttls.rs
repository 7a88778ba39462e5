//! When a session asks for STARTTLS, and what it makes of a server that does not go along. Handshakes
//! that come to an end are held against real servers, in `real_tls`.

use mxwatch::world::{World, smtp_script::Script};
use serde_json::Value;

use crate::{
    config::Config,
    harness::{Agent, Ran, program, run_command},
};

/// One domain with one exchanger.
async fn world(last: u8, script: Script) -> World {
    let ip = [127, 90, 63, last];
    let zone = format!("$ORIGIN test.\nmail MX 10 mx\nmx A 127.90.63.{last}\n");
    World::builder().zone(&zone).unwrap().smtp(ip, script).start().await.unwrap()
}

/// The session that `check` holds with this setting, and how it ended.
async fn session(world: &World, starttls: &str) -> (Value, Ran) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("check.toml");
    let config = Config::of(world).probe("starttls", &format!("{starttls:?}"));
    std::fs::write(&file, config.text()).unwrap();
    let mut command = program();
    let flag = format!("--config.file={}", file.display());
    command.args(["check", "--json", "--sender", "postfix", &flag, "mail.test"]);
    let ran = tokio::task::spawn_blocking(move || run_command(command)).await.unwrap();
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    (document["facts"]["exchangers"][0]["sessions"][0].clone(), ran)
}

fn stages(session: &Value) -> Vec<&str> {
    let stages = session["stages"].as_array().unwrap();
    stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_encrypts_never_where_offered_or_always() {
    let refused = || Script::starttls("454 4.7.0 TLS not available", None);
    let usual = ["connect", "banner", "ehlo", "quit"];
    let asked = ["connect", "banner", "ehlo", "starttls", "quit"];
    for (last, script, starttls, passed, failure) in [
        (1, refused(), "never", &usual[..], Value::Null),
        (2, refused(), "opportunistic", &asked, Value::Null),
        (3, refused(), "always", &asked, serde_json::json!(["starttls", "reply_4xx"])),
        (4, Script::healthy("mx.test"), "opportunistic", &usual, Value::Null),
        (
            5,
            Script::healthy("mx.test"),
            "always",
            &asked,
            serde_json::json!(["starttls", "not_offered"]),
        ),
    ] {
        let world = world(last, script).await;
        let (session, ran) = session(&world, starttls).await;
        assert_eq!(stages(&session), passed, "{starttls}: {session}");
        let failed = match &session["failure"] {
            Value::Null => Value::Null,
            failed => serde_json::json!([failed["stage"], failed["reason"]]),
        };
        assert_eq!(failed, failure, "{starttls}: {session}");
        // Postfix itself goes on in plain text, whatever the probe was told to demand.
        assert_eq!(ran.code, Some(0), "{starttls}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_fails_leaves_the_exchanger_up_and_says_so() {
    let world = world(6, Script::starttls("220 2.0.0 go ahead", Some("500 5.5.2 what?"))).await;
    let config = Config::of(&world).domains(&["mail.test"]);
    let agent = Agent::start(&config.text());
    let mx = ("mx", "mx.test");
    let failing = [mx, ("stage", "tls_handshake"), ("reason", "tls_error")];
    let scrape = agent.scrape_until("the failing handshake", |scrape| {
        let deferred = [("domain", "mail.test"), ("sender", "postfix"), ("outcome", "defer")];
        scrape.value("mx_exchanger_failure", &failing) == Some(1.0)
            && scrape.value("mx_delivery_outcome", &deferred) == Some(1.0)
    });
    assert_eq!(scrape.value("mx_exchanger_up", &[mx, ("family", "ipv4")]), Some(1.0));
    assert_eq!(scrape.value("mx_sessions_total", &failing), Some(1.0));
    assert!(scrape.matching("mx_tls_info", &[]).is_empty(), "nothing was agreed on");
    assert!(scrape.matching("mx_tls_verified", &[]).is_empty(), "and nothing shown");
    agent.wait_for_log(&["exchanger up, but TLS fails", "reason=tls_error"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smart_host_that_was_to_encrypt_from_the_first_octet_and_does_not_keeps_mail_waiting() {
    let world = world(7, Script::healthy("mx.test")).await;
    let relay = format!("127.90.63.7:{}", world.smtp_port());
    let section = format!("[[destination]]\nsmarthost = \"{relay}\"\ntls = \"implicit\"");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("check.toml");
    std::fs::write(&file, Config::of(&world).section(&section).text()).unwrap();
    let mut command = program();
    let flag = format!("--config.file={}", file.display());
    command.args(["check", "--sender", "postfix", &flag, &relay]);
    let ran = tokio::task::spawn_blocking(move || run_command(command)).await.unwrap();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for part in ["defers: tls_handshake", "The TLS handshake with", "s_client -connect"] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
    assert!(!ran.stdout.contains("-starttls"), "{ran:?}");
}
