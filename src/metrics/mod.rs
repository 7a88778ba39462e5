//! The exposition.

pub mod histogram;
