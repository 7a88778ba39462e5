//! TLSA records (RFC 6698 §2.1): what the certificate of a service is to be like.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

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
}
