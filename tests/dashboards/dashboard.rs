//! A dashboard in Grafana's classic JSON, read: panels, queries, variables, links. It judges
//! nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// One file of `dashboards/`.
pub(crate) struct Dashboard {
    /// The name of the file.
    pub(crate) file: String,
    json: Value,
}

/// One query, and where it stands.
pub(crate) struct Query {
    /// File, title and letter, for whoever reads a failure.
    pub(crate) place: String,
    /// PromQL with Grafana's variables in it.
    pub(crate) expr: String,
}

/// Every dashboard, by file name.
pub(crate) fn all() -> Vec<Dashboard> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let json =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
            Dashboard { file, json }
        })
        .collect()
}

/// The files with the rules that the dashboards build on.
pub(crate) fn rules() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus/rules");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

impl Dashboard {
    /// The value at a key of the dashboard itself.
    pub(crate) fn key(&self, key: &str) -> &Value {
        &self.json[key]
    }

    /// Everything that has a place in the grid, rows included.
    pub(crate) fn boxes(&self) -> &[Value] {
        array(&self.json["panels"])
    }

    /// The panels that show something: all but the rows.
    pub(crate) fn panels(&self) -> impl Iterator<Item = &Value> {
        self.boxes().iter().filter(|panel| panel["type"] != "row")
    }

    /// The template variables in the order in which they depend on each other.
    pub(crate) fn variables(&self) -> &[Value] {
        array(&self.json["templating"]["list"])
    }

    /// The annotations that ask Prometheus.
    pub(crate) fn annotations(&self) -> Vec<Query> {
        let asking =
            array(&self.json["annotations"]["list"]).iter().filter(|a| a["expr"].is_string());
        asking.map(|annotation| self.query(annotation, &annotation["name"], "annotation")).collect()
    }

    /// The queries of a panel.
    pub(crate) fn queries(&self, panel: &Value) -> Vec<Query> {
        let targets = array(&panel["targets"]).iter();
        targets.map(|target| self.query(target, &panel["title"], text(&target["refId"]))).collect()
    }

    fn query(&self, of: &Value, title: &Value, letter: &str) -> Query {
        let place = format!("{}: {}: {letter}", self.file, text(title));
        Query { place, expr: text(&of["expr"]).to_owned() }
    }

    /// The addresses of every data link.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_links(&self.json["panels"], &mut found);
        found
    }
}

fn collect_links(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("url").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| collect_links(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_links(value, found)),
        _ => {}
    }
}

/// The elements of an array; none of what is absent.
pub(crate) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The names of the variables in a text: `$name`, `${name}` and `${name:format}`.
pub(crate) fn references(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('$') {
        let rest = &text[at + 1..];
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        // `$1` is a group of label_replace.
        found.extend(Some(&rest[..end]).filter(|name| name.parse::<u8>().is_err()));
    }
    found
}

/// The text with its variables put in.
///
/// # Panics
///
/// When one has no value.
pub(crate) fn substitute(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut names = references(text);
    // `$mx` begins `$mxwatch`.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.into_iter().fold(text.to_owned(), |text, name| {
        let value = values.get(name).unwrap_or_else(|| panic!("${name} has no value: {text}"));
        text.replace(&format!("${name}"), value).replace(&format!("${{{name}}}"), value)
    })
}
