//! The pages for people. They hold no script, fetch nothing from elsewhere and show what strangers
//! sent as text only.

mod detail;
mod html;
mod overview;
mod policies;
mod verdict;
mod words;

use hyper::StatusCode;
use jiff::Timestamp;

use super::response::{self, Answer};
use crate::{agent::state::Snapshot, name::Destination, shard::Shard};

/// What of all destinations is on the page of an agent that is one of several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Which it is.
    pub(super) shard: Shard,
    /// How many are configured, those of the other shards included.
    pub(super) of: usize,
}

/// The page of all destinations, or of a share of them.
pub(super) fn overview(snapshot: &Snapshot, share: Option<Share>, now: Timestamp) -> Answer {
    response::html(StatusCode::OK, overview::page(snapshot, share, now))
}

/// The page of one destination.
pub(super) fn domain(snapshot: &Snapshot, destination: &Destination, now: Timestamp) -> Answer {
    response::html(StatusCode::OK, detail::page(snapshot, destination, now))
}

/// Their style.
pub(super) fn style() -> Answer {
    response::with_type(StatusCode::OK, "text/css; charset=utf-8", include_str!("style.css"))
}
