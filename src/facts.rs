//! What was observed: plain data, closed label sets, no opinion.
//!
//! `probe` writes these values, everything else only reads them; they are also the `facts` object
//! of the JSON that `check --json` prints. Nothing here does I/O or judges. Durations are seconds
//! in JSON; times are RFC 3339 in UTC.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use crate::name::{Destination, Exchanger, ExchangerName};

/// The version of the JSON form of these facts; it grows when a field changes its meaning.
pub const FACTS_VERSION: u32 = 1;

/// Records kept of one answer: a stranger's zone may hold thousands.
pub const MAX_RECORDS: usize = 100;

/// Exchangers of one domain that are probed, best first: more only serve an attacker.
pub const MAX_EXCHANGERS: usize = 12;

/// Everything known about one destination: its route and the exchangers on it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Facts {
    /// The destination as configured.
    pub destination: Destination,
    /// When the route was looked up.
    pub observed_at: Timestamp,
    /// The route as each resolver gives it, the primary resolver first; empty for a smart host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mx: Vec<MxLookup>,
    /// Every exchanger on the primary route, most preferred first.
    pub exchangers: Vec<Arc<ExchangerFacts>>,
}

/// The MX lookup of a domain through one resolver, and the route read from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MxLookup {
    /// The lookup itself.
    #[serde(flatten)]
    pub lookup: Lookup,
    /// What RFC 5321 §5.1 makes of the answer.
    pub route: Route,
}

/// Where mail for a domain goes (RFC 5321 §5.1, RFC 7505).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Route {
    /// No MX record: the domain itself is the exchanger, at preference 0.
    Implicit {
        /// The domain as exchanger.
        exchanger: ExchangerName,
    },
    /// MX records, by preference, then name. `null_mixed` tells of a `.` among them, which is
    /// left out (RFC 7505 §3 allows none).
    Mx {
        /// The targets.
        targets: Vec<MxTarget>,
        /// A null MX stood beside them.
        null_mixed: bool,
        /// A target was listed more than once.
        duplicate: bool,
    },
    /// A sole `.`: the domain takes no mail.
    Null,
    /// The domain does not exist.
    NoDomain,
    /// The lookup failed; nothing is known about the route.
    Unknown,
}

impl Route {
    /// The targets with their preferences, best first.
    pub fn targets(&self) -> Vec<MxTarget> {
        match self {
            Self::Implicit { exchanger } => {
                vec![MxTarget { preference: 0, exchanger: exchanger.clone() }]
            }
            Self::Mx { targets, .. } => targets.clone(),
            Self::NoDomain | Self::Null | Self::Unknown => Vec::new(),
        }
    }

    /// What is remarkable about the route, as values of the `finding` label.
    pub fn findings(&self) -> Vec<&'static str> {
        match self {
            Self::Implicit { .. } => vec!["implicit"],
            Self::Null => vec!["null"],
            Self::Mx { null_mixed, duplicate, targets } => {
                let literal = targets.iter().any(|t| t.exchanger.spells_address());
                let many = targets.len() > MAX_EXCHANGERS;
                [
                    (*null_mixed, "null_mixed"),
                    (*duplicate, "duplicate"),
                    (literal, "ip_literal_target"),
                    (many, "too_many"),
                ]
                .into_iter()
                .filter_map(|(holds, finding)| holds.then_some(finding))
                .collect()
            }
            Self::NoDomain | Self::Unknown => Vec::new(),
        }
    }
}

/// One MX record.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct MxTarget {
    /// Lower is preferred.
    pub preference: u16,
    /// The host.
    pub exchanger: ExchangerName,
}

/// One question put to one named resolver, with every exchange it took. Its JSON also says the
/// `status` that counts.
#[derive(Clone, Debug, Deserialize)]
pub struct Lookup {
    /// The resolver's name in the configuration.
    pub resolver: Arc<str>,
    /// What was asked for.
    #[serde(rename = "type")]
    pub rtype: RecordType,
    /// The name asked about, without final dot.
    pub name: Arc<str>,
    /// Every exchange in the order made: one query to one server each, never merged. Never empty.
    pub exchanges: Vec<Exchange>,
}

impl Lookup {
    /// The exchange whose result counts: the first that answered, else the last that got any
    /// response, else the last.
    pub fn deciding(&self) -> Option<&Exchange> {
        let answered = self.exchanges.iter().find(|e| e.status.answered());
        let responded = || self.exchanges.iter().rev().find(|e| e.status.responded());
        answered.or_else(responded).or(self.exchanges.last())
    }

    /// The result that counts.
    pub fn status(&self) -> LookupStatus {
        self.deciding().map_or(LookupStatus::NetworkError, |e| e.status)
    }

    /// The addresses of the deciding exchange, in the order of the answer.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.deciding().into_iter().flat_map(|e| e.records.iter()).filter_map(|record| match record
        {
            Record::Address(address) => Some(*address),
            Record::Mx { .. } => None,
        })
    }
}

impl Serialize for Lookup {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Lookup", 5)?;
        fields.serialize_field("resolver", &self.resolver)?;
        fields.serialize_field("type", &self.rtype)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("status", &self.status())?;
        fields.serialize_field("exchanges", &self.exchanges)?;
        fields.end()
    }
}

/// One query to one server and what came of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Exchange {
    /// The server asked.
    pub server: SocketAddr,
    /// The transport that carried the counting response.
    pub transport: Transport,
    /// How it ended.
    pub status: LookupStatus,
    /// From sending the query until the response was complete or was given up.
    #[serde(rename = "duration_seconds", with = "seconds")]
    pub duration: Duration,
    /// How many distinct records of the asked type the answer held.
    #[serde(default)]
    pub answers: usize,
    /// The first [`MAX_RECORDS`] of them, in the order of the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Record>,
    /// The lowest TTL of the answer, CNAMEs included; of a negative answer by RFC 2308 §5.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ttl_seconds")]
    pub ttl: Option<u32>,
    /// The canonical names passed on the way, without final dots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cname_chain: Vec<String>,
    /// The AD bit (RFC 4035 §3.2.3) as the server set it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub authentic_data: bool,
    /// The AA bit.
    #[serde(default, skip_serializing_if = "is_false")]
    pub authoritative: bool,
    /// The UDP response was truncated, so TCP was used.
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// An answer that came after the time-out, counted from the query: late is not lost.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        rename = "late_seconds",
        with = "optional_seconds"
    )]
    pub late: Option<Duration>,
}

/// One record of the asked type.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A or AAAA.
    Address(IpAddr),
    /// MX; `exchanger` is `None` for the root.
    Mx {
        /// Lower is preferred.
        preference: u16,
        /// The target.
        exchanger: Option<ExchangerName>,
    },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Mail exchanger.
    Mx,
}

impl RecordType {
    /// Value of the `type` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Mx => "MX",
        }
    }
}

/// How a lookup ended: a closed set (DNS response codes of RFC 1035 §4.1.1 and RFC 2308).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupStatus {
    /// SERVFAIL that turns into an answer with checking disabled: DNSSEC validation failed.
    Bogus,
    /// The server did not understand the query.
    Formerr,
    /// A response came that is no DNS message, or not one to this query's shape.
    Malformed,
    /// The query could not be sent, or the network reported an error.
    NetworkError,
    /// The name exists, records of this type do not.
    Nodata,
    /// Records came.
    Noerror,
    /// The server does not do that, or sent another response code.
    Notimp,
    /// The name does not exist.
    Nxdomain,
    /// The server refused by policy.
    Refused,
    /// The server failed.
    Servfail,
    /// No response in time.
    Timeout,
}

impl LookupStatus {
    /// Value of the `status` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Bogus => "bogus",
            Self::Formerr => "formerr",
            Self::Malformed => "malformed",
            Self::NetworkError => "network_error",
            Self::Nodata => "nodata",
            Self::Noerror => "noerror",
            Self::Notimp => "notimp",
            Self::Nxdomain => "nxdomain",
            Self::Refused => "refused",
            Self::Servfail => "servfail",
            Self::Timeout => "timeout",
        }
    }

    /// The resolver gave a usable answer: records, none of that type, or no such name.
    pub const fn answered(self) -> bool {
        matches!(self, Self::Noerror | Self::Nodata | Self::Nxdomain)
    }

    /// The server said something, if only that it cannot.
    pub const fn responded(self) -> bool {
        !matches!(self, Self::Malformed | Self::NetworkError | Self::Timeout)
    }
}

/// What carried a DNS message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// IPv4 or IPv6: which record type named the address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// From an A record.
    Ipv4,
    /// From an AAAA record.
    Ipv6,
}

impl Family {
    /// Both, in the order they are shown.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// Value of the `family` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// The record type that names addresses of this family.
    pub const fn record_type(self) -> RecordType {
        match self {
            Self::Ipv4 => RecordType::A,
            Self::Ipv6 => RecordType::Aaaa,
        }
    }
}

/// One exchanger: its address lookups and the sessions with its addresses.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExchangerFacts {
    /// Host and port.
    pub exchanger: Exchanger,
    /// When this round ended.
    pub observed_at: Timestamp,
    /// A and AAAA through every resolver, the primary first; empty for a fixed address.
    pub lookups: Vec<Lookup>,
    /// Every distinct address found, in ascending order, whether probed or not.
    pub addresses: Vec<IpAddr>,
    /// The newest session with each address that was probed. A session may be older than this
    /// round when its address is being left alone for a while.
    pub sessions: Vec<Arc<Session>>,
}

impl ExchangerFacts {
    /// The addresses of one family.
    pub fn addresses_of(&self, family: Family) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().copied().filter(move |&a| Family::of(a) == family)
    }

    /// The sessions of one family.
    pub fn sessions_of(&self, family: Family) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.iter().filter(move |s| s.family() == family)
    }
}

/// One SMTP dialogue with one address.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Session {
    /// The address and port connected to.
    pub peer: SocketAddr,
    /// The own address the connection left from, once there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// When it began.
    pub started_at: Timestamp,
    /// From the first SYN to the end.
    #[serde(rename = "duration_seconds", with = "seconds")]
    pub duration: Duration,
    /// The name given with EHLO and HELO.
    pub helo_name: Arc<str>,
    /// The stages reached, in order; the last one is where it stopped.
    pub stages: Vec<StageFact>,
    /// Why no mail could have been handed over in this session; `None` when it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Session {
    /// The family of the peer.
    pub fn family(&self) -> Family {
        Family::of(self.peer.ip())
    }

    /// Greeted with 220 and took EHLO or HELO.
    pub fn up(&self) -> bool {
        self.failure.is_none()
    }

    /// The given stage, if it was reached.
    pub fn stage(&self, stage: Stage) -> Option<&StageFact> {
        self.stages.iter().find(|s| s.stage == stage)
    }

    /// The lines of the EHLO reply after the first: keyword and parameters (RFC 5321 §4.1.1.1).
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        let reply = self.stage(Stage::Ehlo).and_then(|s| s.reply.as_ref());
        let lines = reply.filter(|r| r.positive()).map_or(&[][..], |r| &r.lines);
        lines.iter().skip(1).map(String::as_str)
    }

    /// The SIZE limit announced (RFC 1870 §3), `Some(0)` for "no fixed limit".
    pub fn size_limit(&self) -> Option<u64> {
        self.extensions().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            words
                .next()
                .is_some_and(|keyword| keyword.eq_ignore_ascii_case("SIZE"))
                .then(|| words.next().and_then(|n| n.parse().ok()).unwrap_or(0))
        })
    }
}

/// One stage of a session.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StageFact {
    /// Which.
    pub stage: Stage,
    /// From its begin (connect: the SYN; banner: the established connection; commands: their
    /// first byte) until its reply was complete or given up.
    #[serde(rename = "duration_seconds", with = "seconds")]
    pub duration: Duration,
    /// The reply, if a complete one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// The beginning of what came when it was no complete reply; unprintable bytes replaced by
    /// U+FFFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
    /// Why this stage failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// One complete SMTP reply (RFC 5321 §4.2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The enhanced status code (RFC 3463) that opens the text, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enhanced: Option<EnhancedCode>,
    /// The text of each line; unprintable bytes replaced by U+FFFD.
    pub lines: Vec<String>,
}

impl Reply {
    /// 2yz.
    pub const fn positive(&self) -> bool {
        self.code >= 200 && self.code < 300
    }
}

/// An enhanced mail system status code, `class.subject.detail` (RFC 3463 §2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnhancedCode {
    /// 2, 4 or 5.
    pub class: u8,
    /// 0–999.
    pub subject: u16,
    /// 0–999.
    pub detail: u16,
}

impl EnhancedCode {
    /// Parses the whole of a text such as `4.7.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let class = match parts.next()? {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        let mut number = || {
            let digits = parts.next()?;
            let plain =
                (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let (subject, detail) = (number()?, number()?);
        parts.next().is_none().then_some(Self { class, subject, detail })
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl TryFrom<String> for EnhancedCode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not an enhanced status code such as 4.7.1")
    }
}

impl From<EnhancedCode> for String {
    fn from(code: EnhancedCode) -> Self {
        code.to_string()
    }
}

/// A stage of the dialogue, in the order they are passed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// TCP handshake.
    Connect,
    /// Established connection to 220.
    Banner,
    /// EHLO.
    Ehlo,
    /// HELO, after EHLO was refused.
    Helo,
    /// QUIT; its failure harms no mail.
    Quit,
}

impl Stage {
    /// Value of the `stage` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Banner => "banner",
            Self::Ehlo => "ehlo",
            Self::Helo => "helo",
            Self::Quit => "quit",
        }
    }
}

/// Where and why a session failed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Failure {
    /// The stage it stopped at.
    pub stage: Stage,
    /// Why.
    pub reason: Reason,
}

/// Why a stage failed: a closed set.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The peer closed the connection in order.
    Closed,
    /// This host could not: no file descriptor, no such source address.
    LocalError,
    /// What came is no SMTP reply.
    Malformed,
    /// This host has no address or route of that family.
    NoLocalFamily,
    /// The TCP connection was refused.
    Refused,
    /// A 4yz reply: reachable, but not now.
    Reply4xx,
    /// A 5yz reply: reachable, but not for us.
    Reply5xx,
    /// A well-formed reply with a code that has no place there, such as 250 as banner.
    ReplyUnexpected,
    /// The peer reset the connection.
    Reset,
    /// Nothing came in time.
    Timeout,
    /// A line or a reply above the limits.
    TooLong,
    /// The network said host or network unreachable.
    Unreachable,
}

impl Reason {
    /// Value of the `reason` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::LocalError => "local_error",
            Self::Malformed => "malformed",
            Self::NoLocalFamily => "no_local_family",
            Self::Refused => "refused",
            Self::Reply4xx => "reply_4xx",
            Self::Reply5xx => "reply_5xx",
            Self::ReplyUnexpected => "reply_unexpected",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::TooLong => "too_long",
            Self::Unreachable => "unreachable",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A duration as a JSON number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// The same for a value that may be absent.
mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::seconds::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds: Option<f64> = Option::deserialize(from)?;
        seconds.map(|s| Duration::try_from_secs_f64(s).map_err(D::Error::custom)).transpose()
    }
}
