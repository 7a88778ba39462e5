//! `[[resolver]]`: named DNS views, each with how it is asked.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::proto::rr::Name;

use super::{
    dns::Dns,
    key,
    problem::Place,
    resolver_transport::ResolverTransport,
    table::{Node, Table},
};
use crate::name::ExchangerName;

/// `[[resolver]]`: a named DNS view.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolver {
    /// Value of the `resolver` label.
    pub name: Arc<str>,
    /// Who is asked, and how.
    pub kind: ResolverKind,
    /// How patiently: what `[dns]` says unless it says otherwise itself.
    pub patience: Dns,
    /// What it must be able to name the servers of (NS): its health is looked at by asking for it.
    pub control_name: Name,
    /// Whether its AD bit (RFC 4035 §3.2.3) is believed, which is what DANE rests on: it validates,
    /// and nobody on the way there can set the bit. `None`: that of the system as `options trust-ad`
    /// in its resolv.conf(5) says, any other not.
    pub trust_ad: Option<bool>,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq)]
pub enum ResolverKind {
    /// The servers that have authority over a name, found by walking down from the root. As primary
    /// they decide which exchangers are probed, and that is looked at once in each interval.
    Authoritative {
        /// Where the walk begins; empty stands for the root of the Internet.
        root_servers: Vec<SocketAddr>,
        /// The port of the servers that delegations name.
        port: u16,
        /// From one question about a name to the next.
        interval: Duration,
    },
    /// Servers named here, asked in this order until one answers; never empty.
    Servers {
        /// Their addresses.
        addresses: Vec<SocketAddr>,
        /// What carries the queries.
        transport: ResolverTransport,
    },
    /// The servers that a resolv.conf(5) names; it is read again when it changes.
    System {
        /// The file.
        file: PathBuf,
        /// Each of its servers is a view of its own, so that they can be compared.
        each_server: bool,
    },
}

impl ResolverKind {
    /// The word of the configuration for it.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Authoritative { .. } => Word::Authoritative.text(),
            Self::Servers { .. } => Word::Servers.text(),
            Self::System { .. } => Word::System.text(),
        }
    }

    /// The word of the configuration for what carries queries.
    pub fn transport(&self) -> &'static str {
        match self {
            Self::Servers { transport, .. } => transport.label(),
            Self::Authoritative { .. } | Self::System { .. } => ResolverTransport::Udp.label(),
        }
    }
}

impl Resolver {
    fn new(name: Arc<str>, kind: ResolverKind, patience: Dns) -> Self {
        Self { name, kind, patience, control_name: Name::root(), trust_ad: None }
    }

    /// One that asks these servers over UDP.
    pub fn of_servers(name: &str, addresses: Vec<SocketAddr>, patience: Dns) -> Self {
        let transport = ResolverTransport::Udp;
        let kind = ResolverKind::Servers { addresses, transport };
        Self::new(name.into(), kind, patience)
    }

    /// One that asks the authoritative servers of the Internet.
    pub fn authoritative(name: &str, patience: Dns) -> Self {
        let kind = ResolverKind::Authoritative {
            root_servers: Vec::new(),
            port: DNS_PORT,
            interval: AUTHORITATIVE_INTERVAL,
        };
        Self::new(name.into(), kind, patience)
    }

    /// The one that stands for `/etc/resolv.conf` where no other is configured.
    pub fn system(patience: Dns) -> Self {
        let kind = ResolverKind::System { file: RESOLV_CONF.into(), each_server: false };
        Self::new(SYSTEM.into(), kind, patience)
    }
}

/// All of them, in the order of the file.
/// With the names of all, those of which something else is wrong included.
pub(super) fn read(root: &Table<'_>, dns: &Dns, from: &Path) -> (Vec<Resolver>, Vec<Arc<str>>) {
    let items = root.get("resolver").map(|list| list.list("tables, each headed [[resolver]]"));
    let items = items.unwrap_or_default();
    if items.is_empty() {
        let system = Resolver::system(dns.clone());
        let names = vec![Arc::clone(&system.name)];
        return (vec![system], names);
    }
    let mut seen = BTreeMap::<String, Place>::new();
    let mut resolvers = Vec::new();
    for item in items {
        if resolvers.len() == MAX_RESOLVERS {
            item.refuse(format!("is one too many; at most {MAX_RESOLVERS} resolvers are asked"));
            break;
        }
        let Some(table) = item.table(key::RESOLVER, "a table with name and servers") else {
            continue;
        };
        let word = word(&table);
        let name = name(&table, word, &mut seen);
        let kind = word.and_then(|word| kind(&table, word, from));
        let patience = dns.overridden(&table);
        let mut control_name = Name::root();
        table.set(&mut control_name, "control_name", |node| {
            node.parse("a name such as \".\" or \"example.com\"", parse_control_name)
        });
        let trust_ad = trust_ad(&table, kind.as_ref());
        if let (Some(name), Some(kind)) = (name, kind) {
            resolvers.push(Resolver { name, kind, patience, control_name, trust_ad });
        }
    }
    (resolvers, seen.into_keys().map(Arc::from).collect())
}

/// The kinds by their words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Word {
    Authoritative,
    Servers,
    System,
}

impl Word {
    const ALL: [Self; 3] = [Self::Authoritative, Self::Servers, Self::System];

    const fn text(self) -> &'static str {
        match self {
            Self::Authoritative => AUTHORITATIVE,
            Self::Servers => "servers",
            Self::System => SYSTEM,
        }
    }

    /// The keys that only this kind has.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Authoritative => &["interval", "port", "root_servers"],
            Self::Servers => &["ca_file", "path", "servers", "tls_name", "transport"],
            Self::System => &["each_server", "resolv_conf"],
        }
    }
}

/// Which kind it is, `servers` unless it says so. Keys of other kinds are refused here.
fn word(table: &Table<'_>) -> Option<Word> {
    let word = match table.get("kind") {
        None => Word::Servers,
        Some(node) => node.parse("a kind such as \"system\"", |text| {
            Word::ALL.into_iter().find(|word| word.text() == text).ok_or(
                "no kind of resolver; there are \"authoritative\", \"servers\" and \"system\"",
            )
        })?,
    };
    for other in Word::ALL.into_iter().filter(|other| *other != word) {
        for name in other.keys() {
            if let Some(node) = table.get(name) {
                node.refuse(format!(
                    "belongs to a resolver with kind = \"{}\", and this one is of kind \"{}\"",
                    other.text(),
                    word.text()
                ));
            }
        }
    }
    if word == Word::Authoritative {
        for name in ["control_name", "health_interval"] {
            if let Some(node) = table.get(name) {
                node.refuse(
                    "means nothing here: the servers of an authoritative resolver are others', and \
                     each is told of for itself; leave it out",
                );
            }
        }
        if let Some(node) = table.get("trust_ad") {
            node.refuse(
                "means nothing here: servers that have authority do not validate what they answer, \
                 so there is no AD bit to trust; set it at a resolver that validates",
            );
        }
    }
    Some(word)
}

/// Whether the AD bit is believed, with a warning where anybody on the way could set it.
fn trust_ad(table: &Table<'_>, kind: Option<&ResolverKind>) -> Option<bool> {
    let node = table.get("trust_ad")?;
    let trusted = node.boolean()?;
    if let Some(ResolverKind::Servers {
        addresses,
        transport: ResolverTransport::Tcp | ResolverTransport::Udp,
    }) = kind
        && let Some(far) = addresses.iter().find(|server| !server.ip().is_loopback())
        && trusted
    {
        node.warn(&format!(
            "anybody on the way to {far} can set the AD bit that is trusted here; ask a validating \
             resolver on this host, or over transport = \"tls\" or \"https\""
        ));
    }
    Some(trusted)
}

fn kind(table: &Table<'_>, word: Word, from: &Path) -> Option<ResolverKind> {
    match word {
        Word::Authoritative => Some(authoritative(table)),
        Word::Servers => {
            let transport = ResolverTransport::read(table, from);
            // What is wrong with the one does not hide what is wrong with the other.
            let port = transport.as_ref().map_or(DNS_PORT, ResolverTransport::port);
            let (addresses, transport) = (servers(table, port)?, transport?);
            Some(ResolverKind::Servers { addresses, transport })
        }
        Word::System => {
            let mut file = PathBuf::from(RESOLV_CONF);
            table.set(&mut file, "resolv_conf", |node| {
                let text = node.text("a path such as \"/run/systemd/resolve/resolv.conf\"")?;
                Some(from.join(text))
            });
            let mut each_server = false;
            table.set(&mut each_server, "each_server", Node::boolean);
            Some(ResolverKind::System { file, each_server })
        }
    }
}

fn authoritative(table: &Table<'_>) -> ResolverKind {
    let mut port = DNS_PORT;
    table.set(&mut port, "port", |node| node.number(1..=u16::MAX));
    let mut interval = AUTHORITATIVE_INTERVAL;
    table
        .set(&mut interval, "interval", |node| node.duration(SHORTEST_INTERVAL..=LONGEST_INTERVAL));
    let mut root_servers = Vec::new();
    table.set(&mut root_servers, "root_servers", |node| {
        let items = node.list("a list such as [\"192.0.2.1\"]");
        if items.is_empty() && node.is_list() {
            node.refuse("is empty; leave the key out for the root of the Internet");
        }
        if items.len() > MAX_ROOT_SERVERS {
            node.refuse(format!("names more than {MAX_ROOT_SERVERS} addresses"));
        }
        let mut servers: Vec<SocketAddr> = Vec::new();
        for item in &items {
            let server =
                item.parse("an address such as \"192.0.2.1\"", |text| parse_server_at(text, port));
            if let Some(server) = server {
                if servers.contains(&server) {
                    item.refuse("is named twice");
                }
                servers.push(server);
            }
        }
        Some(servers)
    });
    ResolverKind::Authoritative { root_servers, port, interval }
}

fn name(
    table: &Table<'_>,
    word: Option<Word>,
    seen: &mut BTreeMap<String, Place>,
) -> Option<Arc<str>> {
    let Some(node) = table.get("name") else {
        // There is one system and one root, and no doubt what they are called.
        match word {
            Some(word @ (Word::Authoritative | Word::System))
                if !seen.contains_key(word.text()) =>
            {
                seen.insert(word.text().to_owned(), table.node.place());
                return Some(word.text().into());
            }
            _ => table.missing("name", "missing; a resolver needs one, as in name = \"lan\""),
        }
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

fn servers(table: &Table<'_>, port: u16) -> Option<Vec<SocketAddr>> {
    let Some(node) = table.get("servers") else {
        table.missing("servers", "missing; a resolver needs one, as in servers = [\"192.0.2.53\"]");
        return None;
    };
    let items = node.list("a list such as [\"192.0.2.53\"]");
    if items.is_empty() && node.is_list() {
        node.refuse("is empty; a resolver needs a server");
    }
    let servers: Vec<_> = items.iter().filter_map(|item| server(item, port)).collect();
    (!servers.is_empty()).then_some(servers)
}

fn server(node: &Node<'_>, port: u16) -> Option<SocketAddr> {
    node.parse("an address such as \"192.0.2.53\"", |text| parse_server_at(text, port))
}

/// The root, or what may be a zone's name.
fn parse_control_name(text: &str) -> Result<Name, String> {
    if text == "." {
        return Ok(Name::root());
    }
    let name = ExchangerName::parse(text).map_err(|error| error.to_string())?;
    Ok(name.to_dns())
}

/// Parses the address of a name server; the port is 53 unless it stands there.
pub fn parse_server(text: &str) -> Result<SocketAddr, &'static str> {
    parse_server_at(text, DNS_PORT)
}

/// The same with another port where none stands there.
fn parse_server_at(text: &str, port: u16) -> Result<SocketAddr, &'static str> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, port));
    let server = address.or_else(|_| text.parse());
    server.ok().filter(|server| server.port() != 0 && !server.ip().is_unspecified()).ok_or(
        "not the address of a name server, such as \"192.0.2.53\", \"192.0.2.53:5353\" or \"[2001:db8::53]:53\"",
    )
}

/// Name of the resolver that walks down from the root.
const AUTHORITATIVE: &str = "authoritative";

/// Name of the resolver that stands for resolv.conf(5).
const SYSTEM: &str = "system";

/// Where that is.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Each multiplies the lookups and their series.
const MAX_RESOLVERS: usize = 8;

/// Other people's servers are asked all at once, and nobody waits for their answers.
const AUTHORITATIVE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// More often is rude, but for a test of one's own servers.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// The root of the Internet has two for each of its thirteen names.
const MAX_ROOT_SERVERS: usize = 26;

/// Of DNS without TLS.
pub(super) const DNS_PORT: u16 = 53;
