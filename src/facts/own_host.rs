//! The host that sends, as far as it may be an exchanger itself.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::name::ExchangerName;

/// By what it would recognise itself (RFC 5321 §5.1).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct OwnHost {
    /// The names it goes by.
    #[serde(default)]
    pub names: Vec<ExchangerName>,
    /// Its addresses.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}
