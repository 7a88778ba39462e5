//! TLS-RPT (RFC 8460): whether a domain asks senders for reports about TLS, and where they go.

use serde::{Deserialize, Serialize};

/// The record at `_smtp._tls.<domain>` (§3).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TlsRpt {
    /// Whether there is one.
    pub status: TlsRptStatus,
    /// More about that, in words that may quote the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where reports go: the first [`MAX_RUA`] `mailto:` and `https:` URIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rua: Vec<String>,
}

/// The most URIs that are kept of a record.
pub const MAX_RUA: usize = 10;

/// How the lookup of the record ended: a closed set.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsRptStatus {
    /// There is no TXT record that begins with `v=TLSRPTv1`.
    Absent,
    /// The TXT lookup failed.
    DnsError,
    /// The record is not valid, or there are several, which count as none (§3).
    Invalid,
    /// There is a valid one.
    Valid,
}

impl TlsRptStatus {
    /// As in JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::DnsError => "dns_error",
            Self::Invalid => "invalid",
            Self::Valid => "valid",
        }
    }
}

impl TlsRpt {
    /// Without a usable record.
    pub const fn unusable(status: TlsRptStatus, detail: Option<String>) -> Self {
        Self { status, detail, rua: Vec::new() }
    }
}
