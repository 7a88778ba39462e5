//! Families of what is counted for exchangers, each by address family, since they are watched: how
//! sessions ended, how long connections and banners took, what was replied.

use crate::{
    agent::family_counts::{Ending, FamilyCounts, OTHER, Replied},
    config::Detail,
    facts::{Elapsed, Family},
    metrics::{
        histogram::Histogram,
        labels::{ALONE, Closed},
        names,
        names::Metric,
        sink::Gone,
        text::{self, Histograms, Tails, Text},
        texts::Place,
        view::View,
    },
};

/// One family with addresses, and what is counted for it.
pub(super) struct Counted<'a> {
    pub(super) mx: Place,
    pub(super) family: Family,
    pub(super) counts: &'a FamilyCounts,
}

/// A copy of what is counted, for five families of series go through all of it, and it lies far apart.
struct Part<'a> {
    mx: Place,
    family: Family,
    backoff: Elapsed,
    sessions: &'a [(Ending, u32)],
    replies: &'a [(Replied, u32)],
    connect: Histogram<u32>,
    banner: Histogram<u32>,
}

impl<'a> Part<'a> {
    fn of(&Counted { mx, family, counts }: &Counted<'a>) -> Self {
        Self {
            mx,
            family,
            backoff: counts.backoff,
            sessions: counts.sessions.as_slice(),
            replies: counts.replies.as_slice(),
            connect: counts.connect.clone(),
            banner: counts.banner.clone(),
        }
    }

    fn mx<'v>(&self, view: &'v View<'_>) -> &'v str {
        view.text(self.mx)
    }
}

/// All families.
pub(super) fn write(
    view: &View<'_>,
    counted: &[Counted<'_>],
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let parts: Vec<Part<'_>> = counted.iter().map(Part::of).collect();
    let mut family = text::Family::by(out, &names::PROBE_BACKOFF, "mx");
    let mut each = Closed::new(["family"]);
    for part in &parts {
        family.row(part.mx(view), each.tail([part.family.label()]), part.backoff)?;
    }
    let mut family = text::Family::by(out, &names::SESSIONS, "mx");
    let mut ending = Closed::new(["family", "stage", "reason"]);
    for part in &parts {
        for (ended, count) in part.sessions {
            let [stage, reason] = ended.labels();
            let tail = ending.tail([part.family.label(), stage, reason]);
            family.row(part.mx(view), tail, *count)?;
        }
    }
    if detail == Detail::Lean {
        return Ok(());
    }
    write_histograms(view, &parts, &names::CONNECT_DURATION, |part| &part.connect, out)?;
    write_histograms(view, &parts, &names::BANNER_DURATION, |part| &part.banner, out)?;
    let mut family = text::Family::by(out, &names::SMTP_REPLIES, "mx");
    let mut stage = Closed::new(["family", "stage"]);
    for part in &parts {
        for (replied, count) in part.replies {
            let mut digits = itoa::Buffer::new();
            let code = replied.code().map_or(OTHER, |code| digits.format(code));
            let middle = stage.middle([part.family.label(), replied.stage()]);
            family.joined(&[part.mx(view), middle, ",code=\"", code, ALONE], *count)?;
        }
    }
    Ok(())
}

fn write_histograms<'a>(
    view: &View<'_>,
    parts: &[Part<'a>],
    metric: &'static Metric,
    of: impl for<'p> Fn(&'p Part<'a>) -> &'p Histogram<u32>,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let mut family = Histograms::by(out, metric, "mx");
    let tails = Family::ALL.map(|of| Tails::new(&format!("\",family=\"{}\"", of.label())));
    // A family that is never probed has no empty histogram to show for it.
    for part in parts.iter().filter(|part| !part.sessions.is_empty()) {
        family.add(part.mx(view), &tails[part.family as usize], of(part))?;
    }
    Ok(())
}
