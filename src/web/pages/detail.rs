//! The page of one destination: the verdicts, its MX by resolver, its policies, and of every exchanger the lookups and
//! sessions, stage by stage.

use std::{
    collections::BTreeSet,
    fmt::{Arguments, Write},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    html::{self, Text},
    policies, verdict,
};
use crate::{
    agent::state::{ExchangerReport, Snapshot},
    explain::{recipient, tls, trouble},
    facts::{
        AddressPair, DomainFinding, ExchangerFacts, ExchangerFinding, Facts, Family, Lookup,
        Record, Session, Stage, StageFact, TlsaFacts, TlsaStatus, Transaction,
    },
    name::Destination,
    web::{
        summary::{self, Hop, Summary},
        target,
    },
};

pub(super) fn page(snapshot: &Snapshot, destination: &Destination, now: Timestamp) -> String {
    let summary = summary::one(snapshot, destination);
    let mut out = String::new();
    head(&mut out, &summary, now);
    let facts = snapshot.facts(destination);
    let mut shown = BTreeSet::new();
    if let (Some(report), Some(facts)) = (snapshot.destinations.get(destination), &facts) {
        shown = verdict::write(&mut out, &report.standings, facts, snapshot.mx_port, now);
    }
    if let Some(known) = snapshot.destinations.get(destination)
        && let Some(round) = &known.last
    {
        if let Some(facts) = facts.as_ref().filter(|facts| !facts.mx.is_empty()) {
            let found = |mx| words(facts.domain_findings(mx).into_iter().map(DomainFinding::label));
            lookups(&mut out, "MX lookup", facts.mx.iter().map(|mx| (&mx.lookup, found(mx))));
        }
        if let Some(facts) = &facts {
            policies::write(&mut out, facts);
            troubles(&mut out, snapshot, facts, &shown);
        }
        for (exchanger, hop) in round.exchangers().zip(&summary.exchangers) {
            let report = snapshot.exchangers.get(exchanger).map(AsRef::as_ref);
            let facts = report.and_then(|report| report.facts.as_ref());
            let facts = facts.and_then(|facts| known.own(facts));
            exchanger_part(&mut out, hop, report, facts.as_deref(), now);
        }
    }
    html::page(&format!("{} – mxwatch", summary.domain), &out)
}

fn head(out: &mut String, summary: &Summary, now: Timestamp) {
    let (name, link) = (Text(&summary.domain), target::encode(&summary.domain));
    let (badge, age) = (html::badge(summary.state), html::age(summary.checked_at, now));
    push(
        out,
        format_args!(
            "<h1>{name} {badge}</h1>\n<p class=\"note\">Looked up {age}. The same as \
             <a href=\"/api/v1/domains/{link}\">JSON</a> and as \
             <a href=\"/probe?target={link}\">samples</a>.</p>\n"
        ),
    );
}

/// The same sentences and commands that `check` shows, but for the commands shown above. What
/// resolvers that are down do not answer is said once for each of those.
fn troubles(out: &mut String, snapshot: &Snapshot, facts: &Facts, shown: &BTreeSet<String>) {
    let names: Vec<_> = snapshot.dead_resolvers().map(|(name, _)| Arc::clone(name)).collect();
    let dead = html::dead_resolvers(snapshot);
    let troubles = trouble::find(&facts.without(&names));
    if troubles.is_empty() && dead.is_empty() {
        return;
    }
    push(out, format_args!("<ul class=\"troubles\">\n{dead}"));
    for trouble in troubles {
        out.push_str(&html::item(&trouble, shown));
    }
    out.push_str("</ul>\n");
}

fn exchanger_part(
    out: &mut String,
    hop: &Hop,
    report: Option<&ExchangerReport>,
    facts: Option<&ExchangerFacts>,
    now: Timestamp,
) {
    let pauses =
        report.into_iter().flat_map(|report| Family::ALL.map(|f| report.counts(f).backoff.get()));
    let pause = pauses
        .max()
        .filter(|pause| !pause.is_zero())
        .map(|pause| format!(", refusing addresses are called only every {} s", pause.as_secs()));
    let pause = pause.unwrap_or_default();
    let (mx, preference) = (Text(&hop.mx), hop.preference);
    let only = html::named_only_by(hop);
    let (families, age) = (html::families(hop), html::age(hop.checked_at, now));
    push(
        out,
        format_args!(
            "<section>\n<h2><span class=\"preference\">{preference}</span> {mx}{only}</h2>\n\
             <p>{families} <span class=\"age\">probed {age}{pause}</span></p>\n"
        ),
    );
    if let Some(facts) = facts {
        if !facts.lookups.is_empty() {
            let pairs = AddressPair::by_resolver(facts);
            let rows = pairs.iter().flat_map(|(_, pair)| {
                // What they come to together stands behind the second of them.
                let found = words(pair.findings().map(ExchangerFinding::label));
                let last = pair.lookups().count().saturating_sub(1);
                let words = move |place| if place == last { found.clone() } else { String::new() };
                pair.lookups().enumerate().map(move |(place, lookup)| (lookup, words(place)))
            });
            lookups(out, "Address lookups", rows);
        }
        tlsa_part(out, &facts.tlsa);
        for session in &facts.sessions {
            session_part(out, session, now);
        }
    }
    out.push_str("</section>\n");
}

fn lookups<'a>(out: &mut String, title: &str, rows: impl Iterator<Item = (&'a Lookup, String)>) {
    push(
        out,
        format_args!(
            "<h3>{title}</h3>\n<table>\n<thead><tr><th>Type<th>Resolver<th>Status\
             <th class=\"number\">Time<th class=\"number\">TTL<th>Answer</thead>\n<tbody>\n"
        ),
    );
    for (lookup, findings) in rows {
        let status = lookup.status();
        let class = if status.answered() { "good" } else { "bad" };
        let took = html::duration(lookup.took());
        let ttl = lookup.deciding().and_then(|e| e.ttl).map(|ttl| format!("{ttl} s"));
        let records = lookup.deciding().map_or(&[][..], |e| &e.records);
        let records: Vec<_> = records.iter().map(record).collect();
        push(
            out,
            format_args!(
                "<tr><td>{rtype}<td>{resolver}<td><span class=\"badge {class}\">{status}</span>\
                 <td class=\"number\">{took}<td class=\"number\">{ttl}<td>{records} <em>{findings}</em>\n",
                rtype = lookup.rtype.label(),
                resolver = Text(&lookup.resolver),
                status = status.label(),
                ttl = ttl.unwrap_or_default(),
                records = Text(records.join(", ")),
            ),
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

/// What DANE senders find through the resolvers that are trusted.
fn tlsa_part(out: &mut String, tlsa: &[Arc<TlsaFacts>]) {
    if tlsa.is_empty() {
        return;
    }
    out.push_str(
        "<h3>TLSA records</h3>\n<table>\n\
         <thead><tr><th>Resolver<th>Status<th>At<th>Records</thead>\n<tbody>\n",
    );
    for tlsa in tlsa {
        let class = match tlsa.status {
            TlsaStatus::Error => "bad",
            TlsaStatus::Secure => "good",
            TlsaStatus::Absent | TlsaStatus::Insecure | TlsaStatus::Unusable => "quiet",
        };
        let records: Vec<_> = tlsa.records.iter().map(ToString::to_string).collect();
        push(
            out,
            format_args!(
                "<tr><td>{resolver}<td><span class=\"badge {class}\">{status}</span><td>{base}\
                 <td class=\"said\">{records}\n",
                resolver = Text(&tlsa.resolver),
                status = tlsa.status.label(),
                base = Text(&tlsa.base),
                records = records.join("<br>"),
            ),
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

/// Findings as a person reads them.
fn words(labels: impl Iterator<Item = &'static str>) -> String {
    labels.collect::<Vec<_>>().join(", ").replace('_', " ")
}

fn record(record: &Record) -> String {
    match record {
        Record::Address(address) => address.to_string(),
        Record::Mx { preference, exchanger: Some(exchanger) } => {
            format!("{preference} {exchanger}")
        }
        Record::Mx { preference, exchanger: None } => format!("{preference} ."),
        Record::Name(host) => host.to_string(),
        Record::Serial(serial) => serial.to_string(),
        Record::Text(text) => format!("{text:?}"),
        Record::Tlsa(tlsa) => tlsa.to_string(),
    }
}

fn session_part(out: &mut String, session: &Session, now: Timestamp) {
    let end = match session.failure {
        None => "<span class=\"badge good\">up</span>".to_owned(),
        Some(failure) => {
            let class = if session.tried() { "bad" } else { "quiet" };
            format!("<span class=\"badge {class}\">{}</span>", html::words(failure))
        }
    };
    push(
        out,
        format_args!(
            "<h3>{peer} {end}</h3>\n<p class=\"note\">Session of {took}, begun {age}.</p>\n<table>\n\
             <thead><tr><th>Stage<th class=\"number\">Time<th class=\"number\">Code<th>Reply\
             </thead>\n<tbody>\n",
            peer = session.peer,
            took = html::duration(session.duration.get()),
            age = html::age(Some(session.started_at), now),
        ),
    );
    session.dialogue().for_each(|(fact, asked)| stage_row(out, fact, asked));
    out.push_str("</tbody>\n</table>\n");
    if let Some(shown) = session.tls.as_deref() {
        let class = if shown.pkix.trusted() { "good" } else { "bad" };
        let lines = tls::chain(shown, now).into_iter().map(|line| Text(line).to_string());
        push(
            out,
            format_args!(
                "<p>{agreed} <span class=\"badge {class}\">{trust}</span></p>\n<pre>{lines}</pre>\n",
                agreed = Text(tls::agreed(shown)),
                trust = Text(tls::trust(shown)),
                lines = lines.collect::<Vec<_>>().join("\n"),
            ),
        );
    }
}

fn stage_row(out: &mut String, fact: &StageFact, asked: Option<&Transaction>) {
    let asked = asked.map(|asked| match (fact.stage, asked.class) {
        (Stage::Mail, _) => format!(" {}", asked.envelope.mail_from),
        (_, None) => format!(" {}", asked.envelope.recipient),
        (_, Some(class)) => {
            format!(" {} ({})", asked.envelope.recipient, recipient::words(class))
        }
    });
    let code = fact.reply().map(|reply| reply.code.to_string());
    let lines = fact.reply().into_iter().flat_map(|reply| reply.lines.iter());
    let lines: Vec<_> = lines.map(|line| Text(line).to_string()).collect();
    let received = fact.received().map(|text| {
        let lines: Vec<_> = text.lines().map(|line| Text(line).to_string()).collect();
        format!("received: {}", lines.join("<br>"))
    });
    let reason = fact.reason.map(|reason| {
        format!("<span class=\"badge bad\">{}</span> ", reason.label().replace('_', " "))
    });
    push(
        out,
        format_args!(
            "<tr><td>{stage}{asked}<td class=\"number\">{took}<td class=\"number\">{code}\
             <td class=\"said\">{reason}{lines}{received}\n",
            stage = fact.stage.label(),
            asked = Text(asked.unwrap_or_default()),
            took = html::duration(fact.duration.get()),
            code = code.unwrap_or_default(),
            reason = reason.unwrap_or_default(),
            lines = lines.join("<br>"),
            received = received.unwrap_or_default(),
        ),
    );
}

fn push(out: &mut String, text: Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}
