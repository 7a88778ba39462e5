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
use crate::{agent::state::Snapshot, name::Destination};

/// The page of all destinations.
pub(super) fn overview(snapshot: &Snapshot, now: Timestamp) -> Answer {
    response::html(StatusCode::OK, overview::page(snapshot, now))
}

/// The page of one destination.
pub(super) fn domain(snapshot: &Snapshot, destination: &Destination, now: Timestamp) -> Answer {
    response::html(StatusCode::OK, detail::page(snapshot, destination, now))
}

/// Their style.
pub(super) fn style() -> Answer {
    response::with_type(StatusCode::OK, "text/css; charset=utf-8", include_str!("style.css"))
}
