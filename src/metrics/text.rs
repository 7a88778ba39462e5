//! The text format 0.0.4, written into chunks that are handed on as they fill.
//!
//! Knows nothing of mail. A family's HELP and TYPE are written before its first sample, so a
//! family without samples leaves no trace; that no sample comes twice is up to the caller.
//!
//! A scrape is a million lines: nothing is allocated for one, and what many have in common is rendered
//! once.

use super::{
    histogram::{BOUNDS, Histogram},
    labels::push_labels,
    names::{Kind, Metric},
    number::Number,
    sink::{CHUNK, Gone, Sink},
};

/// Room for a line beyond a full chunk; a longer one makes the chunk grow.
const SPARE: usize = 4 * 1024;

/// The text of a scrape on its way to a sink.
pub(super) struct Text<'s> {
    chunk: String,
    sink: &'s mut dyn Sink,
}

impl<'s> Text<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink) -> Self {
        Self { chunk: String::with_capacity(CHUNK + SPARE), sink }
    }

    /// Hands on what is left.
    pub(super) fn finish(mut self) -> Result<(), Gone> {
        self.sink.take(&mut self.chunk)
    }

    /// Ends a line with the value of its sample.
    fn end_with(&mut self, value: impl Number) -> Result<(), Gone> {
        value.push(&mut self.chunk);
        self.end_line()
    }

    /// Ends a line.
    fn end_line(&mut self) -> Result<(), Gone> {
        self.chunk.push('\n');
        if self.chunk.len() >= CHUNK {
            self.sink.take(&mut self.chunk)?;
            self.chunk.reserve(CHUNK + SPARE);
        }
        Ok(())
    }
}

/// Writes the samples of one family.
pub(super) struct Family<'t, 's> {
    text: &'t mut Text<'s>,
    metric: &'static Metric,
    /// What every line with labels begins with: `name{`, or `name{label="`.
    head: String,
    begun: bool,
}

impl<'t, 's> Family<'t, 's> {
    pub(super) fn new(text: &'t mut Text<'s>, metric: &'static Metric) -> Self {
        Self { text, metric, head: [metric.name, "{"].concat(), begun: false }
    }

    /// One whose rows all have this label first.
    pub(super) fn by(text: &'t mut Text<'s>, metric: &'static Metric, label: &str) -> Self {
        Self { text, metric, head: [metric.name, "{", label, "=\""].concat(), begun: false }
    }

    /// One sample with the rendered labels of a block, if there are any, and `more`; not of a family
    /// [`Self::by`] a label.
    pub(super) fn sample(
        &mut self,
        labels: &str,
        more: &[(&str, &str)],
        value: impl Number,
    ) -> Result<(), Gone> {
        debug_assert!(self.head.ends_with('{'), "{}", self.head);
        let chunk = self.begin_line()?;
        if labels.is_empty() && more.is_empty() {
            // Instead of the brace.
            chunk.pop();
            chunk.push(' ');
            return self.text.end_with(value);
        }
        chunk.push_str(labels);
        if !labels.is_empty() && !more.is_empty() {
            chunk.push(',');
        }
        push_labels(chunk, more.iter().copied());
        chunk.push_str("} ");
        self.text.end_with(value)
    }

    /// One row: the escaped value of its first label, and the other labels as [`Closed::tail`] has them.
    pub(super) fn row(&mut self, first: &str, tail: &str, value: impl Number) -> Result<(), Gone> {
        self.joined(&[first, tail], value)
    }

    /// The same with [`Closed::middle`] and other labels after it.
    pub(super) fn row_with(
        &mut self,
        first: &str,
        middle: &str,
        more: &[(&str, &str)],
        value: impl Number,
    ) -> Result<(), Gone> {
        let chunk = self.begin_line()?;
        chunk.push_str(first);
        chunk.push_str(middle);
        chunk.push(',');
        push_labels(chunk, more.iter().copied());
        chunk.push_str("} ");
        self.text.end_with(value)
    }

    /// One row with what was rendered of its labels, piece by piece in their order up to its value.
    pub(super) fn joined(&mut self, pieces: &[&str], value: impl Number) -> Result<(), Gone> {
        let chunk = self.begin_line()?;
        for piece in pieces {
            chunk.push_str(piece);
        }
        self.text.end_with(value)
    }

    /// Begins the line of a sample with labels.
    fn begin_line(&mut self) -> Result<&mut String, Gone> {
        debug_assert!(self.metric.kind != Kind::Histogram, "{}", self.metric.name);
        self.begin()?;
        let chunk = &mut self.text.chunk;
        chunk.push_str(&self.head);
        Ok(chunk)
    }

    fn begin(&mut self) -> Result<(), Gone> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let Metric { name, kind, help, .. } = self.metric;
        for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind.word()] {
            self.text.chunk.push_str(part);
        }
        self.text.end_line()
    }
}

/// Writes the series of one family of histograms.
pub(super) struct Histograms<'t, 's> {
    family: Family<'t, 's>,
    /// What the lines of the series begin with, as in [`Family`].
    bucket: String,
    sum: String,
    count: String,
}

/// What follows in the series of a histogram on what tells it from others.
pub(super) struct Tails {
    /// In each bucket, `+Inf` last.
    buckets: [String; BOUNDS.len() + 1],
    /// In its sum and count.
    end: String,
}

impl Tails {
    /// After these rendered labels, if there are any; for [`Histograms::by`] they begin with the quote that
    /// ends the value before.
    pub(super) fn new(labels: &str) -> Self {
        let buckets = std::array::from_fn(|index| match BOUNDS.get(index) {
            Some(bound) => format!("{labels},le=\"{bound}\"}} "),
            None => format!("{labels},le=\"+Inf\"}} "),
        });
        Self { buckets, end: format!("{labels}}} ") }
    }
}

impl<'t, 's> Histograms<'t, 's> {
    /// Of histograms with rendered labels.
    pub(super) fn new(text: &'t mut Text<'s>, metric: &'static Metric) -> Self {
        Self::beginning(text, metric, "{")
    }

    /// Of rows that all have this label first.
    pub(super) fn by(text: &'t mut Text<'s>, metric: &'static Metric, label: &str) -> Self {
        Self::beginning(text, metric, &["{", label, "=\""].concat())
    }

    fn beginning(text: &'t mut Text<'s>, metric: &'static Metric, labels: &str) -> Self {
        debug_assert!(metric.kind == Kind::Histogram, "{}", metric.name);
        let head = |suffix| [metric.name, suffix, labels].concat();
        let (bucket, sum, count) = (head("_bucket"), head("_sum"), head("_count"));
        Self { family: Family::new(text, metric), bucket, sum, count }
    }

    /// The series of one histogram: buckets cumulative, `+Inf` last, then sum and count. `first` are its
    /// rendered labels, or the escaped value of the first.
    pub(super) fn add<C: Copy + Into<u64>>(
        &mut self,
        first: &str,
        tails: &Tails,
        histogram: &Histogram<C>,
    ) -> Result<(), Gone> {
        self.family.begin()?;
        let text = &mut *self.family.text;
        let mut total: u64 = 0;
        for (count, tail) in histogram.counts.iter().zip(&tails.buckets) {
            total += (*count).into();
            series(text, &self.bucket, first, tail, total)?;
        }
        series(text, &self.sum, first, &tails.end, histogram.sum())?;
        series(text, &self.count, first, &tails.end, total)
    }
}

fn series(
    text: &mut Text<'_>,
    head: &str,
    first: &str,
    tail: &str,
    value: impl Number,
) -> Result<(), Gone> {
    text.chunk.push_str(head);
    text.chunk.push_str(first);
    text.chunk.push_str(tail);
    text.end_with(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::{
        labels::{ALONE, Block, Closed},
        names,
    };

    fn written(write: impl FnOnce(&mut Text<'_>) -> Result<(), Gone>) -> String {
        let mut out = String::new();
        let mut text = Text::new(&mut out);
        write(&mut text).and_then(|()| text.finish()).unwrap();
        out
    }

    #[test]
    fn label_values_are_escaped() {
        let block = Block::new([("domain", "a\\b\"c\nd")]);
        let out = written(|text| {
            let mut family = Family::new(text, &names::DOMAIN_EXCHANGERS);
            family.sample(&block, &[("resolver", "\"")], 2u8)
        });
        let sample = "mx_domain_exchangers{domain=\"a\\\\b\\\"c\\nd\",resolver=\"\\\"\"} 2\n";
        assert!(out.ends_with(sample), "{out}");
        assert_eq!(out.lines().count(), 3, "{out}");
    }

    #[test]
    fn rows_are_samples_by_their_first_label() {
        let mut known = Closed::new(["resolver", "status"]);
        let out = written(|text| {
            let mut family = Family::by(text, &names::DOMAIN_EXCHANGERS, "domain");
            family.row("one", known.tail(["a", "ok"]), 1)?;
            family.row("two", known.tail(["a", "ok"]), 2)?;
            family.row("three", ALONE, 3)?;
            family.row_with("four", known.middle(["b\"", "ok"]), &[("mx", "\n")], 4)
        });
        let want = "mx_domain_exchangers{domain=\"one\",resolver=\"a\",status=\"ok\"} 1\n\
                    mx_domain_exchangers{domain=\"two\",resolver=\"a\",status=\"ok\"} 2\n\
                    mx_domain_exchangers{domain=\"three\"} 3\n\
                    mx_domain_exchangers{domain=\"four\",resolver=\"b\\\"\",status=\"ok\",mx=\"\\n\"} 4\n";
        assert!(out.ends_with(want), "{out}");
    }

    #[test]
    fn histograms_are_cumulative_and_end_with_inf() {
        let mut histogram: Histogram = Histogram::default();
        for millis in [5, 5, 1500, 400_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let out = written(|text| {
            let mut family = Histograms::by(text, &names::CONNECT_DURATION, "mx");
            family.add("a.example", &Tails::new("\""), &histogram)
        });
        let values: Vec<&str> = out.lines().skip(2).filter_map(|l| l.split(' ').nth(1)).collect();
        assert_eq!(values, ["2", "2", "2", "3", "3", "3", "3", "4", "401.51", "4"], "{out}");
        assert!(out.contains("_bucket{mx=\"a.example\",le=\"0.01\"} 2\n"), "{out}");
        assert!(out.contains("_bucket{mx=\"a.example\",le=\"+Inf\"} 4\n"), "{out}");
    }

    #[test]
    fn a_family_without_samples_is_not_written() {
        let out = written(|text| {
            let _ = Family::new(text, &names::ROUTE);
            Ok(())
        });
        assert_eq!(out, "");
    }
}
