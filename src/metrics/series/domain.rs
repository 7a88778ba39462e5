//! Families about destinations: their routes, findings and labels.

use std::collections::{BTreeMap, BTreeSet};

use super::unix_seconds;
use crate::{
    agent::state::DestinationRound,
    facts::{self, MxLookup, Route},
    metrics::{
        names,
        text::{Block, Family},
        view::{Domain, View},
    },
    name::Exchanger,
};

/// Routes, labels, sizes and findings.
pub(in crate::metrics) fn write(view: &View<'_>, out: &mut String) {
    write_routes(view, out);
    let mut family = Family::new(out, &names::DESTINATION_INFO);
    for domain in &view.domains {
        let labels = user_labels(&domain.report.settings.labels);
        let own = domain.labels.and("resolver", domain.report.primary_resolver());
        let labels = labels.iter().fold(own, |all, (n, v)| all.and(n, v));
        family.sample(&labels, &[], 1);
    }
    let mut family = Family::new(out, &names::DOMAIN_EXCHANGERS);
    for (domain, resolver, route) in mx_sets(view) {
        if !matches!(route, Route::Unknown) {
            family.sample(&domain.labels, &[("resolver", resolver)], route.targets().len());
        }
    }
    let mut family = Family::new(out, &names::DOMAIN_FINDING);
    for (domain, resolver, route) in mx_sets(view) {
        if view.snapshot.is_down(resolver) {
            continue;
        }
        let policy = domain.report.policies.as_deref().map(|policies| &policies.mta_sts);
        let findings =
            facts::of_route(route, policy, |name| view.targets.get(&(name, resolver)).copied());
        for finding in findings.into_iter().take(MOST_FINDINGS) {
            let more = [("resolver", resolver), ("finding", finding.label())];
            family.sample(&domain.labels, &more, 1);
        }
    }
}

/// Findings of one MX set that have a series, the gravest: a stranger's zone may bring about all of
/// them, and a domain has no more than 40 series.
const MOST_FINDINGS: usize = 2;

/// When each domain and exchanger was last probed.
pub(in crate::metrics) fn write_timestamps(view: &View<'_>, out: &mut String) {
    let domains = view
        .domains
        .iter()
        .filter_map(|domain| Some(("domain", domain.name.as_str(), domain.round()?.observed_at)));
    let exchangers = view.exchangers.iter().filter_map(|exchanger| {
        Some(("exchanger", exchanger.name.as_str(), exchanger.report.completed_at?))
    });
    let mut family = Family::new(out, &names::PROBE_TIMESTAMP);
    for (kind, name, at) in domains.chain(exchangers) {
        family.sample(&Block::default(), &[("kind", kind), ("name", name)], unix_seconds(at));
    }
}

fn write_routes(view: &View<'_>, out: &mut String) {
    let mut family = Family::new(out, &names::ROUTE);
    for domain in &view.domains {
        let Some(round) = domain.round() else { continue };
        for (mx, preference, provider) in hops(round, view.snapshot.mx_port) {
            let preference = preference.to_string();
            for address_family in facts::Family::ALL {
                let more = [
                    ("mx", mx.as_str()),
                    ("family", address_family.label()),
                    ("preference", preference.as_str()),
                    ("provider", provider.as_str()),
                ];
                family.sample(&domain.labels, &more, 1);
            }
        }
    }
}

/// The exchangers on a route, each once at its best preference: a second sample would break
/// joins, which allow one route per domain and exchanger.
fn hops(round: &DestinationRound, mx_port: u16) -> Vec<(String, u16, String)> {
    let mut seen = BTreeSet::new();
    let hop =
        |(preference, mx): &(u16, Exchanger)| (mx.label(mx_port), *preference, mx.host.provider());
    let mut hops: Vec<_> = round.route.iter().map(hop).collect();
    hops.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    hops.retain(|(mx, _, _)| seen.insert(mx.clone()));
    hops
}

/// The MX set of each domain through each resolver, of two alike the first.
fn mx_sets<'a>(view: &'a View<'a>) -> impl Iterator<Item = (&'a Domain<'a>, &'a str, &'a Route)> {
    view.domains.iter().flat_map(|domain| {
        let lookups: &[MxLookup] = domain.round().map_or(&[], |round| &round.mx);
        let mut seen = BTreeSet::new();
        lookups.iter().filter_map(move |mx| {
            let resolver = mx.lookup.resolver.as_ref();
            seen.insert(resolver).then_some((domain, resolver, &mx.route))
        })
    })
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
