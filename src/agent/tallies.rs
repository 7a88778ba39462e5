//! Counts by key, for a handful of keys, where they are kept: a map would make room for eleven elsewhere.
//!
//! It does not know what it counts, nor how many keys are too many.

use smallvec::SmallVec;

/// How often each key was counted, in the order of the keys: what happens once a second fills a count
/// in 136 years.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tallies<K>(SmallVec<[(K, u32); MOSTLY]>);

/// As many as most have: the codes of a session, of which there are three, and another.
const MOSTLY: usize = 4;

impl<K> Default for Tallies<K> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<K: Ord> Tallies<K> {
    /// The count of a key, at zero where it was never counted.
    pub fn entry(&mut self, key: K) -> &mut u32 {
        let place = match self.0.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (key, 0));
                place
            }
        };
        &mut self.0[place].1
    }

    /// The count of a key, if it is there.
    pub fn get(&self, key: &K) -> Option<u32> {
        let place = self.0.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        Some(self.0[place].1)
    }

    /// Keys with their counts, in the order of the keys.
    pub fn as_slice(&self) -> &[(K, u32)] {
        &self.0
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_apart_and_come_in_their_order() {
        let mut tallies = Tallies::default();
        assert!(tallies.is_empty());
        for key in ["b", "a", "e", "b", "c", "f"] {
            *tallies.entry(key) += 1;
        }
        assert_eq!(tallies.as_slice(), [("a", 1), ("b", 2), ("c", 1), ("e", 1), ("f", 1)]);
        assert_eq!((tallies.len(), tallies.get(&"b"), tallies.get(&"d")), (5, Some(2), None));
    }
}
