//! Families about DNS lookups.

use crate::{
    config::Detail,
    facts::{self, Exchange, Lookup, RecordType},
    metrics::{
        names,
        text::{Block, Family},
        view::View,
    },
};

/// The last result per name, type and resolver.
pub(in crate::metrics) fn write_last(view: &View<'_>, detail: Detail, out: &mut String) {
    let mut family = Family::new(out, &names::DNS_LOOKUP_SUCCESS);
    for (labels, lookup) in &view.lookups {
        family.sample(labels, &[], u8::from(lookup.status().answered()));
    }
    let mut family = Family::new(out, &names::DNS_LOOKUP_STATUS);
    for (labels, lookup) in &view.lookups {
        family.sample(labels, &[("status", lookup.status().label())], 1);
    }
    let mut family = Family::new(out, &names::DNS_LOOKUP_DURATION);
    for (labels, lookup) in &view.lookups {
        family.sample(labels, &[], lookup.took().as_secs_f64());
    }
    write_agreement(view, out);
    if detail == Detail::Lean {
        return;
    }
    let answer = |exchange: &&Exchange| exchange.status.answered();
    let mut family = Family::new(out, &names::DNS_LOOKUP_ANSWERS);
    // The size of an MX set stands in a series of its own.
    for (labels, lookup) in view.lookups.iter().filter(|(_, l)| l.rtype != RecordType::Mx) {
        if let Some(exchange) = lookup.deciding().filter(answer) {
            family.sample(labels, &[], exchange.answers);
        }
    }
    let mut family = Family::new(out, &names::DNS_LOOKUP_TTL);
    for (labels, lookup) in &view.lookups {
        if let Some(ttl) = lookup.deciding().filter(answer).and_then(|e| e.ttl) {
            family.sample(labels, &[], ttl);
        }
    }
    let mut family = Family::new(out, &names::DNS_LOOKUP_AUTHENTIC_DATA);
    for (labels, lookup) in view.lookups.iter().filter(|(_, l)| l.status().answered()) {
        family.sample(labels, &[], u8::from(lookup.authentic_data()));
    }
}

fn write_agreement(view: &View<'_>, out: &mut String) {
    let mut family = Family::new(out, &names::RESOLVERS_AGREE);
    let asked_alike = |(_, a): &(Block, &Lookup), (_, b): &(Block, &Lookup)| {
        (&a.name, a.rtype) == (&b.name, b.rtype)
    };
    for alike in view.lookups.chunk_by(asked_alike).filter(|alike| alike.len() > 1) {
        // What a resolver that is down does not say is no disagreement.
        let asked = alike.iter().map(|(_, lookup)| *lookup);
        let asked = asked.filter(|lookup| !view.snapshot.is_down(&lookup.resolver));
        if let Some(agreed) = facts::agree(asked) {
            let first = alike[0].1;
            let labels = [("name", &*first.name), ("type", first.rtype.label())];
            family.sample(&Block::new(labels), &[], u8::from(agreed));
        }
    }
}

/// What was counted since start, over all names.
pub(in crate::metrics) fn write_counted(view: &View<'_>, out: &mut String) {
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
            family.sample(labels, &[("status", status.label())], count);
        }
    }
    let mut family = Family::new(out, &names::DNS_LATE_ANSWERS);
    for (labels, counts) in &counted {
        family.sample(labels, &[], counts.late);
    }
    let mut family = Family::new(out, &names::DNS_LOOKUPS_SKIPPED);
    for (labels, counts) in &counted {
        family.sample(labels, &[], counts.skipped);
    }
    let mut family = Family::new(out, &names::DNS_TRUNCATED_ANSWERS);
    for (labels, counts) in &counted {
        family.sample(labels, &[], counts.truncated);
    }
    let mut family = Family::new(out, &names::DNS_QUERY_DURATION);
    for (labels, counts) in &counted {
        family.histogram(labels, &counts.duration);
    }
}
