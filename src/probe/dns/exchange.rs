//! One query to one server over UDP, over TCP when the answer was truncated or nothing else is
//! wanted.
//!
//! A fresh connected socket per exchange: the kernel picks an unpredictable source port (RFC 5452)
//! and reports a closed port at once. Exactly one datagram is sent; retries are the caller's.

use std::{
    io::{self, Read},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

use super::{
    Patience,
    message::{Answer, Question, Reading, UDP_PAYLOAD, Wire},
    pointers::Pointers,
};
use crate::facts::{Exchange, LookupStatus, Transport};

/// What carries queries.
#[derive(Debug)]
pub(super) enum Channel {
    /// A connection each.
    Tcp,
    /// A datagram each, and a connection when its answer is truncated.
    Udp,
}

/// Puts one question to one server and says what came of it.
pub(super) async fn exchange(
    channel: &Channel,
    server: SocketAddr,
    question: &Question,
    patience: Patience,
) -> Exchange {
    match channel {
        Channel::Tcp => over_tcp(server, question, patience).await,
        Channel::Udp => over_udp(server, question, patience).await.0,
    }
}

async fn over_tcp(server: SocketAddr, question: &Question, patience: Patience) -> Exchange {
    let begun = Instant::now();
    let Some(query) = Wire::encode(question) else {
        return unanswered(server, Transport::Tcp, LookupStatus::NetworkError, begun);
    };
    match stream_exchange(server, &query, begun + patience.timeout).await {
        Ok(answer) => answered(server, Transport::Tcp, answer, begun).0,
        Err(status) => unanswered(server, Transport::Tcp, status, begun),
    }
}

/// The same over UDP, with what the response says of where to ask next.
pub(super) async fn over_udp(
    server: SocketAddr,
    question: &Question,
    patience: Patience,
) -> (Exchange, Pointers) {
    let begun = Instant::now();
    let until = begun + patience.timeout;
    let failed = |transport, status| (unanswered(server, transport, status, begun), Pointers::NONE);
    let Some(query) = Wire::encode(question) else {
        return failed(Transport::Udp, LookupStatus::NetworkError);
    };
    let Ok(socket) = send_datagram(server, &query).await else {
        return failed(Transport::Udp, LookupStatus::NetworkError);
    };
    match receive_datagram(&socket, &query, until).await {
        Ok(answer) if answer.truncated => {
            let mut over_tcp = match stream_exchange(server, &query, until).await {
                Ok(answer) => answered(server, Transport::Tcp, answer, begun),
                Err(status) => failed(Transport::Tcp, status),
            };
            over_tcp.0.truncated = true;
            over_tcp
        }
        Ok(answer) => answered(server, Transport::Udp, answer, begun),
        Err(LookupStatus::Timeout) => {
            let mut silent = failed(Transport::Udp, LookupStatus::Timeout);
            silent.0.late = late_answer(&socket, &query, begun, until + patience.late_window).await;
            silent
        }
        Err(status) => failed(Transport::Udp, status),
    }
}

async fn send_datagram(server: SocketAddr, query: &Wire) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&query.bytes).await?;
    Ok(socket)
}

/// Waits for the response to `query`; what is not for us is passed over.
async fn receive_datagram(
    socket: &UdpSocket,
    query: &Wire,
    until: Instant,
) -> Result<Answer, LookupStatus> {
    // A closed port makes a socket erroneous, never readable.
    let events = Interest::READABLE.add(Interest::ERROR);
    loop {
        let event = match timeout_at(until, socket.ready(events)).await {
            Err(_) => return Err(LookupStatus::Timeout),
            Ok(Err(_)) => return Err(LookupStatus::NetworkError),
            Ok(Ok(ready)) if ready.is_error() => Interest::ERROR,
            Ok(Ok(_)) => Interest::READABLE,
        };
        match read_datagram(socket, query, event) {
            Ok(Some(Reading::Answer(answer))) => return Ok(answer),
            Ok(Some(Reading::Malformed)) => return Err(LookupStatus::Malformed),
            // The timer must get its turn, however many forgeries arrive.
            Ok(Some(Reading::Ignore)) => tokio::task::yield_now().await,
            Ok(None) => {}
            // ICMP port or host unreachable, as the kernel tells a connected socket.
            Err(_) => return Err(LookupStatus::NetworkError),
        }
    }
}

/// Takes one datagram; `None` when there is none after all.
fn read_datagram(socket: &UdpSocket, query: &Wire, event: Interest) -> io::Result<Option<Reading>> {
    // Not part of the exchange's state, which would be that much larger in flight.
    let mut buffer = [0; MAX_DATAGRAM];
    match socket.try_io(event, || (&*SockRef::from(socket)).read(&mut buffer)) {
        Ok(length) => Ok(Some(query.read(&buffer[..length]))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Listens on after the time-out; the time from the query to an answer that came after all.
async fn late_answer(
    socket: &UdpSocket,
    query: &Wire,
    begun: Instant,
    until: Instant,
) -> Option<Duration> {
    receive_datagram(socket, query, until).await.ok().map(|_| begun.elapsed())
}

/// RFC 7766: the same query over TCP with its two-byte length in front.
async fn stream_exchange(
    server: SocketAddr,
    query: &Wire,
    until: Instant,
) -> Result<Answer, LookupStatus> {
    let dialogue = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(query.bytes.len()).map_err(io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&query.bytes);
        stream.write_all(&framed).await?;
        // The length field bounds the message at 64 KiB.
        let length = stream.read_u16().await?;
        let mut response = vec![0; usize::from(length)];
        stream.read_exact(&mut response).await?;
        io::Result::Ok(response)
    };
    match timeout_at(until, dialogue).await {
        Err(_) => Err(LookupStatus::Timeout),
        Ok(Err(_)) => Err(LookupStatus::NetworkError),
        Ok(Ok(response)) => match query.read(&response) {
            Reading::Answer(answer) if !answer.truncated => Ok(answer),
            _ => Err(LookupStatus::Malformed),
        },
    }
}

fn answered(
    server: SocketAddr,
    transport: Transport,
    answer: Answer,
    begun: Instant,
) -> (Exchange, Pointers) {
    let exchange = Exchange {
        duration: begun.elapsed(),
        answers: answer.answers,
        records: answer.records,
        ttl: answer.ttl,
        cname_chain: answer.cname_chain,
        authentic_data: answer.authentic_data,
        authoritative: answer.authoritative,
        ..Exchange::empty(server, transport, answer.status)
    };
    (exchange, answer.pointers.map_or(Pointers::NONE, |pointers| *pointers))
}

fn unanswered(
    server: SocketAddr,
    transport: Transport,
    status: LookupStatus,
    begun: Instant,
) -> Exchange {
    Exchange { duration: begun.elapsed(), ..Exchange::empty(server, transport, status) }
}

/// More than is announced, because servers overdo it; never a jumbo buffer.
const MAX_DATAGRAM: usize = 4 * UDP_PAYLOAD as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::RecordType;

    #[tokio::test]
    async fn a_closed_port_is_a_network_error_at_once() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(any).await else { continue };
            let server = socket.local_addr().unwrap();
            drop(socket);
            let name = hickory_resolver::proto::rr::Name::from_ascii("example.test.").unwrap();
            let question = Question::new(name, RecordType::Mx);
            let patience =
                Patience { timeout: Duration::from_secs(60), late_window: Duration::ZERO };
            let seen = exchange(&Channel::Udp, server, &question, patience).await;
            assert_eq!(seen.status, LookupStatus::NetworkError);
            assert!(seen.duration < Duration::from_secs(30), "{:?}", seen.duration);
        }
    }
}
