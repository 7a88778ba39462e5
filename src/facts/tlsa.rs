//! TLSA records (RFC 6698 §2.1): what the certificate of a service is to be like, and what a resolver
//! gives of them for an exchanger.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use x509_parser::{certificate::X509Certificate, prelude::FromDer, x509::SubjectPublicKeyInfo};

use super::Lookup;
use crate::name::ExchangerName;

/// The TLSA records of an exchanger's port as one resolver gives them, whose AD bit is trusted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TlsaFacts {
    /// The resolver's name in the configuration.
    pub resolver: Arc<str>,
    /// What they come to.
    pub status: TlsaStatus,
    /// The TLSA base domain (RFC 7672 §2.2.3): the host under whose name they stand, which of an
    /// alias is its target or itself.
    pub base: ExchangerName,
    /// All there are, proved and usable or not, in the order of the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<TlsaRecord>,
    /// What was asked beyond the addresses, in this order; nothing where those are not proved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<Lookup>,
}

impl TlsaFacts {
    /// The records that a DANE sender goes by: none where they are not proved.
    pub fn usable(&self) -> impl Iterator<Item = &TlsaRecord> {
        let secure = self.status == TlsaStatus::Secure;
        self.records.iter().filter(move |record| secure && record.usable())
    }

    /// Whether a certificate chain that matches these records is what a DANE sender wants.
    pub fn matched_by(&self, matched: &[TlsaRecord]) -> bool {
        self.usable().any(|record| matched.contains(record))
    }

    /// Whether both say the same, however long it took to find out.
    pub fn same(&self, other: &Self) -> bool {
        (&self.resolver, self.status, &self.base) == (&other.resolver, other.status, &other.base)
            && self.records.len() == other.records.len()
            && self.records.iter().all(|record| other.records.contains(record))
    }
}

/// What the TLSA records at `_25._tcp.<exchanger>` are to a DANE sender (RFC 7672 §2.2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsaStatus {
    /// There are none.
    Absent,
    /// The lookup failed or was bogus: to a DANE sender the host is unreachable (§2.1.2).
    Error,
    /// The addresses or the records are not proved by DNSSEC: records do not count.
    Insecure,
    /// There are usable ones, proved by DNSSEC.
    Secure,
    /// Those proved by DNSSEC are of no use: TLS is mandatory, and nobody is authenticated (§2.2).
    Unusable,
}

impl TlsaStatus {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Absent, Self::Error, Self::Insecure, Self::Secure, Self::Unusable];

    /// Value of the `status` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Error => "error",
            Self::Insecure => "insecure",
            Self::Secure => "secure",
            Self::Unusable => "unusable",
        }
    }
}

/// One TLSA record. Its JSON is the presentation form, such as `3 1 1 0b9f…`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct TlsaRecord {
    /// Certificate usage: 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE (RFC 7218 §2.1).
    pub usage: u8,
    /// Selector: 0 the whole certificate, 1 its public key (SPKI).
    pub selector: u8,
    /// Matching type: 0 the data itself, 1 its SHA-256, 2 its SHA-512.
    pub matching: u8,
    /// Certificate association data.
    pub data: Arc<[u8]>,
}

impl TlsaRecord {
    /// `None` for data that is longer than any certificate we would take.
    pub fn new(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Option<Self> {
        (data.len() <= MAX_DATA).then(|| Self { usage, selector, matching, data: data.into() })
    }

    /// Whether an SMTP client can use it: usage DANE-TA or DANE-EE (RFC 7672 §3.1.3), selector and
    /// matching type known, and data that are what those say (RFC 7671 §10.1.1 for the digests).
    pub fn usable(&self) -> bool {
        let data = &*self.data;
        let fits = match (self.selector, self.matching) {
            (0, 0) => X509Certificate::from_der(data).is_ok_and(|(rest, _)| rest.is_empty()),
            (1, 0) => SubjectPublicKeyInfo::from_der(data).is_ok_and(|(rest, _)| rest.is_empty()),
            (0 | 1, 1) => data.len() == 256 / 8,
            (0 | 1, 2) => data.len() == 512 / 8,
            _ => false,
        };
        matches!(self.usage, Self::DANE_TA | Self::DANE_EE) && fits
    }

    /// Certificate usage: the chain leads to this trust anchor (RFC 7672 §3.1.2).
    pub const DANE_TA: u8 = 2;

    /// Certificate usage: the server presents this certificate or key (RFC 7672 §3.1.1).
    pub const DANE_EE: u8 = 3;

    /// Parses the presentation form; the data may be written in pieces (RFC 6698 §2.2).
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let mut number = || words.next()?.parse().ok();
        let (usage, selector, matching) = (number()?, number()?, number()?);
        let digits: String = words.collect();
        let even = digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let pairs = (0..digits.len()).step_by(2).map(|at| digits.get(at..at + 2));
        let byte = |pair: Option<&str>| u8::from_str_radix(pair?, 16).ok();
        let data: Option<Vec<u8>> = even.then(|| pairs.map(byte).collect()).flatten();
        Self::new(usage, selector, matching, &data?)
    }
}

/// A certificate, or the digest of one.
const MAX_DATA: usize = 16 * 1024;

impl fmt::Display for TlsaRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<String> for TlsaRecord {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a TLSA record such as \"3 1 1 0b9fa5a5\"")
    }
}

impl From<TlsaRecord> for String {
    fn from(record: TlsaRecord) -> Self {
        record.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_is_written() {
        let record = TlsaRecord::parse("3 1 1 0B9FA5a5 59ddc21c").unwrap();
        assert_eq!((record.usage, record.selector, record.matching), (3, 1, 1));
        assert_eq!(record.to_string(), "3 1 1 0b9fa5a559ddc21c");
        assert_eq!(TlsaRecord::parse(&record.to_string()), Some(record));
        for wrong in ["", "3 1 1 abc", "3 1", "256 1 1 ab", "3 1 1 zz", "3 1 1 +a", "3 1 1 ü0"] {
            assert_eq!(TlsaRecord::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_status_has_one_spelling_in_json_and_labels() {
        for status in TlsaStatus::ALL {
            assert_eq!(serde_json::json!(status), status.label());
        }
    }

    #[test]
    fn usages_and_data_that_nobody_can_use_are_told() {
        let certificate = rcgen::generate_simple_self_signed(["mx.example.test".to_owned()]);
        let rcgen::CertifiedKey { cert, signing_key } = certificate.unwrap();
        let key = rcgen::PublicKeyData::subject_public_key_info(&signing_key);
        let [sha256, sha512] = [32, 64].map(|length| vec![7; length]);
        let cut_off = &cert.der()[..cert.der().len() - 1];
        let twice = [&key[..], &key].concat();
        for (usage, selector, matching, data, usable) in [
            (3, 1, 1, &*sha256, true),
            (3, 0, 1, &sha256, true),
            (2, 0, 2, &sha512, true),
            (2, 1, 2, &sha512, true),
            (0, 1, 1, &sha256, false),
            (1, 1, 1, &sha256, false),
            (4, 1, 1, &sha256, false),
            (255, 1, 1, &sha256, false),
            (3, 2, 1, &sha256, false),
            (3, 1, 3, &sha256, false),
            (3, 1, 1, &sha512, false),
            (3, 1, 2, &sha256, false),
            (3, 1, 1, &[], false),
            (3, 0, 0, cert.der(), true),
            (3, 0, 0, cut_off, false),
            (3, 1, 0, cert.der(), false),
            (2, 1, 0, &key, true),
            (2, 1, 0, &twice, false),
            (2, 0, 0, &key, false),
        ] {
            let record = TlsaRecord::new(usage, selector, matching, data).unwrap();
            assert_eq!(record.usable(), usable, "{usage} {selector} {matching}");
        }
    }

    #[test]
    fn one_record_that_matches_is_enough_where_records_count() {
        let [old, new, pkix] = ["3 1 1 00", "3 1 1 01", "1 1 1 00"]
            .map(|record| TlsaRecord::parse(&format!("{record}{}", "00".repeat(31))).unwrap());
        let facts = |status, records: &[&TlsaRecord]| TlsaFacts {
            resolver: "local".into(),
            status,
            base: ExchangerName::parse("mx.example.test").unwrap(),
            records: records.iter().copied().cloned().collect(),
            lookups: Vec::new(),
        };
        let rolled = facts(TlsaStatus::Secure, &[&old, &new, &pkix]);
        assert!(rolled.matched_by(std::slice::from_ref(&new)));
        assert!(!rolled.matched_by(&[]));
        assert!(!rolled.matched_by(std::slice::from_ref(&pkix)), "nobody can use it");
        assert_eq!(rolled.usable().count(), 2);
        assert!(!facts(TlsaStatus::Insecure, &[&new]).matched_by(std::slice::from_ref(&new)));
        let turned = facts(TlsaStatus::Secure, &[&pkix, &new, &old]);
        assert!(rolled.same(&turned), "name servers turn the order");
        assert!(!rolled.same(&facts(TlsaStatus::Secure, &[&old, &new])));
    }
}
