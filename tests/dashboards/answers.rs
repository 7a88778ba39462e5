//! Every query of every dashboard, put to a Prometheus that scrapes the agent on the demo's world:
//! with all its failures, and with the healthy domain alone.

use std::{fmt::Write, time::Instant};

use mxwatch::world::{World, dns::DnsServer, scenes};

use crate::{
    dashboard::{Query, all, rules, substitute},
    harness::{Agent, PATIENCE},
    servers::prometheus::{Duties, Prometheus},
    variables::values,
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
        let duties = Duties { rules: rules(), ..Duties::default() };
        let prometheus = Prometheus::start_with(agent.address(), &duties)?;
        agent.wait_ready();
        Some(Self { prometheus, _agent: agent, _world: (world, external), _runtime: runtime })
    }

    /// Of all dashboards, with this domain and exchanger chosen; those that are silent excepted.
    fn every_query_has_an_answer(&self, domain: &str, mx: &str, silent: &Silent) {
        let mut left = Vec::new();
        for dashboard in all() {
            let values = values(&dashboard, &self.prometheus, domain, mx);
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
        let begun = Instant::now();
        while !left.is_empty() {
            left.retain(|(_, expr)| self.prometheus.query(expr).is_empty());
            assert!(begun.elapsed() < PATIENCE, "no answer for {domain}, {mx}: {left:#?}");
        }
    }
}

/// Patience is cut down as in the demo.
pub(crate) fn configuration(world: &World, external: &DnsServer, domains: &[&str]) -> String {
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
