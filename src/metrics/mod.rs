//! The exposition: what is known as Prometheus text.
//!
//! Probe results are not kept in metric objects: every scrape writes the series of a snapshot
//! afresh, so what disappeared from the snapshot is gone from the scrape. Only the agent's own
//! metrics live in a registry. Nothing here probes or serves.

pub mod exposition;
pub mod histogram;
mod labels;
mod lookups;
pub mod names;
mod number;
pub mod own;
mod series;
pub mod sink;
mod text;
mod texts;
mod view;
