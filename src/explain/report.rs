//! The report of `check`: one domain at a glance.

use std::fmt::Write;

use super::{paint::Paint, spoken, transcript, trouble};
use crate::{
    facts::{
        ExchangerFacts, Facts, Family, Lookup, LookupStatus, MxLookup, Record, Route, Session,
        Stage,
    },
    name::Destination,
    probe::dns::SYSTEM_RESOLVER,
};

/// How to write it.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Colour.
    pub paint: Paint,
    /// Show dialogues.
    pub transcript: bool,
}

/// Writes the report; ends with what is wrong, or with the word that nothing is.
pub fn write(facts: &Facts, style: Style) -> String {
    let mut out = String::new();
    let paint = style.paint;
    let at = facts.observed_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    put(&mut out, &format!("{}  {}", paint.strong(&facts.destination), paint.faint(at)));
    for answer in &facts.mx {
        put(&mut out, &format!("  MX    {}", mx_line(answer, paint)));
    }
    for (place, exchanger) in facts.exchangers.iter().enumerate() {
        write_exchanger(&mut out, facts, place, exchanger, style);
    }
    write_troubles(&mut out, facts, paint);
    out
}

fn mx_line(answer: &MxLookup, paint: Paint) -> String {
    let shown = match &answer.route {
        Route::Mx { targets, .. } => {
            let each: Vec<String> =
                targets.iter().map(|t| format!("{} {}", t.preference, t.exchanger)).collect();
            each.join(", ")
        }
        Route::Implicit { .. } => "none: the domain is its own exchanger (implicit MX)".to_owned(),
        Route::Null => paint.bad("null MX: takes no mail"),
        Route::NoDomain => paint.bad("no such domain"),
        Route::Unknown => paint.bad("lookup failed"),
    };
    format!("{shown}  {}", lookup_tail(&answer.lookup, paint))
}

fn write_exchanger(
    out: &mut String,
    facts: &Facts,
    place: usize,
    exchanger: &ExchangerFacts,
    style: Style,
) {
    let paint = style.paint;
    let primary = facts.mx.first().map(|answer| answer.route.targets()).unwrap_or_default();
    let preference = match &facts.destination {
        Destination::Domain(_) => primary.get(place).map(|t| t.preference.to_string()),
        Destination::SmartHost(_) => Some("smart host".to_owned()),
    };
    let preference = preference.unwrap_or_default();
    let name = paint.strong(&exchanger.exchanger.host);
    put(out, "");
    put(out, &format!("  {preference:<5} {name}"));
    for lookup in &exchanger.lookups {
        let records: Vec<String> = lookup.addresses().map(|address| address.to_string()).collect();
        let shown = match lookup.status() {
            LookupStatus::Noerror => records.join(" "),
            LookupStatus::Nodata => paint.faint("none"),
            status => paint.bad(status.label().to_uppercase()),
        };
        let tail = lookup_tail(lookup, paint);
        put(out, &format!("        {:<5} {shown}  {tail}", lookup.rtype.label()));
    }
    for session in &exchanger.sessions {
        write_session(out, session, style);
    }
    for family in Family::ALL {
        let left = exchanger.addresses_of(family).count() - probed(exchanger, family);
        if left > 0 {
            let text = format!("{left} more {} addresses were not probed", family.label());
            put(out, &format!("        {}", paint.faint(text)));
        }
    }
}

fn probed(exchanger: &ExchangerFacts, family: Family) -> usize {
    exchanger.sessions_of(family).count()
}

fn write_session(out: &mut String, session: &Session, style: Style) {
    let paint = style.paint;
    let stages: Vec<String> = session
        .stages
        .iter()
        .map(|fact| {
            let took = spoken(fact.duration);
            let word = match (&fact.reply, fact.reason) {
                (Some(reply), None) => format!("{} {}", fact.stage.label(), reply.code),
                (Some(reply), Some(_)) => {
                    paint.bad(format!("{} {}", fact.stage.label(), reply.code))
                }
                (None, None) => fact.stage.label().to_owned(),
                (None, Some(reason)) => {
                    paint.bad(format!("{} {}", fact.stage.label(), reason.label()))
                }
            };
            format!("{word} {}", paint.faint(took))
        })
        .collect();
    let mark = if session.up() { paint.good("up  ") } else { paint.bad("DOWN") };
    put(out, &format!("        {mark}  {}  {}", session.peer, stages.join(" · ")));
    let offered: Vec<&str> = session.extensions().collect();
    if !offered.is_empty() && !style.transcript {
        put(out, &format!("              {}", paint.faint(offered.join(", "))));
    }
    let banner = session.stage(Stage::Banner).and_then(|fact| fact.reply.as_ref());
    if let Some(banner) = banner.filter(|_| !style.transcript) {
        let text = format!("{} {}", banner.code, banner.lines.join(" / "));
        put(out, &format!("              {}", paint.faint(text)));
    }
    if style.transcript {
        transcript::write(session, out);
    }
}

fn lookup_tail(lookup: &Lookup, paint: Paint) -> String {
    let Some(exchange) = lookup.deciding() else { return String::new() };
    let (took, server) = (spoken(exchange.duration), exchange.server);
    let mut tail = vec![match &*lookup.resolver {
        SYSTEM_RESOLVER => format!("{took} from {server}"),
        named => format!("{took} from {server} ({named})"),
    }];
    tail.extend(exchange.ttl.map(|ttl| format!("TTL {ttl} s")));
    if exchange.truncated {
        tail.push("truncated, so over TCP".to_owned());
    }
    if exchange.authentic_data {
        tail.push("AD".to_owned());
    }
    if !exchange.cname_chain.is_empty() {
        tail.push(format!("via CNAME {}", exchange.cname_chain.join(", ")));
    }
    if lookup.exchanges.len() > 1 {
        tail.push(format!("{} exchanges", lookup.exchanges.len()));
    }
    let shown = exchange.records.iter().filter(|r| matches!(r, Record::Address(_))).count();
    if exchange.answers > exchange.records.len() && shown > 0 {
        tail.push(format!("{} more", exchange.answers - exchange.records.len()));
    }
    paint.faint(tail.join(", "))
}

fn write_troubles(out: &mut String, facts: &Facts, paint: Paint) {
    let troubles = trouble::find(facts);
    put(out, "");
    if troubles.is_empty() {
        put(out, &format!("  {}", paint.good("Nothing wrong was found.")));
    }
    for trouble in troubles {
        put(out, &format!("  {} {}", paint.bad("✗"), trouble.what));
        for command in trouble.by_hand {
            put(out, &format!("      {}", paint.faint(format!("$ {command}"))));
        }
    }
}

fn put(out: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", line.trim_end());
}
