//! Families about how this host looks to receivers.

use crate::{
    facts::{FamilyVantage, Way},
    metrics::{
        labels::Block,
        names::{self, Metric},
        sink::Gone,
        text::{Family, Text},
        view::View,
    },
};

/// What is known of a family.
type Known = fn(&FamilyVantage) -> Option<bool>;

pub(in crate::metrics) fn write(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let Some(vantage) = view.snapshot.vantage.as_deref() else { return Ok(()) };
    let sides = vantage.families.each_ref();
    let sides = sides.map(|side| (Block::new([("family", side.family.label())]), side));
    let mut family = Family::new(out, &names::VANTAGE_ROUTE);
    for (labels, side) in &sides {
        family.sample(labels, &[], u8::from(side.way == Way::Open))?;
    }
    let mut family = Family::new(out, &names::VANTAGE_SOURCE);
    for (labels, side) in &sides {
        let shown = |ip: Option<std::net::IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
        let (source, seen_as) = (shown(side.source), shown(side.seen_as));
        if side.source.or(side.seen_as).is_some() {
            family.sample(labels, &[("source", &source), ("seen_as", &seen_as)], 1)?;
        }
    }
    let known: [(&Metric, Known); 3] = [
        (&names::VANTAGE_HELO_RESOLVES, |side| side.forward),
        (&names::VANTAGE_REVERSE_MATCHES, |side| side.reverse),
        (&names::VANTAGE_REVERSE_CONFIRMED, |side| side.confirmed),
    ];
    for (metric, of) in known {
        let mut family = Family::new(out, metric);
        for (labels, side) in &sides {
            if let Some(known) = of(side) {
                family.sample(labels, &[], u8::from(known))?;
            }
        }
    }
    Ok(())
}
