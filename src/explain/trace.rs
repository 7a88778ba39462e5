//! The section of `check --trace`: the way from the root, what every server of the zones answered,
//! and what is wrong with them, last of all in words.

use std::{collections::BTreeSet, time::Duration};

use super::{
    authority::{agreement, of_zone, records, views, word},
    paint::Paint,
    place,
    report::{put, write_trouble},
    spoken,
};
use crate::facts::{
    Exchange, Facts, Lookup, LookupStatus, Missing, NameServer, Step, Zone,
    zone_findings::{Said, ZoneView, groups},
};

/// Writes the section; empty without a lookup at authoritative servers.
pub fn write(facts: &Facts, paint: Paint) -> String {
    let views = views(facts);
    let mut out = String::new();
    let mut told = BTreeSet::new();
    for view in &views {
        write_walk(&mut out, view, &mut told, paint);
        put(&mut out, "");
        write_servers(&mut out, view.zone, paint);
        for lookup in &view.lookups {
            put(&mut out, "");
            write_answers(&mut out, lookup, paint);
        }
    }
    for view in &views {
        put(&mut out, "");
        write_words(&mut out, view, paint);
    }
    out
}

/// The steps that were not told on the way to another zone.
fn write_walk(
    out: &mut String,
    view: &ZoneView<'_>,
    told: &mut BTreeSet<(String, String, String)>,
    paint: Paint,
) {
    let zone = view.zone;
    let new: Vec<&Step> = zone
        .walk
        .iter()
        .filter(|step| {
            let refers_to = step.refers_to.as_deref().unwrap_or_default().to_owned();
            told.insert((step.zone.to_string(), step.exchange.server.to_string(), refers_to))
        })
        .collect();
    if new.is_empty() {
        return;
    }
    put(out, "");
    put(out, &format!("  The way to {}", paint.strong(&zone.name)));
    let mut asked = "";
    for step in new {
        if *step.zone != *asked {
            asked = &step.zone;
            put(out, &format!("    {asked}"));
        }
        let server = server(step.exchange.further.server_name.as_deref(), &step.exchange);
        let took = paint.faint(spoken(step.exchange.duration.get()));
        put(out, &format!("      {server}  {took}  {}", meaning(step, paint)));
    }
}

/// What came of a step.
fn meaning(step: &Step, paint: Paint) -> String {
    match &step.refers_to {
        Some(zone) => format!("refers to {zone}"),
        None if step.exchange.lame => paint.bad(match step.exchange.status {
            LookupStatus::Refused => "refuses: lame",
            _ => "shows no authority: lame",
        }),
        None if step.exchange.status.answered() => "has authority".to_owned(),
        None => paint.bad(word(step.exchange.status)),
    }
}

/// Every name server with its addresses and the version of the zone that each has.
fn write_servers(out: &mut String, zone: &Zone, paint: Paint) {
    let name = paint.strong(&zone.name);
    let head = match zone.servers.len() {
        1 => format!("The only name server of {name}"),
        servers => format!("The {servers} name servers of {name}"),
    };
    put(out, &format!("  {head}"));
    let asked = zone.servers.iter().filter(|_| !zone.no_route());
    for server in asked {
        let listed = match (server.in_parent, server.in_child) {
            (Some(false), _) => Some("not in the delegation"),
            (_, Some(false)) => Some("not in the zone's own NS records"),
            _ => None,
        };
        let listed = listed.map(|text| format!("  {}", paint.bad(text))).unwrap_or_default();
        put(out, &format!("    {}{listed}", server.name));
        for exchange in server.outcomes() {
            let took = paint.faint(spoken(exchange.duration.get()));
            let address = place(exchange.server);
            put(out, &format!("      {address:<24}{}  {took}", version(exchange, paint)));
        }
        if let Some(why) = unasked(server) {
            put(out, &format!("      {}", paint.faint(why)));
        }
    }
    let no_route: usize = zone.servers.iter().map(|server| server.no_route.len()).sum();
    if no_route > 0 {
        let text = format!("This host has no route to {no_route} of their addresses.");
        put(out, &format!("    {}", paint.faint(text)));
    }
}

/// The serial, or what is wrong instead.
fn version(exchange: &Exchange, paint: Paint) -> String {
    if exchange.lame {
        let how = match exchange.status {
            LookupStatus::Refused => "REFUSED",
            _ => "no authority",
        };
        return paint.bad(format!("{how}, lame"));
    }
    match serial(exchange) {
        Some(serial) => serial,
        None => paint.bad(word(exchange.status)),
    }
}

fn serial(exchange: &Exchange) -> Option<String> {
    let said = Said::of(exchange);
    (!said.records.is_empty()).then(|| records(&said))
}

/// Why none of its addresses was asked.
fn unasked(server: &NameServer) -> Option<&'static str> {
    match server.missing {
        Some(Missing::Failed) => Some("no address: its lookup fails"),
        Some(Missing::Limit) => Some("no address: not looked for, too much was asked before"),
        Some(Missing::Loop) => Some("no address: it can only be found through itself"),
        Some(Missing::NoAddress) => Some("no address: there is none"),
        None if server.asked().next().is_none() => Some("no route from this host"),
        None if server.soa.is_empty() => Some("not asked: too much was asked before"),
        None => None,
    }
}

/// One question, and who answers what.
fn write_answers(out: &mut String, lookup: &Lookup, paint: Paint) {
    let name = paint.strong(&lookup.name);
    put(out, &format!("  {} {name}", lookup.rtype.label()));
    let groups = groups(lookup);
    if groups.is_empty() {
        put(out, &format!("    {}", paint.bad("nobody could be asked")));
    }
    for (said, with) in &groups {
        let usable = said.status.answered() && !said.lame;
        let mut lines = match said.records.as_slice() {
            [] => vec![word(said.status)],
            some => some.to_vec(),
        };
        if lines.len() > MOST_LINES {
            let more = lines.len() - MOST_LINES;
            lines.truncate(MOST_LINES);
            lines.push(format!("and {more} more"));
        }
        if let Some(last) = lines.last_mut().filter(|_| said.lame) {
            last.push_str(", without authority: lame");
        }
        for line in lines {
            put(out, &format!("    {}", if usable { line } else { paint.bad(line) }));
        }
        for exchange in with {
            let name = server(exchange.further.server_name.as_deref(), exchange);
            let mut tail = vec![spoken(exchange.duration.get())];
            tail.extend(tries(lookup, exchange));
            tail.extend(
                exchange
                    .further
                    .late
                    .map(|late: Duration| format!("answered after {}", spoken(late))),
            );
            if exchange.truncated {
                tail.push("truncated, so over TCP".to_owned());
            }
            if !exchange.further.cname_chain.is_empty() {
                tail.push(format!("via CNAME {}", exchange.further.cname_chain.join(", ")));
            }
            put(out, &format!("      {name}  {}", paint.faint(tail.join(", "))));
        }
    }
}

/// How often a server was asked, where that is more than once.
fn tries(lookup: &Lookup, exchange: &Exchange) -> Option<String> {
    let queries = lookup.exchanges.iter().filter(|e| e.same_server(exchange)).count();
    (queries > 1).then(|| format!("{queries} queries"))
}

/// A server's name and address.
fn server(name: Option<&str>, exchange: &Exchange) -> String {
    let address = place(exchange.server);
    match name {
        Some(name) if !address.starts_with(name) => format!("{name} [{address}]"),
        _ => address,
    }
}

/// What is wrong in a zone, or that nothing is.
fn write_words(out: &mut String, view: &ZoneView<'_>, paint: Paint) {
    let troubles = of_zone(view);
    if troubles.is_empty() {
        put(out, &format!("  {} {}", paint.good("✔"), agreement(view.zone)));
    }
    for trouble in troubles {
        write_trouble(out, &trouble, paint.bad("✗"), paint);
    }
}

/// Records of one answer; the rest is counted.
const MOST_LINES: usize = 12;
