//! `[[resolver]]`: named DNS views, each with its servers.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use super::{
    key,
    problem::Place,
    table::{Node, Table},
};

/// `[[resolver]]`: a named DNS view.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolver {
    /// Value of the `resolver` label.
    pub name: Arc<str>,
    /// Its servers, asked in this order until one answers; never empty.
    pub servers: Vec<SocketAddr>,
}

/// All of them, in the order of the file.
pub(super) fn read(root: &Table<'_>) -> Vec<Resolver> {
    let Some(list) = root.get("resolver") else {
        return Vec::new();
    };
    let mut seen = BTreeMap::<String, Place>::new();
    let mut resolvers = Vec::new();
    for item in list.list("tables, each headed [[resolver]]") {
        let Some(table) = item.table(key::RESOLVER, "a table with name and servers") else {
            continue;
        };
        let name = name(&table, &mut seen);
        let servers = servers(&table);
        if let (Some(name), Some(servers)) = (name, servers) {
            resolvers.push(Resolver { name, servers });
        }
    }
    resolvers
}

fn name(table: &Table<'_>, seen: &mut BTreeMap<String, Place>) -> Option<Arc<str>> {
    let Some(node) = table.get("name") else {
        table.missing("name", "missing; a resolver needs one, as in name = \"lan\"");
        return None;
    };
    let name = node.parse("a name such as \"lan\"", |text| {
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        fits.then(|| text.to_owned()).ok_or(
            "not 1 to 63 letters, digits, hyphens or underscores that begin with a letter or digit",
        )
    })?;
    if let Some(first) = seen.get(&name) {
        node.refuse(format!("{name:?} is already the name of the resolver at {first}"));
        return None;
    }
    seen.insert(name.clone(), node.place());
    Some(name.into())
}

fn servers(table: &Table<'_>) -> Option<Vec<SocketAddr>> {
    let Some(node) = table.get("servers") else {
        table.missing("servers", "missing; a resolver needs one, as in servers = [\"192.0.2.53\"]");
        return None;
    };
    let items = node.list("a list such as [\"192.0.2.53\"]");
    if items.is_empty() && node.is_list() {
        node.refuse("is empty; a resolver needs a server");
    }
    let servers: Vec<_> = items.iter().filter_map(server).collect();
    (!servers.is_empty()).then_some(servers)
}

fn server(node: &Node<'_>) -> Option<SocketAddr> {
    node.parse("an address such as \"192.0.2.53\"", parse_server)
}

/// Parses the address of a name server; the port is 53 unless it stands there.
pub fn parse_server(text: &str) -> Result<SocketAddr, &'static str> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
    let server = address.or_else(|_| text.parse());
    server.ok().filter(|server| server.port() != 0 && !server.ip().is_unspecified()).ok_or(
        "not the address of a name server, such as \"192.0.2.53\", \"192.0.2.53:5353\" or \"[2001:db8::53]:53\"",
    )
}

const DNS_PORT: u16 = 53;
