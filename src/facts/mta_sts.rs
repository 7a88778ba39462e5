//! MTA-STS (RFC 8461): the policy of a domain that is in force, and what the last look at it found.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::ExchangerName;

/// What a sender that keeps to MTA-STS knows about a domain. While nothing newer can be had, a policy
/// that was fetched before stays in force until it expires (§5.1), so the newest look may have failed
/// beside a policy that holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MtaSts {
    /// The mode in force (§3.2), `none` without a policy too.
    pub mode: StsMode,
    /// The `mx` patterns in force: host names, or `*.` and a parent domain (§4.1).
    #[serde(default)]
    pub mx: Vec<String>,
    /// How the newest look ended.
    #[serde(default)]
    pub status: StsStatus,
    /// More about that, in words that may quote the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The same as reports to the domain would say it (RFC 8460 §4.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<StsFailure>,
    /// The `id` of the TXT record as it is now (§3.1); absent without exactly one valid record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The policy in force; absent without one, and in facts that only say what holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<StsPolicy>,
}

/// The policy in force: where it comes from and how long it holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StsPolicy {
    /// The `id` of the record that led to it.
    pub id: String,
    /// How long it holds from when it was fetched, in seconds (§3.2), at most a year.
    pub max_age_seconds: u32,
    /// When it was fetched.
    pub fetched_at: Timestamp,
    /// When it stops to hold unless it is fetched again.
    pub expires_at: Timestamp,
    /// It was fetched by an earlier look than the newest one.
    pub cached: bool,
}

/// The most `mx` patterns of a policy that count: a stranger's may hold thousands.
pub const MAX_PATTERNS: usize = 256;

impl MtaSts {
    /// What a look came to that leaves no policy in force.
    pub fn without_policy(status: StsStatus, detail: Option<String>) -> Self {
        Self {
            mode: StsMode::None,
            mx: Vec::new(),
            status,
            detail,
            failure: status.failure(),
            id: None,
            policy: None,
        }
    }

    /// Whether a pattern matches the exchanger (§4.1): a `*` stands for one whole label.
    pub fn lists(&self, exchanger: &str) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => {
                let rest = exchanger.split_once('.').map(|(_, rest)| rest);
                rest.is_some_and(|rest| rest.eq_ignore_ascii_case(parent))
            }
            None => exchanger.eq_ignore_ascii_case(pattern),
        })
    }

    /// Whether a policy is in force that names exchangers, and not this one.
    pub fn leaves_out(&self, exchanger: &ExchangerName) -> bool {
        self.mode != StsMode::None && !self.lists(exchanger.as_str())
    }
}

/// What an MTA-STS policy asks for (RFC 8461 §3.2, §5).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StsMode {
    /// No delivery to what does not comply.
    Enforce,
    /// No policy.
    None,
    /// Reports only.
    Testing,
}

impl StsMode {
    /// Value of the `mode` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::None => "none",
            Self::Testing => "testing",
        }
    }
}

/// How a look at the policy of a domain ended: a closed set.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StsStatus {
    /// There is no TXT record that begins with `v=STSv1`.
    Absent,
    /// The TXT lookup failed.
    DnsError,
    /// The certificate of the policy host is not to be trusted for its name (§3.3).
    FetchCertificate,
    /// No TCP connection to the policy host.
    FetchConnect,
    /// The policy host answered something else than a policy: another status than 200, another
    /// content type, too much, or no HTTP.
    FetchHttp,
    /// The policy did not come in time.
    FetchTimeout,
    /// The TLS handshake with the policy host failed for another reason than its certificate.
    FetchTls,
    /// The policy host has no address, or its lookups failed.
    HostUnresolved,
    /// What was fetched is no valid policy (§3.2).
    PolicyInvalid,
    /// The TXT record is not valid, or there are several, which count as none (§3.1).
    RecordInvalid,
    /// The record is valid, and the policy that belongs to it is in force.
    #[default]
    Valid,
}

impl StsStatus {
    /// All, as they are listed in documents.
    pub const ALL: [Self; 11] = [
        Self::Absent,
        Self::DnsError,
        Self::FetchCertificate,
        Self::FetchConnect,
        Self::FetchHttp,
        Self::FetchTimeout,
        Self::FetchTls,
        Self::HostUnresolved,
        Self::PolicyInvalid,
        Self::RecordInvalid,
        Self::Valid,
    ];

    /// Value of the `status` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::DnsError => "dns_error",
            Self::FetchCertificate => "fetch_certificate",
            Self::FetchConnect => "fetch_connect",
            Self::FetchHttp => "fetch_http",
            Self::FetchTimeout => "fetch_timeout",
            Self::FetchTls => "fetch_tls",
            Self::HostUnresolved => "host_unresolved",
            Self::PolicyInvalid => "policy_invalid",
            Self::RecordInvalid => "record_invalid",
            Self::Valid => "valid",
        }
    }

    /// What a sender would report to the domain; `None` where it would report nothing.
    pub const fn failure(self) -> Option<StsFailure> {
        match self {
            Self::Absent | Self::DnsError | Self::RecordInvalid | Self::Valid => None,
            Self::FetchCertificate => Some(StsFailure::WebpkiInvalid),
            Self::FetchConnect
            | Self::FetchHttp
            | Self::FetchTimeout
            | Self::FetchTls
            | Self::HostUnresolved => Some(StsFailure::PolicyFetchError),
            Self::PolicyInvalid => Some(StsFailure::PolicyInvalid),
        }
    }
}

/// The result types of RFC 8460 §4.3.2.2 that tell of a policy.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum StsFailure {
    /// The policy could not be had.
    #[serde(rename = "sts-policy-fetch-error")]
    PolicyFetchError,
    /// The policy is not valid.
    #[serde(rename = "sts-policy-invalid")]
    PolicyInvalid,
    /// The policy host could not be authenticated.
    #[serde(rename = "sts-webpki-invalid")]
    WebpkiInvalid,
}

impl StsFailure {
    /// The word of the RFC.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PolicyFetchError => "sts-policy-fetch-error",
            Self::PolicyInvalid => "sts-policy-invalid",
            Self::WebpkiInvalid => "sts-webpki-invalid",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(mode: StsMode, mx: &[&str]) -> MtaSts {
        let mx = mx.iter().map(|&pattern| pattern.to_owned()).collect();
        MtaSts { mode, mx, ..MtaSts::without_policy(StsStatus::Valid, None) }
    }

    #[test]
    fn an_mta_sts_wildcard_stands_for_one_label() {
        let policy = holding(StsMode::Enforce, &["mx1.example.com", "*.example.net"]);
        for (name, listed) in [
            ("mx1.example.com", true),
            ("MX1.example.com", true),
            ("mx2.example.com", false),
            ("a.example.net", true),
            ("a.b.example.net", false),
            ("example.net", false),
        ] {
            assert_eq!(policy.lists(name), listed, "{name}");
        }
    }

    #[test]
    fn mode_and_patterns_alone_are_a_policy_that_holds() {
        let read = |text| serde_json::from_str::<MtaSts>(text).unwrap();
        assert_eq!(
            read(r#"{"mode": "enforce", "mx": ["mx1.example.com"]}"#),
            holding(StsMode::Enforce, &["mx1.example.com"])
        );
        assert_eq!(read(r#"{"mode": "none"}"#), holding(StsMode::None, &[]));
    }

    #[test]
    fn labels_and_words_are_those_of_the_json() {
        for status in StsStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.label());
            if let Some(failure) = status.failure() {
                assert_eq!(serde_json::to_value(failure).unwrap(), failure.word());
            }
        }
        for mode in [StsMode::Enforce, StsMode::None, StsMode::Testing] {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.label());
        }
    }
}
