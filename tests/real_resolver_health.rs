//! Resolvers that stop and come back: one fact each, and no harm to what goes through the others.

use std::{
    fmt::Write,
    fs,
    net::{SocketAddr, UdpSocket},
};

use mxwatch::world::{World, smtp_script::Script};

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use harness::{Agent, CONFIG, Scrape, run_command, wait_until};
use servers::{
    bind::{Bind, Dig},
    prometheus::check_metrics,
};

/// Domains that are asked about.
const DOMAINS: usize = 12;

fn zone() -> String {
    let mut zone =
        "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n".to_owned();
    for n in 0..DOMAINS {
        writeln!(zone, "d{n} MX 10 mx{n}\nmx{n} A 127.83.8.1").unwrap();
    }
    // Over 1232 bytes.
    for n in 0..90 {
        writeln!(zone, "mx0 A 127.83.9.{n}").unwrap();
    }
    zone
}

/// All domains, and these resolvers with their keys.
fn configuration(resolvers: &[(&str, SocketAddr, &str)]) -> String {
    let domains: Vec<_> = (0..DOMAINS).map(|n| format!("d{n}.example.test")).collect();
    let mut text = format!("helo_name = 'probe.example.test'\ndomains = {domains:?}\n");
    let port = servers::program::free_port();
    writeln!(text, "[probe]\nport = {port}\ninterval = '1s'\naddresses_per_family = 1").unwrap();
    writeln!(text, "[dns]\ntimeout = '300ms'\nattempts = 1\nlate_window = '0s'").unwrap();
    writeln!(text, "health_interval = '1s'").unwrap();
    for (name, server, more) in resolvers {
        writeln!(text, "[[resolver]]\nname = '{name}'\nservers = ['{server}']\n{more}").unwrap();
    }
    text
}

fn up(scrape: &Scrape, resolver: &str) -> Option<f64> {
    scrape.value("mx_resolver_up", &[("resolver", resolver)])
}

#[test]
fn a_resolver_that_stops_is_one_fact_until_it_goes_on() {
    let (Some(first), Some(dig)) = (Bind::start(&[("example.test", Some(&zone()))]), Dig::find())
    else {
        return;
    };
    let Some(second) = Bind::start(&[("example.test", Some(&zone()))]) else { return };
    let own = "control_name = 'example.test'";
    let (lan, far) = (("lan", first.ipv4(), ""), ("far", second.ipv4(), own));
    let agent = Agent::start(&configuration(&[lan, far]));
    agent.wait_ready();
    let scrape = agent.scrape_until("both are up", |scrape| {
        up(scrape, "lan") == Some(1.0) && up(scrape, "far") == Some(1.0)
    });
    for ((name, server, _), control) in [(lan, "."), (far, "example.test")] {
        let labels = [("resolver", name), ("server", &*server.to_string())];
        let status = scrape.sample("mx_resolver_control_status", &labels).unwrap();
        let said = dig.ask(server, control, "NS").status;
        assert_eq!(status.label("status"), said, "as dig says of {control} NS at {server}");
        assert_eq!(scrape.value("mx_resolver_server_up", &labels), Some(1.0));
        assert!(scrape.value("mx_resolver_control_duration_seconds", &labels) > Some(0.0));
        let primary = [("resolver", name), ("kind", "servers"), ("transport", "udp")];
        let info = scrape.sample("mx_resolver_info", &primary).unwrap();
        assert_eq!(info.label("primary"), if name == "lan" { "true" } else { "false" });
        let truncated = |rtype| {
            let labels = [("resolver", name), ("type", rtype)];
            scrape.value("mx_dns_truncated_answers_total", &labels)
        };
        assert!(truncated("A") > Some(0.0), "{scrape:?}");
        assert_eq!(truncated("MX"), Some(0.0));
    }
    if let Some((passed, said)) = check_metrics(&agent.get("/metrics").body) {
        assert!(passed, "{said}");
    }

    second.signal("STOP");
    let scrape = agent.scrape_until("one is down", |scrape| up(scrape, "far") == Some(0.0));
    assert_eq!(up(&scrape, "lan"), Some(1.0));
    assert_eq!(scrape.value("mx_resolver_server_up", &[("resolver", "far")]), Some(0.0));
    let timeout = [("resolver", "far"), ("status", "timeout")];
    assert_eq!(scrape.value("mx_resolver_control_status", &timeout), Some(1.0));
    let page = agent.get("/").body;
    assert_eq!(page.matches("Resolver far does not answer").count(), 1, "{page}");
    assert_eq!(page.matches("lookup timeout").count(), 0, "{page}");
    assert!(!page.contains("Resolver lan"), "{page}");
    let page = agent.get("/domains/d1.example.test").body;
    assert_eq!(page.matches("Resolver far does not answer").count(), 1, "{page}");
    // The verdict of a sender that asks it is another matter.
    let (_, list) = page.split_once("<ul class=\"troubles\">").unwrap();
    let (list, _) = list.split_once("</ul>").unwrap();
    assert!(!list.contains("No address of") && !list.contains("lookup of"), "{list}");
    let file = agent.path(CONFIG);
    let mut check = harness::program();
    check.arg("check").arg("--config.file").arg(file).args(["d1.example.test", "d2.example.test"]);
    let said = run_command(check).stdout;
    assert_eq!(said.matches("Resolver far does not answer").count(), 1, "{said}");
    let report = said.split("What senders would do").next().unwrap();
    assert!(!report.contains("TIMEOUT") && !report.contains("(far)"), "{report}");

    second.signal("CONT");
    agent.scrape_until("it is up again", |scrape| up(scrape, "far") == Some(1.0));
    agent.wait_for_log(&["level=info", "resolver up again", "resolver=far", "down_seconds="]);
    assert_eq!(agent.log_with(&["resolver down", "resolver=far"]).len(), 1);
    assert_eq!(agent.log_with(&["resolver down", "resolver=lan"]).len(), 0);
    assert!(!agent.get("/").body.contains("does not answer"));

    // One whose process has ended is told by the network.
    drop(second);
    agent.scrape_until("it is gone", |scrape| {
        let refused = [("resolver", "far"), ("status", "network_error")];
        up(scrape, "far") == Some(0.0)
            && scrape.value("mx_resolver_control_status", &refused) == Some(1.0)
    });
    agent.write(CONFIG, &configuration(&[lan]));
    agent.signal("HUP");
    agent.wait_for_log(&["configuration reloaded"]);
    let scrape = agent.scrape();
    assert!(!scrape.mentions("far"), "it is not asked any more");
    assert_eq!(up(&scrape, "lan"), Some(1.0), "and the other goes on");
}

#[test]
fn a_server_that_stops_beside_another_is_named_and_takes_nothing_down() {
    let start = || Bind::start(&[("example.test", Some(&zone()))]);
    let (Some(first), Some(second)) = (start(), start()) else { return };
    let both = format!("', '{}", second.ipv4());
    let text = configuration(&[("lan", first.ipv4(), "control_name = 'example.test'")]);
    let text = text.replace(&first.ipv4().to_string(), &format!("{}{both}", first.ipv4()));
    let agent = Agent::start(&text);
    agent.scrape_until("it is up", |scrape| up(scrape, "lan") == Some(1.0));
    second.signal("STOP");
    let server = second.ipv4().to_string();
    let scrape = agent.scrape_until("the server is down", |scrape| {
        scrape.value("mx_resolver_server_up", &[("server", &server)]) == Some(0.0)
    });
    assert_eq!(up(&scrape, "lan"), Some(1.0));
    agent.wait_for_log(&["level=warn", "server of a resolver changed", &server, "status=timeout"]);
    second.signal("CONT");
    agent.wait_for_log(&["level=info", "server of a resolver changed", &server, "was=timeout"]);
    assert_eq!(agent.log_with(&["resolver down"]), [""; 0]);
}

/// More domains than lookups may be under way through one of two resolvers.
const CROWD: usize = 1500;

/// What one resolver's share of all lookups under way is.
const SHARE: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_keep_their_pace_beside_a_resolver_that_never_answers() {
    let mut zone = "$ORIGIN test.\nmx A 127.90.70.1\n".to_owned();
    for n in 0..CROWD {
        writeln!(zone, "d{n} MX 10 mx").unwrap();
    }
    let world = World::builder().zone(&zone).unwrap();
    let world = world.smtp([127, 90, 70, 1], Script::healthy("mx.test")).start().await.unwrap();
    // Bound and never read from.
    let silent = UdpSocket::bind("127.90.70.2:0").unwrap();
    let domains: Vec<_> = (0..CROWD).map(|n| format!("d{n}.test")).collect();
    let mut text = format!("helo_name = 'probe.example.test'\ndomains = {domains:?}\n");
    writeln!(text, "[probe]\nport = {}\ninterval = '6s'", world.smtp_port()).unwrap();
    // Patiently, a lookup through it would take longer than the interval.
    writeln!(text, "[dns]\ntimeout = '2s'\nattempts = 2\nlate_window = '2s'").unwrap();
    writeln!(text, "health_interval = '1s'").unwrap();
    for (name, server) in [("world", world.dns_addr()), ("dead", silent.local_addr().unwrap())] {
        writeln!(text, "[[resolver]]\nname = '{name}'\nservers = ['{server}']").unwrap();
    }
    let agent = Agent::start(&text);
    let asked = |scrape: &Scrape| {
        let labels = [("type", "MX"), ("resolver", "world"), ("status", "noerror")];
        scrape.value("mx_dns_lookups_total", &labels).unwrap_or_default()
    };
    let skipped = |scrape: &Scrape| {
        scrape.value("mxwatch_rounds_skipped_total", &[("kind", "domain")]).unwrap()
    };
    agent.scrape_until("it is down", |scrape| up(scrape, "dead") == Some(0.0));
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let all = CROWD as f64;
    // What was asked patiently has to end first.
    let begun = asked(&agent.scrape());
    let settled = agent.scrape_until("a round of all", |s| asked(s) >= begun + 2.0 * all);
    let mut most = 0;
    let fds = format!("/proc/{}/fd", agent.pid());
    let later = wait_until("two rounds of all", || {
        let sockets = fs::read_dir(&fds).unwrap().filter_map(Result::ok);
        let socket = |entry: &fs::DirEntry| {
            fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        };
        most = most.max(sockets.filter(socket).count());
        Some(agent.scrape()).filter(|scrape| asked(scrape) >= asked(&settled) + 2.0 * all)
    });
    assert!(skipped(&later) <= skipped(&settled), "the primary's rounds come when they are due");
    assert!(most < SHARE + 200, "{most} sockets");
    assert_eq!(up(&later, "world"), Some(1.0));
}
