//! Values of labels, escaped once, one after the other in one piece of memory.
//!
//! A scrape goes through the same rows once for every family. What it needs of them is gathered
//! before, so that it reads one thing after the other: what the agent knows lies all over its memory,
//! and to fetch it from there a family at a time took longer than to write it.

use super::labels::push_escaped;

/// Texts, each found by its place.
#[derive(Debug, Default)]
pub(super) struct Texts {
    all: String,
}

/// Where a text stands: small, for there are tens of thousands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    begin: u32,
    end: u32,
}

impl Texts {
    /// Escapes a value and keeps it.
    pub(super) fn add(&mut self, value: &str) -> Place {
        let begin = self.len();
        push_escaped(&mut self.all, value);
        Place { begin, end: self.len() }
    }

    /// The escaped value.
    pub(super) fn get(&self, Place { begin, end }: Place) -> &str {
        self.all.get(begin as usize..end as usize).unwrap_or_default()
    }

    /// Nobody has names of 4 GiB.
    fn len(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_at_its_place_escaped() {
        let mut texts = Texts::default();
        let places = ["one", "", "\"two\"", "three\\\n"].map(|value| texts.add(value));
        let found = places.map(|place| texts.get(place));
        assert_eq!(found, ["one", "", "\\\"two\\\"", "three\\\\\\n"]);
    }
}
