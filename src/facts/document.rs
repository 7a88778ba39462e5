//! The JSON document of one destination, the same from `check --json` and from the API.

use jiff::Timestamp;
use serde::Serialize;

use super::{FACTS_VERSION, Facts};
use crate::name::Destination;

/// One destination and what is known about it.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    /// Version of the form of `facts`.
    pub version: u32,
    /// The destination as configured.
    pub domain: &'a Destination,
    /// When the route was looked up; null before the first round.
    pub checked_at: Option<Timestamp>,
    /// What was found; null before the first round.
    pub facts: Option<&'a Facts>,
}

impl<'a> Document<'a> {
    /// Of one destination.
    pub fn new(domain: &'a Destination, facts: Option<&'a Facts>) -> Self {
        let checked_at = facts.map(|facts| facts.observed_at);
        Self { version: FACTS_VERSION, domain, checked_at, facts }
    }
}
