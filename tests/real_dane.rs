//! TLSA records as DANE senders find them (RFC 7672 §2.2): zones that BIND serves, signed or not,
//! through Unbound, which validates, to what `check` says.

use std::{fs, net::SocketAddr, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use harness::{Agent, wait_until};
use servers::{
    bind::{Bind, Dig},
    program::free_port,
    signing::Signer,
    unbound::{Abilities, Unbound},
};

const DIGEST: &str = "0b9fa5a59ddc21c40b9fa5a59ddc21c40b9fa5a59ddc21c40b9fa5a59ddc21c4";
const OTHER: &str = "ffffa5a59ddc21c40b9fa5a59ddc21c40b9fa5a59ddc21c40b9fa5a59ddc21c4";

/// A domain whose exchangers each have other records, at a port. Nobody listens at their addresses.
fn zone(port: u16) -> String {
    format!(
        "$TTL 300
@       SOA ns hostmaster 1 3600 600 86400 60
@       NS  ns
@       MX  10 none
@       MX  20 good
@       MX  30 useless
@       MX  40 alias
@       MX  50 alias-own
@       MX  60 alias-out
ns      A   127.0.0.1
none    A   127.83.9.1
good    A   127.83.9.2
useless A   127.83.9.3
target  A   127.83.9.4
bare    A   127.83.9.5
alias     CNAME target
alias-own CNAME bare
alias-out CNAME target.unsigned.test.
_{port}._tcp.good      TLSA 3 1 1 {DIGEST}
_{port}._tcp.good      TLSA 3 1 1 {OTHER}
_{port}._tcp.useless   TLSA 1 1 1 {DIGEST}
_{port}._tcp.useless   TLSA 3 1 1 abcd
_{port}._tcp.target    TLSA 2 0 1 {DIGEST}
_{port}._tcp.alias     TLSA 2 0 1 {OTHER}
_{port}._tcp.alias-own TLSA 3 0 1 {DIGEST}
_{port}._tcp.alias-out TLSA 3 1 1 {OTHER}
"
    )
}

/// A domain with one exchanger and its record.
fn small(port: u16) -> String {
    format!(
        "$TTL 300
@      SOA ns hostmaster 1 3600 600 86400 60
@      NS  ns
@      MX  10 mx
ns     A   127.0.0.1
mx     A   127.83.9.6
target A   127.83.9.7
_{port}._tcp.mx     TLSA 3 1 1 {DIGEST}
_{port}._tcp.target TLSA 3 1 1 {DIGEST}
"
    )
}

struct Servers {
    _bind: Bind,
    unbound: Unbound,
    port: u16,
    dir: TempDir,
}

/// BIND with zones that are signed, not signed, and signed with a record changed since.
fn servers() -> Option<Servers> {
    let tools = Signer::find()?;
    let port = free_port();
    let signed = tools.sign("signed.test", &zone(port));
    let mut changed = tools.sign("changed.test", &small(port));
    let [from, to] = [DIGEST, OTHER].map(|digest| digest[..8].to_uppercase());
    let signed_zone = std::mem::take(&mut changed.zone);
    changed.zone = signed_zone.replace(&from, &to);
    assert_ne!(changed.zone, signed_zone);
    let zones = ["signed.test", "changed.test", "unsigned.test"];
    let texts = [&*signed.zone, &changed.zone, &small(port)];
    let bind = Bind::start(&[0, 1, 2].map(|place| (zones[place], Some(texts[place]))))?;
    let anchors = [&*signed.anchor, &*changed.anchor];
    let abilities = Abilities { anchors: &anchors, ..Abilities::default() };
    let unbound = Unbound::start_with(&zones.map(|zone| (zone, bind.ipv4())), &abilities)?;
    Some(Servers { _bind: bind, unbound, port, dir: TempDir::new().unwrap() })
}

impl Servers {
    fn server(&self) -> SocketAddr {
        self.unbound.addresses().next().unwrap()
    }

    /// Two resolvers, which are the same but that one of them is trusted.
    fn config(&self) -> String {
        let (server, port) = (self.server(), self.port);
        format!(
            "helo_name = 'probe.example.test'
             probe.port = {port}
             [[resolver]]
             name = 'trusted'
             servers = ['{server}']
             trust_ad = true
             [[resolver]]
             name = 'other'
             servers = ['{server}']
             "
        )
    }

    fn check(&self, flags: &[&str]) -> String {
        let file = self.dir.path().join("mxwatch.toml");
        fs::write(&file, self.config()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mxwatch"));
        command.arg("check").arg("--config.file").arg(&file).args(flags);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// For each exchanger of a domain the resolver, status, base and records, and what was asked.
    fn tlsa(&self, domain: &str) -> Vec<(String, Value)> {
        let said: Value = serde_json::from_str(&self.check(&["--json", domain])).unwrap();
        let shown = |exchanger: &Value| {
            let host = exchanger["exchanger"]["host"]["name"].as_str().unwrap().to_owned();
            let tlsa = exchanger["tlsa"].as_array().cloned().unwrap_or_default();
            let [mut only] = <[Value; 1]>::try_from(tlsa).unwrap();
            assert_eq!(only["resolver"], "trusted");
            let asked = only["lookups"].as_array().cloned().unwrap_or_default();
            let asked = asked.iter().map(|lookup| {
                let name = lookup["name"].as_str().unwrap();
                format!("{} {name}", lookup["type"].as_str().unwrap())
            });
            let asked: Vec<String> = asked.collect();
            if let Some(records) = only["records"].as_array_mut() {
                records.sort_by_key(Value::to_string);
            }
            let facts = json!({
                "status": only["status"], "base": only["base"], "records": only["records"],
                "asked": asked,
            });
            (host, facts)
        };
        said["facts"]["exchangers"].as_array().unwrap().iter().map(shown).collect()
    }
}

#[test]
fn every_way_in_which_records_count_or_not_is_told() {
    let Some(servers) = servers() else { return };
    let port = servers.port;
    let (server, dig) = (servers.server(), Dig::find().unwrap());
    let said = dig.ask(server, &format!("_{port}._tcp.good.signed.test"), "TLSA");
    assert!(said.authentic && said.status == "noerror", "{said:?}");
    let at = |name: &str| format!("TLSA _{port}._tcp.{name}");
    let found = servers.tlsa("signed.test");
    let of = |host: &str| {
        let host = format!("{host}.signed.test");
        found.iter().find(|(name, _)| *name == host).unwrap().1.clone()
    };
    let want = |status: &str, base: &str, records: &[String], asked: &[String]| {
        let records = if records.is_empty() { Value::Null } else { json!(records) };
        json!({"status": status, "base": base, "records": records, "asked": asked})
    };
    let record = |kind: &str, digest: &str| format!("{kind} {digest}");
    let name = "none.signed.test";
    assert_eq!(of("none"), want("absent", name, &[], &[at(name)]));
    let name = "good.signed.test";
    let both = [record("3 1 1", DIGEST), record("3 1 1", OTHER)];
    assert_eq!(of("good"), want("secure", name, &both, &[at(name)]));
    let name = "useless.signed.test";
    let useless = [record("1 1 1", DIGEST), record("3 1 1", "abcd")];
    assert_eq!(of("useless"), want("unusable", name, &useless, &[at(name)]));
    // The target of an alias comes first, then the alias itself.
    let name = "target.signed.test";
    assert_eq!(of("alias"), want("secure", name, &[record("2 0 1", DIGEST)], &[at(name)]));
    let (name, bare) = ("alias-own.signed.test", "bare.signed.test");
    let own = [record("3 0 1", DIGEST)];
    assert_eq!(of("alias-own"), want("secure", name, &own, &[at(bare), at(name)]));
    // The addresses are not proved, the alias is.
    let name = "alias-out.signed.test";
    let asked = [format!("CNAME {name}"), at(name)];
    assert_eq!(of("alias-out"), want("secure", name, &[record("3 1 1", OTHER)], &asked));

    let name = "mx.unsigned.test";
    let insecure = want("insecure", name, &[], &[]);
    assert_eq!(servers.tlsa("unsigned.test"), [(name.to_owned(), insecure)]);
    let name = "mx.changed.test";
    let bogus = want("error", name, &[], &[at(name)]);
    assert_eq!(servers.tlsa("changed.test"), [(name.to_owned(), bogus)]);
}

#[test]
fn a_report_shows_records_and_what_is_wrong_with_them() {
    let Some(servers) = servers() else { return };
    let (server, port) = (servers.server(), servers.port);
    let (ip, dns_port) = (server.ip(), server.port());
    let flat = |said: String| said.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = flat(servers.check(&["changed.test"]));
    for want in [
        "TLSA lookup failed: BOGUS through trusted".to_owned(),
        format!(
            "The TLSA lookup of _{port}._tcp.mx.changed.test fails through trusted: DNSSEC validation fails at {server}"
        ),
        "A sender that goes by DANE takes mx.changed.test for unreachable".to_owned(),
        format!("$ dig @{ip} -p {dns_port} +dnssec _{port}._tcp.mx.changed.test TLSA"),
        format!("$ dig @{ip} -p {dns_port} +cd _{port}._tcp.mx.changed.test TLSA"),
    ] {
        assert!(said.contains(&want), "{want}\n{said}");
    }
    let said = flat(servers.check(&["signed.test"]));
    for want in [
        "TLSA none through trusted".to_owned(),
        "TLSA 3 1 1 0b9fa5a59ddc21c4…, 3 1 1 ffffa5a59ddc21c4… through trusted".to_owned(),
        "TLSA 2 0 1 0b9fa5a59ddc21c4…, at target.signed.test through trusted".to_owned(),
        format!("No TLSA record at _{port}._tcp.useless.signed.test through trusted is of use"),
    ] {
        assert!(said.contains(&want), "{want}\n{said}");
    }
    let said = flat(servers.check(&["unsigned.test"]));
    let want = "TLSA not looked up: DNSSEC does not prove the addresses through trusted";
    assert!(said.contains(want), "{said}");
}

/// Nobody takes mail at the exchangers, so only the reason tells whether a sender got that far.
#[test]
fn a_verdict_goes_by_the_records_of_its_own_resolver() {
    let Some(servers) = servers() else { return };
    let flags = ["--json", "--sender", "postfix-dane", "--sender", "postfix", "changed.test"];
    let said: Value = serde_json::from_str(&servers.check(&flags)).unwrap();
    let verdicts = said["verdicts"].as_array().unwrap().iter();
    let reasons = verdicts.map(|verdict| {
        let part = |key: &str| verdict[key].as_str().unwrap();
        [part("sender"), part("resolver"), part("reason")].join(" ")
    });
    let reasons: Vec<String> = reasons.collect();
    assert!(reasons.contains(&"postfix-dane trusted tlsa_error".to_owned()), "{reasons:?}");
    for other in ["postfix trusted", "postfix-dane other", "postfix other"] {
        let want = format!("{other} connect_refused");
        assert!(reasons.contains(&want), "{want}: {reasons:?}");
    }
}

#[test]
fn the_agent_publishes_counts_and_notes_what_it_finds() {
    let Some(servers) = servers() else { return };
    let top = "domains = ['signed.test', 'changed.test']\nconnectivity_log = 'log.jsonl'\n";
    let agent = Agent::start(&(top.to_owned() + &servers.config()));
    agent.wait_ready();
    let scrape = agent.scrape();
    for (mx, status) in [
        ("good.signed.test", "secure"),
        ("none.signed.test", "absent"),
        ("useless.signed.test", "unusable"),
        ("mx.changed.test", "error"),
    ] {
        let told = scrape.matching("mx_tlsa_status", &[("mx", mx)]);
        let told: Vec<_> =
            told.iter().map(|sample| [sample.label("resolver"), sample.label("status")]).collect();
        assert_eq!(told, [["trusted", status]], "{mx}");
    }
    let counted = |resolver, status| {
        let labels = [("type", "TLSA"), ("resolver", resolver), ("status", status)];
        scrape.value("mx_dns_lookups_total", &labels)
    };
    assert!(counted("trusted", "bogus") >= Some(1.0));
    assert!(counted("trusted", "noerror") >= Some(5.0));
    assert_eq!(counted("other", "noerror"), None, "nobody asks it");
    let page = agent.get("/domains/signed.test").body;
    for shown in ["TLSA records", &format!("3 1 1 {DIGEST}")] {
        assert!(page.contains(shown), "{shown}\n{page}");
    }
    let name = format!("_{}._tcp.good.signed.test", servers.port);
    wait_until("the connectivity log has the lookup", || {
        let noted = fs::read_to_string(agent.path("log.jsonl")).ok()?;
        let lines = noted.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["type"] == "TLSA" && line["name"] == *name)
    });
}
