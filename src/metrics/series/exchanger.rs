//! Families about exchangers, each by address family: what works, how sessions end and how long
//! their stages take.
//!
//! A family without addresses has `mx_exchanger_addresses` 0 and nothing else, so that no alert
//! fires for a host that never had IPv6. A family that is not probed has its number of addresses
//! and no session series either.

use std::{ops::Range, time::Duration};

use super::tls::{self, PartTls};
use crate::{
    agent::family_counts::{FamilyCounts, OTHER},
    config::Detail,
    facts::{Failure, Family, Session, Stage},
    metrics::{
        histogram::Histogram,
        labelled::Labelled,
        names,
        names::Metric,
        sink::Gone,
        text::{self, Closed, Histograms, Text},
        view::View,
    },
};

/// The extensions that have a series: a closed set, for a server can offer any number of words.
/// Those that decide whether mail can be sent, or how.
const EXTENSIONS: [&str; 3] = ["REQUIRETLS", "SMTPUTF8", "STARTTLS"];

/// One family with addresses: what its sessions come to.
pub(super) struct Part<'a> {
    /// Some address was called. What this host could not try says nothing about the exchanger.
    tried: bool,
    up: usize,
    worst: Option<Failure>,
    /// Its place among all stages.
    stages: Range<usize>,
    offers: Offered,
    counts: &'a FamilyCounts,
    pub(super) tls: PartTls<'a>,
}

/// A stage of the last round of a family.
struct PartStage {
    stage: Stage,
    /// At the slowest address.
    duration: Duration,
    /// The highest reply code.
    code: Option<u16>,
}

/// All families, gathered before anything of them is written.
struct Parts<'a> {
    /// How many addresses each family has, those without any included.
    addresses: Labelled<usize>,
    /// The families that have some.
    with_addresses: Labelled<Part<'a>>,
    /// The stages of all of these.
    stages: Vec<PartStage>,
}

/// All families.
pub(in crate::metrics) fn write(
    view: &View<'_>,
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    write_findings(view, out)?;
    write_tlsa(view, out)?;
    let parts = Parts::gather(view);
    write_states(&parts, out)?;
    write_failures(&parts.with_addresses, out)?;
    write_counts(&parts.with_addresses, detail, out)?;
    write_stages(&parts, detail, out)?;
    tls::write(&parts.with_addresses, detail, out)?;
    if detail == Detail::Full {
        write_extensions(&parts.with_addresses, out)?;
    }
    Ok(())
}

/// What is remarkable about the address lookups: of the exchanger, not of one family.
fn write_findings(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let mut family = text::Family::new(out, &names::EXCHANGER_FINDING);
    for exchanger in &view.exchangers {
        for (resolver, finding) in &exchanger.findings {
            if !view.snapshot.is_down(resolver) {
                let labels = [
                    ("mx", &*exchanger.name),
                    ("resolver", *resolver),
                    ("finding", finding.label()),
                ];
                family.sample("", &labels, 1)?;
            }
        }
    }
    Ok(())
}

fn write_tlsa(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let mut family = text::Family::new(out, &names::TLSA_STATUS);
    for exchanger in &view.exchangers {
        let tlsa = exchanger.facts().into_iter().flat_map(|facts| &facts.tlsa);
        for tlsa in tlsa.filter(|tlsa| !view.snapshot.is_down(&tlsa.resolver)) {
            let labels = [
                ("mx", &*exchanger.name),
                ("resolver", &*tlsa.resolver),
                ("status", tlsa.status.label()),
            ];
            family.sample("", &labels, 1)?;
        }
    }
    Ok(())
}

impl<'a> Parts<'a> {
    fn gather(view: &View<'a>) -> Self {
        let many = view.exchangers.len();
        let mut parts = Self {
            addresses: Labelled::with_capacity(2 * many),
            with_addresses: Labelled::with_capacity(many),
            stages: Vec::with_capacity(4 * many),
        };
        let mut sessions = Vec::new();
        for exchanger in &view.exchangers {
            let Some(facts) = exchanger.facts() else { continue };
            for family in Family::ALL {
                let labels = [("mx", &*exchanger.name), ("family", family.label())];
                let addresses = facts.addresses_of(family).count();
                parts.addresses.push(labels, addresses);
                if addresses == 0 {
                    continue;
                }
                sessions.clear();
                sessions.extend(facts.sessions_of(family).map(|session| &**session));
                let stages = parts.add_stages(&sessions);
                let part = Part {
                    tried: sessions.iter().any(|session| session.tried()),
                    up: sessions.iter().filter(|session| session.up()).count(),
                    worst: sessions.iter().filter_map(|session| session.fault()).min(),
                    stages,
                    offers: Offered::by(&sessions),
                    counts: exchanger.report.counts(family),
                    tls: PartTls::new(&sessions, &facts.tlsa, exchanger.under_sts),
                };
                parts.with_addresses.push(labels, part);
            }
        }
        parts
    }

    /// Adds what the sessions of one family say of each stage, in the order of the stages.
    fn add_stages(&mut self, sessions: &[&Session]) -> Range<usize> {
        let begin = self.stages.len();
        for fact in sessions.iter().flat_map(|session| &session.stages) {
            let (stage, duration) = (fact.stage, fact.duration);
            let code = fact.reply().map(|reply| reply.code);
            match self.stages[begin..].iter_mut().find(|known| known.stage == stage) {
                Some(known) => {
                    known.duration = known.duration.max(duration);
                    known.code = known.code.max(code);
                }
                None => self.stages.push(PartStage { stage, duration, code }),
            }
        }
        self.stages[begin..].sort_by_key(|known| known.stage);
        begin..self.stages.len()
    }
}

fn write_states(parts: &Parts<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let probed = || parts.with_addresses.iter().filter(|(_, part)| part.tried);
    let mut family = text::Family::new(out, &names::EXCHANGER_UP);
    for (labels, part) in probed() {
        family.sample(labels, &[], u8::from(part.up > 0))?;
    }
    let mut family = text::Family::new(out, &names::EXCHANGER_ADDRESSES);
    for (labels, addresses) in parts.addresses.iter() {
        family.sample(labels, &[], *addresses)?;
    }
    let mut family = text::Family::new(out, &names::EXCHANGER_ADDRESSES_UP);
    for (labels, part) in probed() {
        family.sample(labels, &[], part.up)?;
    }
    Ok(())
}

fn write_failures(parts: &Labelled<Part<'_>>, out: &mut Text<'_>) -> Result<(), Gone> {
    let mut family = text::Family::new(out, &names::EXCHANGER_FAILURE);
    let mut failure = Closed::new(["stage", "reason"]);
    for (labels, part) in parts.iter() {
        if let Some(worst) = part.worst {
            let values = [worst.stage.label(), worst.reason.label()];
            family.sample_of(labels, &mut failure, values, 1)?;
        }
    }
    let mut family = text::Family::new(out, &names::PROBE_BACKOFF);
    for (labels, part) in parts.iter() {
        family.sample(labels, &[], part.counts.backoff)?;
    }
    Ok(())
}

fn write_counts(
    parts: &Labelled<Part<'_>>,
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let mut family = text::Family::new(out, &names::SESSIONS);
    let mut ending = Closed::new(["stage", "reason"]);
    for (labels, part) in parts.iter() {
        for (ended, count) in part.counts.sessions.iter() {
            family.sample_of(labels, &mut ending, ended.labels(), *count)?;
        }
    }
    if detail == Detail::Lean {
        return Ok(());
    }
    write_histograms(parts, &names::CONNECT_DURATION, |counts| &counts.connect, out)?;
    write_histograms(parts, &names::BANNER_DURATION, |counts| &counts.banner, out)?;
    let mut family = text::Family::new(out, &names::SMTP_REPLIES);
    for (labels, part) in parts.iter() {
        for (replied, count) in part.counts.replies.iter() {
            let mut digits = itoa::Buffer::new();
            let code = replied.code().map_or(OTHER, |code| digits.format(code));
            family.sample(labels, &[("stage", replied.stage()), ("code", code)], *count)?;
        }
    }
    Ok(())
}

fn write_histograms(
    parts: &Labelled<Part<'_>>,
    metric: &'static Metric,
    of: impl Fn(&FamilyCounts) -> &Histogram<u32>,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let mut family = Histograms::new(out, metric);
    // A family that is never probed has no empty histogram to show for it.
    for (labels, part) in parts.iter().filter(|(_, part)| !part.counts.sessions.is_empty()) {
        family.add(labels, of(part.counts))?;
    }
    Ok(())
}

fn write_stages(parts: &Parts<'_>, detail: Detail, out: &mut Text<'_>) -> Result<(), Gone> {
    let mut stage = Closed::new(["stage"]);
    let mut family = text::Family::new(out, &names::STAGE_DURATION);
    for (labels, part) in parts.with_addresses.iter() {
        let known = parts.stages[part.stages.clone()].iter();
        for known in known.filter(|known| timed(known.stage, detail)) {
            family.sample_of(labels, &mut stage, [known.stage.label()], known.duration)?;
        }
    }
    if detail == Detail::Lean {
        return Ok(());
    }
    let mut family = text::Family::new(out, &names::SMTP_REPLY_CODE);
    for (labels, part) in parts.with_addresses.iter() {
        let known = parts.stages[part.stages.clone()].iter();
        for known in known.filter(|known| !usual(known.stage)) {
            if let Some(code) = known.code {
                family.sample_of(labels, &mut stage, [known.stage.label()], code)?;
            }
        }
    }
    Ok(())
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

fn write_extensions(parts: &Labelled<Part<'_>>, out: &mut Text<'_>) -> Result<(), Gone> {
    let mut family = text::Family::new(out, &names::SMTP_EXTENSION);
    let mut offered = Closed::new(["extension"]);
    for (labels, part) in parts.iter() {
        for (extension, _) in
            EXTENSIONS.into_iter().zip(part.offers.by_all).filter(|(_, offered)| *offered)
        {
            family.sample_of(labels, &mut offered, [extension], 1)?;
        }
    }
    let mut family = text::Family::new(out, &names::SMTP_SIZE_LIMIT);
    for (labels, part) in parts.iter() {
        if let Some(lowest) = part.offers.lowest_limit {
            family.sample(labels, &[], lowest)?;
        }
    }
    Ok(())
}

/// What the servers of a family offer.
#[derive(Default)]
struct Offered {
    /// The extensions that all offer that told, by their place in [`EXTENSIONS`].
    by_all: [bool; EXTENSIONS.len()],
    /// The lowest limit of SIZE; 0 says "no fixed limit" (RFC 1870 §3), so any other number is lower.
    lowest_limit: Option<u64>,
}

impl Offered {
    fn by(sessions: &[&Session]) -> Self {
        let each = sessions.iter().filter(|session| told(session)).map(|session| {
            let (by_all, lowest_limit) = session.offers_each(EXTENSIONS);
            Self { by_all, lowest_limit }
        });
        each.reduce(Self::and).unwrap_or_default()
    }

    fn and(self, other: Self) -> Self {
        let limits = self.lowest_limit.into_iter().chain(other.lowest_limit);
        Self {
            by_all: std::array::from_fn(|place| self.by_all[place] && other.by_all[place]),
            lowest_limit: limits.min_by_key(|limit| limit.checked_sub(1).unwrap_or(u64::MAX)),
        }
    }
}

/// The server told what it offers: it took EHLO, or offers nothing because it knows only HELO.
/// One that timed out or hung up has not told, and does not make an extension vanish.
fn told(session: &Session) -> bool {
    let ehlo = session.stage(Stage::Ehlo).and_then(|fact| fact.reply());
    ehlo.is_some_and(crate::facts::Reply::positive) || session.stage(Stage::Helo).is_some()
}
