//! Reading figment values key by key, so that one mistake does not hide the next.
//!
//! A [`Reading`] collects the mistakes of one document; [`Table`] and [`Node`] are cursors into it
//! that hand out checked values or note why there is none. They know types, not sections.

use std::{cell::RefCell, fmt, ops::RangeInclusive, path::Path, sync::Arc, time::Duration};

use figment::{
    Figment,
    error::Kind,
    value::{Dict, Num, Value},
};
use serde::de::DeserializeOwned;

use super::{
    environment,
    key::{self, KeyPath},
    problem::{Place, Problem},
    source::{Source, one_line},
};

/// One document being read: a TOML file under the environment, or a list of targets.
pub(super) struct Reading<'a> {
    /// Knows which provider each value came from.
    pub(super) figment: &'a Figment,
    /// Where the document is.
    pub(super) path: Arc<Path>,
    /// The positions, in TOML.
    pub(super) source: Option<&'a Source>,
    /// The mistakes so far.
    pub(super) problems: RefCell<Vec<Problem>>,
    /// What is allowed but hardly meant.
    pub(super) warnings: RefCell<Vec<String>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(figment: &'a Figment, path: Arc<Path>, source: Option<&'a Source>) -> Self {
        let (problems, warnings) = (RefCell::default(), RefCell::default());
        Self { figment, path, source, problems, warnings }
    }

    pub(super) fn refuse(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// The same about a key, which a variable named after it need not repeat.
    fn refuse_key(&self, place: Place, path: &KeyPath, reason: String) {
        let mut key = path.to_string();
        if matches!(&place, Place::Variable(name) if *name == environment::variable_for(&key)) {
            key.clear();
        }
        self.refuse(Problem { place, key, reason });
    }

    pub(super) fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Takes over what was noted about another document.
    pub(super) fn absorb(&self, other: Reading<'_>) {
        self.problems.borrow_mut().append(&mut other.problems.into_inner());
        self.warnings.borrow_mut().append(&mut other.warnings.into_inner());
    }

    /// All values of the document, merged by figment.
    pub(super) fn root_value(&self) -> Result<Value, Problem> {
        self.figment
            .find_value("")
            .map_err(|error| Problem::at(Place::file(&*self.path), one_line(&error.to_string())))
    }

    /// The place of a value that may have come from a variable.
    fn place(&self, value: &Value, path: &KeyPath, named: bool) -> Place {
        let origin = self.figment.get_metadata(value.tag()).and_then(|m| m.source.as_ref());
        match (origin.and_then(|source| source.custom()), self.source) {
            (Some(variable), _) => Place::Variable(variable.to_owned()),
            (None, Some(source)) if named => source.key_place(path),
            (None, Some(source)) => source.value_place(path),
            (None, None) => Place::File { path: Arc::clone(&self.path), position: None },
        }
    }
}

/// A value and the way to it.
#[derive(Clone)]
pub(super) struct Node<'a> {
    reading: &'a Reading<'a>,
    value: &'a Value,
    path: KeyPath,
}

impl<'a> Node<'a> {
    pub(super) fn root(reading: &'a Reading<'a>, value: &'a Value) -> Self {
        Self { reading, value, path: KeyPath::default() }
    }

    pub(super) fn place(&self) -> Place {
        self.reading.place(self.value, &self.path, false)
    }

    pub(super) fn key(&self) -> String {
        self.path.to_string()
    }

    /// Notes that this value cannot be.
    pub(super) fn refuse(&self, reason: impl Into<String>) {
        self.reading.refuse_key(self.place(), &self.path, reason.into());
    }

    /// Notes something allowed but hardly meant.
    pub(super) fn warn(&self, reason: &str) {
        self.reading.warn(format!("{}: {}: {reason}", self.place(), self.key()));
    }

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

    /// The elements of a list; none and a note when it is no list.
    pub(super) fn list(&self, expected: &str) -> Vec<Self> {
        let Value::Array(_, items) = self.value else {
            self.refuse(format!("expected {expected}, found {}", describe(self.value)));
            return Vec::new();
        };
        let node =
            |(index, value)| Self { reading: self.reading, value, path: self.path.index(index) };
        items.iter().enumerate().map(node).collect()
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, Value::Array(..))
    }

    /// The table, each key of which must be among `known`.
    pub(super) fn table(self, known: &[&str], expected: &str) -> Option<Table<'a>> {
        let table = self.open_table(expected)?;
        for (name, value) in table.dict {
            if !known.contains(&name.as_str()) {
                let path = table.node.path.key(name);
                let place = table.node.reading.place(value, &path, true);
                table.node.reading.refuse_key(place, &path, key::unknown(name, known));
            }
        }
        Some(table)
    }

    /// The table, whatever its keys.
    pub(super) fn open_table(self, expected: &str) -> Option<Table<'a>> {
        let Value::Dict(_, dict) = self.value else {
            self.refuse(format!("expected {expected}, found {}", describe(self.value)));
            return None;
        };
        Some(Table { dict, node: self })
    }
}

/// A table and the way to it.
pub(super) struct Table<'a> {
    dict: &'a Dict,
    /// The table as a value, for mistakes that are not about one key.
    pub(super) node: Node<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        self.dict.get(name).map(|value| self.child(name, value))
    }

    /// All values with their names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> + '_ {
        self.dict.iter().map(|(name, value)| (name.as_str(), self.child(name, value)))
    }

    fn child(&self, name: &str, value: &'a Value) -> Node<'a> {
        Node { reading: self.node.reading, value, path: self.node.path.key(name) }
    }

    /// The table of that name, empty when there is none.
    pub(super) fn section(&self, name: &str) -> Option<Table<'a>> {
        self.get(name)?.table(key::section(name), &format!("a table, [{name}]"))
    }

    /// Notes that a key is missing.
    pub(super) fn missing(&self, name: &str, reason: &str) {
        let (place, path) = (self.node.place(), self.node.path.key(name));
        self.node.reading.refuse_key(place, &path, reason.to_owned());
    }

    /// Overwrites `target` where the key is set and right.
    pub(super) fn set<T>(
        &self,
        target: &mut T,
        name: &str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) {
        if let Some(value) = self.get(name).and_then(|node| read(&node)) {
            *target = value;
        }
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

fn describe(value: &Value) -> String {
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

fn written(number: Num) -> String {
    let unsigned = number.to_u128().map(|n| n.to_string());
    let signed = || Value::from(number).to_i128().map(|n| n.to_string());
    let float = || number.to_f64().map(|n| n.to_string());
    unsigned.or_else(signed).or_else(float).unwrap_or_default()
}
