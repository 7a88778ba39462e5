//! The metrics of the mail world: `mx_*`, and `probe_*` of the multi-target pattern.

use super::{Metric, counter, gauge, histogram};

/// Joins domains to exchangers; both families always listed.
pub const ROUTE: Metric = gauge(
    "mx_route",
    &["domain", "mx", "family", "preference", "provider"],
    "1 for every exchanger the domain routes to, once per family; provider is its registrable domain.",
);
/// Whose answers decide about a destination, and the labels the user gave it.
pub const DESTINATION_INFO: Metric = gauge(
    "mx_destination_info",
    &["domain", "resolver"],
    "1 with the primary resolver of the destination and the labels the configuration gives it.",
);
/// Size of the MX set.
pub const DOMAIN_EXCHANGERS: Metric = gauge(
    "mx_domain_exchangers",
    &["domain", "resolver"],
    "Number of exchangers in the MX set as this resolver gives it; absent while it is unknown.",
);
/// Remarkable facts about the MX set.
pub const DOMAIN_FINDING: Metric = gauge(
    "mx_domain_finding",
    &["domain", "resolver", "finding"],
    "1 for what is remarkable about the MX set as this resolver gives it, at most the two gravest findings.",
);
/// What a domain says about TLS.
pub const POLICY_INFO: Metric = gauge(
    "mx_domain_policy_info",
    &["domain", "mta_sts", "mode", "tls_rpt"],
    "1 with how the last look at MTA-STS ended, the mode of the policy in force, and what the TLS-RPT record is.",
);
/// How long a policy holds that cannot be fetched again.
pub const MTA_STS_EXPIRY: Metric = gauge(
    "mx_mta_sts_policy_expiry_timestamp_seconds",
    &["domain"],
    "When the MTA-STS policy in force expires unless it is fetched again; absent without one.",
);
/// Whether the resolver answered.
pub const DNS_LOOKUP_SUCCESS: Metric = gauge(
    "mx_dns_lookup_success",
    &["name", "type", "resolver"],
    "Whether the resolver answered the last lookup with noerror, nodata or nxdomain.",
);
/// The status of the last lookup.
pub const DNS_LOOKUP_STATUS: Metric = gauge(
    "mx_dns_lookup_status",
    &["name", "type", "resolver", "status"],
    "1 for the status of the last lookup.",
);
/// How long the last lookup took, every exchange counted.
pub const DNS_LOOKUP_DURATION: Metric = gauge(
    "mx_dns_lookup_duration_seconds",
    &["name", "type", "resolver"],
    "Time the last lookup took, repeated queries included.",
);
/// Whether it matters whom one asks.
pub const RESOLVERS_AGREE: Metric = gauge(
    "mx_resolvers_agree",
    &["name", "type"],
    "Whether all resolvers gave the same last answer, addresses that rotate aside; absent with fewer than two.",
);
/// How many records the last lookup gave.
pub const DNS_LOOKUP_ANSWERS: Metric = gauge(
    "mx_dns_lookup_answers",
    &["name", "type", "resolver"],
    "Number of addresses in the last answer; absent when there was none, and for MX, see mx_domain_exchangers.",
);
/// The lowest TTL of the last answer.
pub const DNS_LOOKUP_TTL: Metric = gauge(
    "mx_dns_lookup_ttl_seconds",
    &["name", "type", "resolver"],
    "Lowest time to live in the last answer, of a negative answer by RFC 2308.",
);
/// What DNSSEC proves.
pub const DNS_LOOKUP_AUTHENTIC_DATA: Metric = gauge(
    "mx_dns_lookup_authentic_data",
    &["name", "type", "resolver"],
    "Whether the resolver said that DNSSEC proves its last answer (AD bit); absent when there was none.",
);
/// DNS exchanges since start.
pub const DNS_LOOKUPS: Metric = counter(
    "mx_dns_lookups_total",
    &["type", "resolver", "status"],
    "DNS exchanges since start, over all names.",
);
/// Late is not lost.
pub const DNS_LATE_ANSWERS: Metric = counter(
    "mx_dns_late_answers_total",
    &["type", "resolver"],
    "DNS answers since start that came only after the time-out, over all names.",
);
/// Lookups never made.
pub const DNS_LOOKUPS_SKIPPED: Metric = counter(
    "mx_dns_lookups_skipped_total",
    &["type", "resolver"],
    "DNS lookups left out since start because too many others were waiting for the resolver.",
);
/// How often UDP is too small.
pub const DNS_TRUNCATED_ANSWERS: Metric = counter(
    "mx_dns_truncated_answers_total",
    &["type", "resolver"],
    "DNS answers since start that were truncated over UDP, so that TCP was used, over all names.",
);
/// Time of DNS exchanges since start.
pub const DNS_QUERY_DURATION: Metric = histogram(
    "mx_dns_query_duration_seconds",
    &["type", "resolver"],
    "Time of the DNS exchanges that got a response, over all names.",
);
/// Remarkable facts about address lookups.
pub const EXCHANGER_FINDING: Metric = gauge(
    "mx_exchanger_finding",
    &["mx", "resolver", "finding"],
    "1 for what is remarkable about the address lookups of the exchanger through this resolver.",
);
/// What DANE senders make of the TLSA records.
pub const TLSA_STATUS: Metric = gauge(
    "mx_tlsa_status",
    &["mx", "resolver", "status"],
    "1 for what the TLSA records of the exchanger are to a DANE sender through this resolver, the AD bit of which is trusted; absent without an address.",
);
/// The servers of a zone.
pub const ZONE_SERVERS: Metric = gauge(
    "mx_zone_servers",
    &["zone"],
    "Number of addresses asked that the zone's name servers have; from an authoritative resolver.",
);
/// Whether they have the same version of it.
pub const ZONE_SERIALS: Metric = gauge(
    "mx_zone_serials",
    &["zone"],
    "Number of different SOA serials among the zone's name servers; more than 1 is out of sync.",
);
/// What is wrong with one of them.
pub const ZONE_SERVER_FINDING: Metric = gauge(
    "mx_zone_server_finding",
    &["zone", "server", "finding"],
    "1 for everything that is wrong at a name server of the zone now, at most 16 for each zone.",
);
/// How long one takes.
pub const ZONE_SERVER_DURATION: Metric = gauge(
    "mx_zone_server_duration_seconds",
    &["zone", "server"],
    "Time the SOA query took at the slowest address of the name server that responded.",
);
/// Which version one has.
pub const ZONE_SOA_SERIAL: Metric = gauge(
    "mx_zone_soa_serial",
    &["zone", "server"],
    "SOA serial of the zone at the name server, the oldest among its addresses.",
);
/// The one number per exchanger and family.
pub const EXCHANGER_UP: Metric = gauge(
    "mx_exchanger_up",
    &["mx", "family"],
    "Whether some address greeted with 220 and took EHLO or HELO, and TLS and login where those are demanded; absent when none is probed.",
);
/// Addresses found.
pub const EXCHANGER_ADDRESSES: Metric = gauge(
    "mx_exchanger_addresses",
    &["mx", "family"],
    "Number of addresses found for the exchanger.",
);
/// Addresses that work.
pub const EXCHANGER_ADDRESSES_UP: Metric = gauge(
    "mx_exchanger_addresses_up",
    &["mx", "family"],
    "Number of probed addresses that greeted with 220 and took EHLO or HELO.",
);
/// The worst current failure.
pub const EXCHANGER_FAILURE: Metric = gauge(
    "mx_exchanger_failure",
    &["mx", "family", "stage", "reason"],
    "1 for the failure at the earliest stage among the probed addresses, that of opportunistic TLS included; absent when none fails.",
);
/// What becomes of a recipient.
pub const RECIPIENT_CLASS: Metric = gauge(
    "mx_recipient_class",
    &["domain", "mx", "family", "class"],
    "1 for each class of the last replies about the recipient of the destination; only where it has one.",
);
/// The codes behind it.
pub const RECIPIENT_REPLY_CODE: Metric = gauge(
    "mx_recipient_reply_code",
    &["domain", "mx", "family", "stage"],
    "Reply code of the last MAIL and RCPT for the recipient of the destination, the highest of several addresses.",
);
/// Whether an own server is an open relay.
pub const RELAY_DENIED: Metric = gauge(
    "mx_relay_denied",
    &["domain", "mx", "family"],
    "Whether the relay test was refused by all addresses; 0 is an open relay, absent without expect_relay_denied or an answer that lasts.",
);
/// The pause towards an address that refuses us.
pub const PROBE_BACKOFF: Metric = gauge(
    "mx_probe_backoff_seconds",
    &["mx", "family"],
    "How long the address that refuses us most is left alone between sessions; 0 when none is.",
);
/// Sessions by how they ended.
pub const SESSIONS: Metric = counter(
    "mx_sessions_total",
    &["mx", "family", "stage", "reason"],
    "Sessions by the stage and reason they failed with, that of opportunistic TLS included; stage done, reason ok when nothing failed.",
);
/// TCP handshakes.
pub const CONNECT_DURATION: Metric = histogram(
    "mx_connect_duration_seconds",
    &["mx", "family"],
    "Time of the TCP handshakes that succeeded.",
);
/// The wait for the banner.
pub const BANNER_DURATION: Metric = histogram(
    "mx_banner_duration_seconds",
    &["mx", "family"],
    "Time from the established connection to the complete banner.",
);
/// Stages of the last round.
pub const STAGE_DURATION: Metric = gauge(
    "mx_stage_duration_seconds",
    &["mx", "family", "stage"],
    "Time the stage took in the last round, at the slowest address.",
);
/// Codes of the last round.
pub const SMTP_REPLY_CODE: Metric = gauge(
    "mx_smtp_reply_code",
    &["mx", "family", "stage"],
    "Last reply code of the stage, the highest among the addresses.",
);
/// Codes since start.
pub const SMTP_REPLIES: Metric = counter(
    "mx_smtp_replies_total",
    &["mx", "family", "stage", "code"],
    "Replies by stage and code; code other stands for the rare ones.",
);
/// What EHLO offers.
pub const SMTP_EXTENSION: Metric = gauge(
    "mx_smtp_extension",
    &["mx", "family", "extension"],
    "1 for every known extension that all addresses which answered EHLO offer.",
);
/// The SIZE limit.
pub const SMTP_SIZE_LIMIT: Metric = gauge(
    "mx_smtp_size_limit_bytes",
    &["mx", "family"],
    "Lowest message size limit offered with SIZE, 0 for no fixed limit; absent without SIZE.",
);
/// What TLS was agreed on.
pub const TLS_INFO: Metric = gauge(
    "mx_tls_info",
    &["mx", "family", "version", "cipher", "key_exchange"],
    "1 for what the last TLS handshake agreed on, of several addresses the oldest version.",
);
/// When certificates expire.
pub const TLS_CERTIFICATE_NOT_AFTER: Metric = gauge(
    "mx_tls_certificate_not_after_timestamp_seconds",
    &["mx", "family"],
    "When the first certificate of the chains shown expires.",
);
/// What is wrong with the certificate.
pub const TLS_CERTIFICATE_STATUS: Metric = gauge(
    "mx_tls_certificate_status",
    &["mx", "family", "status"],
    "1 for what PKIX makes of the certificate for the exchanger's name: trusted, or why not.",
);
/// Who would trust it.
pub const TLS_VERIFIED: Metric = gauge(
    "mx_tls_verified",
    &["mx", "family", "policy"],
    "1 when all addresses prove who they are as this policy wants it; absent where it does not apply.",
);
/// Whether mail gets there.
pub const DELIVERY_DELIVERABLE: Metric = gauge(
    "mx_delivery_deliverable",
    &["domain", "sender", "resolver"],
    "Whether this sender would deliver a message now, going by this resolver; absent while that is not known.",
);
/// The verdict.
pub const DELIVERY_OUTCOME: Metric = gauge(
    "mx_delivery_outcome",
    &["domain", "sender", "resolver", "outcome", "reason", "mx"],
    "1 for what this sender would do with a message now and why; mx is the exchanger that takes it, else the last one tried, empty when it came to none.",
);
/// Time lost.
pub const DELIVERY_WAIT: Metric = gauge(
    "mx_delivery_wait_seconds",
    &["domain", "sender", "resolver", "bound"],
    "Time the attempt would lose before its outcome, at best and at worst where chance decides; absent while the outcome is not known.",
);
/// Depth left.
pub const DELIVERY_USABLE: Metric = gauge(
    "mx_delivery_usable_exchangers",
    &["domain", "sender", "resolver"],
    "Number of exchangers that would take the message if the others were gone; absent while the outcome is not known.",
);
/// How long it has been so.
pub const DELIVERY_SINCE: Metric = gauge(
    "mx_delivery_outcome_since_timestamp_seconds",
    &["domain", "sender", "resolver"],
    "When the current outcome was first observed; one that was not known for a while in between counts from its begin.",
);
/// The words to a reason.
pub const DELIVERY_REASON: Metric = gauge(
    "mx_delivery_reason_info",
    &["reason", "meaning"],
    "1 for every reason of an outcome, with what it means.",
);
/// Age of what is shown.
pub const PROBE_TIMESTAMP: Metric = gauge(
    "mx_probe_timestamp_seconds",
    &["kind", "name"],
    "When the last completed round of the domain or exchanger ended.",
);
/// The answer of `/probe`.
pub const PROBE_SUCCESS: Metric = gauge(
    "probe_success",
    &[],
    "Whether the route of the target is known and an address of an exchanger on it is up.",
);
/// How long the probing behind `/probe` took.
pub const PROBE_DURATION: Metric = gauge(
    "probe_duration_seconds",
    &[],
    "Time of the last round of the target: its route lookup and the slowest session.",
);
