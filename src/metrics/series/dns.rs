//! Families about DNS lookups.

use crate::{
    config::Detail,
    facts::{self, RecordType},
    metrics::{
        labelled::Labelled,
        lookups::LastLookup,
        names,
        sink::Gone,
        text::{Block, Closed, Family, Histograms, Text},
        view::View,
    },
};

/// The last result per name, type and resolver.
pub(in crate::metrics) fn write_last(
    view: &View<'_>,
    lookups: &Labelled<LastLookup<'_>>,
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let mut family = Family::new(out, &names::DNS_LOOKUP_SUCCESS);
    for (labels, last) in lookups.iter() {
        family.sample(labels, &[], u8::from(last.status.answered()))?;
    }
    let mut family = Family::new(out, &names::DNS_LOOKUP_STATUS);
    let mut status = Closed::new(["status"]);
    for (labels, last) in lookups.iter() {
        family.sample_of(labels, &mut status, [last.status.label()], 1)?;
    }
    let mut family = Family::new(out, &names::DNS_LOOKUP_DURATION);
    for (labels, last) in lookups.iter() {
        family.sample(labels, &[], last.took)?;
    }
    write_agreement(view, lookups.rows(), out)?;
    if detail == Detail::Lean {
        return Ok(());
    }
    let mut family = Family::new(out, &names::DNS_LOOKUP_ANSWERS);
    // The size of an MX set stands in a series of its own.
    for (labels, last) in lookups.iter().filter(|(_, last)| last.rtype != RecordType::Mx) {
        if let Some(answers) = last.answers {
            family.sample(labels, &[], answers)?;
        }
    }
    let mut family = Family::new(out, &names::DNS_LOOKUP_TTL);
    for (labels, last) in lookups.iter() {
        if let Some(ttl) = last.ttl {
            family.sample(labels, &[], ttl)?;
        }
    }
    let mut family = Family::new(out, &names::DNS_LOOKUP_AUTHENTIC_DATA);
    for (labels, last) in lookups.iter().filter(|(_, last)| last.status.answered()) {
        family.sample(labels, &[], u8::from(last.authentic_data))?;
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
        a.rtype == b.rtype && a.lookup.name == b.lookup.name
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
    for (labels, counts) in &counted {
        family.add(labels, &counts.duration)?;
    }
    Ok(())
}
