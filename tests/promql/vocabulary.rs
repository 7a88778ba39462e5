//! The series there are and their labels: those of the catalogue, of the recording rules, and those
//! that Prometheus and the process collector add.

use std::collections::{BTreeMap, BTreeSet};

use mxwatch::metrics::names::{CATALOGUE, Kind};

use super::{Labels, labels_of};

/// What every scraped series has besides its own labels.
const TARGET: [&str; 2] = ["job", "instance"];

/// Labels whose values are closed sets; README.md tells all of them.
const CLOSED: [&str; 14] = [
    "bound", "class", "family", "finding", "kind", "mode", "mta_sts", "outcome", "policy",
    "reason", "stage", "status", "tls_rpt", "type",
];

/// Names, labels and values.
pub(crate) struct Vocabulary {
    series: BTreeMap<String, Labels>,
    /// Whatever README.md sets in backticks.
    words: BTreeSet<String>,
}

impl Vocabulary {
    /// What the agent and Prometheus itself give.
    pub(crate) fn of_the_agent(readme: &str) -> Self {
        let mut series = BTreeMap::new();
        let mut add = |name: String, labels: &[&str]| {
            let labels = labels.iter().chain(&TARGET).map(|&label| label.to_owned()).collect();
            series.insert(name, labels);
        };
        for metric in CATALOGUE {
            if metric.kind == Kind::Histogram {
                let of_bucket: Vec<&str> = metric.labels.iter().copied().chain(["le"]).collect();
                add(format!("{}_bucket", metric.name), &of_bucket);
                add(format!("{}_sum", metric.name), metric.labels);
                add(format!("{}_count", metric.name), metric.labels);
            } else {
                add(metric.name.to_owned(), metric.labels);
            }
        }
        for name in [
            "up",
            "scrape_duration_seconds",
            "scrape_samples_scraped",
            "process_cpu_seconds_total",
            "process_max_fds",
            "process_open_fds",
            "process_resident_memory_bytes",
            "process_start_time_seconds",
        ] {
            add(name.to_owned(), &[]);
        }
        // The families and record types stand in prose there.
        let words = readme.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
        let prose = ["ipv4", "ipv6", "MX", "A", "AAAA", "best", "worst", "domain", "exchanger"];
        let words = words.chain(prose).map(str::to_owned).collect();
        Self { series, words }
    }

    /// Adds what a rule records or what alerts become.
    pub(crate) fn add(&mut self, name: &str, labels: Labels) {
        self.series.entry(name.to_owned()).or_default().extend(labels);
    }

    /// Adds a recording rule, whose query is read for it.
    pub(crate) fn record(&mut self, name: &str, query: &str, labels: &BTreeMap<String, String>) {
        // A rule may go on from what it recorded before; the level of its name says by which labels.
        let before = self.series.remove(name);
        let level = name.split(':').next().unwrap_or_default().split('_');
        self.add(name, level.chain(TARGET).map(str::to_owned).collect());
        let mut all = labels_of(query, self);
        all.extend(labels.keys().cloned());
        all.extend(before.into_iter().flatten());
        self.series.insert(name.to_owned(), all);
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, name: &str) -> Option<Labels> {
        self.series.get(name).cloned()
    }

    /// Whether a label may have this value, in which `.*` and `.+` stand for anything.
    pub(super) fn has_value(&self, label: &str, value: &str) -> bool {
        if !CLOSED.contains(&label) || ["", ".*", ".+"].contains(&value) {
            return true;
        }
        match value.split_once(".*").or_else(|| value.split_once(".+")) {
            None => self.words.contains(value),
            Some((begin, end)) => {
                self.words.iter().any(|word| word.starts_with(begin) && word.ends_with(end))
            }
        }
    }
}
