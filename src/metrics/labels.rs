//! Labels as the text format has them, rendered once for many samples.
//!
//! Which sample they belong to is [`text`](super::text)'s business.

use std::{ops::Deref, ptr};

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

/// Labels that follow the value of another, of which there are few combinations, each rendered once:
/// `",a="1",b="2"} `.
pub(super) struct Closed<'a, const N: usize> {
    names: [&'static str; N],
    known: Vec<([&'a str; N], String)>,
    /// The place of the one before: the same comes again and again, or all in turn.
    last: usize,
}

impl<'a, const N: usize> Closed<'a, N> {
    pub(super) const fn new(names: [&'static str; N]) -> Self {
        Self { names, known: Vec::new(), last: 0 }
    }

    /// Up to the value of the sample.
    pub(super) fn tail(&mut self, values: [&'a str; N]) -> &str {
        // Mostly these are the very same words: they need not be read to be told apart.
        let same = |(known, _): &([&str; N], String)| {
            known.iter().zip(&values).all(|(known, value)| ptr::eq(*known, *value))
        };
        let next = if self.last + 1 < self.known.len() { self.last + 1 } else { 0 };
        let mut near = [next, self.last].into_iter();
        let place = near.find(|&place| self.known.get(place).is_some_and(same));
        let place = place.or_else(|| self.known.iter().position(same));
        let place = place.or_else(|| self.known.iter().position(|(known, _)| *known == values));
        self.last = place.unwrap_or_else(|| {
            let mut text = String::from("\",");
            push_labels(&mut text, self.names.into_iter().zip(values));
            text.push_str("} ");
            self.known.push((values, text));
            self.known.len() - 1
        });
        &self.known[self.last].1
    }

    /// The same where still other labels follow.
    pub(super) fn middle(&mut self, values: [&'a str; N]) -> &str {
        let tail = self.tail(values);
        tail.strip_suffix("} ").unwrap_or(tail)
    }
}

/// The end of the labels of a row that has one label alone.
pub(super) const ALONE: &str = "\"} ";

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

/// Appends a value of a label with what the format escapes.
pub(super) fn push_escaped(to: &mut String, value: &str) {
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
    use super::*;

    #[test]
    fn each_combination_is_rendered_once_wherever_its_words_stand() {
        let elsewhere = ["a", "ok"].map(String::from);
        let mut known = Closed::new(["resolver", "status"]);
        for _ in 0..3 {
            assert_eq!(known.tail(["a", "ok"]), "\",resolver=\"a\",status=\"ok\"} ");
            assert_eq!(known.tail(["\n", "ok"]), "\",resolver=\"\\n\",status=\"ok\"} ");
            assert_eq!(known.middle(["a", ""]), "\",resolver=\"a\",status=\"\"");
            let same = known.tail([&elsewhere[0], &elsewhere[1]]);
            assert_eq!(same, "\",resolver=\"a\",status=\"ok\"} ");
        }
        assert_eq!(known.known.len(), 3);
    }
}
