//! The text format 0.0.4, written into chunks that are handed on as they fill.
//!
//! Knows nothing of mail. A family's HELP and TYPE are written before its first sample, so a
//! family without samples leaves no trace; that no sample comes twice is up to the caller.
//!
//! A scrape is a million lines: nothing is allocated for one, and what many have in common is rendered
//! once.

use std::{ops::Deref, ptr};

use super::{
    histogram::{BOUNDS, Histogram},
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

/// Labels of a sample, escaped once and used for many: `a="1",b="2"`.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Block(String);

impl Block {
    pub(super) fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        push_labels(&mut text, labels);
        Self(text)
    }
}

impl Deref for Block {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Labels of closed sets that follow others, each combination rendered once: `,a="1",b="2"} `.
pub(super) struct Closed<const N: usize> {
    names: [&'static str; N],
    known: Vec<([&'static str; N], String)>,
}

impl<const N: usize> Closed<N> {
    pub(super) const fn new(names: [&'static str; N]) -> Self {
        Self { names, known: Vec::new() }
    }

    fn rendered(&mut self, values: [&'static str; N]) -> &str {
        // Words of closed sets are constants: mostly they need not be read to be told apart.
        let same = |known: &[&'static str; N]| {
            known.iter().zip(&values).all(|(known, value)| ptr::eq(*known, *value))
        };
        let place = self.known.iter().position(|(known, _)| same(known));
        let place = place.unwrap_or_else(|| {
            let mut text = String::from(",");
            push_labels(&mut text, self.names.into_iter().zip(values));
            text.push_str("} ");
            self.known.push((values, text));
            self.known.len() - 1
        });
        &self.known[place].1
    }
}

/// Writes the samples of one family.
pub(super) struct Family<'t, 's> {
    text: &'t mut Text<'s>,
    metric: &'static Metric,
    /// What a line with labels begins with: `name{`.
    head: String,
    begun: bool,
}

impl<'t, 's> Family<'t, 's> {
    pub(super) fn new(text: &'t mut Text<'s>, metric: &'static Metric) -> Self {
        Self { text, metric, head: [metric.name, "{"].concat(), begun: false }
    }

    /// One sample with the rendered labels of a block, if there are any, and `more`.
    pub(super) fn sample(
        &mut self,
        labels: &str,
        more: &[(&str, &str)],
        value: impl Number,
    ) -> Result<(), Gone> {
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

    /// One sample with what was rendered of its labels, piece by piece in their order.
    pub(super) fn joined(&mut self, pieces: &[&str], value: impl Number) -> Result<(), Gone> {
        let chunk = self.begin_line()?;
        for piece in pieces {
            chunk.push_str(piece);
        }
        chunk.push_str("} ");
        self.text.end_with(value)
    }

    /// One sample with the rendered labels of a block, which has some, and others of a closed set.
    pub(super) fn sample_of<const N: usize>(
        &mut self,
        labels: &str,
        closed: &mut Closed<N>,
        values: [&'static str; N],
        value: impl Number,
    ) -> Result<(), Gone> {
        let chunk = self.begin_line()?;
        chunk.push_str(labels);
        chunk.push_str(closed.rendered(values));
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
    /// The names of the series, each up to its labels.
    bucket: String,
    sum: String,
    count: String,
    /// What follows other labels in each bucket, `+Inf` last.
    bounds: [String; BOUNDS.len() + 1],
}

impl<'t, 's> Histograms<'t, 's> {
    pub(super) fn new(text: &'t mut Text<'s>, metric: &'static Metric) -> Self {
        debug_assert!(metric.kind == Kind::Histogram, "{}", metric.name);
        let head = |suffix| [metric.name, suffix, "{"].concat();
        let bounds = std::array::from_fn(|index| match BOUNDS.get(index) {
            Some(bound) => format!(",le=\"{bound}\"}} "),
            None => ",le=\"+Inf\"} ".to_owned(),
        });
        let (bucket, sum, count) = (head("_bucket"), head("_sum"), head("_count"));
        Self { family: Family::new(text, metric), bucket, sum, count, bounds }
    }

    /// The series of one histogram: buckets cumulative, `+Inf` last, then sum and count. There are
    /// labels.
    pub(super) fn add<C: Copy + Into<u64>>(
        &mut self,
        labels: &str,
        histogram: &Histogram<C>,
    ) -> Result<(), Gone> {
        self.family.begin()?;
        let text = &mut *self.family.text;
        let mut total: u64 = 0;
        for (count, bound) in histogram.counts.iter().zip(&self.bounds) {
            total += (*count).into();
            series(text, &self.bucket, labels, bound, total)?;
        }
        series(text, &self.sum, labels, "} ", histogram.sum())?;
        series(text, &self.count, labels, "} ", total)
    }
}

fn series(
    text: &mut Text<'_>,
    head: &str,
    labels: &str,
    tail: &str,
    value: impl Number,
) -> Result<(), Gone> {
    text.chunk.push_str(head);
    text.chunk.push_str(labels);
    text.chunk.push_str(tail);
    text.end_with(value)
}

/// Appends `a="1",b="2"`.
pub(super) fn push_labels<'a>(
    to: &mut String,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    for (place, (name, value)) in labels.into_iter().enumerate() {
        if place > 0 {
            to.push(',');
        }
        to.push_str(name);
        to.push_str("=\"");
        push_escaped(to, value);
        to.push('"');
    }
}

fn push_escaped(to: &mut String, value: &str) {
    let special = |byte| matches!(byte, b'\\' | b'"' | b'\n');
    // All bytes rather than up to the first: the compiler looks at many of them at once.
    if !value.bytes().fold(false, |found, byte| found | special(byte)) {
        return to.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => to.push_str("\\\\"),
            '"' => to.push_str("\\\""),
            '\n' => to.push_str("\\n"),
            c => to.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::names;

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
    fn histograms_are_cumulative_and_end_with_inf() {
        let mut histogram: Histogram = Histogram::default();
        for millis in [5, 5, 1500, 400_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let out = written(|text| {
            Histograms::new(text, &names::CONNECT_DURATION).add("mx=\"a.example\"", &histogram)
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
