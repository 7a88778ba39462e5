//! Single values: texts, numbers, durations, each checked or refused with what was found instead.

use std::{fmt, ops::RangeInclusive, time::Duration};

use figment::{
    error::Kind,
    value::{Num, Value},
};
use serde::de::DeserializeOwned;

use super::table::Node;

impl Node<'_> {
    fn leaf<T: DeserializeOwned>(&self, expected: &str) -> Option<T> {
        match self.value.deserialize() {
            Ok(value) => Some(value),
            Err(error) => {
                let reason = match error.kind {
                    Kind::Message(reason) => reason,
                    _ => format!("expected {expected}, found {}", describe(self.value)),
                };
                self.refuse(reason);
                None
            }
        }
    }

    pub(super) fn text(&self, expected: &str) -> Option<String> {
        self.leaf(expected)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        self.leaf("true or false")
    }

    /// A whole number within bounds.
    pub(super) fn number<T>(&self, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + fmt::Display,
    {
        let number: i64 = self.leaf("a whole number")?;
        let checked = T::try_from(number).ok().filter(|n| bounds.contains(n));
        if checked.is_none() {
            self.refuse(format!(
                "must be from {} to {}, found {number}",
                bounds.start(),
                bounds.end()
            ));
        }
        checked
    }

    /// A duration as people write it, within bounds.
    pub(super) fn duration(&self, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        if let Value::Num(_, number) = self.value {
            let number = written(*number);
            self.refuse(format!(
                "expected a duration such as \"30s\", found {}; write \"{number}s\"",
                describe(self.value)
            ));
            return None;
        }
        let text = self.text("a duration such as \"30s\"")?;
        match humantime::parse_duration(&text) {
            Ok(duration) if bounds.contains(&duration) => return Some(duration),
            Ok(_) => self.refuse(format!(
                "must be from {} to {}, found {}",
                humantime::format_duration(*bounds.start()),
                humantime::format_duration(*bounds.end()),
                shown(&text)
            )),
            Err(humantime::DurationError::UnknownUnit { unit, .. }) if unit.is_empty() => {
                self.refuse(format!("{} has no unit; write \"{}s\"", shown(&text), text.trim()));
            }
            Err(_) => self.refuse(format!(
                "expected a duration such as \"30s\" or \"1m 30s\", found {}",
                shown(&text)
            )),
        }
        None
    }

    /// A text that `parse` takes; its error is the reason otherwise.
    pub(super) fn parse<T, E: fmt::Display>(
        &self,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(expected)?;
        parse(&text).map_err(|error| self.refuse(format!("{}: {error}", shown(&text)))).ok()
    }
}

/// A text from the configuration as it may stand in a message.
pub(super) fn shown(text: &str) -> String {
    const LIMIT: usize = 80;
    match text.char_indices().nth(LIMIT) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}…", &text[..at]),
    }
}

pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("string {}", shown(text)),
        Value::Char(_, c) => format!("string {:?}", c.to_string()),
        Value::Bool(_, value) => format!("boolean {value}"),
        Value::Num(_, number) if number.to_f64().is_some() => format!("float {}", written(*number)),
        Value::Num(_, number) => format!("integer {}", written(*number)),
        Value::Empty(..) => "nothing".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        // figment has no type for a TOML date and wraps its text.
        Value::Dict(_, dict) if dict.keys().any(|k| k.starts_with("$__toml")) => {
            "a date".to_owned()
        }
        Value::Dict(..) => "a table".to_owned(),
    }
}

/// A number as it may have been written.
pub(super) fn written(number: Num) -> String {
    let unsigned = number.to_u128().map(|n| n.to_string());
    let signed = || Value::from(number).to_i128().map(|n| n.to_string());
    let float = || number.to_f64().map(|n| n.to_string());
    unsigned.or_else(signed).or_else(float).unwrap_or_default()
}
