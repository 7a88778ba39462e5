//! The text of one TOML file, and where in it each key and value stands.
//!
//! It gives figment its values and error messages their line and column. What the values mean is
//! the business of the sections.

use std::{fs::File, io::Read, ops::Range, path::Path, sync::Arc};

use figment::{
    Metadata, Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Map},
};
use toml_edit::{Document, Item, Key, TableLike, Value};

use super::{
    key::{KeyPath, Step},
    problem::{Place, Problem},
};

/// A TOML file whose syntax is right.
pub(super) struct Source {
    path: Arc<Path>,
    document: Document<String>,
    /// Byte offset of the begin of each line.
    lines: Vec<usize>,
}

impl Source {
    /// Parses; the only possible mistake here is one of syntax.
    pub(super) fn parse(path: Arc<Path>, text: &str) -> Result<Self, Problem> {
        let lines: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let document = Document::parse(text.to_owned()).map_err(|error| {
            let position = error.span().map(|span| line_and_column(text, &lines, span.start));
            let place = Place::File { path: Arc::clone(&path), position };
            Problem::at(place, one_line(error.message()))
        })?;
        Ok(Self { path, document, lines })
    }

    fn place(&self, span: Option<Range<usize>>) -> Place {
        let position =
            span.map(|span| line_and_column(self.document.raw(), &self.lines, span.start));
        Place::File { path: Arc::clone(&self.path), position }
    }

    fn locate(&self, key: &KeyPath) -> Option<Spot> {
        let mut node = Node::Table(self.document.as_table());
        let mut spot = None;
        for step in key.steps() {
            let (key, next) = node.step(step)?;
            spot = Some(Spot { key: key.and_then(Key::span), value: next.span() });
            node = next;
        }
        spot
    }
}

/// Where the keys and values of a document stand.
pub(super) trait Positions {
    /// The place of a key's name.
    fn key_place(&self, key: &KeyPath) -> Place;

    /// The place of a key's value.
    fn value_place(&self, key: &KeyPath) -> Place;
}

impl Positions for Source {
    fn key_place(&self, key: &KeyPath) -> Place {
        self.place(self.locate(key).and_then(|spot| spot.key.or(spot.value)))
    }

    /// For a table, the place of its header.
    fn value_place(&self, key: &KeyPath) -> Place {
        self.place(self.locate(key).and_then(|spot| spot.value.or(spot.key)))
    }
}

impl Provider for &Source {
    fn metadata(&self) -> Metadata {
        Metadata::from("TOML file", &*self.path)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Toml::string(self.document.raw()).data()
    }
}

struct Spot {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
}

/// What a key path passes through.
enum Node<'a> {
    Item(&'a Item),
    Table(&'a dyn TableLike),
    TableOfArray(&'a toml_edit::Table),
    Value(&'a Value),
}

impl<'a> Node<'a> {
    fn step(&self, step: &Step) -> Option<(Option<&'a Key>, Self)> {
        match step {
            Step::Key(name) => {
                let (key, item) = self.table()?.get_key_value(name)?;
                Some((Some(key), Node::Item(item)))
            }
            Step::Index(index) => {
                let next = match self {
                    Node::Item(Item::ArrayOfTables(tables)) => {
                        Node::TableOfArray(tables.get(*index)?)
                    }
                    Node::Item(Item::Value(Value::Array(array)))
                    | Node::Value(Value::Array(array)) => Node::Value(array.get(*index)?),
                    _ => return None,
                };
                Some((None, next))
            }
        }
    }

    fn table(&self) -> Option<&'a dyn TableLike> {
        match self {
            Node::Item(item) => item.as_table_like(),
            Node::Table(table) => Some(*table),
            Node::TableOfArray(table) => Some(*table),
            Node::Value(value) => value.as_inline_table().map(|table| table as &dyn TableLike),
        }
    }

    fn span(&self) -> Option<Range<usize>> {
        match self {
            Node::Item(item) => item.span(),
            Node::Table(_) => None,
            Node::TableOfArray(table) => table.span(),
            Node::Value(value) => value.span(),
        }
    }
}

/// Reads a whole file as text, but never more than `limit` bytes of it.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, ReadError> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(ReadError::TooLarge(limit >> 20));
    }
    // Windows editors put a byte order mark in front.
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|_| ReadError::NotUtf8)
}

/// Why a file could not be read as text.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("is not UTF-8 text")]
    NotUtf8,
    #[error("is larger than {0} MiB")]
    TooLarge(u64),
}

/// A parser's message without line breaks, which would break the one line a problem has.
pub(super) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Line and column from 1, the column in characters, of a byte offset.
fn line_and_column(text: &str, lines: &[usize], offset: usize) -> (usize, usize) {
    let line = lines.partition_point(|&begin| begin <= offset).max(1);
    let begin = lines[line - 1];
    let before = text.get(begin..offset).unwrap_or_default();
    (line, before.chars().count() + 1)
}
