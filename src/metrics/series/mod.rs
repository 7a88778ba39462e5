//! Which samples each family has, by what they tell of: domains and their policies, lookups, resolvers,
//! zones, the own vantage, exchangers, recipients, verdicts.
//!
//! Every function writes whole families, because the text format wants a family in one piece.

mod counts;
pub(super) mod delivery;
pub(super) mod dns;
pub(super) mod domain;
pub(super) mod exchanger;
pub(super) mod policy;
pub(super) mod recipient;
pub(super) mod resolver;
mod tls;
pub(super) mod vantage;
pub(super) mod zone;
