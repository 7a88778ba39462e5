//! Families about the name servers of zones, from lookups that asked them directly.
//!
//! A stranger decides how many servers a zone has, and each may fail in several ways: how many
//! series come of that is bounded here.

use crate::{
    config::Detail,
    facts::{NameServer, authority::newer, zone_findings::ZoneView},
    metrics::{
        labels::Block,
        lookups::LastLookup,
        names,
        sink::Gone,
        text::{Family, Text},
    },
};

/// Findings that one zone may show, the worst first.
const MAX_FINDINGS: usize = 16;

/// Servers of one zone that are shown one by one.
const MAX_SERVERS: usize = 13;

/// The newest picture of every zone.
pub(in crate::metrics) fn write(
    lookups: &[LastLookup<'_>],
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let lookups = lookups.iter().filter(|last| last.of_zone).map(|last| last.lookup);
    let zones: Vec<(Block, ZoneView<'_>)> = ZoneView::all(lookups)
        .into_iter()
        .map(|zone| (Block::new([("zone", &*zone.zone.name)]), zone))
        .collect();
    let mut family = Family::new(out, &names::ZONE_SERVERS);
    for (labels, view) in &zones {
        family.sample(labels, &[], view.zone.addresses())?;
    }
    let mut family = Family::new(out, &names::ZONE_SERIALS);
    for (labels, view) in &zones {
        family.sample(labels, &[], view.zone.serials().len())?;
    }
    let mut family = Family::new(out, &names::ZONE_SERVER_FINDING);
    for (labels, view) in &zones {
        for (server, finding) in view.findings().into_iter().take(MAX_FINDINGS) {
            family.sample(labels, &[("server", server), ("finding", finding.label())], 1)?;
        }
    }
    if detail == Detail::Lean {
        return Ok(());
    }
    let mut family = Family::new(out, &names::ZONE_SERVER_DURATION);
    for (labels, view) in &zones {
        for server in view.zone.servers.iter().take(MAX_SERVERS) {
            if let Some(slowest) = server.slowest() {
                family.sample(labels, &[("server", &server.name)], slowest)?;
            }
        }
    }
    let mut family = Family::new(out, &names::ZONE_SOA_SERIAL);
    for (labels, view) in &zones {
        for server in view.zone.servers.iter().take(MAX_SERVERS) {
            if let Some(serial) = oldest(server) {
                family.sample(labels, &[("server", &server.name)], serial)?;
            }
        }
    }
    Ok(())
}

fn oldest(server: &NameServer) -> Option<u32> {
    server.serials().reduce(|oldest, serial| if newer(oldest, serial) { serial } else { oldest })
}
