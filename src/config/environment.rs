//! The `MXWATCH_` environment as figment providers, one for each variable.
//!
//! figment's own `Env` gives all variables one origin; here each is its own, so that a mistake
//! names the variable. `__` separates section and key: `MXWATCH_PROBE__INTERVAL=30s`.

use std::ffi::{OsStr, OsString};

use figment::{
    Metadata, Profile, Provider, Source,
    providers::{Format, Toml},
    util::nest,
    value::{Dict, Map, Value},
};

use super::{
    key::{self, SECTIONS, TOP},
    problem::{Place, Problem},
};

/// A variable that sets a known key.
pub(super) struct Variable {
    name: String,
    /// The key it sets, dotted.
    key: String,
    value: Value,
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::from("environment variable", Source::Custom(self.name.clone()))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let nested = nest(&self.key, self.value.clone()).into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(nested))
    }
}

/// Picks the variables with the prefix; those that set no known key are refused.
pub(super) fn read<K: Into<OsString>, V: Into<OsString>>(
    environment: impl IntoIterator<Item = (K, V)>,
) -> (Vec<Variable>, Vec<Problem>) {
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in environment {
        let (name, value) = (name.into(), value.into());
        // A name that is not UTF-8 cannot be one of ours: they are ASCII.
        let Some((name, suffix)) = name.to_str().and_then(|n| Some((n, n.strip_prefix(PREFIX)?)))
        else {
            continue;
        };
        if is_service_link(suffix, &value) {
            continue;
        }
        match variable(name, suffix, &value) {
            Ok(variable) => variables.push(variable),
            Err(reason) => {
                problems.push(Problem::at(Place::Variable(name.to_owned()), reason));
            }
        }
    }
    // A variable for a whole section goes before those for its keys, whatever order they came in.
    variables.sort_by(|a, b| a.key.cmp(&b.key));
    (variables, problems)
}

fn variable(name: &str, suffix: &str, value: &OsStr) -> Result<Variable, String> {
    let key = suffix.to_lowercase().replace("__", ".");
    let known = || {
        let nested = SECTIONS
            .iter()
            .flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}")));
        TOP.iter().map(|key| (*key).to_owned()).chain(nested)
    };
    if !known().any(|k| k == key) {
        let known: Vec<String> = known().collect();
        return Err(match key::nearest(&key, known.iter().map(String::as_str)) {
            Some(near) => format!("unknown, did you mean {}?", variable_for(near)),
            None => "unknown: it names no key of the configuration".to_owned(),
        });
    }
    let Some(value) = value.to_str() else {
        return Err("is not UTF-8 text".to_owned());
    };
    Ok(Variable { name: name.to_owned(), value: typed(&key, value), key })
}

/// The variable that sets a key.
pub(super) fn variable_for(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// The value a variable's text stands for.
fn typed(key: &str, text: &str) -> Value {
    // An address literal such as [192.0.2.1] looks like a list, and is none.
    if PLAIN.contains(&key) {
        return Value::from(text.trim().trim_matches('"'));
    }
    match toml_value(text) {
        Some(value) => value,
        None if LISTS.contains(&key) => {
            let text = text.trim();
            let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
            let items = inner.split(',').map(|item| item.trim().trim_matches('"'));
            let items = items.filter(|item| !item.is_empty()).map(Value::from);
            Value::from(items.collect::<Vec<_>>())
        }
        None => Value::from(text),
    }
}

/// The text as what may stand right of `=` in the file. figment's own parser of such texts would
/// panic at a backslash before some characters.
fn toml_value(text: &str) -> Option<Value> {
    let document = Toml::string(&format!("value = {text}")).data().ok()?;
    let mut values = document.into_values().next()?;
    // More than one is a text with a line break in it.
    if values.len() == 1 { values.remove("value") } else { None }
}

/// Whether the variable is one that Kubernetes and Docker set in every container next to a service
/// that happens to be called `mxwatch`: nobody wrote it and nobody can remove it.
fn is_service_link(suffix: &str, value: &OsStr) -> bool {
    let value = value.as_encoded_bytes();
    suffix.ends_with("SERVICE_HOST")
        || suffix.contains("SERVICE_PORT")
        || (suffix.contains("PORT")
            && (value.starts_with(b"tcp://") || value.starts_with(b"udp://")))
        || suffix
            .strip_prefix("PORT_")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

const PREFIX: &str = "MXWATCH_";

/// Keys whose text is taken as it stands.
const PLAIN: &[&str] = &["connectivity_log", "helo_name", "probe.source_ipv4", "probe.source_ipv6"];

/// Keys that may also be written as a comma-separated list.
const LISTS: &[&str] = &["destination_files", "domains", "probe.families", "senders"];
