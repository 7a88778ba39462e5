//! `[web]`: the HTTP server, as far as it is not the command line's.

use super::table::{Node, Table};

/// `[web]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Web {
    /// Connections served at the same time; more are closed at once.
    pub max_connections: usize,
    /// Whether `/probe` may be asked for domains that are not configured.
    pub probe_any_target: bool,
}

impl Default for Web {
    fn default() -> Self {
        Self { max_connections: 64, probe_any_target: false }
    }
}

impl Web {
    pub(super) fn read(root: &Table<'_>) -> Self {
        let mut web = Self::default();
        if let Some(table) = root.section("web") {
            table.set(&mut web.max_connections, "max_connections", |node| {
                node.number(1..=MAX_CONNECTIONS)
            });
            table.set(&mut web.probe_any_target, "probe_any_target", Node::boolean);
        }
        web
    }
}

const MAX_CONNECTIONS: usize = 65_535;
