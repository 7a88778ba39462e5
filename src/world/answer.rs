//! One DNS query in, what the server does about it out. Pure: [`super::dns`] owns the sockets.
//!
//! The server plays authority and resolver at once (AA and RA are set), for that is what a probe
//! needs to see. It follows CNAMEs inside the world, refers to the servers of a name that has NS
//! records and is no origin itself, and signs nothing.

use std::time::Duration;

use hickory_resolver::proto::{
    op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType},
};

use super::zone::{Fault, Referral, Zones};

/// How a query came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// A stream: answers up to 64 KiB.
    Tcp,
    /// A datagram: answers as long as the client's EDNS size, 512 bytes without.
    Udp,
}

/// What the server does about one query.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The name and type asked for, if that much could be read.
    pub question: Option<(Name, RecordType)>,
    /// How long it waits before it replies.
    pub delay: Duration,
    /// The reply, without the length that TCP puts before it; `None` is silence.
    pub reply: Option<Vec<u8>>,
}

impl Answer {
    fn at_once(reply: Option<Vec<u8>>) -> Self {
        Self { question: None, delay: Duration::ZERO, reply }
    }
}

/// Decides the reply to one query.
pub fn answer(zones: &Zones, query: &[u8], transport: Transport) -> Answer {
    let Ok(query) = Message::from_vec(query) else {
        return Answer::at_once(form_error(query));
    };
    let asked = match query.queries.as_slice() {
        // Answering a response would make two servers talk for ever.
        _ if query.metadata.message_type == MessageType::Response => return Answer::at_once(None),
        _ if query.metadata.op_code != OpCode::Query => Err(ResponseCode::NotImp),
        [asked] if asked.query_class() != DNSClass::IN => Err(ResponseCode::Refused),
        [asked] if UNSERVED.contains(&asked.query_type()) => Err(ResponseCode::NotImp),
        [asked] => Ok(asked),
        _ => Err(ResponseCode::FormErr),
    };
    let found = match asked {
        Ok(asked) => find(zones, asked),
        Err(code) => Found { code, ..Found::default() },
    };
    let question = asked.ok().map(|asked| (asked.name().clone(), asked.query_type()));
    Answer { question, delay: found.delay, reply: encode(&query, found, transport) }
}

/// What the zones say to a question.
struct Found {
    code: ResponseCode,
    answers: Vec<Record>,
    soa: Option<Record>,
    referral: Option<Referral>,
    delay: Duration,
    fault: Option<Fault>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            code: ResponseCode::NoError,
            answers: Vec::new(),
            soa: None,
            referral: None,
            delay: Duration::ZERO,
            fault: None,
        }
    }
}

fn find(zones: &Zones, asked: &Query) -> Found {
    let mut found = Found::default();
    let mut owner = asked.name().clone();
    for _ in 0..=CHAIN {
        let Some(apex) = zones.apex(&owner) else {
            // An alias that leads out of the world ends there; the client may ask on.
            if found.answers.is_empty() {
                found.code = ResponseCode::Refused;
            }
            return found;
        };
        if let Some(referral) = zones.referral(&apex, &owner) {
            found.referral = Some(referral);
            return found;
        }
        let soa = zones.soa(&apex);
        let Some(node) = zones.node(&owner) else {
            if !zones.exists(&owner) {
                found.code = ResponseCode::NXDomain;
            }
            found.soa = soa;
            return found;
        };
        let behaviour = node.behaviour(asked.query_type());
        found.delay += behaviour.delay.unwrap_or_default();
        found.fault = behaviour.fault.or(found.fault);
        if let Some(code) = found.fault.and_then(instead_of_records) {
            found.code = code;
            found.soa = matches!(code, ResponseCode::NXDomain | ResponseCode::NoError)
                .then_some(soa)
                .flatten();
            return found;
        }
        let records = node.records(asked.query_type());
        let alias = node.records(RecordType::CNAME);
        let (set, onward) = match alias {
            [(_, RData::CNAME(target))] if records.is_empty() => (alias, Some(target.0.clone())),
            _ => (records, None),
        };
        let record =
            |(ttl, data): &(u32, RData)| Record::from_rdata(owner.clone(), *ttl, data.clone());
        found.answers.extend(set.iter().map(record));
        let Some(target) = onward else {
            found.soa = if records.is_empty() { soa } else { None };
            return found;
        };
        owner = target;
    }
    // As resolvers do with an alias that bites its tail.
    Found { code: ResponseCode::ServFail, delay: found.delay, ..Found::default() }
}

/// The code of a fault that leaves no room for records; `None` where records still go out.
fn instead_of_records(fault: Fault) -> Option<ResponseCode> {
    match fault {
        Fault::FormErr => Some(ResponseCode::FormErr),
        Fault::NoData => Some(ResponseCode::NoError),
        Fault::NotImp => Some(ResponseCode::NotImp),
        Fault::NxDomain => Some(ResponseCode::NXDomain),
        Fault::Refused => Some(ResponseCode::Refused),
        Fault::ServFail => Some(ResponseCode::ServFail),
        Fault::Garbage | Fault::Silent | Fault::Truncate | Fault::WrongId => None,
    }
}

/// The wire form of the reply; `None` for silence.
fn encode(query: &Message, found: Found, transport: Transport) -> Option<Vec<u8>> {
    let id = query.metadata.id;
    let mut message = Message::response(id, query.metadata.op_code);
    message.metadata = Metadata::response_from_request(&query.metadata);
    message.metadata.recursion_available = true;
    // An alias comes from here, whatever it leads to.
    let known = found.referral.is_none() || !found.answers.is_empty();
    message.metadata.authoritative =
        known && matches!(found.code, ResponseCode::NoError | ResponseCode::NXDomain);
    message.metadata.response_code = found.code;
    message.queries.clone_from(&query.queries);
    message.answers = found.answers;
    message.authorities.extend(found.soa);
    if let Some(Referral { servers, addresses }) = found.referral {
        message.authorities.extend(servers);
        message.additionals.extend(addresses);
    }
    if let Some(asked) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(EDNS_SIZE).set_dnssec_ok(asked.flags().dnssec_ok);
        message.set_edns(edns);
    }
    match found.fault {
        Some(Fault::Silent) => return None,
        Some(Fault::Garbage) => return Some(garbage(id)),
        Some(Fault::WrongId) => message.metadata.id = id.wrapping_add(1),
        Some(Fault::Truncate) if transport == Transport::Udp => message = message.truncate(),
        _ => {}
    }
    let limit = match transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => usize::from(query.max_payload()).clamp(512, UDP_MAX),
    };
    let bytes = message.to_vec().ok()?;
    if bytes.len() <= limit { Some(bytes) } else { message.truncate().to_vec().ok() }
}

/// A header that promises records, and no records: not readable as DNS, yet with the right id.
fn garbage(id: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([0x84, 0x80]);
    bytes.resize(40, 0xff);
    bytes
}

/// FORMERR to what cannot be read, made of its header; silence when there is none.
fn form_error(query: &[u8]) -> Option<Vec<u8>> {
    let [high, low, flags, _, ..] = *query.get(..12)? else { return None };
    let is_response = flags & 0x80 != 0;
    (!is_response).then(|| vec![high, low, flags | 0x80, 0x81, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// How many aliases are followed.
const CHAIN: usize = 8;
/// What the server says it takes over UDP, in bytes.
const EDNS_SIZE: u16 = 1232;
/// The longest datagram that IPv4 carries, in bytes.
const UDP_MAX: usize = 65_507;
/// Questions that are no lookups.
const UNSERVED: [RecordType; 3] = [RecordType::ANY, RecordType::AXFR, RecordType::IXFR];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::zone::dns_name;

    const ZONE: &str = "
        $ORIGIN a.test.
        @       MX    10 mx1
        @       MX    20 mx2
        mx1     A     127.0.0.2
        mx1     AAAA  !servfail
        alias   CNAME mx1
        gone    CNAME nowhere
        out     CNAME mx.elsewhere.test.
        loop    CNAME loop
        a.deep  A     127.0.0.3
        slow    A     !delay=2s 127.0.0.4
        long    TXT   !truncate short
        garbage A     !garbage
        id      A     !wrong-id 127.0.0.5
        silent  *     !silent
        nx      A     !nxdomain
        empty   A     !nodata 127.0.0.6
        sub     NS    ns1.sub
        sub     NS    ns.elsewhere.test.
        ns1.sub A     127.0.0.7
        below   CNAME mx.sub";

    fn zones() -> Zones {
        let big: Vec<String> = (0..60).map(|n| format!("big A 127.1.0.{n}")).collect();
        Zones::parse(ZONE).unwrap().with(&format!("$ORIGIN a.test.\n{}", big.join("\n"))).unwrap()
    }

    fn query(name: &str, rtype: RecordType) -> Message {
        let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(dns_name(name, None).unwrap(), rtype));
        message
    }

    fn ask(name: &str, rtype: RecordType) -> Message {
        let query = query(name, rtype).to_vec().unwrap();
        let reply = answer(&zones(), &query, Transport::Udp).reply.unwrap();
        Message::from_vec(&reply).unwrap()
    }

    #[test]
    fn answers_carry_the_code_the_records_and_on_denial_the_soa() {
        use ResponseCode::{NXDomain, NoError, Refused, ServFail};
        for (name, rtype, code, answers, soa) in [
            ("a.test.", RecordType::MX, NoError, 2, 0),
            ("mx1.a.test.", RecordType::A, NoError, 1, 0),
            ("mx1.a.test.", RecordType::AAAA, ServFail, 0, 0),
            ("mx1.a.test.", RecordType::TXT, NoError, 0, 1),
            ("mx2.a.test.", RecordType::A, NXDomain, 0, 1),
            ("deep.a.test.", RecordType::A, NoError, 0, 1),
            ("alias.a.test.", RecordType::A, NoError, 2, 0),
            ("alias.a.test.", RecordType::AAAA, ServFail, 1, 0),
            ("alias.a.test.", RecordType::CNAME, NoError, 1, 0),
            ("gone.a.test.", RecordType::A, NXDomain, 1, 1),
            ("out.a.test.", RecordType::A, NoError, 1, 0),
            ("loop.a.test.", RecordType::A, ServFail, 0, 0),
            ("nx.a.test.", RecordType::A, NXDomain, 0, 1),
            ("empty.a.test.", RecordType::A, NoError, 0, 1),
            ("b.test.", RecordType::MX, Refused, 0, 0),
            ("a.test.", RecordType::SOA, NoError, 1, 0),
        ] {
            let reply = ask(name, rtype);
            let got = (reply.metadata.response_code, reply.answers.len(), reply.authorities.len());
            assert_eq!(got, (code, answers, soa), "{name} {rtype}");
            assert!(reply.metadata.recursion_available && reply.metadata.recursion_desired);
            assert_eq!(reply.metadata.id, 4711);
        }
    }

    #[test]
    fn names_below_a_delegation_are_referred_to_its_servers() {
        for name in ["sub.a.test.", "mx.sub.a.test.", "ns1.sub.a.test."] {
            let reply = ask(name, RecordType::A);
            assert!(!reply.metadata.authoritative, "{name}");
            assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
            let sizes = (reply.answers.len(), reply.authorities.len(), reply.additionals.len());
            assert_eq!(sizes, (0, 2, 1), "{name}");
            assert!(
                reply.authorities.iter().all(|r| r.name == dns_name("sub.a.test.", None).unwrap())
            );
        }
        let alias = ask("below.a.test.", RecordType::A);
        assert!(alias.metadata.authoritative);
        assert_eq!((alias.answers.len(), alias.authorities.len()), (1, 2));
        let own = Zones::parse("$ORIGIN a.test.\n@ NS ns1\nns1 A 127.0.0.1").unwrap();
        let query = query("a.test.", RecordType::NS).to_vec().unwrap();
        let reply = answer(&own, &query, Transport::Udp).reply.unwrap();
        assert_eq!(Message::from_vec(&reply).unwrap().answers.len(), 1, "its own servers");
    }

    #[test]
    fn faults_of_time_and_form() {
        let zones = zones();
        let bytes = |name, rtype| query(name, rtype).to_vec().unwrap();
        let slow = answer(&zones, &bytes("slow.a.test.", RecordType::A), Transport::Udp);
        assert_eq!(slow.delay, Duration::from_secs(2));
        assert!(slow.reply.is_some());
        let silent = answer(&zones, &bytes("silent.a.test.", RecordType::MX), Transport::Tcp);
        assert_eq!(silent.reply, None);
        let garbage = answer(&zones, &bytes("garbage.a.test.", RecordType::A), Transport::Udp);
        let garbage = garbage.reply.unwrap();
        assert_eq!(garbage[..2], 4711_u16.to_be_bytes());
        assert!(Message::from_vec(&garbage).is_err());
        assert_eq!(ask("id.a.test.", RecordType::A).metadata.id, 4712);
        let over = |transport| {
            let query = bytes("long.a.test.", RecordType::TXT);
            let reply = answer(&zones, &query, transport).reply.unwrap();
            let reply = Message::from_vec(&reply).unwrap();
            (reply.metadata.truncation, reply.answers.len())
        };
        assert_eq!(over(Transport::Udp), (true, 0));
        assert_eq!(over(Transport::Tcp), (false, 1));
    }

    #[test]
    fn the_size_limit_is_that_of_the_client() {
        let zones = zones();
        for (edns, truncated) in [(None, true), (Some(600), true), (Some(1232), false)] {
            let mut query = query("big.a.test.", RecordType::A);
            if let Some(size) = edns {
                query.set_edns(Edns::new().set_max_payload(size).clone());
            }
            let reply = answer(&zones, &query.to_vec().unwrap(), Transport::Udp).reply.unwrap();
            assert!(reply.len() <= usize::from(edns.unwrap_or(512)));
            let reply = Message::from_vec(&reply).unwrap();
            assert_eq!(reply.metadata.truncation, truncated, "{edns:?}");
            assert_eq!(reply.edns.is_some(), edns.is_some());
        }
    }

    #[test]
    fn what_is_no_query_gets_a_code_or_nothing() {
        let zones = zones();
        let reply = |bytes: &[u8]| answer(&zones, bytes, Transport::Udp).reply;
        assert_eq!(reply(b"short"), None);
        let mut response = query("a.test.", RecordType::MX);
        response.metadata.message_type = MessageType::Response;
        assert_eq!(reply(&response.to_vec().unwrap()), None);
        let mut promising = [0_u8; 12];
        promising[5] = 9;
        let code = |bytes: &[u8]| {
            Message::from_vec(&reply(bytes).unwrap()).unwrap().metadata.response_code
        };
        assert_eq!(code(&promising), ResponseCode::FormErr);
        assert_eq!(code(&[0; 12]), ResponseCode::FormErr);
        let any = query("a.test.", RecordType::ANY).to_vec().unwrap();
        assert_eq!(code(&any), ResponseCode::NotImp);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = answer(&Zones::default(), &bytes, Transport::Tcp);
        }
    }
}
