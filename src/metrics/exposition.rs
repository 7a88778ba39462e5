//! The probe series of a snapshot as Prometheus text 0.0.4.
//!
//! Pure: the same snapshot gives the same text. The agent's own metrics are `own`'s.

use std::{collections::BTreeMap, time::Duration};

use super::{
    names, series,
    sink::{Gone, Sink},
    text::{Family, Text},
    view::View,
};
use crate::{
    agent::state::Snapshot,
    config::Detail,
    facts::{self, Route},
    name::Destination,
};

/// What a response with this text says it is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes every `mx_*` family of the snapshot.
pub fn write(snapshot: &Snapshot, detail: Detail, sink: &mut dyn Sink) -> Result<(), Gone> {
    let mut text = Text::new(sink);
    write_all(snapshot, detail, &mut text)?;
    text.finish()
}

/// Writes the series of one destination and of the exchangers on its route, and the `probe_*`
/// series of the multi-target pattern.
pub fn write_one(
    snapshot: &Snapshot,
    destination: &Destination,
    detail: Detail,
    sink: &mut dyn Sink,
) -> Result<(), Gone> {
    // Resolvers and vantage are the agent's, not one destination's.
    let one = Snapshot { resolvers: BTreeMap::new(), vantage: None, ..snapshot.only(destination) };
    let mut text = Text::new(sink);
    write_all(&one, detail, &mut text)?;
    let facts = one.facts(destination);
    let success = facts.as_ref().is_some_and(reachable);
    Family::new(&mut text, &names::PROBE_SUCCESS).sample("", &[], u8::from(success))?;
    let took = took(&one, destination);
    Family::new(&mut text, &names::PROBE_DURATION).sample("", &[], took)?;
    text.finish()
}

fn write_all(snapshot: &Snapshot, detail: Detail, out: &mut Text<'_>) -> Result<(), Gone> {
    let (view, lookups) = View::new(snapshot);
    series::domain::write(&view, out)?;
    series::policy::write(&view, out)?;
    series::dns::write_last(&view, &lookups, detail, out)?;
    series::dns::write_counted(&view, out)?;
    series::resolver::write(&view, out)?;
    series::vantage::write(&view, out)?;
    series::zone::write(&lookups, detail, out)?;
    drop(lookups);
    series::exchanger::write(&view, detail, out)?;
    series::recipient::write(&view, out)?;
    series::delivery::write(&view, out)?;
    series::domain::write_timestamps(&view, out)
}

/// The route is known now and leads to an address that takes mail. A smart host has no lookup
/// that could fail.
fn reachable(facts: &facts::Facts) -> bool {
    let known = facts.mx.first().is_none_or(|mx| mx.route != Route::Unknown);
    known && facts.exchangers.iter().flat_map(|e| &e.sessions).any(|session| session.up())
}

fn took(one: &Snapshot, destination: &Destination) -> Duration {
    let report = one.destinations.get(destination);
    let lookup = report.and_then(|report| report.last.as_ref()).map(|round| round.took());
    let facts = one.exchangers.values().filter_map(|report| report.facts.as_deref());
    let slowest = facts.flat_map(|f| &f.sessions).map(|session| session.duration.get()).max();
    lookup.unwrap_or_default() + slowest.unwrap_or_default()
}
