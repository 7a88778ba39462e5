//! Families about exchangers, each by address family: what works, how the last sessions went and how
//! long their stages took. What is counted over all sessions is told by [`counts`].
//!
//! A family without addresses has `mx_exchanger_addresses` 0 and nothing else, so that no alert
//! fires for a host that never had IPv6. A family that is not probed has its number of addresses
//! and no session series either.

use std::ops::Range;

use super::{
    counts::{self, Counted},
    tls::{self, PartTls},
};
use crate::{
    config::Detail,
    facts::{Elapsed, Failure, Family, Session, Stage},
    metrics::{
        labels::Closed,
        names,
        sink::Gone,
        text::{self, Text},
        texts::Place,
        view::View,
    },
};

/// The extensions that have a series: a closed set, for a server can offer any number of words.
/// Those that decide whether mail can be sent, or how.
const EXTENSIONS: [&str; 3] = ["REQUIRETLS", "SMTPUTF8", "STARTTLS"];

/// One family with addresses: what its sessions come to.
pub(super) struct Part<'a> {
    mx: Place,
    family: Family,
    /// Some address was called. What this host could not try says nothing about the exchanger.
    tried: bool,
    up: usize,
    worst: Option<Failure>,
    /// Its place among all stages.
    stages: Range<usize>,
    offers: Offered,
    pub(super) tls: PartTls<'a>,
}

/// A stage of the last round of a family.
struct PartStage {
    stage: Stage,
    /// At the slowest address.
    duration: Elapsed,
    /// The highest reply code.
    code: Option<u16>,
}

/// All families, gathered before anything of them is written.
struct Parts<'a> {
    /// How many addresses each family has, those without any included.
    addresses: Vec<(Place, Family, usize)>,
    /// The families that have some.
    with_addresses: Vec<Part<'a>>,
    /// The stages of all of these.
    stages: Vec<PartStage>,
    /// And what is counted of them.
    counted: Vec<Counted<'a>>,
}

/// All families.
pub(in crate::metrics) fn write(
    view: &View<'_>,
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    write_findings(view, out)?;
    write_tlsa(view, out)?;
    let counted = write_parts(view, detail, out)?;
    counts::write(view, &counted, detail, out)
}

/// Writes what the last sessions say. Of what is gathered for it only who is counted is left, for the
/// counts take as much room.
fn write_parts<'a>(
    view: &View<'a>,
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<Vec<Counted<'a>>, Gone> {
    let parts = Parts::gather(view);
    write_states(view, &parts, out)?;
    write_failures(view, &parts.with_addresses, out)?;
    write_stages(view, &parts, detail, out)?;
    tls::write(view, &parts.with_addresses, detail, out)?;
    if detail == Detail::Full {
        write_extensions(view, &parts.with_addresses, out)?;
    }
    Ok(parts.counted)
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
        let tlsa = exchanger.facts.into_iter().flat_map(|facts| &facts.tlsa);
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

impl Part<'_> {
    /// The value of the `family` label.
    pub(super) const fn family(&self) -> &'static str {
        self.family.label()
    }

    /// The value of the `mx` label.
    pub(super) fn mx<'v>(&self, view: &'v View<'_>) -> &'v str {
        view.text(self.mx)
    }
}

impl<'a> Parts<'a> {
    fn gather(view: &View<'a>) -> Self {
        let many = view.exchangers.len();
        let mut parts = Self {
            addresses: Vec::with_capacity(2 * many),
            with_addresses: Vec::with_capacity(many),
            stages: Vec::with_capacity(4 * many),
            counted: Vec::with_capacity(many),
        };
        let mut sessions = Vec::new();
        for exchanger in &view.exchangers {
            let Some(facts) = exchanger.facts else { continue };
            for family in Family::ALL {
                let addresses = facts.addresses_of(family).count();
                parts.addresses.push((exchanger.text, family, addresses));
                if addresses == 0 {
                    continue;
                }
                sessions.clear();
                sessions.extend(facts.sessions_of(family).map(|session| &**session));
                let stages = parts.add_stages(&sessions);
                let part = Part {
                    mx: exchanger.text,
                    family,
                    tried: sessions.iter().any(|session| session.tried()),
                    up: sessions.iter().filter(|session| session.up()).count(),
                    worst: sessions.iter().filter_map(|session| session.fault()).min(),
                    stages,
                    offers: Offered::by(&sessions),
                    tls: PartTls::new(&sessions, &facts.tlsa, exchanger.under_sts),
                };
                parts.with_addresses.push(part);
                let (mx, counts) = (exchanger.text, exchanger.report.counts(family));
                parts.counted.push(Counted { mx, family, counts });
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
        self.stages[begin..].sort_unstable_by_key(|known| known.stage);
        begin..self.stages.len()
    }
}

fn write_states(view: &View<'_>, parts: &Parts<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let probed = || parts.with_addresses.iter().filter(|part| part.tried);
    let mut each = Closed::new(["family"]);
    let mut family = text::Family::by(out, &names::EXCHANGER_UP, "mx");
    for part in probed() {
        family.row(part.mx(view), each.tail([part.family()]), u8::from(part.up > 0))?;
    }
    let mut family = text::Family::by(out, &names::EXCHANGER_ADDRESSES, "mx");
    for (mx, of, addresses) in &parts.addresses {
        family.row(view.text(*mx), each.tail([of.label()]), *addresses)?;
    }
    let mut family = text::Family::by(out, &names::EXCHANGER_ADDRESSES_UP, "mx");
    for part in probed() {
        family.row(part.mx(view), each.tail([part.family()]), part.up)?;
    }
    Ok(())
}

fn write_failures(view: &View<'_>, parts: &[Part<'_>], out: &mut Text<'_>) -> Result<(), Gone> {
    let mut family = text::Family::by(out, &names::EXCHANGER_FAILURE, "mx");
    let mut failure = Closed::new(["family", "stage", "reason"]);
    for part in parts {
        if let Some(worst) = part.worst {
            let labels = [part.family(), worst.stage.label(), worst.reason.label()];
            family.row(part.mx(view), failure.tail(labels), 1)?;
        }
    }
    Ok(())
}

fn write_stages(
    view: &View<'_>,
    parts: &Parts<'_>,
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let mut stage = Closed::new(["family", "stage"]);
    let mut family = text::Family::by(out, &names::STAGE_DURATION, "mx");
    for part in &parts.with_addresses {
        let known = parts.stages[part.stages.clone()].iter();
        for known in known.filter(|known| timed(known.stage, detail)) {
            let tail = stage.tail([part.family(), known.stage.label()]);
            family.row(part.mx(view), tail, known.duration)?;
        }
    }
    if detail == Detail::Lean {
        return Ok(());
    }
    let mut family = text::Family::by(out, &names::SMTP_REPLY_CODE, "mx");
    for part in &parts.with_addresses {
        let known = parts.stages[part.stages.clone()].iter();
        for known in known.filter(|known| !usual(known.stage)) {
            if let Some(code) = known.code {
                let tail = stage.tail([part.family(), known.stage.label()]);
                family.row(part.mx(view), tail, code)?;
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

fn write_extensions(view: &View<'_>, parts: &[Part<'_>], out: &mut Text<'_>) -> Result<(), Gone> {
    let mut family = text::Family::by(out, &names::SMTP_EXTENSION, "mx");
    let mut offered = Closed::new(["family", "extension"]);
    for part in parts {
        let each = EXTENSIONS.into_iter().zip(part.offers.by_all);
        for (extension, _) in each.filter(|(_, offered)| *offered) {
            family.row(part.mx(view), offered.tail([part.family(), extension]), 1)?;
        }
    }
    let mut family = text::Family::by(out, &names::SMTP_SIZE_LIMIT, "mx");
    let mut each = Closed::new(["family"]);
    for part in parts {
        if let Some(lowest) = part.offers.lowest_limit {
            family.row(part.mx(view), each.tail([part.family()]), lowest)?;
        }
    }
    Ok(())
}

/// What the servers of a family offer.
#[derive(Clone, Copy, Default)]
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
    let took_ehlo = session.stage(Stage::Ehlo).is_some_and(|fact| fact.listing().is_some());
    took_ehlo || session.stage(Stage::Helo).is_some()
}
