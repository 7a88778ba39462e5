//! Families about exchangers, each by address family: what works, how sessions end and how long
//! their stages take.
//!
//! A family without addresses has `mx_exchanger_addresses` 0 and nothing else, so that no alert
//! fires for a host that never had IPv6. A family that is not probed has its number of addresses
//! and no session series either.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::tls;
use crate::{
    agent::state::{FamilyCounts, ReplyCode},
    config::Detail,
    facts::{AddressPair, Family, Session, Stage, TlsaFacts},
    metrics::{
        histogram::Histogram,
        names,
        names::Metric,
        text::{self, Block},
        view::View,
    },
};

/// The extensions that have a series: a closed set, for a server can offer any number of words.
/// Those that decide whether mail can be sent, or how.
const EXTENSIONS: [&str; 3] = ["REQUIRETLS", "SMTPUTF8", "STARTTLS"];

/// One family with addresses.
pub(super) struct Part<'a> {
    pub(super) labels: &'a Block,
    addresses: usize,
    pub(super) sessions: Vec<&'a Arc<Session>>,
    pub(super) tlsa: &'a [Arc<TlsaFacts>],
    pub(super) under_sts: bool,
    counts: &'a FamilyCounts,
}

/// All families.
pub(in crate::metrics) fn write(view: &View<'_>, detail: Detail, out: &mut String) {
    write_findings(view, out);
    write_tlsa(view, out);
    let parts = parts(view);
    write_states(&parts, out);
    let with_addresses: Vec<_> = parts.into_iter().filter(|part| part.addresses > 0).collect();
    write_failures(&with_addresses, out);
    write_counts(&with_addresses, detail, out);
    write_stages(&with_addresses, detail, out);
    tls::write(&with_addresses, detail, out);
    if detail == Detail::Full {
        write_extensions(&with_addresses, out);
    }
}

/// What is remarkable about the address lookups: of the exchanger, not of one family.
fn write_findings(view: &View<'_>, out: &mut String) {
    let mut family = text::Family::new(out, &names::EXCHANGER_FINDING);
    for exchanger in &view.exchangers {
        for (resolver, pair) in exchanger.facts().into_iter().flat_map(AddressPair::by_resolver) {
            if view.snapshot.is_down(resolver) {
                continue;
            }
            for finding in pair.findings() {
                let labels = [("mx", &*exchanger.name), ("resolver", resolver)];
                family.sample(&Block::new(labels), &[("finding", finding.label())], 1);
            }
        }
    }
}

fn write_tlsa(view: &View<'_>, out: &mut String) {
    let mut family = text::Family::new(out, &names::TLSA_STATUS);
    for exchanger in &view.exchangers {
        let tlsa = exchanger.facts().into_iter().flat_map(|facts| &facts.tlsa);
        for tlsa in tlsa.filter(|tlsa| !view.snapshot.is_down(&tlsa.resolver)) {
            let labels = [("mx", &*exchanger.name), ("resolver", &*tlsa.resolver)];
            family.sample(&Block::new(labels), &[("status", tlsa.status.label())], 1);
        }
    }
}

fn parts<'a>(view: &'a View<'a>) -> Vec<Part<'a>> {
    let mut parts = Vec::with_capacity(2 * view.exchangers.len());
    for exchanger in &view.exchangers {
        let Some(facts) = exchanger.facts() else { continue };
        for family in Family::ALL {
            parts.push(Part {
                labels: exchanger.labels(family),
                addresses: facts.addresses_of(family).count(),
                sessions: facts.sessions_of(family).collect(),
                tlsa: &facts.tlsa,
                under_sts: exchanger.under_sts,
                counts: exchanger.report.counts(family),
            });
        }
    }
    parts
}

fn write_states(parts: &[Part<'_>], out: &mut String) {
    // What this host could not try says nothing about the exchanger.
    let tried = |part: &Part<'_>| part.sessions.iter().any(|session| session.tried());
    let probed = || parts.iter().filter(|part| part.addresses > 0 && tried(part));
    let up = |part: &Part<'_>| part.sessions.iter().filter(|session| session.up()).count();
    let mut family = text::Family::new(out, &names::EXCHANGER_UP);
    for part in probed() {
        family.sample(part.labels, &[], u8::from(up(part) > 0));
    }
    let mut family = text::Family::new(out, &names::EXCHANGER_ADDRESSES);
    for part in parts {
        family.sample(part.labels, &[], part.addresses);
    }
    let mut family = text::Family::new(out, &names::EXCHANGER_ADDRESSES_UP);
    for part in probed() {
        family.sample(part.labels, &[], up(part));
    }
}

fn write_failures(parts: &[Part<'_>], out: &mut String) {
    let mut family = text::Family::new(out, &names::EXCHANGER_FAILURE);
    for part in parts {
        if let Some(worst) = part.sessions.iter().filter_map(|session| session.fault()).min() {
            let more = [("stage", worst.stage.label()), ("reason", worst.reason.label())];
            family.sample(part.labels, &more, 1);
        }
    }
    let mut family = text::Family::new(out, &names::PROBE_BACKOFF);
    for part in parts {
        family.sample(part.labels, &[], part.counts.backoff.as_secs_f64());
    }
}

fn write_counts(parts: &[Part<'_>], detail: Detail, out: &mut String) {
    let mut family = text::Family::new(out, &names::SESSIONS);
    for part in parts {
        for ((stage, reason), count) in part.counts.sessions.iter() {
            family.sample(part.labels, &[("stage", stage), ("reason", reason)], count);
        }
    }
    if detail == Detail::Lean {
        return;
    }
    write_histograms(parts, &names::CONNECT_DURATION, |counts| &counts.connect, out);
    write_histograms(parts, &names::BANNER_DURATION, |counts| &counts.banner, out);
    let mut family = text::Family::new(out, &names::SMTP_REPLIES);
    for part in parts {
        for ((stage, code), count) in part.counts.replies.iter() {
            let code = match code {
                ReplyCode::Code(code) => code.to_string(),
                ReplyCode::Other => "other".to_owned(),
            };
            family.sample(part.labels, &[("stage", stage), ("code", &code)], count);
        }
    }
}

fn write_histograms(
    parts: &[Part<'_>],
    metric: &'static Metric,
    of: impl Fn(&FamilyCounts) -> &Histogram,
    out: &mut String,
) {
    let mut family = text::Family::new(out, metric);
    // A family that is never probed has no empty histogram to show for it.
    for part in parts.iter().filter(|part| !part.counts.sessions.is_empty()) {
        family.histogram(part.labels, of(part.counts));
    }
}

fn write_stages(parts: &[Part<'_>], detail: Detail, out: &mut String) {
    let mut family = text::Family::new(out, &names::STAGE_DURATION);
    for part in parts {
        let mut slowest: BTreeMap<Stage, Duration> = BTreeMap::new();
        for fact in part.sessions.iter().flat_map(|session| &session.stages) {
            let kept = slowest.entry(fact.stage).or_default();
            *kept = fact.duration.max(*kept);
        }
        for (stage, duration) in slowest.into_iter().filter(|(stage, _)| timed(*stage, detail)) {
            family.sample(part.labels, &[("stage", stage.label())], duration.as_secs_f64());
        }
    }
    if detail == Detail::Lean {
        return;
    }
    let mut family = text::Family::new(out, &names::SMTP_REPLY_CODE);
    for part in parts {
        let mut highest: BTreeMap<Stage, u16> = BTreeMap::new();
        for fact in part.sessions.iter().flat_map(|session| &session.stages) {
            if let Some(reply) = &fact.reply {
                let kept = highest.entry(fact.stage).or_default();
                *kept = reply.code.max(*kept);
            }
        }
        for (stage, code) in highest.into_iter().filter(|(stage, _)| !usual(*stage)) {
            family.sample(part.labels, &[("stage", stage.label())], code);
        }
    }
}

/// Whether a stage has a time of its own: mail waits for connections, banners and handshakes.
const fn timed(stage: Stage, detail: Detail) -> bool {
    match detail {
        Detail::Full => !usual(stage) && !matches!(stage, Stage::Auth | Stage::Starttls),
        Detail::Lean => matches!(stage, Stage::Connect | Stage::Banner),
    }
}

/// A stage at which nothing new is said: QUIT harms no mail, and EHLO over TLS repeats the one
/// before. Where they fail that is counted.
const fn usual(stage: Stage) -> bool {
    matches!(stage, Stage::EhloTls | Stage::Quit)
}

fn write_extensions(parts: &[Part<'_>], out: &mut String) {
    let mut family = text::Family::new(out, &names::SMTP_EXTENSION);
    for part in parts {
        let asked: Vec<_> = part.sessions.iter().filter(|session| told(session)).collect();
        for extension in EXTENSIONS {
            if !asked.is_empty() && asked.iter().all(|session| session.offers(extension)) {
                family.sample(part.labels, &[("extension", extension)], 1);
            }
        }
    }
    let mut family = text::Family::new(out, &names::SMTP_SIZE_LIMIT);
    for part in parts {
        // 0 says "no fixed limit" (RFC 1870 §3), so any other number is lower.
        let limits = part.sessions.iter().filter_map(|session| session.size_limit());
        if let Some(lowest) = limits.min_by_key(|limit| limit.checked_sub(1).unwrap_or(u64::MAX)) {
            family.sample(part.labels, &[], lowest);
        }
    }
}

/// The server told what it offers: it took EHLO, or offers nothing because it knows only HELO.
/// One that timed out or hung up has not told, and does not make an extension vanish.
fn told(session: &Session) -> bool {
    let ehlo = session.stage(Stage::Ehlo).and_then(|fact| fact.reply.as_ref());
    ehlo.is_some_and(crate::facts::Reply::positive) || session.stage(Stage::Helo).is_some()
}
