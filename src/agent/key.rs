//! What is scheduled: destinations and exchangers in one plan.

use std::fmt;

use crate::name::{Destination, Exchanger};

/// One thing that has rounds.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Key {
    Destination(Destination),
    Exchanger(Exchanger),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(destination) => write!(f, "destination {destination}"),
            Self::Exchanger(exchanger) => write!(f, "exchanger {exchanger}"),
        }
    }
}
