//! Families about DNS lookups.

use crate::{
    config::Detail,
    facts::{self, RecordType},
    metrics::{
        labels::{Block, Closed},
        lookups::LastLookup,
        names,
        sink::Gone,
        text::{Family, Histograms, Tails, Text},
        view::View,
    },
};

/// The last result per name, type and resolver.
pub(in crate::metrics) fn write_last<'a>(
    view: &View<'a>,
    lookups: &[LastLookup<'a>],
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let labels = |last: &LastLookup<'a>| [last.rtype.label(), last.resolver];
    let mut each = Closed::new(["type", "resolver"]);
    let mut family = Family::by(out, &names::DNS_LOOKUP_SUCCESS, "name");
    for last in lookups {
        let answered = u8::from(last.status.answered());
        family.row(view.text(last.name), each.tail(labels(last)), answered)?;
    }
    let mut family = Family::by(out, &names::DNS_LOOKUP_STATUS, "name");
    let mut status = Closed::new(["type", "resolver", "status"]);
    for last in lookups {
        let [rtype, resolver] = labels(last);
        let tail = status.tail([rtype, resolver, last.status.label()]);
        family.row(view.text(last.name), tail, 1)?;
    }
    let mut family = Family::by(out, &names::DNS_LOOKUP_DURATION, "name");
    for last in lookups {
        family.row(view.text(last.name), each.tail(labels(last)), last.took)?;
    }
    write_agreement(view, lookups, out)?;
    if detail == Detail::Lean {
        return Ok(());
    }
    let mut family = Family::by(out, &names::DNS_LOOKUP_ANSWERS, "name");
    // The size of an MX set stands in a series of its own.
    for last in lookups.iter().filter(|last| last.rtype != RecordType::Mx) {
        if let Some(answers) = last.answers {
            family.row(view.text(last.name), each.tail(labels(last)), answers)?;
        }
    }
    let mut family = Family::by(out, &names::DNS_LOOKUP_TTL, "name");
    for last in lookups {
        if let Some(ttl) = last.ttl {
            family.row(view.text(last.name), each.tail(labels(last)), ttl)?;
        }
    }
    let mut family = Family::by(out, &names::DNS_LOOKUP_AUTHENTIC_DATA, "name");
    for last in lookups.iter().filter(|last| last.status.answered()) {
        let authentic = u8::from(last.authentic_data);
        family.row(view.text(last.name), each.tail(labels(last)), authentic)?;
    }
    Ok(())
}

fn write_agreement(
    view: &View<'_>,
    lookups: &[LastLookup<'_>],
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let mut family = Family::new(out, &names::RESOLVERS_AGREE);
    let asked_alike = |a: &LastLookup<'_>, b: &LastLookup<'_>| {
        a.rtype == b.rtype && view.text(a.name) == view.text(b.name)
    };
    for alike in lookups.chunk_by(asked_alike).filter(|alike| alike.len() > 1) {
        // What a resolver that is down does not say is no disagreement.
        let asked = alike.iter().map(|last| last.lookup);
        let asked = asked.filter(|lookup| !view.snapshot.is_down(&lookup.resolver));
        if let Some(agreed) = facts::agree(asked) {
            let first = alike[0].lookup;
            let labels = [("name", &*first.name), ("type", first.rtype.label())];
            family.sample("", &labels, u8::from(agreed))?;
        }
    }
    Ok(())
}

/// What was counted since start, over all names.
pub(in crate::metrics) fn write_counted(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let counted: Vec<_> = view
        .snapshot
        .lookups
        .iter()
        .map(|(key, counts)| {
            let labels = [("type", key.rtype.label()), ("resolver", key.resolver.as_ref())];
            (Block::new(labels), counts)
        })
        .collect();
    let mut family = Family::new(out, &names::DNS_LOOKUPS);
    for (labels, counts) in &counted {
        for (status, count) in &counts.by_status {
            family.sample(labels, &[("status", status.label())], *count)?;
        }
    }
    let mut family = Family::new(out, &names::DNS_LATE_ANSWERS);
    for (labels, counts) in &counted {
        family.sample(labels, &[], counts.late)?;
    }
    let mut family = Family::new(out, &names::DNS_LOOKUPS_SKIPPED);
    for (labels, counts) in &counted {
        family.sample(labels, &[], counts.skipped)?;
    }
    let mut family = Family::new(out, &names::DNS_TRUNCATED_ANSWERS);
    for (labels, counts) in &counted {
        family.sample(labels, &[], counts.truncated)?;
    }
    let mut family = Histograms::new(out, &names::DNS_QUERY_DURATION);
    let tails = Tails::new("");
    for (labels, counts) in &counted {
        family.add(labels, &tails, &counts.duration)?;
    }
    Ok(())
}
