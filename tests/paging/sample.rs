//! Alerts as Prometheus would send them, written in one line: `MxNullMx scope=domain domain=a.test`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The labels of an alert.
pub(crate) fn labels(text: &str) -> Value {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let given = rest.split(' ').filter_map(|label| label.split_once('='));
    let all = [("alertname", name)].into_iter().chain(given);
    Value::Object(all.map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>())
}

/// An alert that fires.
pub(crate) fn firing(text: &str) -> Value {
    json!({
        "labels": labels(text),
        "annotations": {
            "summary": "Something is wrong.",
            "description": "The cause in words.",
            "runbook_url": "https://runbooks.example.com/mxwatch/page.md",
        },
    })
}

/// The same alert when it is over.
pub(crate) fn over(mut alert: Value) -> Value {
    alert["endsAt"] = Timestamp::now().to_string().into();
    alert
}
