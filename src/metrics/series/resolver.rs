//! Families about resolvers and their servers, apart from any domain.

use std::collections::BTreeSet;

use crate::{
    facts::ServerFacts,
    metrics::{
        labels::Block,
        names,
        sink::Gone,
        text::{Family, Text},
        view::View,
    },
};

pub(in crate::metrics) fn write(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let resolvers = || {
        let labels = |name: &str| Block::new([("resolver", name)]);
        view.snapshot.resolvers.iter().map(move |(name, report)| (labels(name), report))
    };
    let mut family = Family::new(out, &names::RESOLVER_INFO);
    for (labels, report) in resolvers() {
        let primary = if report.primary { "true" } else { "false" };
        let more = [("kind", report.kind), ("transport", report.transport), ("primary", primary)];
        family.sample(&labels, &more, 1)?;
    }
    let mut family = Family::new(out, &names::RESOLVER_UP);
    for (labels, report) in resolvers() {
        if let Some(up) = report.health.up() {
            family.sample(&labels, &[], u8::from(up))?;
        }
    }
    let mut servers = Vec::new();
    for (name, report) in &view.snapshot.resolvers {
        // A configuration may name the same server twice.
        let mut seen = BTreeSet::new();
        let asked: &[ServerFacts] = report.last.as_ref().map_or(&[], |facts| &facts.servers);
        for server in asked.iter().filter(|server| seen.insert(server.server)) {
            let address = server.server.to_string();
            servers.push((Block::new([("resolver", &**name), ("server", &address)]), server));
        }
    }
    let mut family = Family::new(out, &names::RESOLVER_SERVER_UP);
    for (labels, server) in &servers {
        family.sample(labels, &[], u8::from(server.up()))?;
    }
    let mut family = Family::new(out, &names::RESOLVER_CONTROL_DURATION);
    for (labels, server) in &servers {
        family.sample(labels, &[], server.control.took())?;
    }
    let mut family = Family::new(out, &names::RESOLVER_CONTROL_STATUS);
    for (labels, server) in &servers {
        family.sample(labels, &[("status", server.control.status().label())], 1)?;
    }
    Ok(())
}
