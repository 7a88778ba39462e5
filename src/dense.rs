//! A map whose values hold their own keys and stand side by side: tens of thousands of things are
//! watched, and a hash table with all of each would be a third empty, every page of it in memory.
//!
//! A value keeps its [`Place`] until it is removed, so that others may note that instead of the key.
//! A place that is free again is given to the next one that comes.

use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::{HashTable, hash_table::Entry};
use slab::Slab;

/// What knows its key, which stays the same for as long as it is in a map.
pub(crate) trait Keyed {
    /// What it is found by.
    type Key: Eq + Hash;

    /// That of this one.
    fn key(&self) -> &Self::Key;
}

/// Where in a map a value stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place(u32);

impl Place {
    /// Of a value in the slab: four billion of them fit into no memory.
    fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer values than a u32 has numbers"))
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Values by the keys they hold.
#[derive(Debug)]
pub(crate) struct DenseMap<T> {
    values: Slab<T>,
    places: HashTable<Place>,
    state: RandomState,
}

impl<T> Default for DenseMap<T> {
    fn default() -> Self {
        Self { values: Slab::new(), places: HashTable::new(), state: RandomState::new() }
    }
}

impl<T: Keyed> DenseMap<T> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many there may be before it has to grow.
    pub(crate) fn capacity(&self) -> usize {
        self.values.capacity()
    }

    /// Where the value of a key stands.
    pub(crate) fn place(&self, key: &T::Key) -> Option<Place> {
        let hash = self.state.hash_one(key);
        self.places.find(hash, |place| self.values[place.index()].key() == key).copied()
    }

    /// The value at a place: maybe another than when the place was noted, if that one was removed.
    pub(crate) fn at(&self, place: Place) -> Option<&T> {
        self.values.get(place.index())
    }

    /// The same to be changed.
    pub(crate) fn at_mut(&mut self, place: Place) -> Option<&mut T> {
        self.values.get_mut(place.index())
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &T::Key) -> Option<&T> {
        self.at(self.place(key)?)
    }

    /// The same to be changed.
    pub(crate) fn get_mut(&mut self, key: &T::Key) -> Option<&mut T> {
        self.at_mut(self.place(key)?)
    }

    /// Puts a value in, and gives back the one that its key had.
    pub(crate) fn insert(&mut self, value: T) -> Option<T> {
        let Some(place) = self.place(value.key()) else {
            self.place_or_insert(value);
            return None;
        };
        self.at_mut(place).map(|known| std::mem::replace(known, value))
    }

    /// Where the value of this one's key stands, which is this one if there was none.
    pub(crate) fn place_or_insert(&mut self, value: T) -> Place {
        let Self { values, places, state } = self;
        let (hash, of) = (state.hash_one(value.key()), |place: &Place| values[place.index()].key());
        let same = |place: &Place| of(place) == value.key();
        match places.entry(hash, same, |place| state.hash_one(of(place))) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                let place = Place::new(values.insert(value));
                vacant.insert(place);
                place
            }
        }
    }

    /// Takes the value of a key out.
    pub(crate) fn remove(&mut self, key: &T::Key) -> Option<T> {
        let Self { values, places, state } = self;
        let same = |place: &Place| values[place.index()].key() == key;
        let (place, _) = places.find_entry(state.hash_one(key), same).ok()?.remove();
        values.try_remove(place.index())
    }

    /// Keeps those of which this says so.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let Self { values, places, .. } = self;
        places.retain(|place| {
            let stays = keep(&values[place.index()]);
            if !stays {
                values.remove(place.index());
            }
            stays
        });
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// A number by another.
    #[derive(Clone, Debug, PartialEq)]
    struct Pair(u8, u32);

    impl Keyed for Pair {
        type Key = u8;

        fn key(&self) -> &u8 {
            &self.0
        }
    }

    #[test]
    fn a_value_keeps_its_place_whatever_comes_and_goes() {
        let mut map = DenseMap::default();
        let places: Vec<Place> = (0..128).map(|key| map.place_or_insert(Pair(key, 0))).collect();
        let room = map.capacity();
        for key in (0..128).step_by(2) {
            map.remove(&key);
        }
        for key in 128..192 {
            map.insert(Pair(key, 1));
        }
        assert_eq!(map.capacity(), room, "free places are taken first");
        for key in (1..128).step_by(2) {
            let place = places[usize::from(key)];
            assert_eq!(map.at(place), Some(&Pair(key, 0)));
            assert_eq!(map.place_or_insert(Pair(key, 2)), place);
            assert_eq!(map.get(&key), Some(&Pair(key, 0)), "the one that was there stays");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..5_u8, 0..20_u8, any::<u32>()), 0..400)) {
            let (mut map, mut model) = (DenseMap::default(), HashMap::<u8, u32>::new());
            for (what, key, number) in steps {
                match what {
                    0 => {
                        let before = model.insert(key, number).map(|before| Pair(key, before));
                        prop_assert_eq!(map.insert(Pair(key, number)), before);
                    }
                    1 => {
                        let place = map.place_or_insert(Pair(key, number));
                        let known = *model.entry(key).or_insert(number);
                        prop_assert_eq!(map.at(place), Some(&Pair(key, known)));
                    }
                    2 => {
                        let before = model.remove(&key).map(|before| Pair(key, before));
                        prop_assert_eq!(map.remove(&key), before);
                    }
                    3 => {
                        if let Some(pair) = map.get_mut(&key) {
                            pair.1 = number;
                        }
                        model.entry(key).and_modify(|known| *known = number);
                    }
                    _ => {
                        map.retain(|pair| pair.1 > number / 2);
                        model.retain(|_, known| *known > number / 2);
                    }
                }
                let found: HashMap<u8, u32> = map.iter().map(|pair| (pair.0, pair.1)).collect();
                prop_assert_eq!(&found, &model);
                prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(model.iter().all(|(&k, &n)| map.get(&k) == Some(&Pair(k, n))));
            }
        }
    }
}
