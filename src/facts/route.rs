//! Where mail for a domain goes, as its MX lookup says.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Lookup;
use crate::name::ExchangerName;

/// The MX lookup of a domain through one resolver, and the route read from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MxLookup {
    /// The lookup itself.
    #[serde(flatten)]
    pub lookup: Lookup,
    /// What RFC 5321 §5.1 makes of the answer.
    pub route: Route,
}

/// Where mail for a domain goes (RFC 5321 §5.1, RFC 7505).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Route {
    /// No MX record: the domain itself is the exchanger, at preference 0.
    Implicit {
        /// The domain as exchanger.
        exchanger: ExchangerName,
    },
    /// MX records, by preference, then name. `null_mixed` tells of a `.` among them, which is
    /// left out (RFC 7505 §3 allows none).
    Mx {
        /// The targets.
        targets: Vec<MxTarget>,
        /// A null MX stood beside them.
        null_mixed: bool,
        /// A target was listed more than once.
        duplicate: bool,
    },
    /// A sole `.`: the domain takes no mail.
    Null,
    /// The domain does not exist.
    NoDomain,
    /// The lookup failed; nothing is known about the route.
    Unknown,
}

impl Route {
    /// The targets with their preferences, best first.
    pub fn targets(&self) -> Cow<'_, [MxTarget]> {
        match self {
            Self::Implicit { exchanger } => {
                vec![MxTarget { preference: 0, exchanger: exchanger.clone() }].into()
            }
            Self::Mx { targets, .. } => targets.into(),
            Self::NoDomain | Self::Null | Self::Unknown => Cow::default(),
        }
    }
}

/// One MX record.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct MxTarget {
    /// Lower is preferred.
    pub preference: u16,
    /// The host.
    pub exchanger: ExchangerName,
}
