//! Many rows, each with its rendered labels, in few large pieces of memory.
//!
//! A scrape goes through the same rows once for every family. What it needs of them is gathered
//! before, so that it reads one thing after the other: what the agent knows lies all over its memory,
//! and to fetch it from there a family at a time took longer than to write it.

use super::text::push_labels;

/// Rows in the order they were added.
#[derive(Debug)]
pub(super) struct Labelled<T> {
    rows: Vec<T>,
    /// The labels of all rows, one after the other, and where those of each end.
    labels: String,
    ends: Vec<usize>,
}

impl<T> Labelled<T> {
    pub(super) fn with_capacity(rows: usize) -> Self {
        let (labels, ends) = (String::new(), Vec::with_capacity(rows));
        Self { rows: Vec::with_capacity(rows), labels, ends }
    }

    pub(super) fn push<const N: usize>(&mut self, labels: [(&str, &str); N], row: T) {
        push_labels(&mut self.labels, labels);
        self.ends.push(self.labels.len());
        self.rows.push(row);
    }

    /// The rows alone.
    pub(super) fn rows(&self) -> &[T] {
        &self.rows
    }

    /// Every row behind its labels, `a="1",b="2"`.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let mut start = 0;
        let labels = self.ends.iter().map(move |end| {
            let own = &self.labels[start..*end];
            start = *end;
            own
        });
        labels.zip(&self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_keeps_its_labels() {
        let mut all = Labelled::with_capacity(0);
        all.push([("a", "1"), ("b", "\"")], 'x');
        all.push([], 'y');
        all.push([("c", "3")], 'z');
        let found: Vec<_> = all.iter().map(|(labels, row)| (labels, *row)).collect();
        assert_eq!(found, [("a=\"1\",b=\"\\\"\"", 'x'), ("", 'y'), ("c=\"3\"", 'z')]);
        assert_eq!(all.rows(), ['x', 'y', 'z']);
    }
}
