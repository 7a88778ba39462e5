//! Prometheus scrapes the running agent.

use std::{collections::BTreeSet, fmt::Write};

use mxwatch::world::{World, scenes};
use serde_json::Value;

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use harness::{Agent, CONFIG, Scrape, wait_until};
use servers::prometheus::{Prometheus, check_metrics};

/// Domains of the demo's world that get through their rounds quickly, good and bad.
const DOMAINS: [&str; 10] = [
    "healthy.test",
    "shared-a.test",
    "shared-b.test",
    "aaaa-servfail.test",
    "banner-554.test",
    "ehlo-refused.test",
    "refused.test",
    "null-mx.test",
    "implicit.test",
    "no-such-domain.test",
];

fn configuration(world: &World, domains: &[&str]) -> String {
    let (dns, port) = (world.dns_addr(), world.smtp_port());
    let mut text = format!("helo_name = 'probe.example.test'\ndomains = {domains:?}\n");
    writeln!(text, "[probe]\nport = {port}\ninterval = '1s'").unwrap();
    writeln!(text, "[[resolver]]\nname = 'world'\nservers = ['{dns}']").unwrap();
    text
}

/// The world of the demo, an agent on it and a Prometheus that scrapes it. The world lives as long
/// as its runtime.
struct Scene {
    prometheus: Prometheus,
    agent: Agent,
    world: World,
    _runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn start() -> Option<Self> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let world = scenes::world(World::ipv6_available()).unwrap();
        let world = runtime.block_on(world.start()).unwrap();
        let agent = Agent::start(&configuration(&world, &DOMAINS));
        agent.wait_ready();
        let prometheus = Prometheus::start(agent.address())?;
        wait_until("the first scrape", || {
            let up = prometheus.query("up{job='mxwatch'}");
            up.first().map(|up| assert_eq!(up["value"][1], "1", "{}", prometheus.target()))
        });
        Some(Self { prometheus, agent, world, _runtime: runtime })
    }

    /// Waits until a query has a result, and returns it.
    fn result(&self, query: &str) -> Vec<Value> {
        wait_until(query, || Some(self.prometheus.query(query)).filter(|found| !found.is_empty()))
    }
}

fn label<'a>(series: &'a Value, name: &str) -> &'a str {
    series["metric"][name].as_str().unwrap_or_default()
}

/// Domain, mx and family of every series.
fn routes(series: &[Value]) -> Vec<(&str, &str, &str)> {
    series.iter().map(|s| (label(s, "domain"), label(s, "mx"), label(s, "family"))).collect()
}

#[test]
fn prometheus_scrapes_the_agent() {
    let Some(scene) = Scene::start() else { return };
    let target = scene.prometheus.target();
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()));

    let up = scene.result("mx_exchanger_up{mx='mx1.healthy.test'}");
    let families: BTreeSet<_> = up.iter().map(|series| label(series, "family")).collect();
    let expected: &[_] = if World::ipv6_available() { &["ipv4", "ipv6"] } else { &["ipv4"] };
    assert!(families.iter().eq(expected), "{up:?}");
    assert!(up.iter().all(|series| series["value"][1] == "1"), "{up:?}");
    let refused = scene.result("mx_exchanger_up{mx='mx1.refused.test',family='ipv4'}");
    assert_eq!(refused[0]["value"][1], "0");

    // Domains get at their exchangers by the documented join, each route once.
    let joined = scene.result("mx_route * on (mx, family) group_left () mx_exchanger_up");
    let mut seen = routes(&joined);
    seen.sort_unstable();
    let all = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), all, "one series per domain, mx and family: {joined:?}");
    for domain in ["shared-a.test", "shared-b.test"] {
        for mx in ["mx1.provider.test", "mx2.provider.test"] {
            assert!(seen.contains(&(domain, mx, "ipv4")), "{domain} {mx}: {seen:?}");
        }
    }
    // Every route to an exchanger of which something is known takes part.
    scene.result(
        "count(mx_route and on (mx, family) mx_exchanger_up) == \
         count(mx_route * on (mx, family) group_left () mx_exchanger_up)",
    );

    // Counters grow over scrapes, so rates mean something.
    scene.result("increase(mx_sessions_total{mx='mx1.healthy.test'}[10s]) > 0");
    // Nothing Prometheus takes for a duplicate or out of order reached it.
    assert_eq!(scene.prometheus.target()["lastError"], "");
}

#[test]
fn a_removed_domain_goes_stale_at_the_next_scrape() {
    let Some(scene) = Scene::start() else { return };
    let gone = "{job='mxwatch',domain='healthy.test'} or {job='mxwatch',mx=~'.*healthy.test'}";
    let gone = gone.to_owned() + " or {job='mxwatch',name=~'.*healthy.test'}";
    assert!(scene.result(&gone).len() > 10);
    let rest: Vec<_> = DOMAINS.into_iter().filter(|domain| *domain != "healthy.test").collect();
    scene.agent.write(CONFIG, &configuration(&scene.world, &rest));
    scene.agent.signal("HUP");
    wait_until("the agent without the domain", || {
        (!scene.agent.scrape().mentions("healthy.test")).then_some(())
    });
    // Without stale markers an instant query would find the last samples for five minutes.
    wait_until("no series of the domain", || {
        scene.prometheus.query(&gone).is_empty().then_some(())
    });
    assert!(!scene.result("mx_exchanger_up{mx='mx1.provider.test'}").is_empty());
    assert_eq!(scene.prometheus.query("up{job='mxwatch'}")[0]["value"][1], "1");
}

#[test]
fn promtool_has_nothing_to_say_of_the_running_agent() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = scenes::world(World::ipv6_available()).unwrap();
    let world = runtime.block_on(world.start()).unwrap();
    let agent = Agent::start(&configuration(&world, &DOMAINS));
    agent.wait_ready();

    let plain = agent.get("/metrics");
    assert_eq!(plain.status, 200);
    let head = plain.head.to_lowercase();
    assert!(
        head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{head}"
    );
    assert!(!head.contains("content-encoding"), "{head}");
    // The parser refuses a sample that appears twice.
    assert!(Scrape::parse(&plain.body).mentions("mx1.healthy.test"));
    let of_one = agent.get("/probe?target=healthy.test");
    assert_eq!(of_one.status, 200, "{}", of_one.body);
    assert!(Scrape::parse(&of_one.body).mentions("mx1.healthy.test"));

    let zipped = agent.request("GET", "/metrics", &[("Accept-Encoding", "gzip")]);
    let head = zipped.head.to_lowercase();
    assert!(head.contains("\r\ncontent-encoding: gzip\r\n"), "{head}");
    assert!(
        head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{head}"
    );
    assert!(zipped.body.len() < plain.body.len() / 2, "{} bytes", zipped.body.len());

    for body in [&plain.body, &of_one.body] {
        let Some((passed, said)) = check_metrics(body) else { return };
        assert!(passed && said.is_empty(), "{said}");
    }
    let broken =
        plain.body.replace("# TYPE mx_exchanger_up gauge", "# TYPE mx_exchanger_up counter");
    assert!(check_metrics(&broken).is_some_and(|(_, said)| !said.is_empty()), "it checks nothing");
}
