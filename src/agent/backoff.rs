//! A growing pause towards an address that refuses us: asking again does not make it friendlier.

use std::time::Duration;

use crate::facts::{Reason, Session, Stage};

/// The pause towards one address that refuses us, counted in rounds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Backoff {
    /// Every how many rounds it is called; 0 and 1 mean every round.
    pause: u32,
    /// Rounds still to sit out.
    sit_out: u32,
}

impl Backoff {
    /// Whether this round is to be sat out; counts it.
    pub fn sits_out(&mut self) -> bool {
        let sits = self.sit_out > 0;
        self.sit_out = self.sit_out.saturating_sub(1);
        sits
    }

    /// Learns from a session: the pause doubles up to `max` while we are refused, else it is over.
    pub fn learn(&mut self, session: &Session, interval: Duration, max: Duration) {
        if refuses_us(session) {
            let rounds = max.as_secs_f64() / interval.as_secs_f64();
            // A pause of under two rounds is none.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a quotient of durations is not negative, and saturating is right"
            )]
            let most = (rounds as u32).max(1);
            self.pause = (self.pause.max(1) * 2).min(most);
            self.sit_out = self.pause - 1;
        } else {
            *self = Self::default();
        }
    }

    /// How long the address is left alone between calls; zero when it is called in every round.
    pub fn pause(&self, interval: Duration) -> Duration {
        if self.pause > 1 { interval * self.pause } else { Duration::ZERO }
    }
}

/// The server does not want this client now: 421 or 5yz before mail, a login that is refused, or a refused
/// connection.
fn refuses_us(session: &Session) -> bool {
    let Some(failure) = session.failure else { return false };
    match failure.reason {
        Reason::Refused | Reason::RefusingUs => true,
        Reason::Reply5xx => {
            // A login that is refused again and again locks the account.
            matches!(failure.stage, Stage::Banner | Stage::Ehlo | Stage::Helo | Stage::Auth)
        }
        Reason::Reply4xx => {
            let reply = session.stage(failure.stage).and_then(|s| s.reply());
            reply.is_some_and(|r| r.code == 421)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::facts::{Elapsed, Failure, Reply, StageFact};

    fn session(stage: Stage, reason: Reason, code: Option<u16>) -> Session {
        let reply =
            code.map(|code| Reply { code, enhanced: None, lines: [""].into_iter().collect() });
        Session {
            peer: ([192, 0, 2, 1], 25).into(),
            source: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration: Elapsed::ZERO,
            helo_name: "probe.example.org".into(),
            stages: [StageFact {
                stage,
                duration: Elapsed::ZERO,
                heard: reply.into(),
                reason: Some(reason),
            }]
            .into(),
            failure: Some(Failure { stage, reason }),
            tls: None,
            auth_mechanism: None,
            transactions: Box::default(),
        }
    }

    #[test]
    fn the_pause_doubles_while_refused_and_ends_with_the_first_welcome() {
        let (interval, max) = (Duration::from_secs(60), Duration::from_secs(300));
        let refused = session(Stage::Connect, Reason::Refused, None);
        let mut backoff = Backoff::default();
        let mut called = Vec::new();
        for round in 0..20 {
            if !backoff.sits_out() {
                called.push(round);
                backoff.learn(&refused, interval, max);
            }
        }
        assert_eq!(called, [0, 2, 6, 11, 16], "2, 4, then 5 rounds: the limit");
        assert_eq!(backoff.pause(interval), max);
        let mut welcome = session(Stage::Banner, Reason::Timeout, None);
        welcome.failure = None;
        backoff.learn(&welcome, interval, max);
        assert_eq!((backoff.sits_out(), backoff.pause(interval)), (false, Duration::ZERO));
    }

    #[test]
    fn only_refusals_of_us_cause_a_pause() {
        for (stage, reason, code, pauses) in [
            (Stage::Connect, Reason::Refused, None, true),
            (Stage::Banner, Reason::Reply5xx, Some(554), true),
            (Stage::Banner, Reason::Reply4xx, Some(421), true),
            (Stage::Ehlo, Reason::Reply4xx, Some(421), true),
            (Stage::Banner, Reason::Reply4xx, Some(450), false),
            (Stage::Banner, Reason::RefusingUs, Some(450), true),
            (Stage::Auth, Reason::Reply5xx, Some(535), true),
            (Stage::Banner, Reason::Timeout, None, false),
            (Stage::Connect, Reason::Timeout, None, false),
        ] {
            assert_eq!(refuses_us(&session(stage, reason, code)), pauses, "{stage:?} {reason:?}");
        }
    }

    #[test]
    fn no_pause_is_longer_than_the_limit_allows() {
        let refused = session(Stage::Connect, Reason::Refused, None);
        let mut backoff = Backoff::default();
        let interval = Duration::from_secs(600);
        backoff.learn(&refused, interval, Duration::from_secs(300));
        assert_eq!(backoff.pause(interval), Duration::ZERO);
        assert!(!backoff.sits_out());
    }
}
