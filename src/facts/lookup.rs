//! DNS: one question to one resolver, and every exchange it took.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use super::{
    Exchange, TlsaRecord, Zone,
    seldom::{Nothing, Seldom},
};
use crate::name::ExchangerName;

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
    /// Every exchange in the order made: one query to one server each, never merged. Empty when the
    /// deadline had passed before anybody could be asked.
    pub exchanges: Box<[Exchange]>,
    /// What is of an earlier time. In JSON its fields stand beside the others.
    #[serde(flatten)]
    pub earlier: Seldom<Earlier>,
    /// The zone whose servers were asked, all of them at the same moment, one exchange for each
    /// address or more; absent where a resolver was.
    #[serde(default)]
    pub zone: Option<Arc<Zone>>,
}

// Tens of thousands are kept.
const _: () = assert!(size_of::<Lookup>() <= 72);

/// What few lookups have: something of an earlier time.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Earlier {
    /// When it was asked, where that was before the round it is told in: some resolvers are asked
    /// less often than exchangers are called.
    #[serde(default)]
    pub asked_at: Option<Timestamp>,
    /// Addresses that this resolver gave within the last hour and does not give now: the name server
    /// rotates its answers, or has changed them. Kept only beside another resolver's answers.
    #[serde(default, rename = "earlier_addresses")]
    pub addresses: Vec<IpAddr>,
}

impl Nothing for Earlier {
    const NOTHING: &'static Self = &Self { asked_at: None, addresses: Vec::new() };

    fn is_nothing(&self) -> bool {
        self.asked_at.is_none() && self.addresses.is_empty()
    }
}

impl Lookup {
    /// One that was just asked.
    pub fn new(
        resolver: Arc<str>,
        rtype: RecordType,
        name: Arc<str>,
        exchanges: Vec<Exchange>,
    ) -> Self {
        Self {
            resolver,
            rtype,
            name,
            exchanges: exchanges.into(),
            earlier: Seldom::default(),
            zone: None,
        }
    }

    /// Whether anybody was asked. Where a zone has no server to be asked, that is an answer, too, but
    /// not where this host has no route to them.
    pub fn asked(&self) -> bool {
        let no_server = |zone: &Arc<Zone>| !zone.no_route();
        !self.exchanges.is_empty() || self.zone.as_ref().is_some_and(no_server)
    }

    /// The exchanges whose result may count, in the order made.
    fn counting(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.exchanges.iter().filter(|exchange| exchange.counts())
    }

    /// The exchange whose result counts: the first that answered, else the last that got any
    /// response, else the last.
    pub fn deciding(&self) -> Option<&Exchange> {
        let answered = self.counting().find(|e| e.status.answered());
        let responded = || self.counting().rev().find(|e| e.status.responded());
        answered.or_else(responded).or_else(|| self.counting().next_back())
    }

    /// The result that counts.
    pub fn status(&self) -> LookupStatus {
        self.decided().status
    }

    /// The exchange and the result that count, for who needs both.
    pub fn decided(&self) -> Decided<'_> {
        let exchange = self.deciding();
        let status = match exchange {
            Some(exchange) => exchange.status,
            // A resolver that finds no servers, or lame ones alone, says so.
            None if self.zone.is_some() && self.asked() => LookupStatus::Servfail,
            None if self.zone.is_some() => LookupStatus::NetworkError,
            None => LookupStatus::Timeout,
        };
        Decided { exchange, status }
    }

    /// All the time it took, every exchange counted but those that only find out more. Where all
    /// servers of a zone were asked at the same moment, that of the slowest.
    pub fn took(&self) -> Duration {
        if self.zone.is_none() {
            return self.counting().map(|exchange| exchange.duration.get()).sum();
        }
        let of_server = |one: &Exchange| {
            let tries = self.counting().filter(|exchange| exchange.same_server(one));
            tries.map(|exchange| exchange.duration.get()).sum()
        };
        self.counting().map(of_server).max().unwrap_or_default()
    }

    /// The same as far as it would cost somebody else: zero without an answer, for how long there
    /// was none says nothing of how long another would wait for it.
    pub fn took_to_answer(&self) -> Duration {
        match self.deciding().filter(|exchange| exchange.status.answered()) {
            // Whoever needs one answer waits for no other.
            Some(exchange) if self.zone.is_some() => exchange.duration.get(),
            Some(_) => self.took(),
            None => Duration::ZERO,
        }
    }

    /// Proved by DNSSEC, as the resolver says.
    pub fn authentic_data(&self) -> bool {
        self.deciding().is_some_and(|exchange| exchange.authentic_data)
    }

    /// The addresses of the deciding exchange, in the order of the answer.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        addresses_of(self.deciding())
    }

    /// The texts of the deciding exchange, as a TXT query gets them, in the order of the answer.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.deciding().into_iter().flat_map(|e| e.records.iter()).filter_map(|record| match record
        {
            Record::Text(text) => Some(&**text),
            _ => None,
        })
    }

    /// The names of the deciding exchange, as a PTR query gets them, in the order of the answer.
    pub fn names(&self) -> impl Iterator<Item = &ExchangerName> {
        self.deciding().into_iter().flat_map(|e| e.records.iter()).filter_map(|record| match record
        {
            Record::Name(name) => Some(name),
            _ => None,
        })
    }
}

/// What a lookup came to.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// The exchange whose result counts; `None` where none does.
    pub exchange: Option<&'a Exchange>,
    /// The result that counts.
    pub status: LookupStatus,
}

impl<'a> Decided<'a> {
    /// The addresses of the exchange, in the order of the answer.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> + 'a {
        addresses_of(self.exchange)
    }
}

fn addresses_of(exchange: Option<&Exchange>) -> impl Iterator<Item = IpAddr> + '_ {
    exchange.into_iter().flat_map(|e| e.records.iter()).filter_map(|record| match record {
        Record::Address(address) => Some(*address),
        _ => None,
    })
}

impl Serialize for Lookup {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Lookup", 8)?;
        fields.serialize_field("resolver", &self.resolver)?;
        fields.serialize_field("type", &self.rtype)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("status", &self.status())?;
        fields.serialize_field("exchanges", &self.exchanges)?;
        match &self.earlier.asked_at {
            Some(asked_at) => fields.serialize_field("asked_at", asked_at)?,
            None => fields.skip_field("asked_at")?,
        }
        if self.earlier.addresses.is_empty() {
            fields.skip_field("earlier_addresses")?;
        } else {
            fields.serialize_field("earlier_addresses", &self.earlier.addresses)?;
        }
        match &self.zone {
            Some(zone) => fields.serialize_field("zone", zone)?,
            None => fields.skip_field("zone")?,
        }
        fields.end()
    }
}

/// One record of the asked type.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
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
    /// NS, PTR or CNAME: a host.
    Name(ExchangerName),
    /// SOA: the zone's serial (RFC 1035 §3.3.13).
    Serial(u32),
    /// TXT: its character-strings in one (RFC 1035 §3.3.14), cut off where they are long; unprintable
    /// bytes replaced by U+FFFD.
    Text(Arc<str>),
    /// TLSA (RFC 6698 §2.1); apart, because the others are smaller.
    Tlsa(Box<TlsaRecord>),
}

// Most answers hold one or two, each list in an allocation of its own.
const _: () = assert!(size_of::<Record>() <= 24);

/// What is asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Canonical name of an alias.
    Cname,
    /// Mail exchanger.
    Mx,
    /// Name server.
    Ns,
    /// Name of an address.
    Ptr,
    /// Start of authority.
    Soa,
    /// What the certificate of a service is to be like.
    Tlsa,
    /// Text.
    Txt,
}

impl RecordType {
    /// Value of the `type` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Tlsa => "TLSA",
            Self::Txt => "TXT",
        }
    }
}

/// How a lookup ended: a closed set (DNS response codes of RFC 1035 §4.1.1 and RFC 2308).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupStatus {
    /// SERVFAIL that turns into an answer with checking disabled, and without that stays what it is:
    /// DNSSEC validation failed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_is_written_as_it_was_read() {
        let head = r#""resolver":"local","type":"A","name":"mx.example.com","status":"timeout","exchanges":[]"#;
        for more in [
            "",
            r#","asked_at":"2026-01-02T03:04:05Z""#,
            r#","earlier_addresses":["192.0.2.1","192.0.2.2"]"#,
            r#","asked_at":"2026-01-02T03:04:05Z","earlier_addresses":["2001:db8::1"]"#,
        ] {
            let json = format!("{{{head}{more}}}");
            let lookup: Lookup = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&lookup).unwrap(), json);
        }
    }
}
