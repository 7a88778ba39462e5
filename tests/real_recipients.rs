//! What mxwatch makes of the replies of a real Postfix about recipients: its own restrictions, nothing
//! scripted.

use std::{fmt::Write, fs, process::Command};

use mxwatch::world::World;
use serde_json::Value;

#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use servers::postfix::Postfix;

/// Lets mxwatch check these domains, whose only exchanger is at this port of 127.0.0.1, each with
/// `probe@` it as recipient and with a relay test. The documents.
async fn check(port: u16, domains: &[&str]) -> Vec<Value> {
    let mut zone = "$ORIGIN test.\nmx1.example A 127.0.0.1\n".to_owned();
    let mut config = format!("helo_name = \"probe.example.test\"\n[probe]\nport = {port}\n");
    for domain in domains {
        writeln!(zone, "{} MX 10 mx1.example", domain.strip_suffix(".test").unwrap()).unwrap();
        writeln!(
            config,
            "[[destination]]\ndomain = \"{domain}\"\nrecipient = \"probe@{domain}\"\n\
             mail_from = \"sender@example.org\"\nexpect_relay_denied = true"
        )
        .unwrap();
    }
    let world = World::builder().zone(&zone).unwrap().start().await.unwrap();
    writeln!(config, "[[resolver]]\nname = \"world\"\nservers = [\"{}\"]", world.dns_addr())
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mxwatch.toml");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxwatch"));
    command
        .args(["check", "--json"])
        .arg(format!("--config.file={}", file.display()))
        .args(domains);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    world.stop().await;
    let text = String::from_utf8(output.stdout).unwrap();
    let documents: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), domains.len(), "{}", String::from_utf8_lossy(&output.stderr));
    documents
}

/// The transactions of the only session with the exchanger.
fn transactions(document: &Value) -> &Vec<Value> {
    let session = &document["facts"]["exchangers"][0]["sessions"][0];
    assert_eq!(session["failure"], Value::Null, "{session:#}");
    session["transactions"].as_array().unwrap_or_else(|| panic!("{session:#}"))
}

/// Code and enhanced code of the last reply.
fn last(transaction: &Value) -> (u64, String) {
    let reply = &transaction["stages"].as_array().unwrap().last().unwrap()["reply"];
    (reply["code"].as_u64().unwrap(), reply["enhanced"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_restriction_of_postfix_has_its_class() {
    let main = "mydestination = ok.test, grey.test, full.test, quota.test, nobody.test, odd.test\n\
        local_recipient_maps = inline:{probe@ok.test=x, probe@grey.test=x, probe@full.test=x, \
        probe@quota.test=x, probe@odd.test=x}\n\
        smtpd_relay_restrictions = reject_unauth_destination\n\
        smtpd_recipient_restrictions = check_recipient_access inline:{\
        {grey.test = 450 4.2.0 Greylisted, see http://postgrey.schweikert.ch/help/grey.test.html}, \
        {full.test = 452 4.2.2 Mailbox full}, {quota.test = 552 5.2.2 Mailbox full}, \
        {odd.test = 554 5.7.1 Not today}}\n";
    let Some(postfix) = Postfix::start_with("", main) else { return };
    let cases = [
        ("ok.test", 250, "2.1.5", "accepted", "deliver", "nobody"),
        ("grey.test", 450, "4.2.0", "greylisted", "defer", "destination"),
        ("full.test", 452, "4.2.2", "mailbox_full", "defer", "destination"),
        ("quota.test", 552, "5.2.2", "mailbox_full", "bounce", "destination"),
        ("nobody.test", 550, "5.1.1", "no_such_user", "bounce", "you"),
        ("odd.test", 554, "5.7.1", "other", "bounce", "you"),
    ];
    let domains = cases.map(|(domain, ..)| domain);
    let documents = check(postfix.port(), &domains).await;
    for ((domain, code, enhanced, class, outcome, who), document) in
        cases.into_iter().zip(&documents)
    {
        let asked = transactions(document);
        assert_eq!(asked.len(), 2, "{document:#}");
        assert_eq!(asked[0]["recipient"], format!("probe@{domain}"));
        assert_eq!(asked[0]["mail_from"], "sender@example.org");
        assert_eq!(last(&asked[0]), (code, enhanced.to_owned()), "{domain}");
        assert_eq!(asked[0]["class"], class, "{domain}");
        assert_eq!(asked[1]["relay_test"], true, "{domain}");
        assert_eq!(last(&asked[1]), (554, "5.7.1".to_owned()), "{domain}");
        assert_eq!(asked[1]["class"], "relaying_denied", "{domain}");
        // The verdict goes by the own recipient, never by the relay test.
        let verdict = &document["verdicts"][0];
        assert_eq!((&verdict["sender"], &verdict["outcome"]), (&"postfix".into(), &outcome.into()));
        assert_eq!(verdict["cure"]["who"], who, "{domain}");
    }
}

#[tokio::test]
async fn a_client_that_is_blocked_is_told_from_a_recipient_that_is_refused() {
    let main = "mydestination = ok.test\nsmtpd_client_restrictions = check_client_access \
        inline:{{127.0.0.1 = 554 5.7.1 Service unavailable; blocked using zen.example.test}}\n";
    let Some(postfix) = Postfix::start_with("", main) else { return };
    let documents = check(postfix.port(), &["ok.test"]).await;
    let asked = transactions(&documents[0]);
    assert_eq!(last(&asked[0]), (554, "5.7.1".to_owned()));
    assert_eq!(asked[0]["class"], "blocked");
    assert_eq!(asked[0]["stages"][1]["reason"], "refusing_us");
    let cure = &documents[0]["verdicts"][0]["cure"];
    assert_eq!(cure["who"], "you", "{cure}");
    assert!(cure["what"].as_str().unwrap().contains("refuses the host that asks"), "{cure}");
}

#[tokio::test]
async fn a_postfix_that_relays_for_everybody_is_an_open_relay() {
    let main = "mydestination = ok.test\nmynetworks = 127.0.0.0/8\ndefault_transport = discard:\n\
        smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n";
    let Some(postfix) = Postfix::start_with("", main) else { return };
    let documents = check(postfix.port(), &["ok.test"]).await;
    let asked = transactions(&documents[0]);
    assert_eq!((&asked[1]["relay_test"], &asked[1]["class"]), (&true.into(), &"accepted".into()));
}
