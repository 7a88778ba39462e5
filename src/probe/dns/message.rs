//! Query to bytes, bytes to answer: the pure half of an exchange.
//!
//! No sockets and no clock. Hostile input ends in [`Reading::Ignore`] or [`Reading::Malformed`].

use hickory_resolver::proto::{
    op::{Edns, Message, MessageType, Query, ResponseCode},
    rr::{self, Name, RData},
};

use super::pointers::Pointers;
use crate::{
    facts::{LookupStatus, MAX_RECORDS, Record, RecordType},
    name::{ExchangerName, presentation},
};

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Absolute name.
    pub(super) name: Name,
    /// What is asked for.
    pub(super) rtype: RecordType,
    /// Whether to announce EDNS (RFC 6891).
    pub(super) edns: bool,
    /// The RD bit: whether the server is to find the answer elsewhere (RFC 1035 §4.1.1).
    pub(super) recursion_desired: bool,
}

impl Question {
    /// What a stub resolver asks.
    pub(super) const fn new(name: Name, rtype: RecordType) -> Self {
        Self { name, rtype, edns: true, recursion_desired: true }
    }
}

/// What a datagram or stream message turned out to be.
#[derive(Debug)]
pub(super) enum Reading {
    /// A response to the question.
    Answer(Answer),
    /// Not for us: another id or question. Off-path forgeries look like that, so wait on.
    Ignore,
    /// Ours by its id, but no DNS message.
    Malformed,
}

/// What a response said about the question.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: LookupStatus,
    pub(super) answers: usize,
    pub(super) records: Vec<Record>,
    pub(super) ttl: Option<u32>,
    pub(super) cname_chain: Vec<String>,
    pub(super) authentic_data: bool,
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
    /// Where to ask, as a server says that was asked without recursion; else nothing.
    pub(super) pointers: Option<Box<Pointers>>,
}

impl Answer {
    /// Cut off in the middle of a record: all that counts is that TCP is to be tried.
    const CUT_OFF: Self = Self {
        status: LookupStatus::Malformed,
        answers: 0,
        records: Vec::new(),
        ttl: None,
        cname_chain: Vec::new(),
        authentic_data: false,
        authoritative: false,
        truncated: true,
        pointers: None,
    };
}

/// A query ready to send.
#[derive(Debug)]
pub(super) struct Wire {
    /// The message.
    pub(super) bytes: Vec<u8>,
    id: u16,
    query: Query,
    /// Whether the answer is also read for where to ask next.
    pointers: bool,
}

impl Wire {
    /// Encodes a question under a fresh random id; `None` for a name that does not fit.
    pub(super) fn encode(question: &Question) -> Option<Self> {
        let mut message = Message::query();
        message.metadata.recursion_desired = question.recursion_desired;
        // RFC 6840 §5.7: AD in a query asks for AD in the response without asking for RRSIGs.
        message.metadata.authentic_data = true;
        let query = Query::query(question.name.clone(), wire_type(question.rtype));
        message.add_query(query.clone());
        if question.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD).set_version(0);
            message.set_edns(edns);
        }
        let bytes = message.to_vec().ok()?;
        Some(Self { bytes, id: message.metadata.id, query, pointers: !question.recursion_desired })
    }

    /// Reads what came back.
    pub(super) fn read(&self, bytes: &[u8]) -> Reading {
        if bytes.get(..2) != Some(&self.id.to_be_bytes()) {
            return Reading::Ignore;
        }
        let Ok(message) = Message::from_vec(bytes) else {
            return if cut_off(bytes) {
                Reading::Answer(Answer::CUT_OFF)
            } else {
                Reading::Malformed
            };
        };
        if message.metadata.message_type != MessageType::Response {
            return Reading::Malformed;
        }
        let code = message.metadata.response_code;
        match message.queries.as_slice() {
            // Some servers leave the question out of an error (RFC 1035 §4.1.1 does not say).
            [] if code != ResponseCode::NoError => {}
            [one] if *one == self.query => {}
            _ => return Reading::Ignore,
        }
        Reading::Answer(self.interpret(&message))
    }

    fn interpret(&self, message: &Message) -> Answer {
        let wanted = self.query.query_type;
        let mut owner = self.query.name.clone();
        let mut ttl: Option<u32> = None;
        let mut cname_chain = Vec::new();
        while let Some((link, target)) = cname_of(message, &owner) {
            if cname_chain.len() >= MAX_CNAMES {
                break;
            }
            ttl = Some(ttl.map_or(link.ttl, |t| t.min(link.ttl)));
            owner = target.clone();
            cname_chain.push(presentation(&owner));
        }
        let mut answers = 0;
        let mut records = Vec::new();
        for record in message.answers.iter().filter(|r| r.name == owner) {
            if record.record_type() != wanted {
                continue;
            }
            let Some(value) = record_value(&record.data) else { continue };
            ttl = Some(ttl.map_or(record.ttl, |t| t.min(record.ttl)));
            answers += 1;
            if records.len() < MAX_RECORDS {
                records.push(value);
            }
        }
        let status = if refers(message) {
            LookupStatus::Refused
        } else {
            status(message.metadata.response_code, answers)
        };
        if status != LookupStatus::Noerror {
            ttl = status.answered().then(|| negative_ttl(message)).flatten();
        }
        Answer {
            status,
            answers,
            records,
            ttl,
            cname_chain,
            authentic_data: message.metadata.authentic_data,
            authoritative: message.metadata.authoritative,
            truncated: message.metadata.truncation,
            pointers: self.pointers.then(|| Box::new(Pointers::read(message))),
        }
    }
}

/// Whether the header says that this is a response and truncated (RFC 1035 §4.1.1). Its body may
/// then end anywhere, and is not to be used (RFC 2181 §9).
fn cut_off(bytes: &[u8]) -> bool {
    bytes.get(2).is_some_and(|flags| flags & 0b1000_0010 == 0b1000_0010)
}

fn cname_of<'m>(message: &'m Message, owner: &Name) -> Option<(&'m rr::Record, &'m Name)> {
    message.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *owner => Some((record, &target.0)),
        _ => None,
    })
}

fn record_value(data: &RData) -> Option<Record> {
    match data {
        RData::A(address) => Some(Record::Address(address.0.into())),
        RData::AAAA(address) => Some(Record::Address(address.0.into())),
        RData::MX(mx) => Some(Record::Mx {
            preference: mx.preference,
            exchanger: ExchangerName::from_dns(&mx.exchange),
        }),
        RData::NS(host) => ExchangerName::from_dns(&host.0).map(Record::Name),
        RData::PTR(host) => ExchangerName::from_dns(&host.0).map(Record::Name),
        RData::SOA(soa) => Some(Record::Serial(soa.serial)),
        _ => None,
    }
}

fn status(code: ResponseCode, answers: usize) -> LookupStatus {
    match code {
        ResponseCode::NoError if answers > 0 => LookupStatus::Noerror,
        ResponseCode::NoError => LookupStatus::Nodata,
        ResponseCode::NXDomain => LookupStatus::Nxdomain,
        ResponseCode::ServFail => LookupStatus::Servfail,
        ResponseCode::Refused => LookupStatus::Refused,
        ResponseCode::FormErr => LookupStatus::Formerr,
        _ => LookupStatus::Notimp,
    }
}

/// A server that knows neither the answer nor where to get it points elsewhere (RFC 1034 §4.3.2):
/// NOERROR and empty, but no word about what exists. Resolver libraries go on to the next server.
fn refers(message: &Message) -> bool {
    let head = &message.metadata;
    let silent = head.response_code == ResponseCode::NoError && message.answers.is_empty();
    let soa = |record: &rr::Record| matches!(record.data, RData::SOA(_));
    let known = head.authoritative || message.authorities.iter().any(soa);
    silent && !known && !head.recursion_available && !head.truncation
}

/// RFC 2308 §5: the lesser of the SOA's TTL and its MINIMUM field.
fn negative_ttl(message: &Message) -> Option<u32> {
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    })
}

const fn wire_type(rtype: RecordType) -> rr::RecordType {
    match rtype {
        RecordType::A => rr::RecordType::A,
        RecordType::Aaaa => rr::RecordType::AAAA,
        RecordType::Mx => rr::RecordType::MX,
        RecordType::Ns => rr::RecordType::NS,
        RecordType::Ptr => rr::RecordType::PTR,
        RecordType::Soa => rr::RecordType::SOA,
    }
}

/// RFC 9715 §3.1 and DNS flag day 2020: avoids fragments on every path.
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// Longer chains are loops or attacks; resolvers stop earlier.
const MAX_CNAMES: usize = 16;

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, SOA};
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        let mut name = Name::from_ascii(text).unwrap();
        name.set_fqdn(true);
        name
    }

    fn ask(text: &str, rtype: RecordType) -> Wire {
        Wire::encode(&Question::new(name(text), rtype)).unwrap()
    }

    fn reply(to: &Wire, code: ResponseCode) -> Message {
        let mut message = Message::from_vec(&to.bytes).unwrap().into_response();
        message.metadata.response_code = code;
        message
    }

    fn read(wire: &Wire, message: &Message) -> Answer {
        match wire.read(&message.to_vec().unwrap()) {
            Reading::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_a_record_behind_cnames_is_found_with_the_lowest_ttl() {
        let wire = ask("www.example.test", RecordType::A);
        let mut message = reply(&wire, ResponseCode::NoError);
        let cname = |target| RData::CNAME(CNAME(name(target)));
        message.add_answer(rr::Record::from_rdata(
            name("Alias.example.test"),
            30,
            cname("host.example.test"),
        ));
        message.add_answer(rr::Record::from_rdata(
            name("www.example.test"),
            60,
            cname("alias.example.test"),
        ));
        message.add_answer(rr::Record::from_rdata(
            name("host.example.test"),
            90,
            RData::A(A::new(192, 0, 2, 1)),
        ));
        message.add_answer(rr::Record::from_rdata(
            name("stray.example.test"),
            1,
            RData::A(A::new(192, 0, 2, 9)),
        ));
        let answer = read(&wire, &message);
        assert_eq!(answer.status, LookupStatus::Noerror);
        assert_eq!(answer.cname_chain, ["alias.example.test", "host.example.test"]);
        assert_eq!(answer.records, [Record::Address([192, 0, 2, 1].into())]);
        assert_eq!(answer.ttl, Some(30));
    }

    #[test]
    fn nodata_and_nxdomain_stay_apart_and_carry_the_negative_ttl() {
        for (code, status) in [
            (ResponseCode::NoError, LookupStatus::Nodata),
            (ResponseCode::NXDomain, LookupStatus::Nxdomain),
        ] {
            let wire = ask("mx1.example.test", RecordType::Aaaa);
            let mut message = reply(&wire, code);
            let soa = SOA::new(name("ns.example.test"), name("h.example.test"), 1, 2, 3, 4, 120);
            message.add_authority(rr::Record::from_rdata(
                name("example.test"),
                3600,
                RData::SOA(soa),
            ));
            let answer = read(&wire, &message);
            assert_eq!((answer.status, answer.ttl), (status, Some(120)));
        }
    }

    #[test]
    fn a_referral_does_not_say_that_there_is_nothing() {
        let wire = ask("example.test", RecordType::Mx);
        let mut message = reply(&wire, ResponseCode::NoError);
        message.metadata.recursion_available = false;
        let ns = RData::NS(rr::rdata::NS(name("ns.example.test")));
        message.add_authority(rr::Record::from_rdata(name("example.test"), 60, ns));
        assert_eq!(read(&wire, &message).status, LookupStatus::Refused);
        for (authoritative, recursion_available) in [(true, false), (false, true)] {
            message.metadata.authoritative = authoritative;
            message.metadata.recursion_available = recursion_available;
            assert_eq!(read(&wire, &message).status, LookupStatus::Nodata);
        }
    }

    #[test]
    fn errors_keep_their_code_and_have_no_ttl() {
        for (code, status) in [
            (ResponseCode::ServFail, LookupStatus::Servfail),
            (ResponseCode::Refused, LookupStatus::Refused),
            (ResponseCode::FormErr, LookupStatus::Formerr),
            (ResponseCode::NotImp, LookupStatus::Notimp),
            (ResponseCode::YXDomain, LookupStatus::Notimp),
        ] {
            let wire = ask("example.test", RecordType::Mx);
            let answer = read(&wire, &reply(&wire, code));
            assert_eq!((answer.status, answer.ttl), (status, None));
        }
    }

    #[test]
    fn the_root_as_mx_is_told_from_a_target() {
        let wire = ask("example.test", RecordType::Mx);
        let mut message = reply(&wire, ResponseCode::NoError);
        let mx = |preference, target| RData::MX(MX::new(preference, target));
        message.add_answer(rr::Record::from_rdata(name("example.test"), 60, mx(0, Name::root())));
        message.add_answer(rr::Record::from_rdata(
            name("example.test"),
            60,
            mx(10, name("MX1.example.test")),
        ));
        let records = read(&wire, &message).records;
        let target = ExchangerName::parse("mx1.example.test").unwrap();
        assert_eq!(
            records,
            [
                Record::Mx { preference: 0, exchanger: None },
                Record::Mx { preference: 10, exchanger: Some(target) },
            ]
        );
    }

    #[test]
    fn a_truncated_response_that_ends_within_a_record_is_truncated_not_malformed() {
        let wire = ask("many.example.test", RecordType::A);
        let mut message = reply(&wire, ResponseCode::NoError);
        let address = RData::A(A::new(192, 0, 2, 1));
        message.add_answer(rr::Record::from_rdata(name("many.example.test"), 60, address));
        for truncated in [true, false] {
            message.metadata.truncation = truncated;
            let mut bytes = message.to_vec().unwrap();
            bytes.truncate(bytes.len() - 13);
            let found = matches!(wire.read(&bytes), Reading::Answer(a) if a.truncated);
            assert_eq!(found, truncated);
        }
    }

    #[test]
    fn thousands_of_records_are_counted_but_not_kept() {
        let wire = ask("many.example.test", RecordType::A);
        let mut message = reply(&wire, ResponseCode::NoError);
        for n in 0..2000_u32 {
            let address = std::net::Ipv4Addr::from(0xc000_0200 + n);
            message.add_answer(rr::Record::from_rdata(
                name("many.example.test"),
                60,
                RData::A(A(address)),
            ));
        }
        let answer = read(&wire, &message);
        assert_eq!((answer.answers, answer.records.len()), (2000, MAX_RECORDS));
    }

    #[test]
    fn forgeries_are_ignored_and_rubbish_under_our_id_is_malformed() {
        let wire = ask("example.test", RecordType::A);
        let mut other_id = reply(&wire, ResponseCode::NoError);
        other_id.metadata.id = wire.id.wrapping_add(1);
        assert!(matches!(wire.read(&other_id.to_vec().unwrap()), Reading::Ignore));
        let elsewhere = ask("example.net", RecordType::A);
        let mut other_question = reply(&elsewhere, ResponseCode::NoError);
        other_question.metadata.id = wire.id;
        assert!(matches!(wire.read(&other_question.to_vec().unwrap()), Reading::Ignore));
        let mut rubbish = wire.id.to_be_bytes().to_vec();
        rubbish.extend(b"not a dns message");
        assert!(matches!(wire.read(&rubbish), Reading::Malformed));
        assert!(matches!(wire.read(&wire.bytes), Reading::Malformed), "a query is no response");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let wire = ask("example.test", RecordType::A);
            if bytes.len() >= 2 {
                bytes[..2].copy_from_slice(&wire.id.to_be_bytes());
            }
            let _ = wire.read(&bytes);
        }
    }
}
