//! The report of `check`: one domain at a glance.

use std::{borrow::Cow, collections::BTreeSet, fmt::Write, net::SocketAddr, sync::Arc};

use super::{
    paint::Paint,
    place, policies, recipient,
    several::listed,
    side_by_side::Column,
    spoken, tls, transcript,
    trouble::{self, Trouble},
};
use crate::{
    delivery,
    facts::{ExchangerFacts, Facts, Family, Lookup, MxLookup, Session, Stage},
    name::{Destination, Host},
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

/// Writes the report; ends with what is wrong, or with the word that nothing is. Of resolvers that
/// are `dead` it shows what has no answer for it only where they decide the route.
pub fn write(facts: &Facts, dead: &[Arc<str>], style: Style) -> String {
    let known = facts.without(dead);
    let primary = facts.mx.first().map(|answer| &answer.lookup.resolver);
    let facts = &match primary.filter(|primary| dead.contains(primary)) {
        None => Cow::Borrowed(&*known),
        Some(primary) => {
            let others: Vec<_> = dead.iter().filter(|name| *name != primary).cloned().collect();
            facts.without(&others)
        }
    };
    let mut out = String::new();
    let paint = style.paint;
    let servers = servers(facts);
    let at = facts.observed_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    put(&mut out, &format!("{}  {}", paint.strong(&facts.destination), paint.faint(at)));
    let mut asked = Vec::new();
    if !servers.is_empty() {
        asked.push(format!("DNS answers come from {}", listed(&servers)));
    }
    let mut sessions = facts.exchangers.iter().flat_map(|exchanger| &exchanger.sessions);
    asked.extend(sessions.next().map(|session| format!("called as {}", session.helo_name)));
    if !asked.is_empty() {
        for line in wrapped(&asked.join(", "), PROSE) {
            put(&mut out, &format!("  {}", paint.faint(line)));
        }
    }
    let column = Column { servers: servers.len(), resolvers: delivery::views(facts).len(), paint };
    column.write_routes(&facts.mx, &mut out);
    for (name, text) in policies::lines(facts) {
        let mut name = name;
        for line in wrapped(&text, PROSE - 10) {
            put(&mut out, &format!("  {name:<8}{}", paint.faint(line)));
            name = "";
        }
    }
    for exchanger in &facts.exchangers {
        put(&mut out, "");
        put(&mut out, &format!("  {}", exchanger_head(facts, exchanger, paint)));
        column.write_addresses(exchanger, &mut out);
        column.write_tlsa(exchanger, &mut out);
        for (place, session) in exchanger.sessions.iter().enumerate() {
            write_session(&mut out, session, style);
            write_tls(&mut out, exchanger, place, paint);
            for asked in &session.transactions {
                put(&mut out, &format!("              {}", paint.faint(recipient::line(asked))));
            }
        }
        write_unprobed(&mut out, exchanger, paint);
    }
    write_troubles(&mut out, &known, dead.is_empty(), style);
    out
}

/// The servers whose answers counted, with the names of their resolvers, the primary's first.
fn servers(facts: &Facts) -> Vec<String> {
    let of_domain = facts.mx.iter().map(|answer| &answer.lookup);
    let lookups = of_domain.chain(facts.exchangers.iter().flat_map(|e| &*e.lookups));
    let named = lookups.filter_map(|lookup| Some(server(lookup, lookup.deciding()?.server)));
    let mut seen = BTreeSet::new();
    named.filter(|name| seen.insert(name.clone())).collect()
}

fn server(lookup: &Lookup, server: SocketAddr) -> String {
    if named_after(lookup, server) {
        return lookup.resolver.to_string();
    }
    format!("{server} ({})", lookup.resolver)
}

/// Whether the resolver's name says already which server it is.
pub(super) fn named_after(lookup: &Lookup, server: SocketAddr) -> bool {
    let name = &*lookup.resolver;
    name == server.to_string() || name == place(server)
}

fn exchanger_head(facts: &Facts, exchanger: &ExchangerFacts, paint: Paint) -> String {
    let host = &exchanger.exchanger.host;
    let preference = |answer: &MxLookup| {
        let targets = answer.route.targets();
        let named = targets.iter().find(|target| Host::Name(target.exchanger.clone()) == *host);
        named.map(|target| (target.preference, Arc::clone(&answer.lookup.resolver)))
    };
    let named: Vec<_> = facts.mx.iter().filter_map(preference).collect();
    let primary = facts.mx.first().map(|answer| &answer.lookup.resolver);
    let host = paint.strong(host);
    match (&facts.destination, named.first()) {
        (Destination::SmartHost(_), _) => format!("smart host {host}"),
        // Known from before, while the lookup fails.
        (Destination::Domain(_), None) => format!("{:<5} {host}", ""),
        (Destination::Domain(_), Some((preference, resolver))) if Some(resolver) == primary => {
            format!("{preference:<5} {host}")
        }
        (Destination::Domain(_), Some((preference, _))) => {
            let resolvers: Vec<_> = named.iter().map(|(_, resolver)| resolver).collect();
            let only = paint.faint(format!("named only through {}", listed(&resolvers)));
            format!("{preference:<5} {host}  {only}")
        }
    }
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
            let took = spoken(fact.duration.get());
            let word = match (fact.reply(), fact.reason) {
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
    if let Some(banner) = session.stage(Stage::Banner).and_then(|fact| fact.reply()) {
        let text = format!("{} {}", banner.code, banner.lines.join(" / "));
        put(out, &format!("              {}", paint.faint(text)));
    }
    let offered: Vec<&str> = session.extensions().collect();
    if !offered.is_empty() {
        put(out, &format!("              {}", paint.faint(offered.join(", "))));
    }
}

/// What the handshake showed; a chain that an earlier session showed already is not listed again.
fn write_tls(out: &mut String, exchanger: &ExchangerFacts, place: usize, paint: Paint) {
    let (earlier, rest) = exchanger.sessions.split_at(place);
    let Some(session) = rest.first() else { return };
    let Some(shown) = session.tls.as_deref() else { return };
    let mut trust = tls::trust(shown);
    trust = if shown.pkix.trusted() { paint.good(trust) } else { paint.bad(trust) };
    match tls::dane(shown, &exchanger.tlsa) {
        None => {}
        Some(Ok(matches)) => trust = format!("{trust}, {}", paint.good(matches)),
        Some(Err(differs)) => trust = format!("{trust}, {}", paint.bad(differs)),
    }
    let agreed = paint.faint(format!("{};", tls::agreed(shown)));
    put(out, &format!("              {agreed} {trust}"));
    let same =
        |other: &&Arc<Session>| other.tls.as_deref().is_some_and(|tls| *tls.chain == *shown.chain);
    let lines = match earlier.iter().find(same) {
        Some(other) => vec![format!("the same certificates as at {}", other.peer)],
        None => tls::chain(shown, session.started_at),
    };
    for line in lines {
        put(out, &format!("              {}", paint.faint(line)));
    }
}

fn write_troubles(out: &mut String, facts: &Facts, all_known: bool, style: Style) {
    let paint = style.paint;
    let (troubles, nothing) = if style.trace {
        let nothing = "Nothing wrong was found, but for what the trace may show.";
        (trouble::besides_name_servers(facts), nothing)
    } else {
        (trouble::find(facts), "Nothing wrong was found.")
    };
    let uneasy = !tls::notes(facts).is_empty();
    let nothing = if uneasy { "Nothing was found that stops mail." } else { nothing };
    put(out, "");
    if troubles.is_empty() && all_known {
        put(out, &format!("  {}", paint.good(nothing)));
    } else if troubles.is_empty() {
        put(out, &format!("  {}", paint.faint("Nothing else was found.")));
    }
    for line in trouble::notes(facts).iter().flat_map(|note| wrapped(note, PROSE)) {
        put(out, &format!("  {}", paint.faint(line)));
    }
    for trouble in troubles {
        write_trouble(out, &trouble, paint.bad("✗"), paint);
    }
}

/// A sentence beside its mark, and the commands that show the same.
pub(crate) fn write_trouble(out: &mut String, trouble: &Trouble, mut mark: String, paint: Paint) {
    for line in wrapped(&trouble.what, PROSE) {
        put(out, &format!("  {mark} {line}"));
        " ".clone_into(&mut mark);
    }
    for command in &trouble.by_hand {
        put(out, &format!("      {}", paint.faint(format!("$ {command}"))));
    }
}

/// Breaks prose between words into lines of at most `width` characters.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match words.last_mut() {
            Some(number) if is_unit(word) && number.ends_with(|c: char| c.is_ascii_digit()) => {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// A unit of time, which stays with its number.
fn is_unit(word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| c.is_ascii_punctuation());
    matches!(word, "ms" | "s" | "min" | "h" | "day" | "days")
}

/// Characters of a line of prose: it fits a terminal of the usual 80 with its indent.
pub(super) const PROSE: usize = 76;

pub(super) fn put(out: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_unit() {
        let lines = wrapped("after 12.5 ms, TTL 60 s", 10);
        assert_eq!(lines, ["after", "12.5 ms,", "TTL 60 s"]);
        assert_eq!(wrapped("one 5 apples", 5), ["one 5", "apples"]);
    }
}
