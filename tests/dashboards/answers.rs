//! Every query of every dashboard, put to a Prometheus that scrapes the agent on the demo's world:
//! with all its failures, and with the healthy domain alone.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use mxwatch::world::{World, dns::DnsServer, scenes};

use crate::{
    dashboard::{Dashboard, Query, all, substitute, text},
    harness::{Agent, PATIENCE, wait_until},
    servers::prometheus::{Duties, Prometheus},
};

/// Panels that have nothing to show of a world, by file and title, and why.
type Silent = [(&'static str, &'static str)];

/// A vantage in trouble is drawn beside its routes, one in order has those alone.
const NO_TROUBLE: (&str, &str) = ("agent.json: Route and troubles: B", "no vantage is in trouble");

#[test]
fn every_query_has_an_answer_where_much_fails() {
    let domains: Vec<_> = scenes::scenes().iter().map(|scene| scene.domain).collect();
    let Some(scene) = Scene::start(&domains) else { return };
    for (domain, mx) in [
        ("aaaa-servfail.test", "mx1.aaaa-servfail.test"),
        ("split-view.test", "mx.split-view.test"),
        ("shared-a.test", "mx2.provider.test"),
    ] {
        scene.every_query_has_an_answer(domain, mx, &[NO_TROUBLE]);
    }
    let mute = [
        NO_TROUBLE,
        ("exchanger.json: Time to the greeting: A", "it never greets"),
        ("exchanger.json: Time to the greeting: B", "it never greets"),
        ("exchanger.json: Time to the greeting: C", "it never greets"),
        ("exchanger.json: Replies by code: A", "it says nothing"),
    ];
    scene.every_query_has_an_answer("silent-banner.test", "mx1.silent-banner.test", &mute);
}

#[test]
fn no_panel_is_empty_where_all_is_well() {
    let Some(scene) = Scene::start(&["healthy.test"]) else { return };
    scene.every_query_has_an_answer("healthy.test", "mx1.healthy.test", &[NO_TROUBLE]);
}

/// The demo's world with both its name servers, an agent on it, and a Prometheus with the shipped
/// rules that scrapes it. The world lives as long as its runtime.
struct Scene {
    prometheus: Prometheus,
    _agent: Agent,
    _world: (World, DnsServer),
    _runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn start(domains: &[&str]) -> Option<Self> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let ipv6 = World::ipv6_available();
        let world = runtime.block_on(scenes::world(ipv6).unwrap().start()).unwrap();
        let external = runtime.block_on(scenes::external(ipv6)).unwrap();
        let agent = Agent::start(&configuration(&world, &external, domains));
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus/rules");
        let rules = fs::read_dir(rules).unwrap().map(|entry| entry.unwrap().path()).collect();
        let duties = Duties { rules, ..Duties::default() };
        let prometheus = Prometheus::start_with(agent.address(), &duties)?;
        agent.wait_ready();
        Some(Self { prometheus, _agent: agent, _world: (world, external), _runtime: runtime })
    }

    /// Of all dashboards, with this domain and exchanger chosen; those that are silent excepted.
    fn every_query_has_an_answer(&self, domain: &str, mx: &str, silent: &Silent) {
        let mut left = Vec::new();
        for dashboard in all() {
            let values = self.values(&dashboard, domain, mx);
            for annotation in dashboard.annotations() {
                // Nothing needs to have happened, but it must be a query.
                self.prometheus.query(&substitute(&annotation.expr, &values));
            }
            let queries = dashboard.panels().flat_map(|panel| dashboard.queries(panel));
            left.extend(queries.map(|Query { place, expr }| (place, substitute(&expr, &values))));
        }
        let mut excepted: Vec<_> = silent.iter().map(|(place, _)| *place).collect();
        excepted.retain(|place| !left.iter().any(|(query, _)| query == place));
        assert!(excepted.is_empty(), "there is no {excepted:?}");
        left.retain(|(place, _)| !silent.iter().any(|(silent, _)| silent == place));

        // Rates need two scrapes, and the rules a round of their own.
        let begun = std::time::Instant::now();
        while !left.is_empty() {
            left.retain(|(_, expr)| self.prometheus.query(expr).is_empty());
            assert!(begun.elapsed() < PATIENCE, "no answer for {domain}, {mx}: {left:#?}");
        }
    }

    /// What the variables of a dashboard stand for, as Grafana finds it.
    fn values(&self, dashboard: &Dashboard, domain: &str, mx: &str) -> BTreeMap<String, String> {
        let built_in = [("__rate_interval", "10s"), ("__range", "1h")];
        let mut values: BTreeMap<_, _> =
            built_in.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for variable in &dashboard.variables()[1..] {
            let name = text(&variable["name"]);
            let place = format!("{}: ${name}", dashboard.file);
            let query = substitute(text(&variable["definition"]), &values);
            let (query, label) = values_of(&query, text(&variable["regex"]));
            let found = wait_until(&place, || {
                let found = self.prometheus.query(&query);
                (!found.is_empty()).then_some(found)
            });
            let all = variable["allValue"].as_str().map(str::to_owned);
            let value = match (name, all) {
                ("domain", _) => domain.to_owned(),
                ("mx", _) if variable["multi"] == false => mx.to_owned(),
                (_, Some(all)) => all,
                (_, None) => {
                    let each = found.iter().map(|series| text(&series["metric"][label]));
                    format!("({})", each.collect::<Vec<_>>().join("|"))
                }
            };
            values.insert(name.to_owned(), value);
        }
        values
    }
}

/// The query behind `label_values(selector, label)` or `query_result(query)`, and the label that
/// gives the values: of the latter that with which the regular expression begins.
fn values_of<'a>(definition: &'a str, regex: &'a str) -> (String, &'a str) {
    let inside = |function: &str| definition.strip_prefix(function)?.strip_suffix(')');
    if let Some(query) = inside("query_result(") {
        let label = regex.trim_start_matches('/').split('=').next().unwrap();
        return (query.to_owned(), label);
    }
    let parts = inside("label_values(").and_then(|inside| inside.rsplit_once(", "));
    let (selector, label) = parts.unwrap_or_else(|| panic!("{definition}"));
    (format!("group by ({label}) ({selector})"), label)
}

/// Patience is cut down as in the demo.
fn configuration(world: &World, external: &DnsServer, domains: &[&str]) -> String {
    let (dns, external, port) = (world.dns_addr(), external.addr(), world.smtp_port());
    let mut text = format!("helo_name = 'mxwatch.demo.test'\ndomains = {domains:?}\n");
    writeln!(text, "[probe]\nport = {port}\ninterval = '2s'\npublic_ipv4 = '127.0.0.1'").unwrap();
    writeln!(text, "banner_timeout = '2s'\nsession_timeout = '4s'").unwrap();
    for (name, server) in [("world", dns), ("external", external)] {
        writeln!(text, "[[resolver]]\nname = '{name}'\nservers = ['{server}']").unwrap();
        writeln!(text, "timeout = '1s'\nattempts = 1\nlate_window = '0s'").unwrap();
    }
    text
}
