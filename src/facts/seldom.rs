//! What is seldom there, and takes no room but a pointer's where it is not.

use std::ops::Deref;

use serde::{Deserialize, Deserializer};

/// What has a value that says nothing.
pub trait Nothing: 'static {
    /// That value.
    const NOTHING: &'static Self;

    /// Whether this is that value.
    fn is_nothing(&self) -> bool;
}

/// A value that mostly says nothing, and is read as if it always stood there.
#[derive(Clone, Debug)]
pub struct Seldom<T>(Option<Box<T>>);

impl<T: Nothing + Clone> Seldom<T> {
    /// The value to be changed; there is room for it from then on.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::NOTHING.clone()))
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Nothing> From<T> for Seldom<T> {
    fn from(value: T) -> Self {
        Self((!value.is_nothing()).then(|| Box::new(value)))
    }
}

impl<'de, T: Nothing + Deserialize<'de>> Deserialize<'de> for Seldom<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(from).map(Self::from)
    }
}

impl<T: Nothing> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Word(&'static str);

    impl Nothing for Word {
        const NOTHING: &'static Self = &Self("");

        fn is_nothing(&self) -> bool {
            self.0.is_empty()
        }
    }

    #[test]
    fn what_says_nothing_takes_no_room_and_can_be_read_and_changed() {
        for nothing in [Seldom::default(), Seldom::from(Word(""))] {
            assert!(nothing.0.is_none());
            assert_eq!(nothing.deref().0, "");
        }
        let mut said = Seldom::from(Word("one"));
        assert_eq!(said.deref().0, "one");
        said.get_mut().0 = "two";
        assert_eq!(said.deref().0, "two");
        let mut silent = Seldom::<Word>::default();
        silent.get_mut().0 = "three";
        assert_eq!(silent.deref().0, "three");
    }
}
