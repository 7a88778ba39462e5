//! Whether a resolver is up, going by one control round after the other.
//!
//! Pure: what is made of an answer, not how it is asked for. One lost round is no reason to call a
//! resolver dead, and one response is enough to call it alive.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{config::ResolverKind, facts::ResolverFacts};

/// A resolver and its newest control round.
#[derive(Clone, Debug)]
pub struct ResolverReport {
    /// Of which kind it was configured.
    pub kind: &'static str,
    /// What it was configured to be asked over.
    pub transport: &'static str,
    /// Its answers decide where mail goes.
    pub primary: bool,
    /// What the rounds since it is asked come to.
    pub health: Health,
    /// The last completed round; `None` before the first.
    pub last: Option<Arc<ResolverFacts>>,
}

impl ResolverReport {
    /// One that was not asked yet.
    pub fn new(kind: &ResolverKind, primary: bool) -> Self {
        let (kind, transport) = (kind.label(), kind.transport());
        Self { kind, transport, primary, health: Health::Unknown, last: None }
    }

    /// The same with what the rounds of another came to.
    pub(super) fn with_rounds_of(self, other: &Self) -> Self {
        Self { health: other.health, last: other.last.clone(), ..self }
    }

    /// The same after another round.
    #[must_use]
    pub fn next(&self, facts: ResolverFacts) -> Self {
        let health = self.health.next(facts.up(), facts.observed_at);
        Self { health, last: Some(Arc::new(facts)), ..self.clone() }
    }

    /// None of its servers responds.
    pub fn down(&self) -> bool {
        self.health.up() == Some(false)
    }
}

/// What control rounds come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// It has not responded yet, and there were not rounds enough to call it down.
    Unknown,
    /// It has responded.
    Up,
    /// The last round got no response.
    Missed {
        /// When that ended.
        since: Timestamp,
        /// It had responded before.
        was_up: bool,
    },
    /// Two rounds running got no response.
    Down {
        /// When the first of them ended.
        since: Timestamp,
    },
}

impl Health {
    /// `None` while it is not known.
    pub const fn up(self) -> Option<bool> {
        match self {
            Self::Up | Self::Missed { was_up: true, .. } => Some(true),
            Self::Down { .. } => Some(false),
            Self::Unknown | Self::Missed { was_up: false, .. } => None,
        }
    }

    fn next(self, responded: Option<bool>, at: Timestamp) -> Self {
        match (self, responded) {
            (_, None) => Self::Unknown,
            (_, Some(true)) => Self::Up,
            (Self::Unknown, Some(false)) => Self::Missed { since: at, was_up: false },
            (Self::Up, Some(false)) => Self::Missed { since: at, was_up: true },
            (Self::Missed { since, .. } | Self::Down { since }, Some(false)) => {
                Self::Down { since }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known after each of these rounds, the first of which ends at second 1.
    fn after(rounds: &[bool]) -> Vec<Option<bool>> {
        let mut health = Health::Unknown;
        let mut known = Vec::new();
        for (second, responded) in (1..).zip(rounds) {
            health = health.next(Some(*responded), Timestamp::from_second(second).unwrap());
            known.push(health.up());
        }
        known
    }

    #[test]
    fn two_rounds_running_make_it_down_and_one_response_up() {
        let (up, down) = (Some(true), Some(false));
        assert_eq!(after(&[true, false, true, false, false]), [up, up, up, up, down]);
        assert_eq!(after(&[false, false, false, true]), [None, down, down, up]);
        assert_eq!(after(&[false, true, false, false]), [None, up, up, down]);
    }

    #[test]
    fn it_is_down_since_the_first_round_without_response() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut health = Health::Up;
        for second in 5..9 {
            health = health.next(Some(false), at(second));
        }
        assert_eq!(health, Health::Down { since: at(5) });
        assert_eq!(health.next(None, at(10)), Health::Unknown, "nobody is left to be asked");
    }
}
