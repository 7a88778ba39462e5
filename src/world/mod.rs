//! A small mail internet on loopback.
pub mod answer;
pub mod zone;
