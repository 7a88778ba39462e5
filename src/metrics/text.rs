//! The text format 0.0.4, written straight into one string.
//!
//! Knows nothing of mail. A family's HELP and TYPE are written before its first sample, so a
//! family without samples leaves no trace; that no sample comes twice is up to the caller.

use std::fmt::{Display, Write};

use super::{
    histogram::{BOUNDS, Histogram},
    names::{Kind, Metric},
};

/// Labels of a sample, escaped once and used for many: `a="1",b="2"`.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Block(String);

impl Block {
    pub(super) fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        for (name, value) in labels {
            push_label(&mut text, name, value);
        }
        Self(text)
    }

    pub(super) fn and(&self, name: &str, value: &str) -> Self {
        let mut text = self.0.clone();
        push_label(&mut text, name, value);
        Self(text)
    }
}

/// Writes the samples of one family.
pub(super) struct Family<'a> {
    out: &'a mut String,
    metric: &'static Metric,
    begun: bool,
}

impl<'a> Family<'a> {
    pub(super) fn new(out: &'a mut String, metric: &'static Metric) -> Self {
        Self { out, metric, begun: false }
    }

    /// One sample with the labels of `block` and `more`.
    pub(super) fn sample(&mut self, block: &Block, more: &[(&str, &str)], value: impl Display) {
        debug_assert!(self.metric.kind != Kind::Histogram, "{}", self.metric.name);
        self.begin();
        self.series("", block, more, value);
    }

    /// The series of one histogram: buckets cumulative, `+Inf` last, then sum and count.
    pub(super) fn histogram(&mut self, block: &Block, histogram: &Histogram) {
        debug_assert!(self.metric.kind == Kind::Histogram, "{}", self.metric.name);
        self.begin();
        let mut total = 0;
        for (index, count) in histogram.counts.iter().enumerate() {
            total += count;
            let bound = BOUNDS.get(index).map_or("+Inf".to_owned(), f64::to_string);
            self.series("_bucket", block, &[("le", &bound)], total);
        }
        self.series("_sum", block, &[], histogram.sum);
        self.series("_count", block, &[], total);
    }

    fn begin(&mut self) {
        if self.begun {
            return;
        }
        self.begun = true;
        let Metric { name, kind, help, .. } = self.metric;
        push(self.out, format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.word()));
    }

    fn series(&mut self, suffix: &str, block: &Block, more: &[(&str, &str)], value: impl Display) {
        self.out.push_str(self.metric.name);
        self.out.push_str(suffix);
        if !block.0.is_empty() || !more.is_empty() {
            self.out.push('{');
            self.out.push_str(&block.0);
            let mut separator = if block.0.is_empty() { "" } else { "," };
            for (name, value) in more {
                self.out.push_str(separator);
                separator = ",";
                push_pair(self.out, name, value);
            }
            self.out.push('}');
        }
        // Rust writes floats in the shortest form that reads back, and never with an exponent.
        push(self.out, format_args!(" {value}\n"));
    }
}

fn push_label(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    push_pair(out, name, value);
}

fn push_pair(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::names;

    #[test]
    fn label_values_are_escaped() {
        let mut out = String::new();
        let block = Block::new([("domain", "a\\b\"c\nd")]);
        Family::new(&mut out, &names::DOMAIN_EXCHANGERS).sample(&block, &[("resolver", "\"")], 2);
        let sample = "mx_domain_exchangers{domain=\"a\\\\b\\\"c\\nd\",resolver=\"\\\"\"} 2\n";
        assert!(out.ends_with(sample), "{out}");
        assert_eq!(out.lines().count(), 3, "{out}");
    }

    #[test]
    fn histograms_are_cumulative_and_end_with_inf() {
        let mut histogram = Histogram::default();
        for millis in [5, 5, 1500, 400_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let mut out = String::new();
        Family::new(&mut out, &names::CONNECT_DURATION)
            .histogram(&Block::new([("mx", "a.example")]), &histogram);
        let values: Vec<&str> = out.lines().skip(2).filter_map(|l| l.split(' ').nth(1)).collect();
        assert_eq!(values, ["2", "2", "2", "3", "3", "3", "3", "4", "401.51", "4"], "{out}");
        assert!(out.contains("_bucket{mx=\"a.example\",le=\"0.01\"} 2\n"), "{out}");
        assert!(out.contains("_bucket{mx=\"a.example\",le=\"+Inf\"} 4\n"), "{out}");
    }

    #[test]
    fn a_family_without_samples_is_not_written() {
        let mut out = String::new();
        let _ = Family::new(&mut out, &names::ROUTE);
        assert_eq!(out, "");
    }
}
