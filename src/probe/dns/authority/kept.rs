//! What was learned and may be told again for a while: a map that forgets, and is bounded.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Values that are kept until their time is over.
#[derive(Debug)]
pub(super) struct Kept<K, V> {
    // A std mutex: held for a map operation, never across an await.
    entries: Mutex<Entries<K, V>>,
    most: usize,
}

#[derive(Debug)]
struct Entries<K, V> {
    map: HashMap<K, (Instant, V)>,
    /// How many there may be before those are looked for whose time is over.
    sweep_at: usize,
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    /// Holds at most this many; what there is no room for is not kept.
    pub(super) fn new(most: usize) -> Self {
        let entries = Entries { map: HashMap::new(), sweep_at: FIRST_SWEEP.min(most) };
        Self { entries: Mutex::new(entries), most }
    }

    /// What is kept of it, if its time is not over.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, value) = entries.map.get(key)?;
        (*until > Instant::now()).then(|| value.clone())
    }

    /// Keeps a value in place of the one before.
    pub(super) fn put(&self, key: K, value: V, lifetime: Duration) {
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = &mut *entries;
        if entries.map.len() >= entries.sweep_at {
            entries.map.retain(|_, (until, _)| *until > now);
            // Twice as many as are alive, so that looking for the others costs little for each.
            entries.sweep_at = (entries.map.len() * 2).clamp(FIRST_SWEEP.min(self.most), self.most);
        }
        if entries.map.len() < self.most || entries.map.contains_key(&key) {
            entries.map.insert(key, (now + lifetime, value));
        }
    }
}

/// Fewer are not worth a look.
const FIRST_SWEEP: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn len(kept: &Kept<u32, u32>) -> usize {
        kept.entries.lock().unwrap().map.len()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_forgotten_and_room_is_bounded() {
        let (kept, second) = (Kept::new(100), Duration::from_secs(1));
        for key in 0..1000 {
            kept.put(key, key, second);
        }
        assert_eq!((kept.get(&0), kept.get(&999), len(&kept)), (Some(0), None, 100));
        kept.put(0, 7, second);
        assert_eq!(kept.get(&0), Some(7), "what is known may change although there is no room");
        tokio::time::advance(second).await;
        assert_eq!(kept.get(&0), None);
        kept.put(1000, 1, second);
        assert_eq!(len(&kept), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_come_and_go_for_ever_do_not_pile_up() {
        let kept = Kept::new(1 << 20);
        for key in 0..10_000 {
            kept.put(key, key, Duration::from_secs(1));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(len(&kept) <= FIRST_SWEEP, "{}", len(&kept));
    }
}
