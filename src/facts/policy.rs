//! What else decides about a delivery: TLS policies of the domain and its exchangers, and the
//! sending host itself. All of it is optional: what nobody looked at is absent.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::name::ExchangerName;

/// The MTA-STS policy in force (RFC 8461).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MtaSts {
    /// The policy's mode (§3.2), `none` without a policy too.
    pub mode: StsMode,
    /// The `mx` patterns: host names, or `*.` and a parent domain (§4.1).
    #[serde(default)]
    pub mx: Vec<String>,
}

impl MtaSts {
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

/// The host that sends.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct OwnHost {
    /// The names it goes by.
    #[serde(default)]
    pub names: Vec<ExchangerName>,
    /// Its addresses.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mta_sts_wildcard_stands_for_one_label() {
        let policy = MtaSts {
            mode: StsMode::Enforce,
            mx: vec!["mx1.example.com".into(), "*.example.net".into()],
        };
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
}
