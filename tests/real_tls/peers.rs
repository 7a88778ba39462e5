//! The tools that look at the same server, and what all of them must agree on.

use std::{net::SocketAddr, path::Path};

use jiff::Timestamp;
use mxwatch::facts::{Certificate, Tls};

use super::servers::{
    openssl::{self, Handshake, OLD, OpenSsl},
    posttls_finger::{Finger, PosttlsFinger},
};

/// OpenSSL and Postfix as clients.
pub(crate) struct Peers {
    pub(crate) openssl: OpenSsl,
    pub(crate) finger: PosttlsFinger,
}

impl Peers {
    /// `None` where one is missing.
    pub(crate) fn find() -> Option<Self> {
        Some(Self { openssl: OpenSsl::find()?, finger: PosttlsFinger::find()? })
    }

    /// What both see of a server that is to have this name.
    pub(crate) fn see(
        &self,
        server: SocketAddr,
        name: &str,
        trusted: &Path,
    ) -> (Handshake, Finger) {
        let openssl = self.openssl.session(server, name, trusted, &[]);
        (openssl, self.finger.session(server, name, trusted, "secure"))
    }

    /// The same as lenient as both get, which is how Postfix sends unless told otherwise.
    pub(crate) fn see_leniently(
        &self,
        server: SocketAddr,
        name: &str,
        trusted: &Path,
    ) -> (Handshake, Finger) {
        let openssl = self.openssl.session(server, name, trusted, &OLD);
        (openssl, self.finger.session(server, name, trusted, "may"))
    }

    /// Holds what was agreed on, and the certificates, against what both saw.
    pub(crate) fn compare(&self, tls: &Tls, openssl: &Handshake, finger: &Finger) {
        let version = tls.version.unwrap().label();
        assert_eq!((version, version), (&*openssl.version, &*finger.version));
        let cipher = self.openssl.cipher(tls.cipher.as_deref().unwrap());
        assert_eq!((&cipher, &cipher), (&openssl.cipher, &finger.cipher));
        let (in_openssl, in_postfix) = group(tls.key_exchange.as_deref().unwrap());
        assert_eq!(openssl.key, in_openssl);
        assert_eq!(finger.key_exchange, if version == "TLSv1.3" { in_postfix } else { "" });
        self.compare_chain(&tls.chain, openssl);
        let own = &tls.chain[0];
        assert_eq!((&own.sha256, &own.spki_sha256), (&finger.sha256, &finger.spki_sha256));
    }

    /// How Postfix logs that this was agreed on.
    pub(crate) fn logged(&self, tls: &Tls) -> String {
        let version = tls.version.unwrap().label();
        let cipher = self.openssl.cipher(tls.cipher.as_deref().unwrap());
        let (_, group) = group(tls.key_exchange.as_deref().unwrap());
        // All suites of these tests have keys as long as that.
        let agreed = format!("{version} with cipher {cipher} (256/256 bits)");
        if version == "TLSv1.3" { format!("{agreed} key-exchange {group} ") } else { agreed }
    }

    /// Holds the certificates against what OpenSSL saw.
    pub(crate) fn compare_chain(&self, chain: &[Certificate], openssl: &Handshake) {
        assert_eq!(chain.len(), openssl.chain.len());
        for (certificate, pem) in chain.iter().zip(&openssl.chain) {
            let read = self.openssl.certificate(pem);
            assert_eq!(certificate.subject, read.subject);
            assert_eq!(certificate.issuer, read.issuer);
            assert_eq!(certificate.serial, read.serial.to_lowercase());
            assert_eq!(certificate.not_before, Some(time(&read.not_before)));
            assert_eq!(certificate.not_after, Some(time(&read.not_after)));
            assert_eq!(certificate.sha256, read.sha256);
            assert_eq!(certificate.spki_sha256, read.spki_sha256);
            assert_eq!(certificate.signature, read.signature);
            assert_eq!(certificate.key, key(&read));
            let names = read.names.iter().map(|name| name.split_once(':').unwrap().1);
            assert_eq!(certificate.names, names.collect::<Vec<_>>());
        }
    }
}

/// The names of a group in `s_client` and in `posttls-finger` by that of the registry of IANA.
fn group(iana: &str) -> (&str, &str) {
    match iana {
        "secp256r1" => ("prime256v1", "ECDHE (prime256v1)"),
        "secp384r1" => ("secp384r1", "ECDHE (secp384r1)"),
        "X25519" => ("X25519", "X25519"),
        other => panic!("{other} is in none of the tests"),
    }
}

/// A point in time as `openssl` prints it, such as `2026-01-31 10:00:00Z`.
fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The kind of a key as mxwatch names it.
fn key(certificate: &openssl::Certificate) -> String {
    match (certificate.algorithm.as_str(), certificate.bits) {
        ("rsaEncryption", Some(bits)) => format!("RSA {bits}"),
        ("id-ecPublicKey", Some(bits)) => format!("EC P-{bits}"),
        ("ED25519", None) => "Ed25519".to_owned(),
        other => panic!("{other:?} is in none of the tests"),
    }
}
