//! `check --trace` and the authoritative view against a private root of three levels: BIND for the
//! root, a top level and the zones below, and dnsdist for the one server that fails for AAAA alone.
//! What it says of each server is held against what `dig +norecurse` says.

use std::{
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::Path,
    process::Command,
};

use serde_json::Value;

#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use servers::{
    bind::{Bind, Dig},
    dnsdist::Dnsdist,
    own_network,
};

const ROOT: &str = "$TTL 3600
@           SOA ns.root. hostmaster.root. 1 3600 600 86400 60
@           NS  ns.root.
ns.root.    A   192.0.2.1
test.       NS  ns.nic.test.
ns.nic.test. A  192.0.2.2
";

const TEST: &str = "$TTL 3600
@           SOA ns.nic hostmaster 1 3600 600 86400 60
@           NS  ns.nic
ns.nic      A   192.0.2.2
; Three servers, one of them without glue in another zone.
example     NS  ns1.example
example     NS  ns2.example
example     NS  ns3.other
ns1.example A   192.0.2.11
ns2.example A   192.0.2.12
other       NS  ns.other
ns.other    A   192.0.2.13
; Each of these has one thing wrong with it.
lame        NS  ns1.example
lame        NS  ns3.other
old         NS  ns1.example
old         NS  ns3.other
sets        NS  ns1.example
sets        NS  ns3.other
listed      NS  ns1.example
listed      NS  ns3.other
silent      NS  ns1.example
silent      NS  ns.silent
ns.silent   A   192.0.2.66
a           NS  ns.b
b           NS  ns.a
";

const OTHER: &str = "$TTL 300
@   SOA ns hostmaster 1 3600 600 86400 60
@   NS  ns
ns  A   192.0.2.13
ns3 A   192.0.2.13
ns4 A   192.0.2.13
";

/// One of the zones below `test.`, at both of its servers unless told otherwise.
fn zone(serial: u32, servers: &[&str], records: &str) -> String {
    let servers = servers.join("\n@ NS ");
    format!(
        "$TTL 300\n@ SOA ns1.example.test. hostmaster {serial} 3600 600 86400 60\n@ NS {servers}\n\
         {records}"
    )
}

const BOTH: [&str; 2] = ["ns1.example.test.", "ns3.other.test."];
const MAIL: &str = "@ MX 10 mx1\nmx1 A 192.0.2.25\n";

/// All servers of this Internet; `None` where a program for it is missing.
struct Internet {
    _servers: [Bind; 4],
    _balancer: Dnsdist,
    _silent: UdpSocket,
    folder: tempfile::TempDir,
}

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

impl Internet {
    fn start() -> Option<Self> {
        own_network::bring_up(&[1, 2, 11, 12, 13, 66].map(ip));
        let example = zone(
            7,
            &["ns1", "ns2", "ns3.other.test."],
            &format!("ns1 A 192.0.2.11\nns2 A 192.0.2.12\n{MAIL}"),
        );
        let (mail, new, old) = (zone(1, &BOTH, MAIL), zone(9, &BOTH, MAIL), zone(5, &BOTH, MAIL));
        let other_mx = zone(1, &BOTH, "@ MX 20 mx2\nmx1 A 192.0.2.25\nmx2 A 192.0.2.26\n");
        let moved = zone(1, &["ns1.example.test.", "ns4.other.test."], MAIL);
        let silent = zone(1, &["ns1.example.test.", "ns"], &format!("ns A 192.0.2.66\n{MAIL}"));
        let servers = [
            Bind::at(&[ip(1)], &[(".", Some(ROOT))])?,
            Bind::at(&[ip(2)], &[("test", Some(TEST))])?,
            Bind::at(
                &[ip(11)],
                &[
                    ("example.test", Some(&example)),
                    ("lame.test", Some(&mail)),
                    ("old.test", Some(&new)),
                    ("sets.test", Some(&mail)),
                    ("listed.test", Some(&moved)),
                    ("silent.test", Some(&silent)),
                ],
            )?,
            Bind::at(
                &[ip(13)],
                &[
                    ("other.test", Some(OTHER)),
                    ("example.test", Some(&example)),
                    ("old.test", Some(&old)),
                    ("sets.test", Some(&other_mx)),
                    ("listed.test", Some(&moved)),
                ],
            )?,
        ];
        let balancer = Dnsdist::start(ip(12), ip(11), "AAAA")?;
        let silent = UdpSocket::bind((ip(66), 53)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = "helo_name = 'probe.example.org'\n[dns]\ntimeout = '500ms'\nlate_window = '0s'\n\
                      [[resolver]]\nname = 'lan'\nservers = ['192.0.2.11']\n\
                      [[resolver]]\nkind = 'authoritative'\nroot_servers = ['192.0.2.1']\n\
                      [[destination]]\ndomain = 'example.test'\nresolvers = ['lan']\n";
        fs::write(folder.path().join("mxwatch.toml"), config).unwrap();
        Some(Self { _servers: servers, _balancer: balancer, _silent: silent, folder })
    }

    fn check(&self, args: &[&str]) -> (String, Option<i32>) {
        check(&self.folder.path().join("mxwatch.toml"), args)
    }

    /// The report on one line, so that no sentence is broken.
    fn words(&self, domain: &str) -> String {
        let (text, _) = self.check(&["--trace", domain]);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn check(config: &Path, args: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxwatch"));
    command.args(["check", "--timeout=2s", "--config.file"]).arg(config).args(args);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error, "", "{args:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    if !args.contains(&"--json") {
        println!("{text}");
    }
    (text, output.status.code())
}

#[test]
fn a_private_root_and_all_that_is_wrong_below_it() {
    const TEST: &str = "a_private_root_and_all_that_is_wrong_below_it";
    if !own_network::entered() {
        return own_network::rerun(TEST);
    }
    let (Some(internet), Some(dig)) = (Internet::start(), Dig::find()) else { return };
    let sentence = "ns2.example.test answers AAAA mx1.example.test with SERVFAIL, the other two with \
                    NODATA.";
    let example = internet.words("example.test");
    assert!(example.contains(sentence), "{example}");
    assert!(example.contains("test ns.nic.test [192.0.2.2]"), "{example}");
    for quiet in ["do not have the same", "(lame", "NS records of", "no address", "does not answer"]
    {
        assert!(!example.contains(quiet), "{quiet}: {example}");
    }
    for (domain, wanted) in [
        (
            "lame.test",
            &[
                "ns3.other.test (192.0.2.13) has no authority over lame.test: it answers REFUSED (lame \
               delegation).",
            ][..],
        ),
        ("old.test", &["ns3.other.test has serial 5, and the newest is 9 (at ns1.example.test)."]),
        (
            "sets.test",
            &[
                "ns3.other.test answers MX sets.test with 20 mx2.sets.test, ns1.example.test with 10 \
                 mx1.sets.test.",
                "20 mx2.sets.test ns3.other.test [192.0.2.13]",
            ],
        ),
        (
            "listed.test",
            &[
                "The delegation of listed.test names ns3.other.test, the NS records of the zone \
                 itself do not.",
                "The NS records of listed.test name ns4.other.test, its delegation in the parent \
                 zone does not.",
            ],
        ),
        (
            "silent.test",
            &["ns.silent.test (192.0.2.66) does not answer queries about silent.test (within"],
        ),
        ("mail.a.test", &["ns.b.test, a name server of a.test, has no address:"]),
    ] {
        let text = internet.words(domain);
        for sentence in wanted {
            assert!(text.contains(sentence), "{domain}: {sentence}\n{text}");
        }
        assert!(!text.contains(sentence), "{domain}");
    }
    every_status_is_that_of_dig(&internet, &dig);
    who_is_asked_for_the_trace_alone_gives_no_verdict(&internet);
    one_broken_line_is_none(&internet);
}

/// Each exchange with each server, of all domains at once.
fn every_status_is_that_of_dig(internet: &Internet, dig: &Dig) {
    let domains = ["example.test", "lame.test", "old.test", "sets.test", "listed.test"];
    let (text, _) = internet.check(&[&["--trace", "--json"][..], &domains].concat());
    let mut compared = 0;
    for document in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let facts = &document["facts"];
        let of_mx = facts["mx"].as_array().unwrap().iter();
        let exchangers = facts["exchangers"].as_array().unwrap();
        let of_hosts = exchangers.iter().flat_map(|e| e["lookups"].as_array().unwrap());
        for lookup in of_mx.chain(of_hosts).filter(|lookup| lookup["zone"].is_object()) {
            let (name, rtype) = (&lookup["name"], &lookup["type"]);
            for exchange in lookup["exchanges"].as_array().unwrap() {
                let server: SocketAddr = exchange["server"].as_str().unwrap().parse().unwrap();
                let said = dig.norecurse(server, name.as_str().unwrap(), rtype.as_str().unwrap());
                assert_eq!(exchange["status"], *said.status, "{server} {rtype} {name}");
                let authoritative = exchange["authoritative"].as_bool().unwrap_or(false);
                assert_eq!(authoritative, said.authoritative, "{server} {rtype} {name}");
                compared += 1;
            }
            for server in lookup["zone"]["servers"].as_array().unwrap() {
                for exchange in server["soa"].as_array().unwrap() {
                    let at: SocketAddr = exchange["server"].as_str().unwrap().parse().unwrap();
                    let zone = lookup["zone"]["name"].as_str().unwrap();
                    let said = dig.norecurse(at, zone, "SOA");
                    // The helper takes an SOA for that of a negative answer.
                    let found = said.authoritative && said.status == "nodata";
                    let status = if found { "noerror" } else { &said.status };
                    assert_eq!(exchange["status"], *status, "{at} SOA {zone}");
                }
            }
        }
    }
    assert!(compared >= 30, "{compared}");
}

fn who_is_asked_for_the_trace_alone_gives_no_verdict(internet: &Internet) {
    let resolvers = |args: &[&str]| {
        let (text, _) = internet.check(args);
        let document: Value = serde_json::from_str(&text).unwrap();
        let verdicts = document["verdicts"].as_array().unwrap().iter();
        let mut names: Vec<_> =
            verdicts.map(|v| v["resolver"].as_str().unwrap().to_owned()).collect();
        names.dedup();
        (names, document["facts"]["mx"].as_array().unwrap().len())
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(resolvers(&["--json", "example.test"]), (names(&["lan"]), 1));
    assert_eq!(resolvers(&["--json", "--trace", "example.test"]), (names(&["lan"]), 2));
    let given = ["--json", "--trace", "--dns-server=192.0.2.13", "example.test"];
    assert_eq!(resolvers(&given), (names(&["192.0.2.13"]), 2));
    // One that senders go by as well.
    let both = names(&["lan", "authoritative"]);
    assert_eq!(resolvers(&["--json", "--trace", "old.test"]), (both, 2));
}

/// What a terminal of the usual width does not break.
fn one_broken_line_is_none(internet: &Internet) {
    let (text, _) = internet.check(&["--trace", "example.test"]);
    let trace = text.split("The way to").nth(1).unwrap();
    for line in trace.lines().filter(|line| !line.contains("$ ")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
