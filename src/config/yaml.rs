//! The text of one YAML file, and where in it each key and value stands.
//!
//! What `source` is for TOML. What the values mean is the business of whoever reads them.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use figment::value::{Dict, Empty, Tag, Value};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use super::{
    key::KeyPath,
    problem::{Place, Problem},
    source::{Positions, one_line},
};

/// Line and column from 1.
type Position = (usize, usize);

/// Where each key and each value of a YAML file stands.
pub(super) struct Yaml {
    path: Arc<Path>,
    /// By the key as it is shown: its name, where it has one, and its value.
    spots: BTreeMap<String, (Option<Position>, Option<Position>)>,
}

impl Yaml {
    /// Parses; the only possible mistakes here are those of syntax. A file without a value, such as
    /// an empty one, is an empty table.
    pub(super) fn parse(path: Arc<Path>, text: &str) -> Result<(Self, Value), Problem> {
        let tree: Option<Spanned<Tree>> =
            serde_saphyr::from_str(text).map_err(|error| refused(&path, &error))?;
        let mut yaml = Self { path, spots: BTreeMap::new() };
        let value = match tree {
            Some(tree) => yaml.note(tree, None, &KeyPath::default()),
            None => Value::from(Dict::new()),
        };
        let nothing = matches!(value, Value::Empty(..));
        Ok((yaml, if nothing { Value::from(Dict::new()) } else { value }))
    }

    /// Notes where a value and all within it stand, and keeps the value.
    fn note(&mut self, tree: Spanned<Tree>, name: Option<Position>, path: &KeyPath) -> Value {
        self.spots.insert(path.to_string(), (name, position(tree.referenced)));
        match tree.value {
            Tree::Leaf(value) => value,
            Tree::List(items) => {
                let items = items.into_iter().enumerate();
                let items = items.map(|(at, item)| self.note(item, None, &path.index(at)));
                Value::from(items.collect::<Vec<_>>())
            }
            Tree::Table(entries) => {
                let entries = entries.into_iter().map(|(name, item)| {
                    let path = path.key(&name.value);
                    let value = self.note(item, position(name.referenced), &path);
                    (name.value, value)
                });
                Value::from(entries.collect::<Dict>())
            }
        }
    }

    fn place(&self, position: Option<Position>) -> Place {
        Place::File { path: Arc::clone(&self.path), position }
    }
}

impl Positions for Yaml {
    fn key_place(&self, key: &KeyPath) -> Place {
        let spot = self.spots.get(&key.to_string());
        self.place(spot.and_then(|(name, value)| name.or(*value)))
    }

    fn value_place(&self, key: &KeyPath) -> Place {
        let spot = self.spots.get(&key.to_string());
        self.place(spot.and_then(|(name, value)| value.or(*name)))
    }
}

/// A parser's error, as a mistake in the file.
fn refused(path: &Arc<Path>, error: &serde_saphyr::Error) -> Problem {
    let position = error.location().and_then(position);
    let place = Place::File { path: Arc::clone(path), position };
    Problem::at(place, reason(&error.without_snippet().to_string()))
}

/// A parser's message without the position, which stands in front of it already.
pub(super) fn reason(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(reason, _)| reason);
    // What serde-saphyr says next is advice for programmers.
    one_line(message.rsplit_once(", set Dup").map_or(message, |(reason, _)| reason))
}

/// None for what comes from nowhere.
pub(super) fn position(at: Location) -> Option<Position> {
    let (line, column) = (usize::try_from(at.line()).ok()?, usize::try_from(at.column()).ok()?);
    (line > 0).then_some((line, column))
}

/// Any YAML value.
enum Tree {
    Leaf(Value),
    List(Vec<Spanned<Tree>>),
    Table(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTree)
    }
}

struct AnyTree;

impl<'de> Visitor<'de> for AnyTree {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Empty(Tag::Default, Empty::Unit)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Table(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a:\n  b: [x, &two z]\n  'c d': *two\n? 7\n: yes\n'8':\n";

    #[test]
    fn every_key_and_value_has_its_place() {
        let (yaml, value) = Yaml::parse(Path::new("w.yml").into(), TEXT).unwrap();
        let top = KeyPath::default();
        let a = top.key("a");
        let shown = |place: Place| place.to_string();
        assert_eq!(shown(yaml.key_place(&a)), "w.yml:1:1");
        assert_eq!(shown(yaml.value_place(&a.key("b").index(1))), "w.yml:2:15");
        assert_eq!(shown(yaml.key_place(&a.key("c d"))), "w.yml:3:3");
        assert_eq!(shown(yaml.value_place(&a.key("c d"))), "w.yml:3:10");
        assert_eq!(shown(yaml.value_place(&top.key("nothing"))), "w.yml");
        let value = serde_json::to_value(value).unwrap();
        let read =
            serde_json::json!({ "a": { "b": ["x", "z"], "c d": "z" }, "7": true, "8": null });
        assert_eq!(value, read);
    }

    #[test]
    fn a_file_without_a_value_is_an_empty_table() {
        for text in ["", "\n", "# nothing\n", "---\n", "null\n", "{}"] {
            let (_, value) = Yaml::parse(Path::new("w.yml").into(), text).unwrap();
            assert_eq!(value.as_dict().map(Dict::len), Some(0), "{text:?}");
        }
    }

    #[test]
    fn a_mistake_of_syntax_has_a_place_and_one_line() {
        for (text, want) in [
            ("a: 1\na: 2\n", "w.yml:2:1: duplicate mapping key: a"),
            ("a: [1\n", "w.yml:1:4: unclosed bracket"),
            ("a: *nobody\n", "w.yml:1:4: "),
        ] {
            let error = Yaml::parse(Path::new("w.yml").into(), text).err().unwrap().to_string();
            assert!(error.starts_with(want) && !error.contains('\n'), "{error}");
        }
    }
}
