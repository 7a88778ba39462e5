//! What is kept from one look to the next: a policy, and a fetch that failed; and when it is time to fetch
//! again. Pure: the caller brings the clock.

use jiff::{SignedDuration, Timestamp};

use super::{fetch::Failed, policy::Policy};
use crate::facts::{MtaSts, StsPolicy, StsStatus};

/// What one look leaves to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The policy in force.
    pub(super) kept: Option<Kept>,
    /// The last fetch, if that failed.
    pub(super) failed: Option<Attempt>,
}

impl Memory {
    /// Whether there is nothing to remember.
    pub const fn is_empty(&self) -> bool {
        self.kept.is_none() && self.failed.is_none()
    }
}

/// A fetch that failed.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    id: String,
    failed: Failed,
    at: Timestamp,
}

impl Attempt {
    /// One for the record with this `id`, made now.
    pub(super) fn new(id: String, failed: &Failed, at: Timestamp) -> Self {
        Self { id, failed: failed.clone(), at }
    }

    /// Whether it is too early for another: RFC 8461 §3.3 wants five minutes between two.
    pub(super) fn rests(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < REST
    }

    /// How the fetch for the record with this `id` ended.
    pub(super) fn at(&self, id: &str) -> Option<Failed> {
        (self.id == id).then(|| self.failed.clone())
    }
}

/// Before the same policy is asked for again.
const REST: SignedDuration = SignedDuration::from_mins(5);

/// A policy that was fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Kept {
    id: String,
    policy: Policy,
    fetched_at: Timestamp,
    expires_at: Timestamp,
}

impl Kept {
    /// One that was fetched now for the record with this `id`.
    pub(super) fn new(id: String, policy: Policy, fetched_at: Timestamp) -> Self {
        let max_age = SignedDuration::from_secs(policy.max_age.into());
        let expires_at = fetched_at.checked_add(max_age).unwrap_or(Timestamp::MAX);
        Self { id, policy, fetched_at, expires_at }
    }

    /// Whether it still holds (RFC 8461 §3.2).
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Whether it will do for a record with this `id`: it is fetched again when the `id` is another,
    /// and early enough before it expires, once a day at least (§3.3, §10.2).
    pub(super) fn will_do(&self, id: &str, now: Timestamp) -> bool {
        let half = SignedDuration::from_secs(self.policy.max_age.into()) / 2;
        let fresh = now.duration_since(self.fetched_at) < half.min(REFRESH);
        self.id == id && fresh && self.holds(now)
    }

    /// The facts while it is in force, after a look at this moment that ended like this.
    pub(super) fn in_force(
        &self,
        now: Timestamp,
        status: StsStatus,
        detail: Option<String>,
    ) -> MtaSts {
        let Self { id, policy, fetched_at, expires_at } = self;
        let source = StsPolicy {
            id: id.clone(),
            max_age_seconds: policy.max_age,
            fetched_at: *fetched_at,
            expires_at: *expires_at,
            cached: *fetched_at < now,
        };
        MtaSts {
            mode: policy.mode,
            mx: policy.mx.clone(),
            policy: Some(source),
            ..MtaSts::without_policy(status, detail)
        }
    }
}

/// What a sender does that sees the domain every day.
const REFRESH: SignedDuration = SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::StsMode;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn kept(max_age: u32) -> Kept {
        let policy = Policy { mode: StsMode::Enforce, mx: vec!["mx.example.com".into()], max_age };
        Kept::new("1".into(), policy, at(1_000_000))
    }

    #[test]
    fn it_holds_until_its_age_is_over() {
        let kept = kept(100);
        for (second, holds) in [(1_000_000, true), (1_000_099, true), (1_000_100, false)] {
            assert_eq!(kept.holds(at(second)), holds, "{second}");
        }
        for (second, cached) in [(1_000_000, false), (1_000_001, true)] {
            let sts = kept.in_force(at(second), StsStatus::DnsError, None);
            assert_eq!((sts.mode, sts.lists("mx.example.com")), (StsMode::Enforce, true));
            let policy = sts.policy.unwrap();
            assert_eq!((policy.expires_at, policy.cached), (at(1_000_100), cached));
        }
    }

    #[test]
    fn a_fetch_that_failed_is_not_made_again_for_five_minutes() {
        let why = Failed::new(StsStatus::FetchHttp, "HTTP 503");
        let attempt = Attempt::new("1".into(), &why, at(1_000_000));
        assert_eq!((attempt.at("1"), attempt.at("2")), (Some(why), None), "another id is another");
        for (second, rests) in [(1_000_000, true), (1_000_299, true), (1_000_300, false)] {
            assert_eq!(attempt.rests(at(second)), rests, "{second}");
        }
    }

    #[test]
    fn it_is_fetched_again_for_another_id_and_before_it_expires() {
        for (max_age, id, after, will_do) in [
            (100, "1", 49, true),
            (100, "1", 50, false),
            (100, "2", 0, false),
            (604_800, "1", 86_399, true),
            (604_800, "1", 86_400, false),
            (0, "1", 0, false),
        ] {
            let now = at(1_000_000 + after);
            assert_eq!(kept(max_age).will_do(id, now), will_do, "{max_age} {id} {after}");
        }
    }
}
