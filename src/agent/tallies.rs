//! Counts by key, for a handful of keys: one allocation where a map would make room for eleven.
//!
//! It does not know what it counts, nor how many keys are too many.

/// How often each key was counted, in the order of the keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tallies<K>(Vec<(K, u64)>);

impl<K> Default for Tallies<K> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<K> Tallies<K> {
    /// Nothing counted.
    pub const NONE: Self = Self(Vec::new());
}

impl<K: Ord> Tallies<K> {
    /// The count of a key, at zero where it was never counted.
    pub fn entry(&mut self, key: K) -> &mut u64 {
        let place = match self.0.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(place) => place,
            Err(place) => {
                // Most stay at one or two for ever.
                self.0.reserve_exact(1);
                self.0.insert(place, (key, 0));
                place
            }
        };
        &mut self.0[place].1
    }

    /// The count of a key, if it is there.
    pub fn get(&self, key: &K) -> Option<u64> {
        let place = self.0.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        Some(self.0[place].1)
    }

    /// Keys with their counts, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(K, u64)> {
        self.0.iter()
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
        for key in ["b", "a", "b", "c"] {
            *tallies.entry(key) += 1;
        }
        assert_eq!(tallies.iter().copied().collect::<Vec<_>>(), [("a", 1), ("b", 2), ("c", 1)]);
        assert_eq!((tallies.len(), tallies.get(&"b"), tallies.get(&"d")), (3, Some(2), None));
    }
}
