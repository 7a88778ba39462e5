//! Which samples each family has, by what they tell of: domains and their policies, lookups, resolvers,
//! zones, the own vantage, exchangers, recipients, verdicts.
//!
//! Every function writes whole families, because the text format wants a family in one piece.

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

use jiff::Timestamp;

/// A point in time as Prometheus counts it: seconds since 1970.
fn unix_seconds(at: Timestamp) -> f64 {
    at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}
