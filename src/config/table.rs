//! Reading figment values key by key, so that one mistake does not hide the next.
//!
//! [`Table`] and [`Node`] are cursors into a document: they hand out what is there, or note why it
//! cannot be. They know shapes, not sections; single values are read in `leaf`.

use std::path::Path;

use figment::value::{Dict, Value};

use super::{
    key::{self, KeyPath},
    leaf::describe,
    problem::Place,
    reading::Reading,
};

/// A value and the way to it.
#[derive(Clone)]
pub(super) struct Node<'a> {
    reading: &'a Reading<'a>,
    pub(super) value: &'a Value,
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

    /// The directory of the file it stands in, where relative paths start.
    pub(super) fn directory(&self) -> &Path {
        self.reading.path.parent().unwrap_or(Path::new(""))
    }

    /// Notes that this value cannot be.
    pub(super) fn refuse(&self, reason: impl Into<String>) {
        self.reading.refuse_key(self.place(), &self.path, reason.into());
    }

    /// Notes something allowed but hardly meant.
    pub(super) fn warn(&self, reason: &str) {
        self.reading.warn(format!("{}: {}: {reason}", self.place(), self.key()));
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

    /// The key of the table in this table, where there is nothing else in it.
    pub(super) fn only_table(&self) -> Option<&'a str> {
        let Value::Dict(_, outer) = self.value else { return None };
        match outer.iter().collect::<Vec<_>>().as_slice() {
            [(name, Value::Dict(..))] => Some(name),
            _ => None,
        }
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

    /// The same, where there is a value: in YAML, a key may stand without one.
    pub(super) fn given(&self, name: &str) -> Option<Node<'a>> {
        self.get(name).filter(|node| !matches!(node.value, Value::Empty(..)))
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
