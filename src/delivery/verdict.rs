//! What a sender would do with a message now: plain data with closed sets of labels.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use super::sender::Confidence;
use crate::{
    facts::{Family, LookupStatus},
    name::Exchanger,
};

/// What would become of a message handed over now.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What would happen; where the sender leaves it to chance, the worst that could.
    pub outcome: Outcome,
    /// Why; [`Why::Ok`] when it is delivered.
    pub why: Why,
    /// The exchanger that took it, or whose answer ended the attempt.
    pub via: Option<Via>,
    /// The last exchanger that counted, also where the attempt ended because none was left.
    pub at: Option<Via>,
    /// The least seconds lost in this attempt, where chance decides.
    pub wait_best: Duration,
    /// The most.
    pub wait_worst: Duration,
    /// Exchangers that would take the message if the others were gone; 0 once mail has stopped.
    pub usable_exchangers: usize,
    /// How sure this is: the least sure of what it rests on.
    pub confidence: Confidence,
    /// The probe's patience was shorter than the sender's: what it saw as silence the sender might
    /// see end.
    pub censored: bool,
    /// There are more ways than were followed: one of the others may be worse.
    pub cut_short: bool,
    /// The age at which a retry would deliver although nothing else changes, because some senders
    /// give up TLS then.
    pub delivered_after: Option<Duration>,
    /// Everything that could happen, the verdict itself first; one entry where nothing is left to
    /// chance.
    pub possible: Vec<Possible>,
}

impl Verdict {
    /// Delivered, after a wait that somebody notices: senders mostly wait minutes for a server that
    /// hangs, and seconds for one that is slow.
    pub fn late(&self) -> bool {
        self.outcome == Outcome::Deliver && self.wait_worst >= LATE
    }
}

/// From here on a delivery is called late.
pub const LATE: Duration = Duration::from_secs(30);

/// One of the things that could happen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Possible {
    /// What.
    pub outcome: Outcome,
    /// Why.
    pub why: Why,
    /// Through or because of which exchanger.
    pub via: Option<Via>,
    /// Seconds lost in the attempt.
    pub wait: Duration,
}

impl Serialize for Possible {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Possible", 4)?;
        fields.serialize_field("outcome", &self.outcome)?;
        fields.serialize_field("reason", self.why.label())?;
        fields.serialize_field("via", &self.via)?;
        fields.serialize_field("wait_seconds", &self.wait.as_secs_f64())?;
        fields.end()
    }
}

/// An exchanger and the family of the address that counted. Its JSON is `mx`, the host, and
/// `family`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Via {
    /// Host and port.
    pub exchanger: Exchanger,
    /// `None` when it did not come to an address.
    pub family: Option<Family>,
}

impl Serialize for Via {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Via", 2)?;
        fields.serialize_field("mx", &self.exchanger.host.to_string())?;
        fields.serialize_field("family", &self.family)?;
        fields.end()
    }
}

/// What happens to a message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The exchanger takes it.
    Deliver,
    /// Not known: facts are missing.
    Unknown,
    /// It waits in the queue and is tried again.
    Defer,
    /// It is set aside until an admin looks at it.
    Freeze,
    /// It is returned to its author.
    Bounce,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 5] =
        [Self::Deliver, Self::Unknown, Self::Defer, Self::Freeze, Self::Bounce];

    /// Value of the `outcome` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Defer => "defer",
            Self::Deliver => "deliver",
            Self::Freeze => "freeze",
            Self::Unknown => "unknown",
        }
    }
}

/// Why: a closed set. The `mx_*` ones are about the MX lookup, `host_dns_temp` about the address
/// lookups of exchangers, the rest names the stage of the session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Why {
    /// It is delivered.
    Ok,
    /// The domain does not exist.
    MxNxdomain,
    /// The MX lookup failed this way.
    MxLookup(LookupStatus),
    /// A null MX.
    MxNull,
    /// The sender is an exchanger of the domain itself.
    MxLoop,
    /// No exchanger has an address that this sender uses.
    NoUsableMx,
    /// Address lookups of exchangers fail.
    HostDnsTemp,
    /// No answer to the connection attempt.
    ConnectTimeout,
    /// The connection was refused.
    ConnectRefused,
    /// The connection was reset while it was made.
    ConnectReset,
    /// The network said unreachable.
    ConnectUnreachable,
    /// The sending host has no route of that family.
    NoLocalFamily,
    /// A connection and no banner.
    BannerTimeout,
    /// The connection was closed before a banner.
    BannerClosed,
    /// The connection was reset before a banner.
    BannerReset,
    /// What came is no banner.
    BannerMalformed,
    /// A 4yz banner.
    Banner4xx,
    /// A 5yz banner.
    Banner5xx,
    /// EHLO refused with 4yz.
    Ehlo4xx,
    /// HELO refused with 4yz.
    Helo4xx,
    /// HELO refused with 5yz.
    Helo5xx,
    /// The connection was lost after the banner.
    SessionLost,
    /// A reply after the banner did not come.
    SessionTimeout,
    /// TLS is required and STARTTLS is not offered.
    TlsNotOffered,
    /// STARTTLS was refused.
    TlsRejected,
    /// The TLS handshake failed.
    TlsHandshake,
    /// The TLS handshake hung.
    TlsTimeout,
    /// The certificate does not satisfy the policy.
    TlsCert,
    /// The TLSA lookup failed.
    TlsaError,
    /// The MTA-STS policy does not list the exchanger.
    StsMx,
    /// MAIL refused with 4yz.
    Mail4xx,
    /// MAIL refused with 5yz.
    Mail5xx,
    /// RCPT refused with 4yz.
    Rcpt4xx,
    /// RCPT refused with 5yz.
    Rcpt5xx,
    /// A lookup that decides was not made.
    NotLookedUp,
    /// An address that decides was not probed, or not far enough.
    NotProbed,
    /// The probing host could not open the connection.
    LocalError,
}

impl Why {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::Ok,
        Self::MxNxdomain,
        Self::MxLookup(LookupStatus::Bogus),
        Self::MxLookup(LookupStatus::Formerr),
        Self::MxLookup(LookupStatus::Malformed),
        Self::MxLookup(LookupStatus::NetworkError),
        Self::MxLookup(LookupStatus::Notimp),
        Self::MxLookup(LookupStatus::Refused),
        Self::MxLookup(LookupStatus::Servfail),
        Self::MxLookup(LookupStatus::Timeout),
        Self::MxNull,
        Self::MxLoop,
        Self::NoUsableMx,
        Self::HostDnsTemp,
        Self::ConnectTimeout,
        Self::ConnectRefused,
        Self::ConnectReset,
        Self::ConnectUnreachable,
        Self::NoLocalFamily,
        Self::BannerTimeout,
        Self::BannerClosed,
        Self::BannerReset,
        Self::BannerMalformed,
        Self::Banner4xx,
        Self::Banner5xx,
        Self::Ehlo4xx,
        Self::Helo4xx,
        Self::Helo5xx,
        Self::SessionLost,
        Self::SessionTimeout,
        Self::TlsNotOffered,
        Self::TlsRejected,
        Self::TlsHandshake,
        Self::TlsTimeout,
        Self::TlsCert,
        Self::TlsaError,
        Self::StsMx,
        Self::Mail4xx,
        Self::Mail5xx,
        Self::Rcpt4xx,
        Self::Rcpt5xx,
        Self::NotLookedUp,
        Self::NotProbed,
        Self::LocalError,
    ];

    /// Value of the `reason` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::MxNxdomain => "mx_nxdomain",
            Self::MxLookup(status) => match status {
                LookupStatus::Bogus => "mx_bogus",
                LookupStatus::Formerr => "mx_formerr",
                LookupStatus::Malformed => "mx_malformed",
                LookupStatus::NetworkError => "mx_network_error",
                LookupStatus::Nodata => "mx_nodata",
                LookupStatus::Noerror => "mx_noerror",
                LookupStatus::Notimp => "mx_notimp",
                LookupStatus::Nxdomain => "mx_nxdomain",
                LookupStatus::Refused => "mx_refused",
                LookupStatus::Servfail => "mx_servfail",
                LookupStatus::Timeout => "mx_timeout",
            },
            Self::MxNull => "mx_null",
            Self::MxLoop => "mx_loop",
            Self::NoUsableMx => "no_usable_mx",
            Self::HostDnsTemp => "host_dns_temp",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectReset => "connect_reset",
            Self::ConnectUnreachable => "connect_unreachable",
            Self::NoLocalFamily => "connect_no_local_family",
            Self::BannerTimeout => "banner_timeout",
            Self::BannerClosed => "banner_closed",
            Self::BannerReset => "banner_reset",
            Self::BannerMalformed => "banner_malformed",
            Self::Banner4xx => "banner_4xx",
            Self::Banner5xx => "banner_5xx",
            Self::Ehlo4xx => "ehlo_4xx",
            Self::Helo4xx => "helo_4xx",
            Self::Helo5xx => "helo_5xx",
            Self::SessionLost => "session_lost",
            Self::SessionTimeout => "session_timeout",
            Self::TlsNotOffered => "tls_not_offered",
            Self::TlsRejected => "tls_rejected",
            Self::TlsHandshake => "tls_handshake",
            Self::TlsTimeout => "tls_timeout",
            Self::TlsCert => "tls_cert",
            Self::TlsaError => "tlsa_error",
            Self::StsMx => "sts_mx",
            Self::Mail4xx => "mail_4xx",
            Self::Mail5xx => "mail_5xx",
            Self::Rcpt4xx => "rcpt_4xx",
            Self::Rcpt5xx => "rcpt_5xx",
            Self::NotLookedUp => "not_looked_up",
            Self::NotProbed => "not_probed",
            Self::LocalError => "local_error",
        }
    }
}
