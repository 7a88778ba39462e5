//! One document while it is being read, and what has been noted about it.

use std::{cell::RefCell, path::Path, sync::Arc};

use figment::{Figment, value::Value};

use super::{
    environment,
    key::KeyPath,
    problem::{Place, Problem},
    source::{Positions, one_line},
};

/// One document being read: a TOML file under the environment, a list of targets, or a web
/// configuration.
pub(super) struct Reading<'a> {
    /// Knows which provider each value came from.
    pub(super) figment: &'a Figment,
    /// Where the document is.
    pub(super) path: Arc<Path>,
    /// The positions, in TOML and in a YAML that is no list of targets.
    pub(super) source: Option<&'a dyn Positions>,
    /// The mistakes so far.
    pub(super) problems: RefCell<Vec<Problem>>,
    /// What is allowed but hardly meant.
    pub(super) warnings: RefCell<Vec<String>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        figment: &'a Figment,
        path: Arc<Path>,
        source: Option<&'a dyn Positions>,
    ) -> Self {
        let (problems, warnings) = (RefCell::default(), RefCell::default());
        Self { figment, path, source, problems, warnings }
    }

    pub(super) fn refuse(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// The same about a key, which a variable named after it need not repeat.
    pub(super) fn refuse_key(&self, place: Place, path: &KeyPath, reason: String) {
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
    pub(super) fn place(&self, value: &Value, path: &KeyPath, named: bool) -> Place {
        let origin = self.figment.get_metadata(value.tag()).and_then(|m| m.source.as_ref());
        match (origin.and_then(|source| source.custom()), self.source) {
            (Some(variable), _) => Place::Variable(variable.to_owned()),
            (None, Some(source)) if named => source.key_place(path),
            (None, Some(source)) => source.value_place(path),
            (None, None) => Place::File { path: Arc::clone(&self.path), position: None },
        }
    }
}
