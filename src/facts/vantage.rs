//! The vantage: how the host that probes looks to those it calls, which is how the mail that it
//! sends is looked at.
//!
//! Receivers compare the address they see with the name given at EHLO, and with the name that the
//! address leads back to (RFC 5321 §4.1.4, RFC 1912 §2.1).

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;

use super::{Family, Lookup, OwnHost, is_false};
use crate::name::ExchangerName;

/// What receivers see of this host.
#[derive(Clone, Debug, Serialize)]
pub struct Vantage {
    /// The name given with EHLO: a domain or an address literal.
    pub helo_name: Arc<str>,
    /// When this was looked at.
    pub observed_at: Timestamp,
    /// IPv4, then IPv6.
    pub families: [FamilyVantage; 2],
}

/// The same in one family. What is `None` is not known, or does not apply.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyVantage {
    /// Which.
    pub family: Family,
    /// Whether there is a way to the Internet.
    pub way: Way,
    /// The address that sessions leave from: the configured one, else the one the kernel picks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The configuration names the source.
    #[serde(skip_serializing_if = "is_false")]
    pub configured: bool,
    /// The address that receivers see; absent where that is another than a private source and not
    /// configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_as: Option<IpAddr>,
    /// The HELO name has this address among its own, or is its literal.
    pub forward: Option<bool>,
    /// The address leads back to the HELO name (PTR); never known of a literal.
    pub reverse: Option<bool>,
    /// Some name that the address leads to has this address: forward-confirmed reverse DNS.
    pub confirmed: Option<bool>,
    /// What was looked up for that: addresses of the HELO name, PTR, addresses of its names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<Lookup>,
}

/// Whether this host knows where to send in a family, by its routing table alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// There is none to the Internet, or none from the configured source.
    NoRoute,
    /// The configured source is no address of this host.
    NotOurs,
    /// There is one.
    Open,
}

impl Vantage {
    /// What makes this host recognise itself among the exchangers of a domain. Loopback addresses
    /// are every host's, so they count only as the configured source.
    ///
    /// This is for findings. No verdict goes by it: a mail server that watches its own domain
    /// delivers that mail locally, so that a verdict of a mail loop would be false.
    pub fn own_host(&self) -> OwnHost {
        let names = ExchangerName::parse(&self.helo_name).into_iter().collect();
        let mut addresses: Vec<IpAddr> = Vec::new();
        for family in &self.families {
            let source = family.source.filter(|ip| family.configured || !ip.is_loopback());
            let seen = family.seen_as.filter(|ip| Some(*ip) == source || !ip.is_loopback());
            addresses.extend(source);
            addresses.extend(seen);
        }
        addresses.sort_unstable();
        addresses.dedup();
        OwnHost { names, addresses }
    }
}

impl FamilyVantage {
    /// One of which nothing is known.
    pub const fn unknown(family: Family) -> Self {
        Self {
            family,
            way: Way::NoRoute,
            source: None,
            configured: false,
            seen_as: None,
            forward: None,
            reverse: None,
            confirmed: None,
            lookups: Vec::new(),
        }
    }

    /// Something about names and addresses is known to be wrong.
    pub fn mismatched(&self) -> bool {
        [self.forward, self.reverse, self.confirmed].contains(&Some(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vantage(helo_name: &str, source: &str, configured: bool, seen_as: &str) -> Vantage {
        let [ipv4, ipv6] = Family::ALL.map(FamilyVantage::unknown);
        let (source, seen_as) = (source.parse().ok(), seen_as.parse().ok());
        let ipv4 = FamilyVantage { source, configured, seen_as, ..ipv4 };
        let observed_at = Timestamp::UNIX_EPOCH;
        Vantage { helo_name: helo_name.into(), observed_at, families: [ipv4, ipv6] }
    }

    #[test]
    fn a_host_is_its_name_and_the_addresses_that_are_its_own() {
        for (source, configured, seen_as, want) in [
            ("10.0.0.1", false, "192.0.2.1", &["10.0.0.1", "192.0.2.1"][..]),
            ("192.0.2.1", false, "192.0.2.1", &["192.0.2.1"]),
            ("127.0.0.1", false, "127.0.0.1", &[]),
            ("127.0.0.2", true, "127.0.0.2", &["127.0.0.2"]),
            ("10.0.0.1", false, "127.0.0.1", &["10.0.0.1"]),
        ] {
            let own = vantage("mail.example.org", source, configured, seen_as).own_host();
            assert_eq!(own.addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>(), want);
            assert_eq!(
                own.names.iter().map(ExchangerName::as_str).collect::<Vec<_>>(),
                ["mail.example.org"]
            );
        }
        assert_eq!(vantage("[192.0.2.1]", "", false, "").own_host().names, []);
    }
}
