//! DNSSEC through Unbound, which validates what BIND serves: what is proved, what is bogus and what
//! fails for other reasons, each held against `dig` with and without validation.

use std::{net::SocketAddr, process::Command};

use mxwatch::{
    config::{Dns, Resolver},
    facts::{Lookup, LookupStatus, RecordType},
    name::Domain,
    probe::dns::Resolvers,
};

#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use servers::{
    bind::{Bind, Dig},
    program::free_port,
    signing::Signer,
    unbound::{Abilities, Unbound},
};

const ZONE: &str = "$TTL 300
@    SOA ns hostmaster 1 3600 600 86400 60
@    NS  ns
@    MX  10 mx
ns   A   127.0.0.1
mx   A   127.83.7.1
";

/// BIND with a zone for each way to fail, and Unbound that trusts their keys.
fn servers() -> Option<(Bind, Unbound, Dig)> {
    let tools = Signer::find()?;
    let signed = tools.sign("signed.test", ZONE);
    let mut changed = tools.sign("changed.test", ZONE);
    changed.zone = changed.zone.replace("127.83.7.1", "127.83.7.2");
    let expired = tools.sign_expired("expired.test", ZONE);
    let bind = Bind::start(&[
        ("signed.test", Some(&signed.zone)),
        ("changed.test", Some(&changed.zone)),
        ("expired.test", Some(&expired.zone)),
        ("unsigned.test", Some(ZONE)),
        ("broken.test", None),
    ])?;
    let zones = ["signed.test", "changed.test", "expired.test", "unsigned.test", "broken.test"];
    let anchors = [&*signed.anchor, &*changed.anchor, &*expired.anchor];
    let abilities = Abilities { anchors: &anchors, ..Abilities::default() };
    let unbound = Unbound::start_with(&zones.map(|zone| (zone, bind.ipv4())), &abilities)?;
    Some((bind, unbound, Dig::find()?))
}

async fn look_up(server: SocketAddr, name: &str, rtype: RecordType) -> Lookup {
    let resolver = Resolver::of_servers("test", vec![server], Dns::default());
    let name = Domain::parse(name).unwrap().query_name();
    Resolvers::new(&[resolver], None).lookup(&name, rtype, None).await.remove(0)
}

#[tokio::test]
async fn what_fails_for_dnssec_is_told_from_what_fails() {
    let Some((_bind, unbound, dig)) = servers() else { return };
    let server = unbound.addresses().next().unwrap();
    for (name, status, unchecked, code) in [
        ("mx.signed.test", "noerror", "noerror", None),
        ("mx.unsigned.test", "noerror", "noerror", None),
        ("nowhere.signed.test", "nxdomain", "nxdomain", None),
        ("mx.changed.test", "bogus", "noerror", Some(6)),
        ("mx.expired.test", "bogus", "noerror", Some(7)),
        ("nowhere.expired.test", "bogus", "nxdomain", Some(7)),
        ("mx.broken.test", "servfail", "servfail", None),
    ] {
        // First, because Unbound says less of what it has in its cache.
        let lookup = look_up(server, name, RecordType::A).await;
        let said = dig.ask(server, name, "A");
        let without = dig.ask_with(&["+cd"], server, name, "A");
        let want = if status == "bogus" { "servfail" } else { status };
        assert_eq!((&*said.status, &*without.status), (want, unchecked), "dig on {name}");
        assert_eq!(lookup.status().label(), status, "{lookup:?}");
        let exchange = lookup.deciding().unwrap();
        assert_eq!(exchange.authentic_data, said.authentic, "{name}");
        let codes: Vec<_> =
            exchange.further.extended_errors.iter().map(|error| error.code).collect();
        assert_eq!(codes.is_empty(), said.extended_errors.is_empty(), "{name}: {said:?}");
        assert!(code.is_none_or(|code| codes.contains(&code)), "{name}: {codes:?}");
        match &*lookup.exchanges {
            [_] => assert!(matches!(status, "noerror" | "nxdomain"), "{lookup:?}"),
            [_, again] => {
                assert!(again.checking_disabled, "{lookup:?}");
                assert_eq!(again.status.label(), unchecked, "{lookup:?}");
                assert_eq!(lookup.addresses().count(), 0, "what is bogus is no data");
            }
            more => panic!("{more:?}"),
        }
    }
    let proved = look_up(server, "mx.signed.test", RecordType::A).await;
    assert!(proved.authentic_data(), "{proved:?}");
    let plain = look_up(server, "mx.unsigned.test", RecordType::A).await;
    assert!(!plain.authentic_data(), "{plain:?}");
}

#[tokio::test]
async fn nobody_asks_after_what_is_refused() {
    let Some(bind) = Bind::start(&[("unsigned.test", Some(ZONE))]) else { return };
    let refused = look_up(bind.ipv4(), "mx.elsewhere.test", RecordType::A).await;
    assert_eq!((refused.status(), refused.exchanges.len()), (LookupStatus::Refused, 1));
}

#[test]
fn check_says_what_is_wrong_with_the_signatures_and_how_to_see_it() {
    let Some((_bind, unbound, _)) = servers() else { return };
    let server = unbound.addresses().next().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mxwatch"))
        .args(["check", "--helo-name", "probe.example.test", "--dns-server", &server.to_string()])
        .args(["--port", &free_port().to_string(), "expired.test"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let (ip, port) = (server.ip(), server.port());
    for want in [
        "EDE 7 Signature Expired".to_owned(),
        format!(
            "The MX lookup of expired.test failed: DNSSEC validation fails at {server}: Signature Expired (EDE 7)"
        ),
        format!("$ dig @{ip} -p {port} expired.test MX"),
        format!("$ dig @{ip} -p {port} +cd expired.test MX"),
        "DNSSEC must be put right for MX of expired.test".to_owned(),
    ] {
        assert!(flat.contains(&want), "{want}\n{said}");
    }
}
