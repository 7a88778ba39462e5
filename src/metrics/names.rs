//! Every metric there is: one documented constant each, and the table of all.
//!
//! README, rules, dashboards and tests are held against [`CATALOGUE`]. Names, types, labels and
//! help texts stand here and nowhere else; how the samples come about is told by `series` and
//! `own`. Not listed: what the process collector of the `prometheus` crate adds (`process_*`).

/// The name and meaning of one metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metric {
    /// The family name, without the suffixes of histogram series.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The labels of every sample; `mx_destination_info` has the user's besides.
    pub labels: &'static [&'static str],
    /// The HELP line.
    pub help: &'static str,
}

/// The types of the text format that are in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
}

impl Kind {
    /// The word of the TYPE line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

type Labels = &'static [&'static str];

const fn counter(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

mod agent;
mod mail;
mod resolver;
mod vantage;

pub use self::{agent::*, mail::*, resolver::*, vantage::*};

/// All of them, in the order of the table in README.md.
pub const CATALOGUE: &[Metric] = &[
    ROUTE,
    DESTINATION_INFO,
    DOMAIN_EXCHANGERS,
    DOMAIN_FINDING,
    POLICY_INFO,
    MTA_STS_EXPIRY,
    DNS_LOOKUP_SUCCESS,
    DNS_LOOKUP_STATUS,
    DNS_LOOKUP_DURATION,
    RESOLVERS_AGREE,
    DNS_LOOKUP_ANSWERS,
    DNS_LOOKUP_TTL,
    DNS_LOOKUP_AUTHENTIC_DATA,
    DNS_LOOKUPS,
    DNS_LATE_ANSWERS,
    DNS_LOOKUPS_SKIPPED,
    DNS_TRUNCATED_ANSWERS,
    DNS_QUERY_DURATION,
    RESOLVER_INFO,
    RESOLVER_UP,
    RESOLVER_SERVER_UP,
    RESOLVER_CONTROL_DURATION,
    RESOLVER_CONTROL_STATUS,
    VANTAGE_ROUTE,
    VANTAGE_SOURCE,
    VANTAGE_HELO_RESOLVES,
    VANTAGE_REVERSE_MATCHES,
    VANTAGE_REVERSE_CONFIRMED,
    EXCHANGER_FINDING,
    TLSA_STATUS,
    ZONE_SERVERS,
    ZONE_SERIALS,
    ZONE_SERVER_FINDING,
    ZONE_SERVER_DURATION,
    ZONE_SOA_SERIAL,
    EXCHANGER_UP,
    EXCHANGER_ADDRESSES,
    EXCHANGER_ADDRESSES_UP,
    EXCHANGER_FAILURE,
    PROBE_BACKOFF,
    SESSIONS,
    CONNECT_DURATION,
    BANNER_DURATION,
    STAGE_DURATION,
    SMTP_REPLY_CODE,
    TLS_CERTIFICATE_NOT_AFTER,
    TLS_CERTIFICATE_STATUS,
    TLS_INFO,
    TLS_VERIFIED,
    SMTP_REPLIES,
    SMTP_EXTENSION,
    SMTP_SIZE_LIMIT,
    RECIPIENT_CLASS,
    RECIPIENT_REPLY_CODE,
    RELAY_DENIED,
    DELIVERY_DELIVERABLE,
    DELIVERY_OUTCOME,
    DELIVERY_WAIT,
    DELIVERY_USABLE,
    DELIVERY_SINCE,
    DELIVERY_REASON,
    PROBE_TIMESTAMP,
    PROBE_SUCCESS,
    PROBE_DURATION,
    BUILD_INFO,
    CONFIG_LAST_RELOAD_SUCCESSFUL,
    CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP,
    HTTP_SD_LAST_SUCCESS_TIMESTAMP,
    HTTP_SD_FAILURES,
    SHARD_INFO,
    DESTINATIONS_CONFIGURED,
    DESTINATIONS,
    DESTINATIONS_OVERDUE,
    ROUNDS_IN_FLIGHT,
    ROUND_LAG,
    ROUNDS_SKIPPED,
    PROBE_PANICS,
    SESSIONS_IN_FLIGHT,
    RUNTIME_DELAY,
    CONNECTIVITY_LOG_DROPPED,
    WEB_CONFIG_LAST_RELOAD_SUCCESSFUL,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_keep_the_conventions() {
        let mut seen = BTreeSet::new();
        for metric in CATALOGUE {
            assert!(seen.insert(metric.name), "{} is listed twice", metric.name);
            let counter = metric.kind == Kind::Counter;
            assert_eq!(metric.name.ends_with("_total"), counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            assert!(!metric.help.contains(['\n', '\\']), "{}", metric.name);
            let histogram = metric.kind == Kind::Histogram;
            assert!(!histogram || metric.name.ends_with("_seconds"), "{}", metric.name);
        }
    }
}
