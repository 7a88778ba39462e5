//! The health of a resolver, apart from any domain: what its servers make of one control query.

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;

use super::Lookup;

/// One look at a resolver: the control query put to each of its servers.
#[derive(Clone, Debug, Serialize)]
pub struct ResolverFacts {
    /// Value of the `resolver` label.
    pub resolver: Arc<str>,
    /// The configured resolver it belongs to; another one for each server of the system.
    pub of: Arc<str>,
    /// When the last server had answered or was given up.
    pub observed_at: Timestamp,
    /// Its servers, in the order they are asked.
    pub servers: Vec<ServerFacts>,
}

impl ResolverFacts {
    /// Whether any server responded; `None` for a resolver without servers.
    pub fn up(&self) -> Option<bool> {
        (!self.servers.is_empty()).then(|| self.servers.iter().any(ServerFacts::up))
    }
}

/// One server of a resolver.
#[derive(Clone, Debug, Serialize)]
pub struct ServerFacts {
    /// Its address.
    pub server: SocketAddr,
    /// NS of the control name, asked of this server alone.
    pub control: Lookup,
}

impl ServerFacts {
    /// Whether it responded, whatever it said: one that fails at the control query is there.
    pub fn up(&self) -> bool {
        self.control.status().responded()
    }
}
