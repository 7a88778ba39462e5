//! What was found of certificates, and for how long it holds: it may change only where one of them
//! begins or ceases to be valid. Pure.

use std::ops::Range;

use jiff::Timestamp;
use tokio_rustls::rustls::pki_types::UnixTime;

/// Something found that holds for a while.
#[derive(Clone, Debug)]
pub(super) struct Lasting<T> {
    found: T,
    /// In seconds since 1970; empty for what must be looked at again each time.
    during: Range<i64>,
}

impl<T: Clone> Lasting<T> {
    /// Found `now`, of certificates that begin and cease to be valid at these `dates`; `None` stands for
    /// one that is not known.
    pub(super) fn new(
        found: T,
        dates: impl Iterator<Item = Option<Timestamp>>,
        now: UnixTime,
    ) -> Self {
        Self { found, during: between(dates, seconds(now)).unwrap_or_default() }
    }

    /// What was found, if it holds at this time.
    pub(super) fn at(&self, now: UnixTime) -> Option<T> {
        self.during.contains(&seconds(now)).then(|| self.found.clone())
    }
}

/// The stretch around `now` without any of the dates; `None` where one is not known.
fn between(dates: impl Iterator<Item = Option<Timestamp>>, now: i64) -> Option<Range<i64>> {
    let mut during = i64::MIN..i64::MAX;
    for date in dates {
        // Its second stands alone: to one end of the validity it belongs, to the other it does not, and
        // what has a fraction is read as the second that it is in.
        let date = date?.as_second();
        for turn in [date, date.saturating_add(1)] {
            if turn <= now {
                during.start = during.start.max(turn);
            } else {
                during.end = during.end.min(turn);
            }
        }
    }
    Some(during)
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(second))
    }

    /// The first and the last second at which it holds what was found at this one.
    fn held(dates: &[Option<i64>], now: u64) -> Option<(u64, u64)> {
        let dates =
            dates.iter().map(|date| date.and_then(|date| Timestamp::from_second(date).ok()));
        let lasting = Lasting::new((), dates, at(now));
        let mut holds = (0..100).filter(|&second| lasting.at(at(second)).is_some());
        let first = holds.next()?;
        Some((first, holds.next_back().unwrap_or(first)))
    }

    #[test]
    fn it_holds_between_the_dates_around_it() {
        let dates = [Some(10), Some(50), Some(20), Some(40)];
        for (now, want) in [
            (0, (0, 9)),
            (10, (10, 10)),
            (11, (11, 19)),
            (30, (21, 39)),
            (40, (40, 40)),
            (41, (41, 49)),
            (60, (51, 99)),
        ] {
            assert_eq!(held(&dates, now), Some(want), "{now}");
        }
        assert_eq!(held(&[], 5), Some((0, 99)));
        assert_eq!(held(&[Some(-5)], 5), Some((0, 99)));
    }

    #[test]
    fn where_a_date_is_not_known_nothing_holds() {
        assert_eq!(held(&[Some(10), None], 5), None);
    }
}
