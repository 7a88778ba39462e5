//! What mxwatch says of sessions with Postfix, held against what `swaks` saw of it.

use std::{net::SocketAddr, process::Command};

use serde_json::Value;

#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use servers::{
    check::{self, HELO_NAME},
    postfix::{Postfix, Reply, Swaks, Transcript},
    program::has_ipv6,
};

/// Lets mxwatch check example.test, whose only exchanger is at this port of 127.0.0.1 and ::1. The
/// exit status and the sessions.
async fn check(port: u16) -> (Option<i32>, Vec<Value>) {
    let ipv6 = if has_ipv6() { "mx1 AAAA ::1" } else { "" };
    let zone = format!("$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 127.0.0.1\n{ipv6}");
    let example = |command: &mut Command| {
        command.arg("example.test");
    };
    let checked = check::check(&zone, port, example).await;
    (checked.status, checked.sessions(0).to_vec())
}

/// The session with this address, of which there must be one for each family.
fn session(sessions: &[Value], with: SocketAddr) -> &Value {
    assert_eq!(sessions.len(), if has_ipv6() { 2 } else { 1 }, "{sessions:?}");
    let found = sessions.iter().find(|session| session["peer"] == with.to_string());
    found.unwrap_or_else(|| panic!("no session with {with}: {sessions:?}"))
}

/// What a session saw, in the form of what swaks saw.
fn transcript(session: &Value) -> Vec<(String, Reply)> {
    let mut seen = Vec::new();
    for stage in session["stages"].as_array().unwrap() {
        let command = match stage["stage"].as_str().unwrap() {
            "connect" => continue,
            "banner" => String::new(),
            "quit" => "QUIT".to_owned(),
            greeting => format!("{} {HELO_NAME}", greeting.to_uppercase()),
        };
        let lines = stage["reply"]["lines"].as_array().unwrap().iter();
        let lines = lines.map(|line| line.as_str().unwrap().to_owned()).collect();
        let code = stage["reply"]["code"].as_u64().unwrap();
        seen.push((command, Reply { code, lines }));
    }
    seen
}

fn codes(transcript: &Transcript) -> Vec<u64> {
    transcript.replies.iter().map(|(_, reply)| reply.code).collect()
}

#[tokio::test]
async fn a_session_with_postfix_is_as_swaks_saw_it() {
    let (Some(postfix), Some(swaks)) = (Postfix::start(""), Swaks::find()) else { return };
    let (status, sessions) = check(postfix.port()).await;
    assert_eq!(status, Some(0), "{sessions:?}");
    for server in postfix.addresses() {
        let (session, swaks) = (session(&sessions, server), swaks.session(server, HELO_NAME));
        assert_eq!(transcript(session), swaks.replies);
        assert_eq!(codes(&swaks), [220, 250, 221]);
        assert_eq!(session["failure"], Value::Null);
        let quit = session["stages"].as_array().unwrap().last().unwrap();
        assert_eq!(quit["reply"]["enhanced"], "2.0.0");
        // What main.cf says is what the reading of these facts gives.
        let facts: mxwatch::facts::Session = serde_json::from_value(session.clone()).unwrap();
        assert_eq!(facts.size_limit(), Some(7_654_321));
        let extensions: Vec<_> = facts.extensions().collect();
        assert_eq!(extensions, swaks.replies[1].1.lines[1..]);
        assert!(extensions.contains(&"PIPELINING"), "{extensions:?}");
    }
}

#[tokio::test]
async fn a_postfix_that_refuses_clients_is_as_swaks_saw_it() {
    let options = "-o smtpd_delay_reject=no -o smtpd_client_restrictions=reject";
    let (Some(postfix), Some(swaks)) = (Postfix::start(options), Swaks::find()) else { return };
    let (status, sessions) = check(postfix.port()).await;
    assert_eq!(status, Some(1), "{sessions:?}");
    for server in postfix.addresses() {
        let (session, swaks) = (session(&sessions, server), swaks.session(server, HELO_NAME));
        assert_eq!(transcript(session), swaks.replies);
        assert_eq!(codes(&swaks), [554, 221]);
        assert_eq!(session["failure"]["stage"], "banner");
        assert_eq!(session["failure"]["reason"], "refusing_us");
        assert_eq!(session["stages"][1]["reply"]["enhanced"], "5.7.1");
    }
}

#[tokio::test]
async fn a_postfix_that_refuses_ehlo_and_helo_is_as_swaks_saw_it() {
    let options = "-o smtpd_delay_reject=no -o smtpd_helo_restrictions=reject";
    let (Some(postfix), Some(swaks)) = (Postfix::start(options), Swaks::find()) else { return };
    let (status, sessions) = check(postfix.port()).await;
    assert_eq!(status, Some(2), "Postfix as the sender bounces: {sessions:?}");
    for server in postfix.addresses() {
        let (session, swaks) = (session(&sessions, server), swaks.session(server, HELO_NAME));
        assert_eq!(transcript(session), swaks.replies);
        assert_eq!(codes(&swaks), [220, 554, 554, 221]);
        assert_eq!(session["failure"]["stage"], "helo");
        assert_eq!(session["failure"]["reason"], "refusing_us");
    }
}

#[tokio::test]
async fn a_postfix_that_ended_refuses_connections() {
    let (Some(postfix), Some(swaks)) = (Postfix::start(""), Swaks::find()) else { return };
    let (port, addresses) = (postfix.port(), postfix.addresses());
    drop(postfix);
    let (status, sessions) = check(port).await;
    assert_eq!(status, Some(1), "{sessions:?}");
    for server in addresses {
        let (session, swaks) = (session(&sessions, server), swaks.session(server, HELO_NAME));
        assert!(swaks.error.contains("refused") && swaks.replies.is_empty(), "{swaks:?}");
        assert_eq!(session["failure"]["stage"], "connect");
        assert_eq!(session["failure"]["reason"], "refused");
    }
}
