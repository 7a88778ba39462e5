//! First rounds, of which an agent has thousands when it starts: where the processor is short, they begin as
//! others come to an end. A round that is under way takes memory, and one that waits to begin takes hardly
//! any.
//!
//! Pure: the caller brings the clock. Later rounds are no concern of this: they are spread over their
//! interval, and none of them may wait for a name server that is silent to somebody else.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

use tokio::time::Instant;

/// First rounds that are under way and those that wait to begin.
#[derive(Debug)]
pub(super) struct FirstRounds<K, D> {
    under_way: HashMap<K, Instant>,
    waiting: VecDeque<D>,
}

/// First rounds that are under way at the same time.
const PLACES: usize = 256;

/// How long a round keeps its place: one that takes longer is likely to wait for the network, not for this
/// host, and with silent name servers all of them would.
const KEPT: Duration = Duration::from_secs(1);

impl<K, D> Default for FirstRounds<K, D> {
    fn default() -> Self {
        Self { under_way: HashMap::new(), waiting: VecDeque::new() }
    }
}

impl<K: Eq + Hash, D> FirstRounds<K, D> {
    /// Queues one that is due, behind those that wait already.
    pub(super) fn wait(&mut self, due: D) {
        self.waiting.push_back(due);
    }

    /// The next that may begin now.
    pub(super) fn next(&mut self) -> Option<D> {
        if self.under_way.len() >= PLACES {
            return None;
        }
        let next = self.waiting.pop_front();
        if self.waiting.is_empty() {
            // There were thousands once, and will not be again.
            self.waiting.shrink_to_fit();
        }
        next
    }

    /// One begins.
    pub(super) fn begin(&mut self, key: K, now: Instant) {
        self.under_way.insert(key, now);
    }

    /// The round of this key, first or not, has ended.
    pub(super) fn ended(&mut self, key: &K) {
        self.under_way.remove(key);
    }

    /// Takes their places from those that have had them long enough.
    pub(super) fn patrol(&mut self, now: Instant) {
        self.under_way.retain(|_, begun| now.saturating_duration_since(*begun) < KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets all begin that may, and says which.
    fn begin(rounds: &mut FirstRounds<usize, usize>, now: Instant) -> Vec<usize> {
        let mut begun = Vec::new();
        while let Some(key) = rounds.next() {
            rounds.begin(key, now);
            begun.push(key);
        }
        begun
    }

    #[test]
    fn as_many_begin_as_end_in_the_order_they_were_due() {
        let (mut rounds, now) = (FirstRounds::default(), Instant::now());
        (0..1000).for_each(|key| rounds.wait(key));
        assert_eq!(begin(&mut rounds, now), (0..PLACES).collect::<Vec<_>>());
        assert_eq!(begin(&mut rounds, now), [] as [usize; 0]);
        rounds.ended(&17);
        rounds.ended(&3);
        // A later round of something else.
        rounds.ended(&5000);
        assert_eq!(begin(&mut rounds, now), [PLACES, PLACES + 1]);
    }

    #[test]
    fn who_waits_for_the_network_keeps_nobody_from_beginning() {
        let (mut rounds, now) = (FirstRounds::default(), Instant::now());
        (0..1000).for_each(|key| rounds.wait(key));
        begin(&mut rounds, now);
        let later = now + KEPT / 2;
        rounds.ended(&0);
        assert_eq!(begin(&mut rounds, later).len(), 1);
        rounds.patrol(now + KEPT);
        assert_eq!(begin(&mut rounds, now + KEPT).len(), PLACES - 1, "one began later");
        rounds.patrol(later + KEPT);
        assert_eq!(begin(&mut rounds, later + KEPT).len(), 1);
    }
}
