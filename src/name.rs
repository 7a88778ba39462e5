//! Names of the mail world, parsed once: mail domains, exchangers, smart hosts, destinations.
//!
//! A value of these types has been checked; it is used as it stands as DNS query name, as metric
//! label and as map key. Nothing here looks anything up.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    net::IpAddr,
    sync::Arc,
};

use hickory_resolver::proto::rr::Name;
use serde::{Deserialize, Serialize};

/// A fully qualified mail domain (RFC 5321 §4.1.2 `Domain`) in lower-case A-labels, no final dot.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Arc<str>);

impl Domain {
    /// Parses what a user writes: any case, U-labels or A-labels (UTS 46), one final dot allowed.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let ascii = host_name(text)?;
        if !ascii.contains('.') {
            return Err(NameError::NotQualified);
        }
        Ok(Self(ascii.into()))
    }

    /// The A-label form, such as `xn--mnchen-3ya.example`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same name as an absolute DNS name.
    pub fn to_dns(&self) -> Name {
        absolute(&self.0)
    }

    /// The same to be asked about.
    pub fn query_name(&self) -> QueryName {
        QueryName { name: self.to_dns(), text: Arc::clone(&self.0) }
    }

    /// The exchanger that stands in when a domain has no MX (RFC 5321 §5.1).
    pub fn implicit_exchanger(&self) -> ExchangerName {
        ExchangerName(Arc::clone(&self.0))
    }
}

/// The name of a mail exchanger: an MX target as DNS gave it, or the host of a smart host.
///
/// Unlike a [`Domain`] it may be anything that fits into a DNS name, because a stranger's zone
/// wrote it. Unprintable bytes stand in `\DDD` form (RFC 1035 §5.1), letters are lower case.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExchangerName(Arc<str>);

impl ExchangerName {
    /// Takes an MX target from a DNS answer; `None` for the root, which is a null MX (RFC 7505).
    pub fn from_dns(name: &Name) -> Option<Self> {
        if name.is_root() {
            return None;
        }
        Some(Self(presentation(name).into()))
    }

    /// Parses the host of a smart host; one label is enough.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        host_name(text).map(|ascii| Self(ascii.into()))
    }

    /// The presentation form without the final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same name as an absolute DNS name.
    pub fn to_dns(&self) -> Name {
        absolute(&self.0)
    }

    /// The same to be asked about.
    pub fn query_name(&self) -> QueryName {
        QueryName { name: self.to_dns(), text: Arc::clone(&self.0) }
    }

    /// Whether the name spells an IPv4 or IPv6 address, in brackets or not, which is no host name
    /// (RFC 5321 §5.1).
    pub fn spells_address(&self) -> bool {
        self.spelt_address().is_some()
    }

    /// The address it spells, in brackets or not.
    pub fn spelt_address(&self) -> Option<IpAddr> {
        let text = self.spelt()?;
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(&text);
        bare.strip_prefix("ipv6:").unwrap_or(bare).parse().ok()
    }

    /// The address it spells without brackets, which is the one that some senders connect to.
    pub fn bare_address(&self) -> Option<IpAddr> {
        self.spelt()?.parse().ok()
    }

    /// Its labels as text, where they may spell an address.
    fn spelt(&self) -> Option<String> {
        // Most names are plainly none, which is seen at their end: many are looked at in each scrape.
        let ends = self.0.ends_with(|c: char| c.is_ascii_digit() || c == ']');
        let may = ends || self.0.contains([':', '\\']);
        if !may || !self.0.bytes().any(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let name = self.to_dns();
        let labels: Vec<&[u8]> = name.iter().collect();
        Some(String::from_utf8_lossy(&labels.join(&b'.')).into_owned())
    }
}

/// What a DNS query is about, the QNAME (RFC 1035 §4.1.2), and how the result says so. A name that is
/// asked about again and again is held as text once.
#[derive(Clone, Debug)]
pub struct QueryName {
    name: Name,
    text: Arc<str>,
}

impl QueryName {
    /// For the query.
    pub fn as_dns(&self) -> &Name {
        &self.name
    }

    /// For the result: without the final dot, empty for the root.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
}

impl From<Name> for QueryName {
    fn from(name: Name) -> Self {
        let text = presentation(&name).into();
        Self { name, text }
    }
}

/// The host part of an exchanger: a name to look up, or an address that needs no lookup.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// A fixed address.
    Address(IpAddr),
    /// A host name.
    Name(ExchangerName),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Host {
    /// The provider that runs it: its registrable domain by the public suffix list, or the address.
    pub fn provider(&self) -> Cow<'_, str> {
        match self {
            Self::Address(address) => address.to_string().into(),
            Self::Name(name) => {
                let found =
                    psl2::lookup(name.as_str()).and_then(|found| found.registrable_domain());
                found.unwrap_or(name.as_str()).into()
            }
        }
    }
}

/// One exchanger to probe: host and port. Shared by all destinations that route to it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Exchanger {
    /// Where it is.
    pub host: Host,
    /// Its TCP port.
    pub port: u16,
}

impl Exchanger {
    /// The value of the `mx` label: the host alone on the port all MX are probed at, else
    /// `host:port`.
    pub fn label(&self, mx_port: u16) -> Cow<'_, str> {
        match &self.host {
            Host::Name(name) if self.port == mx_port => name.as_str().into(),
            host if self.port == mx_port => host.to_string().into(),
            _ => self.to_string().into(),
        }
    }
}

impl fmt::Display for Exchanger {
    /// `host:port`, IPv6 addresses in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// What a user configures to be watched.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Destination {
    /// A mail domain, routed by its MX.
    Domain(Domain),
    /// A fixed relay without MX lookup.
    SmartHost(Exchanger),
}

impl Destination {
    /// Parses `example.com`, `relay.example.com:587`, `192.0.2.1:25` or `[2001:db8::1]:25`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if bracketed.parse::<IpAddr>().is_ok() {
            return Err(NameError::AddressWithoutPort);
        }
        if text.contains("://") {
            return Err(NameError::Url);
        }
        match text.rsplit_once(':') {
            None => Domain::parse(text).map(Self::Domain),
            Some((host, port)) => {
                let port = port.parse().ok().filter(|&p: &u16| p != 0).ok_or(NameError::Port)?;
                let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
                let host = match bracketed {
                    Some(inner) => Host::Address(inner.parse().map_err(|_| NameError::Address)?),
                    None => match host.parse() {
                        Ok(address) => Host::Address(address),
                        Err(_) => Host::Name(ExchangerName::parse(host)?),
                    },
                };
                Ok(Self::SmartHost(Exchanger { host, port }))
            }
        }
    }
}

impl fmt::Display for Destination {
    /// The value of the `domain` label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::SmartHost(exchanger) => exchanger.fmt(f),
        }
    }
}

/// Why a text is not one of the names above.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// Not an IP address where brackets announce one.
    #[error("the brackets must hold an IP address, as in \"[2001:db8::1]:25\"")]
    Address,
    /// An address is no mail domain, and a smart host needs a port.
    #[error(
        "an IP address is not a mail domain; a smart host is written with its port, as in \"192.0.2.1:25\" or \"[2001:db8::1]:25\""
    )]
    AddressWithoutPort,
    /// A mail address.
    #[error("a mail address is not a domain; write the part behind the @")]
    MailAddress,
    /// Nothing there.
    #[error("the name is empty")]
    Empty,
    /// A label or the whole name is too long (RFC 1035 §2.3.4).
    #[error("a label may have 63 characters and a name 253")]
    Length,
    /// One label only.
    #[error("not a fully qualified mail domain, such as \"example.com\"")]
    NotQualified,
    /// The port is no number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// A URL.
    #[error("a URL is not a domain; write the host name alone")]
    Url,
    /// A character that host names do not have.
    #[error("labels are letters, digits and inner hyphens, separated by single dots")]
    Syntax,
}

/// Checks and normalises a host name (RFC 1123 §2.1 after UTS 46).
fn host_name(text: &str) -> Result<String, NameError> {
    let text = text.trim();
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err(NameError::AddressWithoutPort);
    }
    if text.contains("://") {
        return Err(NameError::Url);
    }
    if text.contains('@') {
        return Err(NameError::MailAddress);
    }
    // UTS 46 maps characters that would smuggle structure in; refuse them before it does.
    if text
        .chars()
        .any(|c| c.is_ascii() && !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')))
    {
        return Err(NameError::Syntax);
    }
    let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::Syntax)?;
    for label in ascii.split('.') {
        if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Syntax);
        }
        if label.len() > 63 {
            return Err(NameError::Length);
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(NameError::Syntax);
        }
    }
    if ascii.len() > 253 {
        return Err(NameError::Length);
    }
    Ok(ascii)
}

/// A DNS name as text that holds only printable ASCII, lower case, without the final dot:
/// RFC 1035 §5.1 with every byte but letters, digits, `-`, `_` and `/` as `\DDD`.
pub(crate) fn presentation(name: &Name) -> String {
    let mut text = String::with_capacity(name.len());
    for label in name {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte.to_ascii_lowercase() {
                byte @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'/') => {
                    text.push(char::from(byte));
                }
                // Writing to a String cannot fail.
                other => drop(write!(text, "\\{other:03}")),
            }
        }
    }
    text
}

/// Reads [`presentation`] back; `None` for what it would not have written.
fn from_presentation(text: &str) -> Option<Name> {
    let name = if text.contains('\\') {
        Name::from_labels(escaped_labels(text)?.iter().map(Vec::as_slice))
    } else {
        Name::from_labels(text.split('.').map(str::as_bytes))
    };
    let mut name = name.ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// The labels of a text in which some bytes stand as `\DDD`.
fn escaped_labels(text: &str) -> Option<Vec<Vec<u8>>> {
    let labels = text.split('.').map(|label| {
        let mut bytes = Vec::new();
        let mut rest = label.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first == b'\\' {
                let digits = std::str::from_utf8(rest.get(..3)?).ok()?;
                bytes.push(digits.parse::<u8>().ok()?);
                rest = &rest[3..];
            } else {
                bytes.push(*first);
            }
        }
        Some(bytes)
    });
    labels.collect()
}

/// The DNS name of a text that one of the types above holds.
fn absolute(text: &str) -> Name {
    from_presentation(text).expect("the constructors took only what reads back")
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for ExchangerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Domain {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0.as_ref().to_owned()
    }
}

impl TryFrom<String> for ExchangerName {
    type Error = NameError;

    /// Reads back what was written, so escapes of a stranger's name are taken as they are.
    fn try_from(text: String) -> Result<Self, NameError> {
        let name = from_presentation(&text).ok_or(NameError::Syntax)?;
        Self::from_dns(&name).ok_or(NameError::Empty)
    }
}

impl From<ExchangerName> for String {
    fn from(name: ExchangerName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl TryFrom<String> for Destination {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_become_lower_case_a_labels() {
        for (text, want) in [
            ("Example.COM.", "example.com"),
            ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
            ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
            (" example.net ", "example.net"),
        ] {
            assert_eq!(
                Domain::parse(text).map(|d| d.as_str().to_owned()),
                Ok(want.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_no_domain_is_refused_with_its_reason() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = format!("{}example", "abcdefghi.".repeat(25));
        for (text, want) in [
            ("", NameError::Empty),
            (".", NameError::Empty),
            ("nodot", NameError::NotQualified),
            ("a..example", NameError::Syntax),
            ("-bad.example", NameError::Syntax),
            ("bad-.example", NameError::Syntax),
            ("user@example.com", NameError::MailAddress),
            ("https://example.com/", NameError::Url),
            ("exa mple.com", NameError::Syntax),
            ("192.0.2.1", NameError::AddressWithoutPort),
            (&long_label, NameError::Length),
            (&long_name, NameError::Length),
        ] {
            assert_eq!(Domain::parse(text), Err(want), "{text:?}");
        }
    }

    #[test]
    fn destinations_tell_domains_from_smart_hosts() {
        for (text, shown) in [
            ("Example.com", "example.com"),
            ("Relay.example.com:587", "relay.example.com:587"),
            ("192.0.2.1:25", "192.0.2.1:25"),
            ("[2001:DB8::1]:2525", "[2001:db8::1]:2525"),
        ] {
            let destination = Destination::parse(text).unwrap();
            assert_eq!(destination.to_string(), shown);
            assert_eq!(matches!(destination, Destination::SmartHost(_)), text.contains(':'));
        }
        for (text, want) in [
            ("relay.example.com:0", NameError::Port),
            ("relay.example.com:smtp", NameError::Port),
            ("[nonsense]:25", NameError::Address),
            ("2001:db8::1", NameError::AddressWithoutPort),
            ("[192.0.2.1]", NameError::AddressWithoutPort),
            ("https://example.com/", NameError::Url),
            ("user@example.com", NameError::MailAddress),
        ] {
            assert_eq!(Destination::parse(text), Err(want), "{text:?}");
        }
    }

    #[test]
    fn addresses_spelt_as_mx_targets_are_noticed() {
        for (labels, spells) in [
            (&["192", "0", "2", "1"][..], true),
            (&["[192", "0", "2", "1]"], true),
            (&["2001:db8::1"], true),
            (&["2001:db8::ad"], true),
            (&["[IPv6:2001:db8::1]"], true),
            (&["mx1", "example", "com"], false),
            (&["mx1", "cafe"], false),
            (&["192", "0", "2", "1", "example", "com"], false),
        ] {
            let name = Name::from_labels(labels.iter().map(|l| l.as_bytes())).unwrap();
            let name = ExchangerName::from_dns(&name).unwrap();
            assert_eq!(name.spells_address(), spells, "{name}");
        }
    }

    #[test]
    fn hostile_mx_targets_keep_their_bytes_escaped_and_survive_json() {
        let raw = Name::from_labels([b"m\nx\"1".as_slice(), b"Example".as_slice()]).unwrap();
        let name = ExchangerName::from_dns(&raw).unwrap();
        assert_eq!(name.as_str(), r"m\010x\0341.example");
        let labels: Vec<Vec<u8>> = name.to_dns().iter().map(<[u8]>::to_vec).collect();
        assert_eq!(labels, [b"m\nx\"1".to_vec(), b"example".to_vec()]);
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(serde_json::from_str::<ExchangerName>(&json).unwrap(), name);
        assert_eq!(ExchangerName::from_dns(&Name::root()), None);
    }
}
