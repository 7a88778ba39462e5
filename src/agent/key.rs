//! What is scheduled: destinations, their policies, exchangers, resolvers and the own vantage in one
//! plan.

use std::{fmt, sync::Arc};

use crate::name::{Destination, Domain, Exchanger};

/// One thing that has rounds.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Key {
    Destination(Destination),
    Exchanger(Exchanger),
    /// The policies of a mail domain.
    Policies(Domain),
    /// The health of a resolver, by the value of its label.
    Resolver(Arc<str>),
    /// How this host looks to receivers.
    Vantage,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(destination) => write!(f, "destination {destination}"),
            Self::Exchanger(exchanger) => write!(f, "exchanger {exchanger}"),
            Self::Policies(domain) => write!(f, "policies of {domain}"),
            Self::Resolver(resolver) => write!(f, "resolver {resolver}"),
            Self::Vantage => f.write_str("vantage"),
        }
    }
}
