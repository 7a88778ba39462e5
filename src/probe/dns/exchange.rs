//! One query to one server over UDP, over TCP when the answer was truncated or nothing else is
//! wanted, or over TLS.
//!
//! Exactly one datagram is sent; retries are the caller's.

use std::{io, net::SocketAddr};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{
    Patience,
    datagram::{Ports, Sent},
    encrypted::Encrypted,
    failed::Failed,
    framing::{self, Inbox},
    message::{Answer, Question, Reading, Wire},
    pointers::Pointers,
};
use crate::{
    config::ResolverTransport,
    facts::{Exchange, Further, LookupStatus, Transport},
    probe::words::CLOSED,
};

/// What carries queries.
#[derive(Debug)]
pub(super) enum Channel {
    /// A connection to each server that is kept.
    Encrypted(Box<Encrypted>),
    /// A connection each.
    Tcp,
    /// A datagram each, and a connection when its answer is truncated.
    Udp(Vec<Ports>),
}

impl Channel {
    /// The one to these servers.
    pub(super) fn new(transport: &ResolverTransport, servers: &[SocketAddr]) -> Self {
        let encrypted = |tls, path| Self::Encrypted(Box::new(Encrypted::new(tls, path, servers)));
        match transport {
            ResolverTransport::Https { tls, path } => encrypted(tls, Some(path)),
            ResolverTransport::Tcp => Self::Tcp,
            ResolverTransport::Tls(tls) => encrypted(tls, None),
            ResolverTransport::Udp => {
                Self::Udp(servers.iter().map(|&server| Ports::new(server)).collect())
            }
        }
    }

    /// The most exchanges at the same time that need not wait for each other.
    pub(super) const fn capacity(&self) -> usize {
        match self {
            Self::Encrypted(_) => super::kept::MOST_UNDER_WAY,
            Self::Tcp | Self::Udp(_) => usize::MAX,
        }
    }

    /// Makes ready what no server is to be blamed for.
    pub(super) async fn prepare(&self) {
        if let Self::Encrypted(encrypted) = self {
            encrypted.prepare().await;
        }
    }
}

/// Puts one question to one server and says what came of it.
pub(super) async fn exchange(
    channel: &Channel,
    server: SocketAddr,
    question: &Question,
    patience: Patience,
) -> Exchange {
    match channel {
        Channel::Encrypted(encrypted) => {
            let ask = |query: Wire, until| async move {
                let response = encrypted.ask(server, &query.bytes, until).await?;
                whole(query.read(&response))
            };
            // Too large to be a part of every exchange, of which most need none of it.
            Box::pin(over_stream(encrypted.transport(), server, question, patience, ask)).await
        }
        Channel::Tcp => {
            let ask = |query, until| async move { stream_exchange(server, &query, until).await };
            over_stream(Transport::Tcp, server, question, patience, ask).await
        }
        Channel::Udp(all) => match all.iter().find(|ports| ports.server() == server) {
            Some(ports) => over_udp(server, question, patience, |query| ports.send(query)).await.0,
            None => over_udp_alone(server, question, patience).await.0,
        },
    }
}

async fn over_stream<F>(
    transport: Transport,
    server: SocketAddr,
    question: &Question,
    patience: Patience,
    ask: impl FnOnce(Wire, Instant) -> F,
) -> Exchange
where
    F: Future<Output = Result<Answer, Failed>>,
{
    let begun = Instant::now();
    let Some(query) = Wire::encode(question) else {
        return unanswered(server, transport, unsendable(), begun);
    };
    match ask(query, begun + patience.timeout).await {
        Ok(answer) => answered(server, transport, answer, begun).0,
        Err(failed) => unanswered(server, transport, failed, begun),
    }
}

/// The same over UDP from a port of its own, with what the response says of where to ask next.
pub(super) async fn over_udp_alone(
    server: SocketAddr,
    question: &Question,
    patience: Patience,
) -> (Exchange, Pointers) {
    over_udp(server, question, patience, |query| Sent::alone(server, query)).await
}

async fn over_udp<F>(
    server: SocketAddr,
    question: &Question,
    patience: Patience,
    send: impl FnOnce(Wire) -> F,
) -> (Exchange, Pointers)
where
    F: Future<Output = io::Result<Sent>>,
{
    let failed =
        |transport, failed, begun| (unanswered(server, transport, failed, begun), Pointers::NONE);
    let Some(query) = Wire::encode(question) else {
        return failed(Transport::Udp, unsendable(), Instant::now());
    };
    let outcome = send(query).await;
    // It may have waited for its turn, which is not the server's time.
    let begun = Instant::now();
    let until = begun + patience.timeout;
    let mut asked = match outcome {
        Ok(asked) => asked,
        Err(error) => return failed(Transport::Udp, error.into(), begun),
    };
    match asked.response(until).await {
        Ok(answer) if answer.truncated => {
            let mut over_tcp = match stream_exchange(server, &asked.query(), until).await {
                Ok(answer) => answered(server, Transport::Tcp, answer, begun),
                Err(other) => failed(Transport::Tcp, other, begun),
            };
            over_tcp.0.truncated = true;
            over_tcp
        }
        Ok(answer) => answered(server, Transport::Udp, answer, begun),
        Err(silence @ Failed { status: LookupStatus::Timeout, .. }) => {
            let mut silent = failed(Transport::Udp, silence, begun);
            let late = asked.response(until + patience.late_window).await;
            // The time from the query to an answer that came after all.
            if late.is_ok() {
                silent.0.further.get_mut().late = Some(begun.elapsed());
            }
            silent
        }
        Err(other) => failed(Transport::Udp, other, begun),
    }
}

fn unsendable() -> Failed {
    Failed::network("the question does not fit into a query")
}

/// RFC 7766: the same query over TCP with its two-byte length in front.
async fn stream_exchange(
    server: SocketAddr,
    query: &Wire,
    until: Instant,
) -> Result<Answer, Failed> {
    let dialogue = async {
        let mut stream = TcpStream::connect(server).await?;
        let mut framed = BytesMut::new();
        if !framing::put(&query.bytes, &mut framed) {
            return Err(unsendable());
        }
        stream.write_all(&framed).await?;
        let mut inbox = Inbox::default();
        loop {
            if let Some(response) = inbox.take() {
                return Ok(response);
            }
            if stream.read_buf(inbox.room()).await? == 0 {
                return Err(Failed::network(CLOSED));
            }
        }
    };
    match timeout_at(until, dialogue).await {
        Err(_) => Err(Failed::SILENT),
        Ok(response) => whole(query.read(&response?)),
    }
}

/// On a stream nothing is truncated, and nothing arrives that was not asked for.
fn whole(reading: Reading) -> Result<Answer, Failed> {
    match reading {
        Reading::Answer(answer) if !answer.truncated => Ok(answer),
        _ => Err(LookupStatus::Malformed.into()),
    }
}

fn answered(
    server: SocketAddr,
    transport: Transport,
    answer: Answer,
    begun: Instant,
) -> (Exchange, Pointers) {
    let further = Further {
        cname_chain: answer.cname_chain,
        stray_addresses: answer.stray_addresses,
        extended_errors: answer.extended_errors,
        ..Further::default()
    };
    let exchange = Exchange {
        duration: begun.elapsed().into(),
        answers: answer.answers,
        records: answer.records,
        ttl: answer.ttl,
        authentic_data: answer.authentic_data,
        authoritative: answer.authoritative,
        further: further.into(),
        ..Exchange::empty(server, transport, answer.status)
    };
    (exchange, answer.pointers.map_or(Pointers::NONE, |pointers| *pointers))
}

fn unanswered(
    server: SocketAddr,
    transport: Transport,
    Failed { status, error }: Failed,
    begun: Instant,
) -> Exchange {
    let duration = begun.elapsed().into();
    let further = Further { error, ..Further::default() }.into();
    Exchange { duration, further, ..Exchange::empty(server, transport, status) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::UdpSocket;

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
            // On a socket of its own, and twice on one that is shared.
            let shared = Channel::new(&ResolverTransport::Udp, &[server]);
            for channel in [&Channel::Udp(Vec::new()), &shared, &shared] {
                let seen = exchange(channel, server, &question, patience).await;
                assert_eq!(seen.status, LookupStatus::NetworkError);
                assert_eq!(seen.further.error.as_deref(), Some("the connection is refused"));
                assert!(seen.duration.get() < Duration::from_secs(30), "{:?}", seen.duration);
            }
        }
    }
}
