//! What mxwatch says of DNS against BIND and Unbound, held against what `dig` says of them.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
};

use serde_json::Value;

#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use servers::{
    bind::{Answer, Bind, Dig},
    program::{free_port, has_ipv6, note, on_loopback},
    unbound::Unbound,
};

/// What is asked: name, type, status at BIND, status at Unbound in front of it.
const QUESTIONS: [(&str, &str, &str, &str); 26] = [
    ("two.example.test", "MX", "noerror", "noerror"),
    ("mx1.example.test", "A", "noerror", "noerror"),
    ("mx1.example.test", "AAAA", "noerror", "noerror"),
    ("mx2.example.test", "A", "noerror", "noerror"),
    ("mx2.example.test", "AAAA", "noerror", "noerror"),
    ("null.example.test", "MX", "noerror", "noerror"),
    ("implicit.example.test", "MX", "nodata", "nodata"),
    ("implicit.example.test", "A", "noerror", "noerror"),
    ("implicit.example.test", "AAAA", "nodata", "nodata"),
    ("alias-target.example.test", "MX", "noerror", "noerror"),
    ("alias.example.test", "A", "noerror", "noerror"),
    ("alias.example.test", "AAAA", "noerror", "noerror"),
    ("alias-domain.example.test", "MX", "noerror", "noerror"),
    ("missing.example.test", "MX", "nxdomain", "nxdomain"),
    ("gone.example.test", "MX", "noerror", "noerror"),
    ("nowhere.example.test", "A", "nxdomain", "nxdomain"),
    ("nowhere.example.test", "AAAA", "nxdomain", "nxdomain"),
    // Out of every zone of BIND; a resolver that is refused fails.
    ("elsewhere.test", "MX", "refused", "servfail"),
    ("mx.elsewhere.test", "A", "refused", "servfail"),
    ("mx.elsewhere.test", "AAAA", "refused", "servfail"),
    // The zone's file is missing.
    ("broken.test", "MX", "servfail", "servfail"),
    ("mx.broken.test", "A", "servfail", "servfail"),
    ("mx.broken.test", "AAAA", "servfail", "servfail"),
    ("middle.example.test", "MX", "noerror", "noerror"),
    ("big.example.test", "MX", "noerror", "noerror"),
    ("many.example.test", "A", "noerror", "noerror"),
];

/// Answers that do not fit into 1232 bytes.
const TRUNCATED: [(&str, &str); 2] = [("big.example.test", "MX"), ("many.example.test", "A")];

/// The domains whose check asks all [`QUESTIONS`].
const DOMAINS: [&str; 14] = [
    "two.example.test",
    "null.example.test",
    "implicit.example.test",
    "alias-target.example.test",
    "alias-domain.example.test",
    "missing.example.test",
    "gone.example.test",
    "elsewhere.test",
    "refused-host.example.test",
    "broken.test",
    "broken-host.example.test",
    "middle.example.test",
    "big.example.test",
    "many-addresses.example.test",
];

/// No two TTLs on one way are equal, so the lowest is the right one.
fn zone() -> String {
    let mut zone = r"$TTL 300
@               SOA ns hostmaster 1 3600 600 86400 60
@               NS  ns
ns              A   127.0.0.1
two         290 MX  10 mx1
two         290 MX  20 MX2
mx1         280 A   127.83.1.1
mx1         270 AAAA ::1
mx2         260 A   127.83.1.2
mx2         260 A   127.83.1.3
mx2         250 AAAA ::ffff:127.83.1.4
null        240 MX  0 .
implicit    230 A   127.83.1.5
alias-target 220 MX 10 alias
alias       210 CNAME alias2
alias2      275 CNAME mx1
alias-domain 295 CNAME two
gone        190 MX  10 nowhere
refused-host 180 MX 10 mx.elsewhere.test.
broken-host 170 MX  10 mx.broken.test.
many-addresses 160 MX 10 many
"
    .to_owned();
    // Over 512 bytes, so it needs EDNS, and not over 1232.
    for host in 0..20 {
        writeln!(zone, "middle 150 MX {host} nowhere-{host}").unwrap();
    }
    for host in 0..40 {
        writeln!(zone, "big 140 MX {host} nowhere-with-a-name-of-some-length-{host}").unwrap();
    }
    for host in 1..=90 {
        writeln!(zone, "many 130 A 127.83.2.{host}").unwrap();
    }
    zone
}

fn bind() -> Option<(Bind, Dig)> {
    let zone = zone();
    let bind = Bind::start(&[("example.test", Some(&zone)), ("broken.test", None)])?;
    Some((bind, Dig::find()?))
}

/// Runs `mxwatch check --json` at a name server; every lookup it made, by name and type.
fn check(server: SocketAddr, more: &[&str], domains: &[&str]) -> BTreeMap<(String, String), Value> {
    let (server, port) = (server.to_string(), free_port().to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_mxwatch"))
        .args(["check", "--json", "--helo-name", "probe.example.test", "--dns-server", &server])
        // Nothing listens there: these tests look at DNS only.
        .args(["--port", &port])
        .args(more)
        .args(domains)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), domains.len(), "{said}{errors}");
    let mut lookups = BTreeMap::new();
    for (line, domain) in said.lines().zip(domains) {
        let json: Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["domain"], *domain);
        let of_exchangers = json["facts"]["exchangers"].as_array().unwrap().iter();
        let of_exchangers = of_exchangers.flat_map(|e| e["lookups"].as_array().unwrap());
        for lookup in json["facts"]["mx"].as_array().unwrap().iter().chain(of_exchangers) {
            let text = |key: &str| lookup[key].as_str().unwrap().to_owned();
            lookups.insert((text("name"), text("type")), lookup.clone());
        }
    }
    lookups
}

/// The only exchange of a lookup: what the server said at once is not asked again, but for SERVFAIL
/// without validation.
fn exchange(lookup: &Value) -> &Value {
    let exchanges = lookup["exchanges"].as_array().unwrap();
    let again = usize::from(lookup["status"] == "servfail");
    assert_eq!(exchanges.len(), 1 + again, "{lookup}");
    assert!(exchanges[1..].iter().all(|exchange| exchange["checking_disabled"] == true));
    &exchanges[0]
}

/// The records of an exchange in the form of dig, sorted.
fn records(exchange: &Value) -> Vec<String> {
    let records = exchange["records"].as_array().map_or(&[][..], Vec::as_slice);
    let shown = |record: &Value| {
        if let Some(address) = record["address"].as_str() {
            return address.to_owned();
        }
        let mx = &record["mx"];
        let exchanger = mx["exchanger"].as_str().map_or(".".to_owned(), |e| format!("{e}."));
        format!("{} {exchanger}", mx["preference"])
    };
    let mut records: Vec<_> = records.iter().map(shown).collect();
    records.sort();
    records
}

/// Holds a lookup against dig's answers before and after it; a cache counts TTLs down between.
fn compare(lookup: &Value, server: SocketAddr, before: &Answer, after: &Answer) {
    let exchange = exchange(lookup);
    let seen = |key: &str| exchange[key].as_bool().unwrap_or(false);
    let answer = Answer {
        status: exchange["status"].as_str().unwrap().to_owned(),
        records: before.records.clone(),
        aliases: serde_json::from_value(exchange["cname_chain"].clone()).unwrap_or_default(),
        ttl: before.ttl,
        truncated: seen("truncated"),
        authoritative: seen("authoritative"),
        authentic: seen("authentic_data"),
        extended_errors: before.extended_errors.clone(),
    };
    assert_eq!(&answer, before, "{lookup}");
    assert_eq!(exchange["server"], server.to_string());
    let transport = if before.truncated { "tcp" } else { "udp" };
    assert_eq!(exchange["transport"], transport, "{lookup}");
    assert_eq!(exchange["answers"], before.records.len(), "{lookup}");
    let (got, want) = (records(exchange), lower(&before.records));
    assert_eq!(got, want, "{lookup}");
    let ttl = exchange["ttl_seconds"].as_u64().map(|ttl| u32::try_from(ttl).unwrap());
    assert!(after.ttl <= ttl && ttl <= before.ttl, "{lookup}: {after:?} {before:?}");
}

/// Names are compared without case; mxwatch shows them in lower case.
fn lower(records: &[String]) -> Vec<String> {
    let mut records: Vec<_> = records.iter().map(|record| record.to_lowercase()).collect();
    records.sort();
    records
}

/// Checks all domains at `server` and holds every lookup against dig and the table.
fn everything_is_as_dig_says(
    dig: &Dig,
    server: SocketAddr,
    status: impl Fn(usize) -> &'static str,
) {
    let asked: Vec<_> =
        QUESTIONS.map(|(name, rtype, ..)| (name, rtype, dig.ask(server, name, rtype))).into();
    let lookups = check(server, &[], &DOMAINS);
    for (place, (name, rtype, before)) in asked.iter().enumerate() {
        assert_eq!(before.status, status(place), "dig on {name} {rtype} at {server}");
        assert_eq!(before.truncated, TRUNCATED.contains(&(name, rtype)), "{name} {rtype}");
        let lookup = lookups.get(&((*name).to_owned(), (*rtype).to_owned()));
        let lookup = lookup.unwrap_or_else(|| panic!("nobody asked for {name} {rtype}"));
        compare(lookup, server, before, &dig.ask(server, name, rtype));
    }
}

fn warn_without_ipv6() {
    if !has_ipv6() {
        note("without the half over IPv6: this host has no [::1]");
    }
}

#[test]
fn lookups_at_bind_are_as_dig_says() {
    let Some((bind, dig)) = bind() else { return };
    warn_without_ipv6();
    for server in bind.addresses() {
        everything_is_as_dig_says(&dig, server, |place| QUESTIONS[place].2);
    }
}

#[test]
fn lookups_at_unbound_are_as_dig_says() {
    let Some((bind, dig)) = bind() else { return };
    let zones = ["example.test", "broken.test", "elsewhere.test"];
    let Some(unbound) = Unbound::start(&zones.map(|zone| (zone, bind.ipv4()))) else { return };
    warn_without_ipv6();
    for server in unbound.addresses() {
        everything_is_as_dig_says(&dig, server, |place| QUESTIONS[place].3);
    }
}

#[test]
fn what_unbound_does_without_its_upstream_is_as_dig_says() {
    let Some(dig) = Dig::find() else { return };
    let nobody = (Ipv4Addr::LOCALHOST, free_port()).into();
    let Some(unbound) = Unbound::start(&[("example.test", nobody)]) else { return };
    let server = unbound.addresses().next().unwrap();
    let before = dig.ask(server, "two.example.test", "MX");
    assert_eq!(before.status, "servfail", "{before:?}");
    let lookups = check(server, &[], &["two.example.test"]);
    compare(lookups.values().next().unwrap(), server, &before, &before);
}

#[test]
fn a_port_where_nobody_listens_is_a_network_error() {
    let Some(dig) = Dig::find() else { return };
    let port = free_port();
    for server in on_loopback(port) {
        assert_eq!(dig.ask(server, "two.example.test", "MX").status, "network_error");
        let lookups = check(server, &[], &["two.example.test"]);
        let lookup = lookups.values().next().unwrap();
        let exchanges = lookup["exchanges"].as_array().unwrap();
        assert!(exchanges.iter().all(|e| e["status"] == "network_error"), "{lookup}");
        assert_eq!(lookup["kind"], Value::Null, "{lookup}");
    }
}

#[test]
fn a_stopped_server_is_a_timeout() {
    let Some((bind, dig)) = bind() else { return };
    bind.signal("STOP");
    assert_eq!(dig.ask(bind.ipv4(), "two.example.test", "MX").status, "timeout");
    let lookups = check(bind.ipv4(), &["--timeout", "100ms"], &["two.example.test"]);
    let lookup = lookups.values().next().unwrap();
    let exchanges = lookup["exchanges"].as_array().unwrap();
    assert_eq!(exchanges.len(), 2, "asked twice: {lookup}");
    for exchange in exchanges {
        assert_eq!(
            (&exchange["status"], &exchange["late_seconds"]),
            (&"timeout".into(), &Value::Null)
        );
    }
}
