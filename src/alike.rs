//! Values that are the same, held in memory once: thousands of domains have the settings, the policies
//! and the verdicts of each other.
//!
//! It looks through the last few only, which is where the same one mostly is.

use std::{collections::VecDeque, sync::Arc};

/// The last different values.
#[derive(Debug)]
pub(crate) struct Alike<T, const MOST: usize> {
    recent: VecDeque<Arc<T>>,
}

impl<T, const MOST: usize> Default for Alike<T, MOST> {
    fn default() -> Self {
        Self { recent: VecDeque::with_capacity(MOST) }
    }
}

impl<T: PartialEq, const MOST: usize> Alike<T, MOST> {
    /// The one that is the same as this, if there was any lately, or else this one.
    pub(crate) fn shared(&mut self, value: impl Into<Arc<T>>) -> Arc<T> {
        let value = value.into();
        if let Some(known) = self.recent.iter().find(|known| **known == value) {
            return Arc::clone(known);
        }
        if self.recent.len() == MOST {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::clone(&value));
        value
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.recent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_as_one_of_the_last_is_that_one() {
        let mut alike = Alike::<&str, 2>::default();
        let [one, two] = ["one", "two"].map(|value| alike.shared(value));
        assert!(Arc::ptr_eq(&alike.shared("one"), &one) && Arc::ptr_eq(&alike.shared("two"), &two));
        alike.shared("three");
        assert_eq!(alike.len(), 2);
        assert!(Arc::ptr_eq(&alike.shared("two"), &two));
        assert!(!Arc::ptr_eq(&alike.shared("one"), &one), "it was too long ago");
    }
}
