//! Families about destinations: their routes, findings and labels.

use std::{borrow::Cow, collections::BTreeMap};

use smallvec::SmallVec;

use crate::{
    facts::{self, DomainFinding, MxLookup, Route},
    metrics::{
        labels::{ALONE, Closed, push_escaped, push_labels},
        names,
        sink::Gone,
        text::{Family, Text},
        texts::Place,
        view::{Domain, View},
    },
    name::Exchanger,
};

/// Routes, labels, sizes and findings.
pub(in crate::metrics) fn write(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let sets = write_routes(view, out)?;
    let mut by_resolver = Closed::new(["resolver"]);
    let mut family = Family::by(out, &names::DESTINATION_INFO, "domain");
    for domain in &view.domains {
        let (text, resolver) = (view.text(domain.text), domain.primary_resolver);
        let labels = user_labels(&domain.report.settings.labels);
        if labels.is_empty() {
            family.row(text, by_resolver.tail([resolver]), 1)?;
        } else {
            let labels: Vec<_> = labels.iter().map(|(name, value)| (&**name, *value)).collect();
            family.row_with(text, by_resolver.middle([resolver]), &labels, 1)?;
        }
    }
    let mut family = Family::by(out, &names::DOMAIN_EXCHANGERS, "domain");
    for set in &sets {
        if let Some(targets) = set.targets {
            family.row(view.text(set.domain), by_resolver.tail([set.resolver]), targets)?;
        }
    }
    let mut family = Family::by(out, &names::DOMAIN_FINDING, "domain");
    let mut found = Closed::new(["resolver", "finding"]);
    for set in &sets {
        for finding in &set.findings {
            let tail = found.tail([set.resolver, finding.label()]);
            family.row(view.text(set.domain), tail, 1)?;
        }
    }
    Ok(())
}

/// What the series tell of the MX set of a domain through one resolver.
struct MxSet<'a> {
    domain: Place,
    resolver: &'a str,
    /// How many exchangers it has, where that is known.
    targets: Option<usize>,
    findings: SmallVec<[DomainFinding; MOST_FINDINGS]>,
}

/// Findings of one MX set that have a series, the gravest: a stranger's zone may bring about all of
/// them, and a domain has no more than 40 series.
const MOST_FINDINGS: usize = 2;

/// When each domain and exchanger was last probed.
pub(in crate::metrics) fn write_timestamps(
    view: &View<'_>,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let domains =
        view.domains.iter().filter_map(|domain| Some((DOMAIN, domain.text, domain.observed_at?)));
    let exchangers = view
        .exchangers
        .iter()
        .filter_map(|exchanger| Some((EXCHANGER, exchanger.text, exchanger.completed_at?)));
    let mut family = Family::by(out, &names::PROBE_TIMESTAMP, "kind");
    for (kind, name, at) in domains.chain(exchangers) {
        family.joined(&[kind, view.text(name), ALONE], at)?;
    }
    Ok(())
}

/// Each kind of thing up to its name.
const DOMAIN: &str = "domain\",name=\"";
const EXCHANGER: &str = "exchanger\",name=\"";

/// Writes the routes, and gathers the MX sets on the way: both look at the names of all exchangers.
fn write_routes<'a>(view: &View<'a>, out: &mut Text<'_>) -> Result<Vec<MxSet<'a>>, Gone> {
    let mut sets = Vec::with_capacity(view.domains.len());
    let mut family = Family::by(out, &names::ROUTE, "domain");
    let mut hops = Vec::new();
    let families = facts::Family::ALL.map(|of| format!("\",family=\"{}\",", of.label()));
    let (mut mx_label, mut after) = (String::new(), String::new());
    for domain in &view.domains {
        let Some(round) = domain.round else { continue };
        hops.clear();
        hops.extend(round.route.iter().map(|(preference, mx)| (*preference, view.label(mx), mx)));
        distinct(&mut hops);
        for (preference, mx, exchanger) in &hops {
            let (mut digits, provider) = (itoa::Buffer::new(), exchanger.host.provider());
            let preference = digits.format(*preference);
            mx_label.clear();
            push_escaped(&mut mx_label, mx);
            after.clear();
            push_labels(&mut after, [("preference", preference), ("provider", &provider)]);
            for of in &families {
                let domain = view.text(domain.text);
                family.joined(&[domain, "\",mx=\"", &mx_label, of, &after, "} "], 1)?;
            }
        }
        sets.extend(mx_sets(view, domain, &round.mx));
    }
    Ok(sets)
}

/// Leaves each exchanger of a route once, at its best preference, the best first: a second sample
/// would break joins, which allow one route per domain and exchanger.
fn distinct(hops: &mut Vec<(u16, Cow<'_, str>, &Exchanger)>) {
    hops.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut place = 0;
    while place < hops.len() {
        let (before, rest) = hops.split_at(place);
        if before.iter().any(|(_, mx, _)| *mx == rest[0].1) {
            hops.remove(place);
        } else {
            place += 1;
        }
    }
}

/// The MX set of a domain through each resolver, of two alike the first.
fn mx_sets<'a>(
    view: &View<'a>,
    domain: &Domain<'a>,
    lookups: &'a [MxLookup],
) -> impl Iterator<Item = MxSet<'a>> {
    lookups.iter().enumerate().filter_map(|(place, mx)| {
        let resolver = &*mx.lookup.resolver;
        let first = lookups[..place].iter().all(|other| *other.lookup.resolver != *resolver);
        first.then(|| MxSet {
            domain: domain.text,
            resolver,
            targets: (mx.route != Route::Unknown).then(|| mx.route.targets().len()),
            findings: findings(view, domain, resolver, &mx.route),
        })
    })
}

/// The gravest findings of an MX set; none where the resolver is down, which says nothing of the domain.
fn findings(
    view: &View<'_>,
    domain: &Domain<'_>,
    resolver: &str,
    route: &Route,
) -> SmallVec<[DomainFinding; MOST_FINDINGS]> {
    if view.snapshot.is_down(resolver) {
        return SmallVec::new();
    }
    let policy = domain.report.policies.as_deref().map(|policies| &policies.mta_sts);
    let target = |name: &_| view.targets.get(&(name, resolver)).copied();
    facts::of_route(route, policy, target).into_iter().take(MOST_FINDINGS).collect()
}

/// The user's labels as valid, distinct label names, by the rules Prometheus itself applies to
/// discovered targets: odd characters become `_`, `__…` is internal and dropped, and a name that
/// is taken gets `exported_` put before it.
fn user_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, &str> {
    let mut valid = BTreeMap::new();
    for (name, value) in labels.iter().filter(|(name, _)| !name.starts_with("__")) {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mut name: String = name.chars().map(plain).collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name.insert_str(0, "label_");
        }
        while ["domain", "resolver"].contains(&name.as_str()) || valid.contains_key(&name) {
            name.insert_str(0, "exported_");
        }
        valid.insert(name, value.as_str());
    }
    valid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_labels_become_valid_and_distinct() {
        let given = [
            ("__meta_x", "dropped"),
            ("a-b", "1"),
            ("a_b", "2"),
            ("domain", "3"),
            ("resolver", "7"),
            ("1st", "4"),
            ("ü", "5"),
            ("", "6"),
        ];
        let given = given.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        let got = user_labels(&given);
        let got: Vec<_> = got.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        let want = [
            ("a_b", "1"),
            ("exported_a_b", "2"),
            ("exported_domain", "3"),
            ("exported_resolver", "7"),
            ("label_", "6"),
            ("label_1st", "4"),
            ("label__", "5"),
        ];
        assert_eq!(got, want);
    }
}
