//! When each round starts: spread over the interval by a stable hash, at a fixed rate, never two
//! rounds of one thing at a time.
//!
//! Pure: the caller brings the clock. Slots are aligned to the wall clock, so that an agent that
//! is started again calls at the same moments as before.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fmt::Display,
    hash::Hash,
    num::NonZeroU64,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use crate::dense::{DenseMap, Keyed, Place};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For waiting.
    pub instant: Instant,
    /// For slots that survive a restart.
    pub wall: SystemTime,
}

impl Now {
    /// The present.
    pub fn read() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }
}

/// What is due and when, for keys of one kind.
#[derive(Debug)]
pub struct Schedule<K> {
    queue: BinaryHeap<Reverse<Slot>>,
    entries: DenseMap<Entry<K>>,
    /// When the first key was set.
    begin: Option<Instant>,
}

/// The round of the entry at a place. It counts only if that is due then; others are leftovers.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Slot {
    at: Moment,
    place: Place,
}

/// Nanoseconds since one before the schedule began, enough for five centuries. There are tens of thousands
/// of them, and an [`Instant`] is twice as large.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Moment(NonZeroU64);

impl Moment {
    const BEGIN: Self = Self(NonZeroU64::MIN);

    fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

#[derive(Debug)]
struct Entry<K> {
    key: K,
    /// In nanoseconds.
    interval: u64,
    /// When its next round is due; `None` for one that was removed while its round runs.
    next: Option<Moment>,
    /// When its last round began.
    started: Option<Moment>,
    /// Where in each interval its slots are, as a share of 2^32. Worked out once: a key is written out for it.
    phase: u32,
    running: bool,
    /// What follows when the running round ends.
    then: Then,
}

impl<K: Eq + Hash> Keyed for Entry<K> {
    type Key = K;

    fn key(&self) -> &K {
        &self.key
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    /// It was removed meanwhile.
    Forget,
    /// The next round, when its slot comes.
    Wait,
    /// It was removed and came back.
    StartAnew,
}

/// A round whose time has come.
#[derive(Debug, Eq, PartialEq)]
pub struct Due<K> {
    /// What.
    pub key: K,
    /// When it should have started.
    pub at: Instant,
    /// Its last round still runs, so this one is left out.
    pub skipped: bool,
    /// It had no round before.
    pub first: bool,
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        Self { queue: BinaryHeap::new(), entries: DenseMap::default(), begin: None }
    }
}

impl<K: Clone + Display + Eq + Hash> Schedule<K> {
    /// Adds a key whose first round is due after `delay`, or gives a known one another interval.
    /// A known key with the same interval keeps its place.
    pub fn set(&mut self, key: &K, interval: Duration, delay: Duration, now: Now) {
        self.begin.get_or_insert(now.instant);
        let at = self.moment(now.instant);
        let Some(place) = self.entries.place(key) else {
            let entry = Entry {
                key: key.clone(),
                interval: nanos(interval),
                next: None,
                started: None,
                phase: phase(key),
                running: false,
                then: Then::Wait,
            };
            let place = self.entries.place_or_insert(entry);
            self.enqueue(place, at.after(delay));
            return;
        };
        let Some(entry) = self.entries.at_mut(place) else { return };
        let same = std::mem::replace(&mut entry.interval, nanos(interval)) == nanos(interval);
        if entry.then != Then::Wait {
            entry.then = Then::StartAnew;
        } else if !same {
            // As after any start: three quarters of the interval at least.
            let since = entry.started.map_or(interval, |started| at.since(started));
            let earliest = (interval * 3 / 4).saturating_sub(since);
            let wait = until_next_slot(entry.phase, interval, now.wall, earliest);
            self.enqueue(place, at.after(wait));
        }
    }

    /// Forgets a key. While its round runs it is remembered that it does: should the key come back
    /// before, its first round follows that one.
    pub fn remove(&mut self, key: &K) {
        match self.entries.get_mut(key) {
            Some(entry) if entry.running => {
                entry.then = Then::Forget;
                entry.next = None;
            }
            _ => {
                self.entries.remove(key);
            }
        }
    }

    /// When to look again.
    pub fn next_due(&mut self) -> Option<Instant> {
        self.drop_leftovers();
        let Reverse(slot) = self.queue.peek()?;
        self.instant(slot.at)
    }

    /// Takes one key that is due, marks it running and plans its next round, at least one interval
    /// after this start.
    pub fn take_due(&mut self, now: Now) -> Option<Due<K>> {
        self.drop_leftovers();
        let at = self.moment(now.instant);
        if self.queue.peek()?.0.at > at {
            return None;
        }
        let Reverse(slot) = self.queue.pop()?;
        let entry = self.entries.at_mut(slot.place)?;
        let key = entry.key.clone();
        let skipped = std::mem::replace(&mut entry.running, true);
        let first = entry.started.is_none();
        if !skipped {
            entry.started = Some(at);
        }
        self.plan_next(slot.place, now);
        Some(Due { key, at: self.instant(slot.at)?, skipped, first })
    }

    /// Notes that the round of a key, due earlier and held back since, begins now: the next one follows that.
    pub fn begun(&mut self, key: &K, now: Now) {
        let at = self.moment(now.instant);
        let Some(place) = self.entries.place(key) else { return };
        let Some(entry) = self.entries.at_mut(place) else { return };
        let at_once = entry.started == Some(at) && entry.then == Then::Wait;
        if at_once || entry.then == Then::Forget {
            return;
        }
        // This is the first round of one that came back meanwhile, too.
        entry.then = Then::Wait;
        entry.started = Some(at);
        self.plan_next(place, now);
    }

    /// Notes that the round of a key has ended.
    pub fn ended(&mut self, key: &K, now: Now) {
        let at = self.moment(now.instant);
        let Some(place) = self.entries.place(key) else { return };
        let Some(entry) = self.entries.at_mut(place) else { return };
        entry.running = false;
        match std::mem::replace(&mut entry.then, Then::Wait) {
            Then::Forget => {
                self.entries.remove(key);
            }
            Then::StartAnew => self.enqueue(place, at),
            Then::Wait => {}
        }
    }

    /// Plans the round after one that begins now.
    fn plan_next(&mut self, place: Place, now: Now) {
        let Some(entry) = self.entries.at_mut(place) else { return };
        let interval = Duration::from_nanos(entry.interval);
        // A quarter of grace: a start that was late by a little must not cost a whole slot.
        let earliest = interval * 3 / 4;
        let wait = until_next_slot(entry.phase, interval, now.wall, earliest);
        let at = self.moment(now.instant).after(wait);
        self.enqueue(place, at);
    }

    fn enqueue(&mut self, place: Place, at: Moment) {
        if let Some(entry) = self.entries.at_mut(place) {
            entry.next = Some(at);
        }
        self.queue.push(Reverse(Slot { at, place }));
    }

    fn drop_leftovers(&mut self) {
        while let Some(Reverse(slot)) = self.queue.peek() {
            // Should another entry stand there by now that is due at the same moment, it is all the same.
            if self.entries.at(slot.place).is_some_and(|entry| entry.next == Some(slot.at)) {
                break;
            }
            self.queue.pop();
        }
    }

    fn moment(&self, instant: Instant) -> Moment {
        let since = |begin| instant.saturating_duration_since(begin);
        Moment::BEGIN.after(self.begin.map(since).unwrap_or_default())
    }

    fn instant(&self, moment: Moment) -> Option<Instant> {
        Some(self.begin? + moment.since(Moment::BEGIN))
    }
}

/// As whole nanoseconds.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How long until the next slot of this phase that is at least `earliest` away.
fn until_next_slot(
    phase: u32,
    interval: Duration,
    wall: SystemTime,
    earliest: Duration,
) -> Duration {
    let interval_ns = interval.as_nanos().max(1);
    let now_ns = wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let phase_ns = (u128::from(phase) * interval_ns) >> 32;
    let from = now_ns + earliest.as_nanos();
    let past_phase = (from + interval_ns - phase_ns) % interval_ns;
    let wait = earliest.as_nanos() + (interval_ns - past_phase) % interval_ns;
    Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
}

fn phase(key: &impl Display) -> u32 {
    (stable_hash(&key.to_string()) >> 32) as u32
}

/// 64 bits that are the same in every release: FNV-1a with a final mix, because FNV alone leaves
/// the high bits of short names alike.
fn stable_hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

/// How long after the start of the agent the `place`-th of many first rounds begins: quickly for
/// few, paced for many.
pub fn first_round_delay(place: usize, interval: Duration) -> Duration {
    let paced = FIRST_ROUND_PACE.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX));
    if paced <= interval || interval.is_zero() {
        return paced;
    }
    let nanos = paced.as_nanos() % interval.as_nanos();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// 500 first rounds a second.
const FIRST_ROUND_PACE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn after(now: Now, wait: Duration) -> Now {
        Now { instant: now.instant + wait, wall: now.wall + wait }
    }

    fn drain(schedule: &mut Schedule<String>, now: Now) -> Vec<String> {
        let mut keys = Vec::new();
        while let Some(due) = schedule.take_due(now) {
            schedule.ended(&due.key, now);
            keys.push(due.key);
        }
        keys
    }

    /// A moment, and a schedule with one key that is due then and each minute after.
    fn due_now() -> (Now, Schedule<String>, String) {
        let start = Now::read();
        let mut schedule = Schedule::default();
        let key = "example.com".to_owned();
        schedule.set(&key, MINUTE, Duration::ZERO, start);
        (start, schedule, key)
    }

    #[test]
    fn rounds_follow_at_the_interval_and_never_earlier_than_three_quarters_of_it() {
        let start = Now::read();
        let mut schedule = Schedule::default();
        for n in 0..50 {
            let delay = first_round_delay(n, MINUTE);
            schedule.set(&format!("domain{n}.example.com"), MINUTE, delay, start);
        }
        let mut last: HashMap<String, Instant> = HashMap::new();
        let mut counts: HashMap<String, u32> = HashMap::new();
        let mut now = start;
        while now.instant < start.instant + MINUTE * 11 {
            for key in drain(&mut schedule, now) {
                if let Some(before) = last.insert(key.clone(), now.instant) {
                    let gap = now.instant - before;
                    assert!(gap >= MINUTE * 3 / 4 && gap < MINUTE * 2, "{key}: {gap:?}");
                }
                *counts.entry(key).or_default() += 1;
            }
            let next = schedule.next_due().unwrap();
            now = after(start, next - start.instant);
        }
        assert_eq!(counts.len(), 50);
        assert!(counts.values().all(|&n| (10..=12).contains(&n)), "{counts:?}");
    }

    #[test]
    fn slots_are_spread_and_the_same_after_a_restart() {
        let now = Now::read();
        let waits: Vec<u64> = (0..600)
            .map(|n| {
                let key = format!("d{n}.example.com");
                let phase = phase(&key);
                let wait = until_next_slot(phase, MINUTE, now.wall, Duration::ZERO);
                let later = now.wall + wait + Duration::from_secs(600);
                let again = until_next_slot(phase, MINUTE, later, Duration::ZERO);
                let micro = Duration::from_micros(1);
                assert!(again < micro || again + micro > MINUTE, "{again:?}");
                wait.as_secs()
            })
            .collect();
        for tenth in 0..10 {
            let inside = waits.iter().filter(|&&w| w / 6 == tenth).count();
            assert!((30..=90).contains(&inside), "{inside} of 600 in tenth {tenth}");
        }
    }

    #[test]
    fn a_round_that_still_runs_is_skipped_not_doubled() {
        let (start, mut schedule, key) = due_now();
        let told = |due: Option<Due<_>>| due.map(|due| (due.skipped, due.first));
        assert_eq!(told(schedule.take_due(start)), Some((false, true)));
        let second = after(start, schedule.next_due().unwrap() - start.instant);
        assert_eq!(told(schedule.take_due(second)), Some((true, false)));
        schedule.ended(&key, second);
        let third = after(start, schedule.next_due().unwrap() - start.instant);
        assert_eq!(told(schedule.take_due(third)), Some((false, false)));
    }

    #[test]
    fn the_same_interval_keeps_the_place_and_another_moves_it() {
        let start = Now::read();
        let mut schedule = Schedule::default();
        let key = "example.com".to_owned();
        schedule.set(&key, MINUTE, Duration::from_secs(5), start);
        let planned = schedule.next_due();
        schedule.set(&key, MINUTE, Duration::ZERO, after(start, Duration::from_secs(1)));
        assert_eq!(schedule.next_due(), planned);
        schedule.set(&key, MINUTE * 2, Duration::ZERO, start);
        assert_ne!(schedule.next_due(), planned);
    }

    #[test]
    fn another_interval_does_not_start_a_round_right_after_the_last() {
        let start = Now::read();
        for n in 0..50 {
            let mut schedule = Schedule::default();
            let key = format!("d{n}.example.com");
            schedule.set(&key, MINUTE * 5, Duration::ZERO, start);
            schedule.take_due(start).unwrap();
            schedule.ended(&key, start);
            let soon = after(start, Duration::from_secs(1));
            schedule.set(&key, MINUTE, Duration::ZERO, soon);
            let wait = schedule.next_due().unwrap() - start.instant;
            assert!(wait >= MINUTE * 3 / 4 && wait < MINUTE * 2, "{key}: {wait:?}");
        }
    }

    #[test]
    fn what_is_removed_is_never_due_and_what_comes_back_starts_anew() {
        let (start, mut schedule, key) = due_now();
        schedule.remove(&key);
        assert_eq!(schedule.next_due(), None);
        assert_eq!(schedule.take_due(after(start, MINUTE)), None);
        schedule.set(&key, MINUTE, Duration::from_secs(7), start);
        assert_eq!(schedule.next_due(), Some(start.instant + Duration::from_secs(7)));
    }

    #[test]
    fn what_comes_back_while_its_round_still_runs_has_to_wait_for_it() {
        let (start, mut schedule, key) = due_now();
        assert!(!schedule.take_due(start).unwrap().skipped);
        schedule.remove(&key);
        assert_eq!(schedule.next_due(), None);
        schedule.set(&key, MINUTE, Duration::ZERO, start);
        assert_eq!(schedule.take_due(after(start, MINUTE)), None, "two at a time");
        schedule.ended(&key, start);
        assert!(!schedule.take_due(start).unwrap().skipped);
        schedule.remove(&key);
        schedule.ended(&key, start);
        assert!(schedule.entries.is_empty());
    }

    #[test]
    fn the_round_after_one_that_was_held_back_follows_its_begin() {
        let (start, mut schedule, key) = due_now();
        assert!(schedule.take_due(start).unwrap().first);
        let later = after(start, MINUTE * 3 / 2);
        schedule.begun(&key, later);
        schedule.ended(&key, later);
        let wait = schedule.next_due().unwrap() - later.instant;
        assert!(wait >= MINUTE * 3 / 4 && wait < MINUTE * 2, "{wait:?}");
        assert!(!schedule.take_due(after(later, wait)).unwrap().skipped);
    }

    #[test]
    fn what_comes_back_while_its_round_is_held_back_has_one() {
        let (start, mut schedule, key) = due_now();
        schedule.take_due(start).unwrap();
        schedule.remove(&key);
        schedule.set(&key, MINUTE, Duration::ZERO, start);
        schedule.begun(&key, start);
        schedule.ended(&key, start);
        assert!(schedule.next_due().unwrap() - start.instant >= MINUTE * 3 / 4);
        schedule.remove(&key);
        schedule.begun(&key, start);
        assert!(schedule.next_due().is_none() && schedule.entries.is_empty());
    }

    #[test]
    fn many_first_rounds_are_paced_within_one_interval() {
        assert_eq!(first_round_delay(10, MINUTE), Duration::from_millis(20));
        assert!(first_round_delay(100_000, MINUTE) < MINUTE);
    }
}
