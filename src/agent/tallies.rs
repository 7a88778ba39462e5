//! Counts by key, for a handful of keys: one small allocation where a map would make room for eleven.
//!
//! It does not know what it counts, nor how many keys are too many.

/// How often each key was counted, in the order of the keys: what happens once a second fills a count
/// in 136 years.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tallies<K>(Box<[(K, u32)]>);

impl<K> Default for Tallies<K> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<K: Ord> Tallies<K> {
    /// The count of a key, at zero where it was never counted.
    pub fn entry(&mut self, key: K) -> &mut u32 {
        let place = match self.0.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(place) => place,
            Err(place) => {
                // Most stay at one or two for ever.
                let mut all = std::mem::take(&mut self.0).into_vec();
                all.reserve_exact(1);
                all.insert(place, (key, 0));
                self.0 = all.into_boxed_slice();
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
        for key in ["b", "a", "b", "c"] {
            *tallies.entry(key) += 1;
        }
        assert_eq!(tallies.as_slice(), [("a", 1), ("b", 2), ("c", 1)]);
        assert_eq!((tallies.len(), tallies.get(&"b"), tallies.get(&"d")), (3, Some(2), None));
    }
}
