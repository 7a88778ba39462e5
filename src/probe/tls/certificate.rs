//! What a certificate says, for people: read leniently, because broken ones must be shown, too.
//! Whether it is to be trusted is not decided here.

use std::{borrow::Cow, net::IpAddr};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    parse_x509_certificate,
    public_key::PublicKey,
    time::ASN1Time,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Name},
};

use crate::{facts::Certificate, shown::one_line};

/// Reads one. What cannot be read stays empty.
pub(super) fn read(der: &CertificateDer<'_>) -> Certificate {
    let sha256 = hex(digest(&SHA256, der).as_ref());
    match parse_x509_certificate(der) {
        Ok((_, parsed)) => of(&parsed, sha256),
        Err(_) => Certificate {
            subject: String::new(),
            issuer: String::new(),
            names: Vec::new(),
            serial: String::new(),
            not_before: None,
            not_after: None,
            key: String::new(),
            signature: Cow::Borrowed(""),
            sha256,
            spki_sha256: String::new(),
        },
    }
}

fn of(parsed: &X509Certificate<'_>, sha256: String) -> Certificate {
    let key = parsed.public_key();
    Certificate {
        subject: name(parsed.subject()),
        issuer: name(parsed.issuer()),
        names: names(parsed),
        serial: hex(serial(parsed.raw_serial())),
        not_before: time(parsed.validity().not_before),
        not_after: time(parsed.validity().not_after),
        key: kind(key),
        signature: signature(&parsed.signature_algorithm),
        sha256,
        spki_sha256: hex(digest(&SHA256, key.raw).as_ref()),
    }
}

/// A serial number without the octet that only says that it is positive; 20 octets at most
/// (RFC 5280 §4.1.2.2).
fn serial(raw: &[u8]) -> &[u8] {
    let number = raw.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(raw);
    number.get(..20).unwrap_or(number)
}

fn name(name: &X509Name<'_>) -> String {
    one_line(&name.to_string(), MAX_TEXT)
}

fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let extension = parsed.subject_alternative_name().ok().flatten();
    let all = extension.iter().flat_map(|extension| &extension.value.general_names);
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(one_line(name, MAX_TEXT)),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    all.filter_map(name).take(MAX_NAMES).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn time(time: ASN1Time) -> Option<Timestamp> {
    Timestamp::from_second(time.timestamp()).ok()
}

fn kind(key: &SubjectPublicKeyInfo<'_>) -> String {
    let oid = key.algorithm.algorithm.to_id_string();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA {}", rsa.key_size()),
        Ok(PublicKey::EC(point)) => match curve(&key.algorithm) {
            Some(curve) => format!("EC {curve}"),
            None => format!("EC {}", point.key_size()),
        },
        _ => match oid.as_str() {
            "1.3.101.112" => "Ed25519".to_owned(),
            "1.3.101.113" => "Ed448".to_owned(),
            _ => one_line(&oid, MAX_TEXT),
        },
    }
}

/// The named curve of an EC key (RFC 5480 §2.1.1.1).
fn curve(algorithm: &AlgorithmIdentifier<'_>) -> Option<&'static str> {
    let oid = algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
    match oid.as_str() {
        "1.2.840.10045.3.1.7" => Some("P-256"),
        "1.3.132.0.34" => Some("P-384"),
        "1.3.132.0.35" => Some("P-521"),
        _ => None,
    }
}

/// The names that OpenSSL has for them; the object identifier of others.
fn signature(algorithm: &AlgorithmIdentifier<'_>) -> Cow<'static, str> {
    let oid = algorithm.algorithm.to_id_string();
    Cow::Borrowed(match oid.as_str() {
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.10" => "rsassaPss",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.3.101.112" => "ED25519",
        "1.3.101.113" => "ED448",
        _ => return Cow::Owned(one_line(&oid, MAX_TEXT)),
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Characters of a name that are kept.
const MAX_TEXT: usize = 256;

/// Names of one certificate that are kept; some hosts share one with hundreds.
const MAX_NAMES: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_says_what_it_was_made_with() {
        let mut params = CertificateParams::new(vec!["mx1.example.com".into()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress("192.0.2.1".parse().unwrap()));
        params.distinguished_name.push(DnType::CommonName, "mx1.example.com");
        params.distinguished_name.push(DnType::OrganizationName, "a\u{1b}[31mb");
        params.not_before = date_time_ymd(2026, 1, 2);
        params.not_after = date_time_ymd(2026, 4, 2);
        params.serial_number = Some(0xfa1b.into());
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let read = read(certificate.der());
        assert!(read.subject.contains("CN=mx1.example.com"), "{read:?}");
        assert!(!read.subject.contains('\u{1b}'), "{read:?}");
        assert_eq!(read.issuer, read.subject);
        assert_eq!(read.names, ["mx1.example.com", "192.0.2.1"]);
        assert_eq!(read.serial, "fa1b");
        assert_eq!(read.not_after.unwrap().to_string(), "2026-04-02T00:00:00Z");
        assert_eq!(read.not_before.unwrap().to_string(), "2026-01-02T00:00:00Z");
        assert_eq!((read.key.as_str(), &*read.signature), ("EC P-256", "ecdsa-with-SHA256"));
        assert_eq!((read.sha256.len(), read.spki_sha256.len()), (64, 64));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert_eq!(read(&bytes.into()).sha256.len(), 64);
        }

        #[test]
        fn a_broken_certificate_does_not_either(at in 0_usize..400, byte in any::<u8>()) {
            let mut der = rcgen::generate_simple_self_signed(vec!["mx1.example.com".into()])
                .unwrap().cert.der().to_vec();
            let at = at % der.len();
            der[at] = byte;
            prop_assert_eq!(read(&der.into()).sha256.len(), 64);
        }
    }
}
