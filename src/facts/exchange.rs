//! DNS: one query to one server and what came of it.

mod json;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{
    Elapsed, LookupStatus, Record,
    seldom::{Nothing, Seldom},
};

/// Records kept of one answer: a stranger's zone may hold thousands.
pub const MAX_RECORDS: usize = 100;

/// The records of one answer, of which mostly there is one.
pub type Records = SmallVec<[Record; 1]>;

/// One query to one server and what came of it.
#[expect(clippy::struct_excessive_bools, reason = "the header of a DNS message is made of bits")]
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "json::Json<'static>")]
pub struct Exchange {
    /// The server asked.
    pub server: SocketAddr,
    /// The transport that carried the counting response.
    pub transport: Transport,
    /// How it ended.
    pub status: LookupStatus,
    /// From sending the query until the response was complete or was given up.
    pub duration: Elapsed,
    /// How many records of the asked type the answer held: a message counts them in 16 bits (RFC 1035
    /// §4.1.1).
    pub answers: u16,
    /// The first [`MAX_RECORDS`] of them, in the order of the answer.
    pub records: Records,
    /// The lowest TTL of the answer, CNAMEs included; of a negative answer by RFC 2308 §5.
    pub ttl: Option<u32>,
    /// The AD bit (RFC 4035 §3.2.3) as the server set it.
    pub authentic_data: bool,
    /// The AA bit.
    pub authoritative: bool,
    /// The UDP response was truncated, so TCP was used.
    pub truncated: bool,
    /// The query asked not to validate (CD, RFC 4035 §3.2.2).
    pub checking_disabled: bool,
    /// The query was made only to find out why another failed; its answer is not to be used.
    pub inquiry: bool,
    /// A server was asked for what the delegation says it has authority over, and showed none
    /// (AA clear, or refused): its answer is not to be used.
    pub lame: bool,
    /// What most exchanges have nothing of.
    pub further: Seldom<Further>,
}

// There is one or more to each of tens of thousands of lookups that are kept.
const _: () = assert!(size_of::<Exchange>() <= 96);

/// What is known of few exchanges.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Further {
    /// The server's name, where it was asked for what its name has authority over.
    pub server_name: Option<Arc<str>>,
    /// The canonical names passed on the way, without final dots.
    pub cname_chain: Vec<String>,
    /// An answer that came after the time-out, counted from the query: late is not lost.
    pub late: Option<Duration>,
    /// Addresses of the name asked about that stand in the additional section of an answer without
    /// records: some senders use them.
    pub stray_addresses: Vec<IpAddr>,
    /// Why, in the server's own words (RFC 8914).
    pub extended_errors: Vec<ExtendedError>,
    /// Why there was no response, where more is known than the status says.
    pub error: Option<Box<str>>,
}

impl Nothing for Further {
    const NOTHING: &'static Self = &Self {
        server_name: None,
        cname_chain: Vec::new(),
        late: None,
        stray_addresses: Vec::new(),
        extended_errors: Vec::new(),
        error: None,
    };

    fn is_nothing(&self) -> bool {
        self == Self::NOTHING
    }
}

impl Exchange {
    /// One that brought nothing, for what is known to be filled in.
    pub fn empty(server: SocketAddr, transport: Transport, status: LookupStatus) -> Self {
        Self {
            server,
            transport,
            status,
            duration: Elapsed::ZERO,
            answers: 0,
            records: Records::new(),
            ttl: None,
            authentic_data: false,
            authoritative: false,
            truncated: false,
            checking_disabled: false,
            inquiry: false,
            lame: false,
            further: Seldom::default(),
        }
    }

    /// The same with these records as its whole answer.
    #[must_use]
    pub fn with_records(self, records: impl IntoIterator<Item = Record>) -> Self {
        let records = Records::from_iter(records);
        let answers = u16::try_from(records.len()).unwrap_or(u16::MAX);
        Self { answers, records, ..self }
    }

    /// Whether both went to the same server: two names of one address are two servers.
    pub fn same_server(&self, other: &Self) -> bool {
        self.server == other.server && self.further.server_name == other.further.server_name
    }

    /// Whether its result is one that somebody who asked would go by.
    pub const fn counts(&self) -> bool {
        !self.inquiry && !self.lame
    }

    /// Whether the server answered with an alias, and it is the servers of its target who fail.
    pub fn failed_behind_alias(&self) -> bool {
        self.authoritative && !self.further.cname_chain.is_empty() && !self.status.answered()
    }
}

/// These exchanges without those that were repeated.
pub fn last_tries(all: &[Exchange]) -> impl Iterator<Item = &Exchange> {
    all.iter().enumerate().filter_map(move |(place, exchange)| {
        let again = all[place + 1..].iter().any(|later| later.same_server(exchange));
        (!again).then_some(exchange)
    })
}

/// An extended DNS error (RFC 8914).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ExtendedError {
    /// INFO-CODE (§4).
    pub code: u16,
    /// EXTRA-TEXT, escaped and cut off where it is long; empty without any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl ExtendedError {
    /// The codes that say that DNSSEC validation failed, or could not be done.
    pub const OF_DNSSEC: [u16; 12] = [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 25, 27];
}

/// What carried a DNS message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// HTTP/2 over TLS (RFC 8484).
    Https,
    /// TCP.
    Tcp,
    /// TLS (RFC 7858).
    Tls,
    /// UDP.
    Udp,
}
