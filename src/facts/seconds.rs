//! Durations as JSON numbers of seconds, for `#[serde(with = …)]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(value.as_secs_f64())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    read(f64::deserialize(from)?)
}

/// Bounded, so that sums of what a file says cannot overflow.
fn read<E: Error>(seconds: f64) -> Result<Duration, E> {
    let duration = Duration::try_from_secs_f64(seconds).map_err(E::custom)?;
    if duration > LONGEST {
        return Err(E::custom("nothing observed takes more than a year"));
    }
    Ok(duration)
}

const LONGEST: Duration = Duration::from_secs(31_557_600);

/// The same for a value that may be absent.
pub(super) mod optional {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub(in crate::facts) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(in crate::facts) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds: Option<f64> = Option::deserialize(from)?;
        seconds.map(super::read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::StageFact;

    #[test]
    fn what_no_probe_can_have_observed_is_refused() {
        for (seconds, taken) in [("0.5", true), ("86400", true), ("1e10", false), ("-1", false)] {
            let text = format!(r#"{{"stage": "banner", "duration_seconds": {seconds}}}"#);
            assert_eq!(serde_json::from_str::<StageFact>(&text).is_ok(), taken, "{seconds}");
        }
    }
}
