//! What is wrong with a configuration, with the place where it stands.
//!
//! Plain values for the loader to collect and the caller to print; nothing here reads anything.

use std::{fmt, path::Path, path::PathBuf, sync::Arc};

/// Every mistake found in one pass, sorted by place. Never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts what was collected; `None` when nothing was.
    pub(super) fn collect(mut found: Vec<Problem>) -> Option<Self> {
        found.sort();
        found.dedup();
        (!found.is_empty()).then_some(Self(found))
    }

    /// One about a whole file.
    pub(crate) fn with(path: &Path, reason: String) -> Self {
        Problem::at(Place::file(path), reason).into()
    }

    /// How many mistakes there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Each mistake, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    /// One mistake per line, no final newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// One mistake: where, what, why.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The key, such as `destination[0].interval`; empty for a whole file or variable.
    pub key: String,
    /// What is wrong and, where that is known, the cure.
    pub reason: String,
}

impl Problem {
    /// A mistake that is not about one key.
    pub(super) fn at(place: Place, reason: impl Into<String>) -> Self {
        Self { place, key: String::new(), reason: reason.into() }
    }
}

impl fmt::Display for Problem {
    /// `FILE:LINE:COLUMN: KEY: REASON`, as compilers and editors agree on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// A file, with line and column counted from 1 in characters, where the format tells them.
    File {
        /// The path as the user wrote it or as its pattern found it.
        path: Arc<Path>,
        /// Line and column.
        position: Option<(usize, usize)>,
    },
    /// An environment variable.
    Variable(String),
}

impl Place {
    /// A file as a whole.
    pub(super) fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into().into(), position: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, position: None } => path.display().fmt(f),
            Self::File { path, position: Some((line, column)) } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}
