//! Prometheus `file_sd` lists in JSON and YAML: groups of targets with labels.
//!
//! As Prometheus reads them: unknown keys are mistakes, labels that begin with `__` are dropped.

use std::collections::BTreeMap;

use figment::value::Value;

use super::{
    destination::DestinationSettings,
    destination_list::DestinationList,
    key,
    problem::{Place, Problem},
    reading::Reading,
    table::Node,
    yaml::{self, reason},
};
use crate::name::Destination;

/// How a list is written.
#[derive(Clone, Copy)]
pub(super) enum Syntax {
    Json,
    Yaml,
}

/// Adds the targets of one file.
pub(super) fn read(
    reading: &Reading<'_>,
    (syntax, text): (Syntax, &str),
    base: &DestinationSettings,
    list: &mut DestinationList,
) {
    let value = match parse(syntax, text) {
        Ok(value) => value,
        Err((position, reason)) => {
            let place = Place::File { path: reading.path.clone(), position };
            reading.refuse(Problem::at(place, reason));
            return;
        }
    };
    let hopeless = || reading.problems.borrow().len() >= MOST_MISTAKES;
    for group in Node::root(reading, &value).list("a list of groups, each with targets") {
        if hopeless() {
            return;
        }
        let Some(table) = group.table(key::TARGET_GROUP, "a group with targets and labels") else {
            continue;
        };
        let labels = table.get("labels").map(labels).unwrap_or_default();
        let settings = DestinationSettings { labels, ..base.clone() };
        let Some(targets) = table.get("targets") else {
            table.missing("targets", "missing; a group needs it, as in [\"example.org\"]");
            continue;
        };
        for node in targets.list("a list such as [\"example.org\", \"relay.example.net:587\"]") {
            if hopeless() {
                return;
            }
            if let Some(target) = node.parse("a target such as \"example.org\"", Destination::parse)
            {
                list.add(&node, target, settings.clone());
            }
        }
    }
}

/// Nobody reads more, and what is no list at all has millions.
const MOST_MISTAKES: usize = 100;

type ParseError = (Option<(usize, usize)>, String);

fn parse(syntax: Syntax, text: &str) -> Result<Value, ParseError> {
    // An empty YAML file is an empty list, as for Prometheus.
    let json: Option<serde_json::Value> = match syntax {
        Syntax::Json => serde_json::from_str(text).map_err(|error| {
            (Some((error.line(), error.column().max(1))), reason(&error.to_string()))
        })?,
        Syntax::Yaml => serde_saphyr::from_str(text).map_err(|error| {
            let position = error.location().and_then(yaml::position);
            (position, reason(&error.without_snippet().to_string()))
        })?,
    };
    let json = json.unwrap_or_else(|| serde_json::Value::Array(Vec::new()));
    Value::serialize(json).map_err(|error| (None, error.to_string()))
}

fn labels(node: Node<'_>) -> BTreeMap<String, String> {
    let Some(table) = node.open_table("a table of labels such as {\"team\": \"mail\"}") else {
        return BTreeMap::new();
    };
    let mut labels = BTreeMap::new();
    for (name, node) in table.entries() {
        if name.starts_with("__") {
            continue;
        }
        let Some(value) = node.text("a text") else {
            continue;
        };
        if !is_label_name(name) {
            node.refuse("not a label name: letters, digits and underscores, no digit first");
        } else if RESERVED.contains(&name) {
            node.refuse("mxwatch sets this label itself; choose another name");
        } else {
            labels.insert(name.to_owned(), value);
        }
    }
    labels
}

fn is_label_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What `mx_destination_info` has of its own.
const RESERVED: &[&str] = &["domain", "resolver"];
