//! How this host looks to receivers, by forward and reverse zones that BIND serves.

use std::{fmt::Write, net::SocketAddr, process::Command};

use serde_json::{Value, json};

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use harness::{Agent, CONFIG, Ran, program, run_command};
use servers::{
    bind::Bind,
    own_network,
    program::{find, free_port, output},
};

const FORWARD: &str = "$TTL 60
@         SOA ns hostmaster 1 3600 600 86400 60
@         NS  ns
ns        A   127.0.0.1
mail      A   127.83.7.1
mail      AAAA 2001:db8::25
other     A   127.83.7.2
liar      A   127.83.7.99
many      A   127.83.7.98
nat       A   192.0.2.10
";

const REVERSE: &str = "$TTL 60
@         SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 60
@         NS  ns.example.test.
1.7       PTR mail.example.test.
2.7       PTR other.example.test.
4.7       PTR liar.example.test.
5.7       PTR many.example.test.
5.7       PTR host.broken.test.
6.7       CNAME 6.classless
6.classless PTR mail.example.test.
";

const REVERSE_IPV6: &str = "$TTL 60
@         SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 60
@         NS  ns.example.test.
5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mail.example.test.
";

const REVERSE_OWN: &str = "$TTL 60
@         SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 60
@         NS  ns.example.test.
10        PTR nat.example.test.
";

fn bind() -> Option<Bind> {
    Bind::start(&[
        ("example.test", Some(FORWARD)),
        ("83.127.in-addr.arpa", Some(REVERSE)),
        ("8.b.d.0.1.0.0.2.ip6.arpa", Some(REVERSE_IPV6)),
        ("2.0.192.in-addr.arpa", Some(REVERSE_OWN)),
        // Their files are missing, so BIND fails at all of them.
        ("84.127.in-addr.arpa", None),
        ("broken.test", None),
    ])
}

/// A configuration that asks this server and calls nobody for long.
fn configuration(dns: SocketAddr, helo: &str, probe: &str) -> String {
    let mut text = format!("helo_name = '{helo}'\ndomains = ['nowhere.example.test']\n");
    writeln!(text, "[probe]\n{probe}").unwrap();
    writeln!(text, "[[resolver]]\nname = 'bind'\nservers = ['{dns}']").unwrap();
    text
}

fn check(config: &str, flags: &[&str]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(CONFIG);
    std::fs::write(&file, config).unwrap();
    let mut command = program();
    command.arg("check").arg("--config.file").arg(file).args(flags);
    // Without a name there is nothing to be looked up for it, and nobody listens there.
    command.arg(format!("127.0.0.1:{}", free_port()));
    run_command(command)
}

/// What the JSON says of one family, and the text of the block.
fn look(config: &str, family: usize) -> (Value, String) {
    let said = check(config, &["--json"]);
    let document: Value = serde_json::from_str(said.stdout.trim()).unwrap();
    let text = check(config, &[]).stdout;
    let (block, _) = text.split_once("\n\n").unwrap_or_else(|| panic!("no block in {text}"));
    // Lines are broken between words.
    let block = block.split_whitespace().collect::<Vec<_>>().join(" ");
    (document["vantage"]["families"][family].clone(), block)
}

#[test]
fn names_and_addresses_are_compared_as_receivers_do() {
    let Some(bind) = bind() else { return };
    let mail = "mail.example.test";
    let good = "name and address point at each other";
    let bad = "name and address do not point at each other";
    let unknown = "whether name and address fit is not known";
    let (yes, no, null) = (json!(true), json!(false), Value::Null);
    for (helo, address, want, words) in [
        (mail, "127.83.7.1", [&yes, &yes, &yes], &[good][..]),
        // Classless delegation (RFC 2317) goes through an alias.
        (mail, "127.83.7.6", [&no, &yes, &no], &[bad, "its A record is 127.83.7.1"]),
        (
            mail,
            "127.83.7.2",
            [&no, &no, &yes],
            &[
                "leads to other.example.test and not to mail.example.test",
                "does not lead to 127.83.7.2",
            ],
        ),
        (mail, "127.83.7.3", [&no, &no, &no], &["127.83.7.3 has no PTR record"]),
        ("liar.example.test", "127.83.7.4", [&no, &yes, &no], &["record is 127.83.7.99"]),
        (mail, "127.83.7.4", [&no, &no, &no], &["which does not lead back to it"]),
        // One of its names cannot be looked up.
        (
            mail,
            "127.83.7.5",
            [&no, &no, &null],
            &["127.83.7.5 leads to", "and not to mail.example.test"],
        ),
        ("missing.example.test", "127.83.7.1", [&no, &no, &yes], &["it does not exist"]),
        (mail, "127.84.0.1", [&no, &null, &null], &[bad]),
        ("host.broken.test", "127.83.7.1", [&null, &no, &yes], &["and not to host.broken.test"]),
        ("host.broken.test", "127.84.0.1", [&null, &null, &null], &[unknown, "SERVFAIL from"]),
        ("[127.83.7.1]", "127.83.7.1", [&yes, &null, &yes], &["the address given"]),
        ("[192.0.2.1]", "127.83.7.1", [&no, &null, &yes], &["calls itself [192.0.2.1]"]),
    ] {
        let public = format!("public_ipv4 = '{address}'");
        let (side, block) = look(&configuration(bind.ipv4(), helo, &public), 0);
        let found = [&side["forward"], &side["reverse"], &side["confirmed"]];
        assert_eq!(found, want, "{helo} {address}: {side:#}");
        assert_eq!(side["seen_as"], address, "{side:#}");
        for words in words {
            assert!(block.contains(words), "{helo} {address}: {words:?} is missing in {block}");
        }
        let digs = side["lookups"].as_array().unwrap().iter().filter(|l| l["status"] == "noerror");
        assert!(digs.count() <= 3, "{side:#}");
    }
}

#[test]
fn an_ipv6_address_is_looked_up_by_its_nibbles() {
    let Some(bind) = bind() else { return };
    let config = configuration(bind.ipv4(), "mail.example.test", "public_ipv6 = '2001:db8::25'");
    let (side, block) = look(&config, 1);
    let (family, yes) = (json!("ipv6"), json!(true));
    let found = [&side["family"], &side["forward"], &side["reverse"], &side["confirmed"]];
    assert_eq!(found, [&family, &yes, &yes, &yes], "{side:#}");
    assert!(block.contains("point at each other"), "{block}");
}

#[test]
fn the_agent_shows_the_vantage_and_looks_anew_when_it_is_configured_otherwise() {
    let Some(bind) = bind() else { return };
    let config = |helo, probe| configuration(bind.ipv4(), helo, probe);
    let agent = Agent::start(&config("mail.example.test", "public_ipv4 = '127.83.7.2'"));
    let ipv4 = [("family", "ipv4")];
    let known = |name: &str, value| {
        let metric = format!("mx_vantage_{name}");
        agent.scrape_until(&format!("{metric} {value}"), |scrape| {
            scrape.value(&metric, &ipv4) == Some(value)
        })
    };
    known("helo_resolves", 0.0);
    known("reverse_matches", 0.0);
    let scrape = known("reverse_confirmed", 1.0);
    let seen = [("family", "ipv4"), ("seen_as", "127.83.7.2")];
    assert_eq!(scrape.value("mx_vantage_source_info", &seen), Some(1.0));
    agent.wait_for_log(&["level=warn", "family=ipv4", "forward=no", "reverse=no", "confirmed=yes"]);
    let page = agent.get("/").body;
    assert!(page.contains("and not to mail.example.test"), "{page}");
    let document: Value =
        serde_json::from_str(&agent.get("/api/v1/domains/nowhere.example.test").body).unwrap();
    assert_eq!(document["vantage"]["helo_name"], "mail.example.test", "{document}");

    let reload = |text: &str| {
        let before = agent.log_with(&["configuration reloaded"]).len();
        agent.write(CONFIG, text);
        agent.signal("HUP");
        harness::wait_until("the reload", || {
            (agent.log_with(&["configuration reloaded"]).len() > before).then_some(())
        });
    };
    reload(&config("mail.example.test", "public_ipv4 = '127.83.7.1'"));
    for name in ["helo_resolves", "reverse_matches", "reverse_confirmed"] {
        known(name, 1.0);
    }
    assert!(!agent.get("/").body.contains("mail.example.test"), "nothing is wrong any more");
    // A source that nobody outside sees says nothing.
    reload(&config("mail.example.test", "source_ipv4 = '127.0.0.1'"));
    let scrape = agent.scrape_until("the vantage", |scrape| {
        scrape.value("mx_vantage_source_info", &[("source", "127.0.0.1")]).is_some()
    });
    assert_eq!(scrape.value("mx_vantage_helo_resolves", &ipv4), None);
    assert!(!agent.get("/").body.contains("mail.example.test"), "and nothing alarms");
}

#[test]
fn a_host_knows_its_ways_out() {
    if !own_network::entered() {
        return own_network::rerun("a_host_knows_its_ways_out");
    }
    own_network::set_up(&[], [127, 0, 0, 1].into(), 1);
    let ip = |args: &str| {
        let ip = find("ip", "iproute2").unwrap();
        assert_eq!(output(Command::new(ip).args(args.split(' '))), "", "ip {args}");
    };
    let Some(bind) = bind() else { return };
    let config = |probe| configuration(bind.ipv4(), "nat.example.test", probe);
    let (side, block) = look(&config(""), 0);
    assert_eq!((&side["way"], &side["source"]), (&json!("no_route"), &Value::Null));
    assert!(block.contains("ipv4 no route ipv6 no route ! This host has no route"), "{block}");

    // Nothing is ever sent there.
    ip("address add 192.0.2.10/32 dev lo");
    ip("address add 10.0.0.10/32 dev lo");
    ip("route add default dev lo src 192.0.2.10");
    let (side, block) = look(&config(""), 0);
    let found =
        ["way", "source", "seen_as", "forward", "reverse", "confirmed"].map(|key| &side[key]);
    let want = json!(["open", "192.0.2.10", "192.0.2.10", true, true, true]);
    assert_eq!(json!(found), want, "{side:#}");
    let want = "this host calls as nat.example.test ipv4 from 192.0.2.10: name and address point \
                at each other ipv6 no route";
    assert_eq!(block, want);

    // Behind NAT: nothing is known before the configuration says what receivers see.
    let (side, block) = look(&config("source_ipv4 = '10.0.0.10'"), 0);
    assert_eq!((&side["way"], &side["seen_as"]), (&json!("open"), &Value::Null), "{side:#}");
    assert!(block.contains("receivers see another address") && !block.contains('!'), "{block}");
    let nat = "source_ipv4 = '10.0.0.10'\npublic_ipv4 = '192.0.2.10'";
    let (side, block) = look(&config(nat), 0);
    assert_eq!(side["confirmed"], true, "{side:#}");
    assert!(block.contains("from 10.0.0.10, seen as 192.0.2.10: name and"), "{block}");

    let (side, block) = look(&config("source_ipv4 = '192.0.2.99'"), 0);
    assert_eq!(side["way"], "not_ours", "{side:#}");
    assert!(block.contains("which is no address of this host"), "{block}");

    let agent = Agent::start(&config(""));
    let scrape = agent.scrape_until("the vantage", |scrape| {
        scrape.value("mx_vantage_route", &[("family", "ipv4")]) == Some(1.0)
    });
    assert_eq!(scrape.value("mx_vantage_route", &[("family", "ipv6")]), Some(0.0));
    assert_eq!(agent.log_with(&["level=warn", "receivers"]), [""; 0], "no IPv6 is no fault");
}
