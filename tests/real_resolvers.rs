//! Resolvers that really differ: BIND with one answer for those inside and another for those outside,
//! and what the agent makes of it.

use std::net::{Ipv4Addr, SocketAddr};

use mxwatch::world::{World, smtp_script::Script};

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use harness::{Agent, run};
use servers::bind::Bind;

/// The zone as one side sees it.
fn bind(records: &str) -> Option<Bind> {
    let zone = format!(
        "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n\
         same MX 10 mx\nmx A 127.90.85.1\n{records}"
    );
    Bind::start(&[("example.test", Some(&zone))])
}

#[test]
fn two_views_of_a_zone_are_a_disagreement_with_both_sides_probed() {
    let inside = bind("split MX 10 in\nin A 127.90.85.1\nhalf A 127.90.85.1\nview MX 10 half\n");
    let outside = bind(
        "split MX 10 out\nsplit MX 20 mx\nout A 127.90.85.2\nhalf A 127.90.85.2\nview MX 10 half\n",
    );
    let (Some(inside), Some(outside)) = (inside, outside) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = World::builder()
        .smtp([127, 90, 85, 1], Script::healthy("mx.example.test"))
        .smtp([127, 90, 85, 2], Script::healthy("mx.example.test"));
    let world = runtime.block_on(world.start()).unwrap();
    let (lan, public): (SocketAddr, SocketAddr) = (inside.ipv4(), outside.ipv4());
    assert!(lan.ip() == Ipv4Addr::LOCALHOST && lan != public);
    let port = world.smtp_port();
    let agent = Agent::start(&format!(
        "helo_name = 'probe.example.test'\n\
         domains = ['same.example.test', 'split.example.test', 'view.example.test']\n\
         [probe]\nport = {port}\ninterval = '1s'\n\
         [[resolver]]\nname = 'lan'\nservers = ['{lan}']\n\
         [[resolver]]\nname = 'public'\nservers = ['{public}']\n"
    ));
    let scrape = agent.scrape_until("every address has been called", |scrape| {
        let up = |mx| scrape.value("mx_exchanger_addresses_up", &[("mx", mx)]);
        let each = ["mx.example.test", "in.example.test", "out.example.test"];
        each.iter().all(|mx| up(mx) == Some(1.0)) && up("half.example.test") == Some(2.0)
    });
    let agree = |name, rtype| {
        scrape.value("mx_resolvers_agree", &[("name", name), ("type", rtype)]).unwrap()
    };
    for (name, rtype, agreed) in [
        ("same.example.test", "MX", 1.0),
        ("mx.example.test", "A", 1.0),
        ("mx.example.test", "AAAA", 1.0),
        ("split.example.test", "MX", 0.0),
        ("view.example.test", "MX", 1.0),
        ("half.example.test", "A", 0.0),
        ("half.example.test", "AAAA", 1.0),
        // Inside there is no such name at all.
        ("out.example.test", "A", 0.0),
    ] {
        assert!((agree(name, rtype) - agreed).abs() < 0.1, "{name} {rtype}");
    }

    let (lan, public) = (format!("--dns-server={lan}"), format!("--dns-server={public}"));
    let port = format!("--port={port}");
    let names = ["split.example.test", "view.example.test"];
    let args = ["check", "--helo-name=probe.example.test", &lan, &public, &port];
    let ran = run(&[&args[..], &names[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Resolvers give different MX records of split.example.test: ",
        ": 10 in.example.test; ",
        ": 10 out.example.test, 20 mx.example.test. Where mail goes depends on",
        "Resolvers give different A records of half.example.test: ",
    ] {
        assert!(words.contains(part), "{part:?} is missing in\n{}", ran.stdout);
    }
}
