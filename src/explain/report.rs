//! The report of `check`: one domain at a glance.

use std::{collections::BTreeSet, fmt::Write, net::SocketAddr};

use super::{paint::Paint, spoken, transcript, trouble};
use crate::{
    facts::{
        ExchangerFacts, Facts, Family, Lookup, LookupStatus, Record, Route, Session, Stage,
        zone_findings::last_tries,
    },
    name::Destination,
};

/// How to write it.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Colour.
    pub paint: Paint,
    /// Show dialogues.
    pub transcript: bool,
    /// A trace follows, which says what is wrong with name servers.
    pub trace: bool,
}

/// Writes the report; ends with what is wrong, or with the word that nothing is.
pub fn write(facts: &Facts, style: Style) -> String {
    let mut out = String::new();
    let paint = style.paint;
    let servers = servers(facts);
    let at = facts.observed_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    put(&mut out, &format!("{}  {}", paint.strong(&facts.destination), paint.faint(at)));
    let mut asked = Vec::new();
    if let [only] = servers.as_slice() {
        asked.push(format!("DNS answers come from {only}"));
    }
    let mut sessions = facts.exchangers.iter().flat_map(|exchanger| &exchanger.sessions);
    asked.extend(sessions.next().map(|session| format!("called as {}", session.helo_name)));
    if !asked.is_empty() {
        put(&mut out, &format!("  {}", paint.faint(asked.join(", "))));
    }
    // One server needs to be named once, several at each answer.
    let name_server = servers.len() > 1;
    let tail = |lookup: &Lookup| paint.faint(lookup_tail(lookup, name_server));
    for answer in &facts.mx {
        let tail = tail(&answer.lookup);
        put(&mut out, &format!("  MX    {}  {tail}", mx_line(&answer.route, paint)));
    }
    for (place, exchanger) in facts.exchangers.iter().enumerate() {
        put(&mut out, "");
        put(&mut out, &format!("  {}", exchanger_head(facts, place, exchanger, paint)));
        for lookup in &exchanger.lookups {
            put(&mut out, &format!("        {}  {}", address_line(lookup, paint), tail(lookup)));
        }
        for session in &exchanger.sessions {
            write_session(&mut out, session, style);
        }
        write_unprobed(&mut out, exchanger, paint);
    }
    write_troubles(&mut out, facts, style);
    out
}

/// The servers whose answers counted, with the names of their resolvers.
fn servers(facts: &Facts) -> Vec<String> {
    let of_domain = facts.mx.iter().map(|answer| &answer.lookup);
    let lookups = of_domain.chain(facts.exchangers.iter().flat_map(|e| &e.lookups));
    let named = lookups.filter_map(|lookup| Some(server(lookup, lookup.deciding()?.server)));
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

fn server(lookup: &Lookup, server: SocketAddr) -> String {
    format!("{server} ({})", lookup.resolver)
}

fn mx_line(route: &Route, paint: Paint) -> String {
    match route {
        Route::Mx { targets, .. } => {
            let each: Vec<String> =
                targets.iter().map(|t| format!("{} {}", t.preference, t.exchanger)).collect();
            each.join(", ")
        }
        Route::Implicit { .. } => "none: the domain is its own exchanger (implicit MX)".to_owned(),
        Route::Null => paint.bad("null MX: takes no mail"),
        Route::NoDomain => paint.bad("no such domain"),
        Route::Unknown => paint.bad("lookup failed"),
    }
}

fn exchanger_head(facts: &Facts, place: usize, exchanger: &ExchangerFacts, paint: Paint) -> String {
    let primary = facts.mx.first().map(|answer| answer.route.targets()).unwrap_or_default();
    let preference = match &facts.destination {
        Destination::Domain(_) => primary.get(place).map(|t| t.preference.to_string()),
        Destination::SmartHost(_) => Some("smart host".to_owned()),
    };
    let preference = preference.unwrap_or_default();
    format!("{preference:<5} {}", paint.strong(&exchanger.exchanger.host))
}

fn address_line(lookup: &Lookup, paint: Paint) -> String {
    let records: Vec<String> = lookup.addresses().map(|address| address.to_string()).collect();
    let shown = match lookup.status() {
        LookupStatus::Noerror => records.join(" "),
        LookupStatus::Nodata => paint.faint("none"),
        status => paint.bad(status.label().to_uppercase()),
    };
    format!("{:<5} {shown}", lookup.rtype.label())
}

fn write_unprobed(out: &mut String, exchanger: &ExchangerFacts, paint: Paint) {
    for family in Family::ALL {
        let probed = exchanger.sessions_of(family).count();
        let left = exchanger.addresses_of(family).count().saturating_sub(probed);
        if left > 0 {
            let text = format!("not probed: {left} more of the {} addresses", family.label());
            put(out, &format!("        {}", paint.faint(text)));
        }
    }
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
    let mark = match session.failure {
        None => paint.good("up     "),
        Some(_) if !session.tried() => paint.faint("untried"),
        Some(failure) if failure.refuses_us() => paint.bad("REFUSES"),
        Some(_) => paint.bad("DOWN   "),
    };
    put(out, &format!("        {mark}  {}  {}", session.peer, stages.join(" · ")));
    if style.transcript {
        transcript::write(session, out);
        return;
    }
    if let Some(banner) = session.stage(Stage::Banner).and_then(|fact| fact.reply.as_ref()) {
        let text = format!("{} {}", banner.code, banner.lines.join(" / "));
        put(out, &format!("              {}", paint.faint(text)));
    }
    let offered: Vec<&str> = session.extensions().collect();
    if !offered.is_empty() {
        put(out, &format!("              {}", paint.faint(offered.join(", "))));
    }
}

fn lookup_tail(lookup: &Lookup, name_server: bool) -> String {
    let Some(exchange) = lookup.deciding() else { return String::new() };
    let took = spoken(exchange.duration);
    let mut tail = vec![if name_server {
        format!("{took} from {}", server(lookup, exchange.server))
    } else {
        took
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
    if lookup.zone.is_some() {
        let servers = last_tries(lookup).count();
        tail.push(format!("{servers} servers asked, slowest {}", spoken(lookup.took())));
    } else if lookup.exchanges.len() > 1 {
        tail.push(format!("{} exchanges in {}", lookup.exchanges.len(), spoken(lookup.took())));
    }
    let shown = exchange.records.iter().filter(|r| matches!(r, Record::Address(_))).count();
    if exchange.answers > exchange.records.len() && shown > 0 {
        tail.push(format!("{} more", exchange.answers - exchange.records.len()));
    }
    tail.join(", ")
}

fn write_troubles(out: &mut String, facts: &Facts, style: Style) {
    let paint = style.paint;
    let (troubles, nothing) = if style.trace {
        let nothing = "Nothing wrong was found, but for what the trace may show.";
        (trouble::besides_name_servers(facts), nothing)
    } else {
        (trouble::find(facts), "Nothing wrong was found.")
    };
    put(out, "");
    if troubles.is_empty() {
        put(out, &format!("  {}", paint.good(nothing)));
    }
    for note in trouble::notes(facts) {
        put(out, &format!("  {}", paint.faint(note)));
    }
    for trouble in troubles {
        let mut mark = paint.bad("✗");
        for line in wrapped(&trouble.what, PROSE) {
            put(out, &format!("  {mark} {line}"));
            " ".clone_into(&mut mark);
        }
        for command in trouble.by_hand {
            put(out, &format!("      {}", paint.faint(format!("$ {command}"))));
        }
    }
}

/// Breaks prose between words into lines of at most `width` characters.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Characters of a line of prose: it fits a terminal of the usual 80 with its indent.
pub(super) const PROSE: usize = 76;

pub(super) fn put(out: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", line.trim_end());
}
