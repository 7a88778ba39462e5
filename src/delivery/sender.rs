//! A sender: a name, its behaviour, and how well each part of that is known.

use std::sync::Arc;

use super::behaviour::{Behaviour, Parameter};

/// A sending MTA as far as its behaviour towards exchangers goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sender {
    /// Value of the `sender` label.
    pub name: Arc<str>,
    /// The program whose log it would write, for the words of an explanation: the built-in sender
    /// it goes back to.
    pub kind: Arc<str>,
    /// What it is, in a few words.
    pub about: Arc<str>,
    /// Its parameters.
    pub behaviour: Behaviour,
    /// The parameters that are documented by the vendor or inferred, or assumed, rather than read
    /// in the source or measured; in ascending order.
    pub(super) doubtful: Vec<(Parameter, Confidence)>,
}

impl Sender {
    /// How well a parameter of it is known.
    pub fn confidence(&self, parameter: Parameter) -> Confidence {
        let found = self.doubtful.binary_search_by_key(&parameter, |(known, _)| *known);
        found.map_or(Confidence::High, |at| self.doubtful[at].1)
    }

    /// Another that behaves the same until told otherwise. What the user sets, the user knows.
    #[must_use]
    pub fn derive(&self, name: Arc<str>) -> Self {
        let about = format!("{} with own parameters", self.kind).into();
        Self { name, about, ..self.clone() }
    }

    /// Sets a parameter of an own sender.
    pub fn set(&mut self, parameter: Parameter, value: serde_json::Value) -> Result<(), String> {
        self.behaviour.set(parameter, value)?;
        self.doubtful.retain(|(known, _)| *known != parameter);
        Ok(())
    }

    /// The parameters in which it differs from another.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Parameter> + 'a {
        let differs = |p: &Parameter| self.behaviour.get(*p) != other.behaviour.get(*p);
        Parameter::ALL.iter().copied().filter(differs)
    }
}

/// How sure a verdict or a parameter is.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Assumed, to make the model whole.
    Low,
    /// From a vendor's document, or one step of inference.
    Medium,
    /// Read in the source or an RFC, or measured.
    High,
}

impl Confidence {
    /// As in JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}
