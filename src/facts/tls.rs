//! TLS as a session found it: what was agreed on, the certificates shown, and whether the
//! authorities vouch for them. The handshake itself is a stage of the session.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TlsaRecord;

/// What is known of one TLS handshake. Whether it came to an end is one thing, whether anybody should
/// trust the certificate another: opportunistic senders take any.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Tls {
    /// The name that was sent along (SNI, RFC 6066 §3); absent for a server without a host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Arc<str>>,
    /// The protocol version; absent when the handshake failed, as all that was agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<TlsVersion>,
    /// The cipher suite by its IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<Cow<'static, str>>,
    /// The group of the key exchange, such as `X25519`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_exchange: Option<Cow<'static, str>>,
    /// Whether the authorities that this host trusts vouch for the certificate and the exchanger's
    /// name.
    pub pkix: Pkix,
    /// The TLSA records that the chain matches; absent when there were none to hold it against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dane: Option<Vec<TlsaRecord>>,
    /// The certificates in the order shown, the server's own first.
    #[serde(default)]
    pub chain: Arc<[Certificate]>,
}

impl Tls {
    /// Whether the server's own certificate names this host (RFC 6125 §6.4): a `*` stands for one
    /// whole label at the left.
    pub fn names(&self, host: &str) -> bool {
        let same = |name: &String| match name.strip_prefix("*.") {
            Some(parent) => {
                host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
            }
            None => name.eq_ignore_ascii_case(host),
        };
        self.chain.first().is_some_and(|own| own.names.iter().any(same))
    }

    /// When the first certificate of the chain expires.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.chain.iter().filter_map(|certificate| certificate.not_after).min()
    }
}

/// A version of the protocol that is spoken at all here. Servers that know only older ones fail the
/// handshake.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "TLSv1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

impl TlsVersion {
    /// Value of the `version` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// What PKIX (RFC 5280) makes of a chain for the exchanger's name: a closed set. Of several things
/// that are wrong it is the one found first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pkix {
    /// An authority that this host trusts vouches for it.
    Trusted,
    /// A certificate has expired.
    Expired,
    /// A certificate is not valid yet.
    NotYetValid,
    /// The certificate is for other names.
    NameMismatch,
    /// No path leads to an authority that this host trusts; an intermediate certificate may be
    /// missing from the chain.
    UnknownIssuer,
    /// The certificate vouches for itself.
    SelfSigned,
    /// A key is too short, or of a kind that is not supported.
    BadKey,
    /// A signature is wrong.
    BadSignature,
    /// The certificate must not be used for servers.
    NotForServers,
    /// Something in the chain is no certificate.
    Malformed,
    /// Something else, such as a constraint of an authority.
    Other,
}

impl Pkix {
    /// Value of the `status` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NameMismatch => "name_mismatch",
            Self::UnknownIssuer => "unknown_issuer",
            Self::SelfSigned => "self_signed",
            Self::BadKey => "bad_key",
            Self::BadSignature => "bad_signature",
            Self::NotForServers => "not_for_servers",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }

    /// Whether it is trusted.
    pub const fn trusted(self) -> bool {
        matches!(self, Self::Trusted)
    }
}

/// One certificate of a chain (RFC 5280 §4.1). Texts are cut off where they are long.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Certificate {
    /// Whose it is, as in `CN=mx1.example.com`; empty when it cannot be read.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The DNS names and addresses it is for (subjectAltName).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The serial number in hexadecimal digits.
    pub serial: String,
    /// From when it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Until when it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The kind of its key with its size in bits or its curve, as in `RSA 2048` or `EC P-256`.
    pub key: String,
    /// The algorithm of the signature, as in `sha256WithRSAEncryption`.
    pub signature: Cow<'static, str>,
    /// SHA-256 of the certificate in hexadecimal digits.
    pub sha256: String,
    /// SHA-256 of its public key (SubjectPublicKeyInfo), which is what `3 1 1` of TLSA wants.
    pub spki_sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(names: &[&str]) -> Tls {
        let certificate = Certificate {
            subject: "CN=mx1.example.com".into(),
            issuer: "CN=CA".into(),
            names: names.iter().map(|&name| name.into()).collect(),
            serial: "01".into(),
            not_before: None,
            not_after: None,
            key: "EC P-256".into(),
            signature: "ecdsa-with-SHA256".into(),
            sha256: String::new(),
            spki_sha256: String::new(),
        };
        Tls {
            server_name: None,
            version: None,
            cipher: None,
            key_exchange: None,
            pkix: Pkix::Trusted,
            dane: None,
            chain: [certificate].into(),
        }
    }

    #[test]
    fn a_wildcard_names_one_label() {
        let tls = tls(&["mx1.example.com", "*.example.net"]);
        for (host, named) in [
            ("MX1.example.com", true),
            ("mx2.example.com", false),
            ("a.example.net", true),
            ("a.b.example.net", false),
            ("example.net", false),
        ] {
            assert_eq!(tls.names(host), named, "{host}");
        }
    }

    #[test]
    fn labels_are_spelled_as_in_json() {
        for pkix in [
            Pkix::Trusted,
            Pkix::Expired,
            Pkix::NotYetValid,
            Pkix::NameMismatch,
            Pkix::UnknownIssuer,
            Pkix::SelfSigned,
            Pkix::BadKey,
            Pkix::BadSignature,
            Pkix::NotForServers,
            Pkix::Malformed,
            Pkix::Other,
        ] {
            assert_eq!(serde_json::json!(pkix), pkix.label());
        }
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            assert_eq!(serde_json::json!(version), version.label());
        }
    }
}
