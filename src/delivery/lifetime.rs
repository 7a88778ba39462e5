//! How long a message lives: when it is tried again, and when it is returned.
//!
//! Ages count from the moment the sender accepted the message. The schedule is the sender's own; a
//! queue that is full, or a host remembered as bad, may take longer.

use std::time::Duration;

use super::{behaviour::Behaviour, verdict::Outcome};

/// What is ahead of a message that has waited for some time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ahead {
    /// Until the next attempt; `None` when the message is returned before.
    pub next_retry: Option<Duration>,
    /// Until the message is returned.
    pub expires: Duration,
}

/// What is ahead of a message of this age, if it waits at all; `None` when it was delivered,
/// returned or set aside.
pub fn ahead(behaviour: &Behaviour, outcome: Outcome, age: Duration) -> Option<Ahead> {
    if outcome != Outcome::Defer {
        return None;
    }
    let expires = behaviour.expire.0.saturating_sub(age);
    let next = attempts(behaviour).find(|attempt| *attempt > age)?;
    let next_retry = (next < behaviour.expire.0).then(|| next.saturating_sub(age));
    Some(Ahead { next_retry, expires })
}

/// The ages at which a message is tried, after the first attempt at age zero, for ever.
pub fn attempts(behaviour: &Behaviour) -> impl Iterator<Item = Duration> + '_ {
    // A pause of zero would be an attempt at the same age again.
    let last = behaviour.retry_last.0.max(Duration::from_secs(1));
    let pauses = behaviour.retry.iter().map(|pause| pause.0).chain(std::iter::repeat(last));
    pauses.scan(Duration::ZERO, |age, pause| {
        *age = age.saturating_add(pause);
        Some(*age)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::builtin;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[test]
    fn a_message_held_by_exchange_is_tried_by_its_schedule_and_returned_after_two_days() {
        let exchange = &builtin::get("exchange-2010").unwrap().behaviour;
        let first = ahead(exchange, Outcome::Defer, Duration::ZERO).unwrap();
        assert_eq!(first, Ahead { next_retry: Some(minutes(1)), expires: minutes(2 * 24 * 60) });
        // 4 x 1 min, 6 x 5 min, then every 10 min: after an hour the next is at 64 min.
        let later = ahead(exchange, Outcome::Defer, minutes(60)).unwrap();
        assert_eq!(later, Ahead { next_retry: Some(minutes(4)), expires: minutes(47 * 60) });
        let end = ahead(exchange, Outcome::Defer, minutes(2 * 24 * 60 - 1)).unwrap();
        assert_eq!(end, Ahead { next_retry: None, expires: minutes(1) });
        let over = ahead(exchange, Outcome::Defer, minutes(3 * 24 * 60)).unwrap();
        assert_eq!(over, Ahead { next_retry: None, expires: Duration::ZERO });
    }

    #[test]
    fn what_does_not_wait_has_nothing_ahead() {
        let postfix = &builtin::get("postfix").unwrap().behaviour;
        for outcome in [Outcome::Deliver, Outcome::Bounce, Outcome::Freeze, Outcome::Unknown] {
            assert_eq!(ahead(postfix, outcome, Duration::ZERO), None);
        }
    }
}
