//! Query to bytes, bytes to answer: the pure half of an exchange.
//!
//! No sockets and no clock. Hostile input ends in [`Reading::Ignore`] or [`Reading::Malformed`].

use std::{net::IpAddr, sync::Arc};

use hickory_resolver::proto::{
    op::{Edns, Message, MessageType, Query, ResponseCode},
    rr::{
        self, Name, RData,
        rdata::opt::{EdnsCode, EdnsOption},
    },
};

use super::pointers::Pointers;
use crate::{
    facts::{ExtendedError, LookupStatus, MAX_RECORDS, Record, RecordType, Records, TlsaRecord},
    name::{ExchangerName, presentation},
    shown::one_line,
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
    /// The CD bit: whether the server is to leave out validation (RFC 4035 §3.2.2).
    pub(super) checking_disabled: bool,
}

impl Question {
    /// What a stub resolver asks.
    pub(super) const fn new(name: Name, rtype: RecordType) -> Self {
        Self { name, rtype, edns: true, recursion_desired: true, checking_disabled: false }
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
    pub(super) answers: u16,
    pub(super) records: Records,
    pub(super) ttl: Option<u32>,
    pub(super) cname_chain: Vec<String>,
    pub(super) authentic_data: bool,
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
    /// Where to ask, as a server says that was asked without recursion; else nothing.
    pub(super) pointers: Option<Box<Pointers>>,
    pub(super) stray_addresses: Vec<IpAddr>,
    pub(super) extended_errors: Vec<ExtendedError>,
}

impl Answer {
    /// Cut off in the middle of a record: all that counts is that TCP is to be tried.
    const CUT_OFF: Self = Self {
        status: LookupStatus::Malformed,
        answers: 0,
        records: Records::new_const(),
        ttl: None,
        cname_chain: Vec::new(),
        authentic_data: false,
        authoritative: false,
        truncated: true,
        pointers: None,
        stray_addresses: Vec::new(),
        extended_errors: Vec::new(),
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
        message.metadata.checking_disabled = question.checking_disabled;
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

    /// The same under this identifier.
    #[cfg(test)]
    pub(super) fn renumbered(mut self, id: u16) -> Self {
        renumber(&mut self.bytes, id);
        Self { id, ..self }
    }

    /// By which the response is told from others.
    pub(super) const fn id(&self) -> u16 {
        self.id
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
            // Who asks for the alias itself does not want to be led on.
            if wanted == rr::RecordType::CNAME || cname_chain.len() >= MAX_CNAMES {
                break;
            }
            ttl = Some(ttl.map_or(link.ttl, |t| t.min(link.ttl)));
            owner = target.clone();
            cname_chain.push(presentation(&owner));
        }
        let (mut answers, mut records) = (0_u16, Records::new());
        for record in message.answers.iter().filter(|r| r.name == owner) {
            if record.record_type() != wanted {
                continue;
            }
            let Some(value) = record_value(&record.data) else { continue };
            ttl = Some(ttl.map_or(record.ttl, |t| t.min(record.ttl)));
            answers = answers.saturating_add(1);
            if records.len() < MAX_RECORDS {
                records.push(value);
            }
        }
        // They are kept until the next round.
        records.shrink_to_fit();
        let status = if refers(message) {
            LookupStatus::Refused
        } else {
            status(message.metadata.response_code, answers)
        };
        // Only those that could be taken for an answer.
        let strays = wanted == rr::RecordType::AAAA && status == LookupStatus::Nodata;
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
            stray_addresses: if strays { addresses_beside(message, &owner) } else { Vec::new() },
            extended_errors: extended_errors(message),
        }
    }
}

/// The addresses of a name in the additional section.
fn addresses_beside(message: &Message, name: &Name) -> Vec<IpAddr> {
    let of_name = message.additionals.iter().filter(|record| record.name == *name);
    let address = |record: &rr::Record| match &record.data {
        RData::A(address) => Some(address.0.into()),
        _ => None,
    };
    of_name.filter_map(address).take(MAX_RECORDS).collect()
}

/// RFC 8914 §2: an INFO-CODE of two bytes, the rest is EXTRA-TEXT in UTF-8.
fn extended_errors(message: &Message) -> Vec<ExtendedError> {
    let options = message.edns.iter().flat_map(|edns| &edns.options().options);
    let error = |option: &EdnsOption| {
        let EdnsOption::Unknown(_, data) = option else { return None };
        let (code, text) = data.split_first_chunk()?;
        Some(ExtendedError {
            code: u16::from_be_bytes(*code),
            text: one_line(&String::from_utf8_lossy(text), MAX_ERROR_TEXT),
        })
    };
    options
        .filter(|(code, _)| *code == EdnsCode::Unknown(EXTENDED_ERROR))
        .filter_map(|(_, option)| error(option))
        .take(MAX_ERRORS)
        .collect()
}

/// Gives a message another id and returns the one it had; `None` when it is too short for any.
pub(super) fn renumber(message: &mut [u8], id: u16) -> Option<u16> {
    let place = message.first_chunk_mut()?;
    Some(u16::from_be_bytes(std::mem::replace(place, id.to_be_bytes())))
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
        RData::CNAME(host) => ExchangerName::from_dns(&host.0).map(Record::Name),
        RData::SOA(soa) => Some(Record::Serial(soa.serial)),
        RData::TXT(text) => Some(Record::Text(text_of(text))),
        RData::TLSA(tlsa) => {
            let (usage, selector) = (tlsa.cert_usage.into(), tlsa.selector.into());
            let matching = tlsa.matching.into();
            let record = TlsaRecord::new(usage, selector, matching, &tlsa.cert_data)?;
            Some(Record::Tlsa(Box::new(record)))
        }
        _ => None,
    }
}

/// The character-strings of a TXT record put together, as every protocol that uses long ones has it.
fn text_of(text: &rr::rdata::TXT) -> Arc<str> {
    let bytes: Vec<u8> = text.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
    one_line(&String::from_utf8_lossy(&bytes), MAX_TEXT).into()
}

fn status(code: ResponseCode, answers: u16) -> LookupStatus {
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
        RecordType::Cname => rr::RecordType::CNAME,
        RecordType::Mx => rr::RecordType::MX,
        RecordType::Ns => rr::RecordType::NS,
        RecordType::Ptr => rr::RecordType::PTR,
        RecordType::Soa => rr::RecordType::SOA,
        RecordType::Tlsa => rr::RecordType::TLSA,
        RecordType::Txt => rr::RecordType::TXT,
    }
}

/// RFC 9715 §3.1 and DNS flag day 2020: avoids fragments on every path.
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// OPTION-CODE of an extended error (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;

/// Kept of one response, which may hold thousands.
const MAX_ERRORS: usize = 4;

/// Characters of its text that are kept: RFC 8914 §2 wants it short.
const MAX_ERROR_TEXT: usize = 200;

/// Characters of a TXT record that are kept: policies and the like are a fraction of it.
const MAX_TEXT: usize = 2000;

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
        assert_eq!(answer.records[..], [Record::Address([192, 0, 2, 1].into())]);
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
            records[..],
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

    #[test]
    fn the_bits_of_a_query_are_as_the_question_wants_them() {
        for (recursion_desired, checking_disabled) in [(true, false), (false, true)] {
            let question = Question::new(name("example.test"), RecordType::Ns);
            let question = Question { recursion_desired, checking_disabled, ..question };
            let sent = Message::from_vec(&Wire::encode(&question).unwrap().bytes).unwrap();
            assert_eq!(sent.metadata.recursion_desired, recursion_desired);
            assert_eq!(sent.metadata.checking_disabled, checking_disabled);
        }
    }

    /// An OPT record with these extended errors.
    fn with_errors(message: &mut Message, errors: &[(u16, &[u8])]) {
        let mut edns = Edns::new();
        for (code, text) in errors {
            let data = [&code.to_be_bytes()[..], text].concat();
            // `insert` would have each replace the one before.
            let options = &mut edns.options_mut().options;
            options.push((EdnsCode::Unknown(15), EdnsOption::Unknown(15, data)));
        }
        message.set_edns(edns);
    }

    #[test]
    fn extended_errors_are_read_escaped_and_cut_off() {
        let wire = ask("example.test", RecordType::A);
        let mut message = reply(&wire, ResponseCode::ServFail);
        let long = "x".repeat(5000);
        with_errors(
            &mut message,
            &[
                (7, b""),
                (6, b"bad\x1b[2J\xff\nword"),
                (49152, long.as_bytes()),
                (0, b"a"),
                (1, b"b"),
            ],
        );
        let errors = read(&wire, &message).extended_errors;
        let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, [7, 6, 49152, 0], "no more than are bearable");
        assert_eq!(errors[0].text, "");
        assert_eq!(errors[1].text, "bad\u{fffd}[2J\u{fffd}\u{fffd}word");
        assert_eq!(errors[2].text.chars().count(), MAX_ERROR_TEXT + 1);
    }

    #[test]
    fn an_extended_error_without_code_is_none() {
        let wire = ask("example.test", RecordType::A);
        let mut message = reply(&wire, ResponseCode::ServFail);
        let mut edns = Edns::new();
        let options = &mut edns.options_mut().options;
        options.push((EdnsCode::Unknown(15), EdnsOption::Unknown(15, vec![7])));
        message.set_edns(edns);
        assert_eq!(read(&wire, &message).extended_errors, []);
    }

    #[test]
    fn addresses_beside_an_empty_aaaa_answer_are_strays_and_no_answer() {
        let a = |owner, last| {
            let address = RData::A(A::new(192, 0, 2, last));
            rr::Record::from_rdata(name(owner), 60, address)
        };
        for (rtype, strays) in [(RecordType::Aaaa, 1), (RecordType::Mx, 0)] {
            let wire = ask("mx1.example.test", rtype);
            let mut message = reply(&wire, ResponseCode::NoError);
            message.metadata.recursion_available = true;
            message.add_additional(a("mx1.example.test", 1));
            message.add_additional(a("mx2.example.test", 2));
            let answer = read(&wire, &message);
            assert_eq!((answer.status, answer.answers), (LookupStatus::Nodata, 0));
            assert_eq!(answer.stray_addresses.len(), strays, "{rtype:?}");
        }
        let wire = ask("mx1.example.test", RecordType::Aaaa);
        let mut message = reply(&wire, ResponseCode::NoError);
        message.metadata.recursion_available = true;
        for last in 0..=200 {
            message.add_additional(a("mx1.example.test", last));
        }
        assert_eq!(read(&wire, &message).stray_addresses.len(), MAX_RECORDS);
        let aaaa = RData::AAAA(rr::rdata::AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        message.add_answer(rr::Record::from_rdata(name("mx1.example.test"), 60, aaaa));
        let answer = read(&wire, &message);
        assert_eq!((answer.answers, answer.stray_addresses.len()), (1, 0));
    }

    #[test]
    fn a_message_gets_another_id_where_it_has_one() {
        let mut message = vec![1, 2, 3];
        assert_eq!(renumber(&mut message, 0xfffe), Some(0x0102));
        assert_eq!(message, [0xff, 0xfe, 3]);
        assert_eq!(renumber(&mut [1], 7), None);
    }

    proptest! {
        #[test]
        fn no_options_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..600)) {
            let wire = ask("example.test", RecordType::Aaaa);
            let mut message = reply(&wire, ResponseCode::NoError);
            let mut edns = Edns::new();
            for piece in data.chunks(60) {
                let option = EdnsOption::Unknown(15, piece.to_vec());
                edns.options_mut().options.push((EdnsCode::Unknown(15), option));
            }
            message.set_edns(edns);
            for error in read(&wire, &message).extended_errors {
                prop_assert!(error.text.chars().count() <= MAX_ERROR_TEXT + 1);
                prop_assert!(!error.text.contains(char::is_control));
            }
        }

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
