//! TLS with an exchanger: the handshake with whoever answers, and what is to be thought of the
//! certificates afterwards.
//!
//! - [`Client`] shakes hands; `witness` takes every certificate and remembers it
//! - `pkix` holds a chain against the authorities that this host trusts, [`dane`] against TLSA records
//! - `certificate` reads one, `chains` remembers what came of a chain for the next session that shows it,
//!   `lasting` for how long that holds

mod certificate;
mod chains;
mod client;
pub mod dane;
mod lasting;
mod pkix;
mod witness;

pub use self::client::{Client, Handshake};
