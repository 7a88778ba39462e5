//! What carries the queries of a `[[resolver]]`, and how its servers are authenticated.

use std::path::Path;

use hyper::http::uri::PathAndQuery;
use tokio_rustls::rustls::pki_types::{CertificateDer, DnsName};

use super::{
    pem,
    source::read_text,
    table::{Node, Table},
};

/// What carries the queries to a resolver.
#[derive(Clone, Debug, PartialEq)]
pub enum ResolverTransport {
    /// HTTP/2 over TLS (RFC 8484).
    Https {
        /// Whom it trusts.
        tls: ResolverTls,
        /// Where the server takes queries.
        path: PathAndQuery,
    },
    /// TCP alone (RFC 7766).
    Tcp,
    /// TLS (RFC 7858).
    Tls(ResolverTls),
    /// UDP, and TCP when an answer is truncated.
    Udp,
}

/// Which certificates are taken for those of the servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResolverTls {
    /// The name that they must be valid for; without it, the address of the server.
    pub name: Option<DnsName<'static>>,
    /// Trust anchors beside those of the system, DER.
    pub anchors: Vec<CertificateDer<'static>>,
}

impl ResolverTransport {
    /// The word of the configuration for it.
    pub const fn label(&self) -> &'static str {
        let word = match self {
            Self::Https { .. } => Word::Https,
            Self::Tcp => Word::Tcp,
            Self::Tls(_) => Word::Tls,
            Self::Udp => Word::Udp,
        };
        word.text()
    }

    /// The port of a server that names none.
    pub(super) const fn port(&self) -> u16 {
        match self {
            Self::Https { .. } => 443,
            Self::Tcp | Self::Udp => super::resolver::DNS_PORT,
            Self::Tls(_) => 853,
        }
    }

    /// Reads `transport` and the keys that go with it; relative files are looked for in `from`.
    pub(super) fn read(table: &Table<'_>, from: &Path) -> Option<Self> {
        let word = match table.get("transport") {
            None => Word::Udp,
            Some(node) => word(&node)?,
        };
        for (key, fitting) in KEYS {
            if let Some(node) = table.get(key).filter(|_| !fitting.contains(&word)) {
                let fitting: Vec<_> =
                    fitting.iter().map(|word| format!("transport = \"{}\"", word.text())).collect();
                node.refuse(format!(
                    "belongs to a resolver with {}, and this one has transport = \"{}\"",
                    fitting.join(" or "),
                    word.text()
                ));
            }
        }
        Some(match word {
            Word::Udp => Self::Udp,
            Word::Tcp => Self::Tcp,
            Word::Tls => Self::Tls(tls(table, from)?),
            Word::Https => {
                let mut path = PathAndQuery::from_static(PATH);
                table.set(&mut path, "path", |node| {
                    node.parse("a path such as \"/dns-query\"", parse_path)
                });
                Self::Https { tls: tls(table, from)?, path }
            }
        })
    }
}

/// The transports by their words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Word {
    Udp,
    Tcp,
    Tls,
    Https,
}

impl Word {
    const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Tls, Self::Https];

    const fn text(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
        }
    }
}

/// The keys that only some transports have.
const KEYS: [(&str, &[Word]); 3] = [
    ("ca_file", &[Word::Tls, Word::Https]),
    ("path", &[Word::Https]),
    ("tls_name", &[Word::Tls, Word::Https]),
];

fn word(node: &Node<'_>) -> Option<Word> {
    node.parse("\"udp\", \"tcp\", \"tls\" or \"https\"", |text| {
        Word::ALL
            .into_iter()
            .find(|word| word.text() == text)
            .ok_or("no transport for DNS; there are \"udp\", \"tcp\", \"tls\" and \"https\"")
    })
}

fn tls(table: &Table<'_>, from: &Path) -> Option<ResolverTls> {
    let name = match table.get("tls_name") {
        None => None,
        Some(node) => Some(node.parse("a name such as \"dns.example.net\"", |text| {
            DnsName::try_from(text.to_owned()).map_err(|_| {
                "not a host name such as \"dns.example.net\"; leave the key out for a certificate \
                 that is valid for the server's address"
            })
        })?),
    };
    let anchors = match table.get("ca_file") {
        None => Vec::new(),
        Some(node) => anchors(&node, from)?,
    };
    Some(ResolverTls { name, anchors })
}

/// The certificates in the PEM file that a key names; each must do as a trust anchor.
pub(super) fn anchors(node: &Node<'_>, from: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let path = from.join(node.text("a path such as \"/etc/mxwatch/dns-ca.pem\"")?);
    let refused = |why: &str| {
        node.refuse(format!(
            "{} {why}; name a file with the PEM certificate of the authority that signs for the \
             server",
            path.display()
        ));
        None
    };
    let text = match read_text(&path, MAX_CA_FILE) {
        Ok(text) => text,
        Err(error) => return refused(&error.to_string()),
    };
    match pem::authorities(&text) {
        Ok((certificates, _)) => Some(certificates),
        Err(why) => refused(why),
    }
}

fn parse_path(text: &str) -> Result<PathAndQuery, &'static str> {
    let path = PathAndQuery::try_from(text).ok();
    let path = path.filter(|path| path.as_str() == text && text.starts_with('/'));
    path.filter(|path| path.query().is_none()).ok_or(
        "not the path of a URL, such as \"/dns-query\"; the host stands in servers and tls_name",
    )
}

/// What RFC 8484 uses in its examples, and nearly every server.
const PATH: &str = "/dns-query";

/// The store of a whole system fits in.
const MAX_CA_FILE: u64 = 4 << 20;
