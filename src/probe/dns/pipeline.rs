//! Many queries on one stream, answered in any order (RFC 7766 §6.2.1.1, RFC 7858 §3.3).
//!
//! One task owns the stream. Every query gets an id that no other has there, and its answer gets the
//! query's own id back; so what is asked need not know that it shares a connection. It ends when
//! nobody asks for a while.

use std::{collections::HashMap, sync::Arc};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    failed::Failed,
    framing::{self, Inbox},
    kept::{GOODBYE, IDLE, Life, Lost},
    message::renumber,
};
use crate::probe::words::CLOSED;

/// A stream that takes queries; dropping it closes the stream.
#[derive(Debug)]
pub(super) struct Pipeline {
    orders: mpsc::Sender<Order>,
    life: Arc<Life>,
}

/// A query to be sent.
#[derive(Debug)]
struct Order {
    query: Vec<u8>,
    answer: oneshot::Sender<Vec<u8>>,
}

impl Pipeline {
    pub(super) fn new<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (orders, waiting) = mpsc::channel(1);
        let life = Arc::new(Life::default());
        tokio::spawn(run(stream, waiting, Arc::clone(&life)));
        Self { orders, life }
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    pub(super) fn is_open(&self) -> bool {
        !self.orders.is_closed()
    }

    /// Sends a query and waits for its answer.
    pub(super) async fn ask(&self, query: &[u8]) -> Result<Vec<u8>, Lost> {
        let (answer, answered) = oneshot::channel();
        // What is not taken is dropped, and the answer to it with it.
        let _ = self.orders.send(Order { query: query.to_vec(), answer }).await;
        answered.await.map_err(|_| self.life.lost())
    }
}

/// The queries under way on one stream, by the ids they have there.
#[derive(Debug, Default)]
struct UnderWay {
    next: u16,
    waiting: HashMap<u16, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// The id that the asker knows.
    id: u16,
    answer: oneshot::Sender<Vec<u8>>,
}

impl UnderWay {
    /// Takes a query, which gets its id for the stream; `None` when it is none. Those who ask have
    /// their turn, so with the abandoned gone there are never too many.
    fn enter(&mut self, order: Order) -> Option<Vec<u8>> {
        self.forget_abandoned();
        // Each in turn, so that an answer that comes late does not meet a query with its id.
        while self.waiting.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        self.next = number.wrapping_add(1);
        let Order { mut query, answer } = order;
        let id = renumber(&mut query, number)?;
        self.waiting.insert(number, Waiting { id, answer });
        Some(query)
    }

    /// Hands an answer to whom it belongs; one that nobody waits for is passed over. `false` for
    /// what is too short to be a message.
    fn deliver(&mut self, mut message: Vec<u8>) -> bool {
        let Some(number) = message.first_chunk().copied().map(u16::from_be_bytes) else {
            return false;
        };
        if let Some(Waiting { id, answer }) = self.waiting.remove(&number) {
            renumber(&mut message, id);
            // Who asked may have given up at this moment.
            let _ = answer.send(message);
        }
        true
    }

    fn forget_abandoned(&mut self) {
        self.waiting.retain(|_, waiting| !waiting.answer.is_closed());
    }
}

async fn run<S>(stream: S, mut orders: mpsc::Receiver<Order>, life: Arc<Life>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut inbox, mut outbox, mut unsent) = (Inbox::default(), BytesMut::new(), false);
    let mut under_way = UnderWay::default();
    let mut idle_at = Instant::now() + IDLE;
    let ended = loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { break None };
                if let Some(query) = under_way.enter(order) {
                    unsent |= framing::put(&query, &mut outbox);
                }
                if outbox.len() > MOST_UNSENT {
                    break Some(Failed::network("it does not take queries"));
                }
                idle_at = Instant::now() + IDLE;
            }
            sent = send(&mut writer, &mut outbox), if unsent => match sent {
                Ok(rest) => unsent = rest,
                Err(error) => break Some(Failed::from(error)),
            },
            read = reader.read_buf(inbox.room()) => match read {
                Ok(0) => break Some(Failed::network(CLOSED)),
                Ok(_) => {
                    let mut sound = true;
                    while let Some(message) = inbox.take() {
                        life.heard();
                        sound &= under_way.deliver(message);
                    }
                    if !sound {
                        break Some(Failed::malformed("it sends what is too short for a message"));
                    }
                }
                Err(error) => break Some(Failed::from(error)),
            },
            () = sleep_until(idle_at) => {
                under_way.forget_abandoned();
                if under_way.waiting.is_empty() {
                    break None;
                }
                idle_at = Instant::now() + IDLE;
            }
        }
    };
    life.end(ended.unwrap_or_else(|| Failed::network("the connection was idle")));
    // Whoever asks from now on sees it closed before those who wait learn that they wait in vain.
    drop(orders);
    drop(under_way);
    // Says goodbye (RFC 8446 §6.1), if the peer lets it.
    let _ = timeout(GOODBYE, writer.shutdown()).await;
}

/// Sends some of what is to be sent; whether anything is left of it. Cancel safe.
async fn send<W: AsyncWrite + Unpin>(
    writer: &mut W,
    outbox: &mut BytesMut,
) -> std::io::Result<bool> {
    if outbox.is_empty() {
        // TLS keeps what it has encrypted until the socket takes it.
        writer.flush().await?;
        return Ok(false);
    }
    writer.write_buf(outbox).await?;
    Ok(true)
}

/// What a server may leave in the buffer: more than as many queries as are under way at a time.
const MOST_UNSENT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;
    use crate::facts::LookupStatus;

    fn pair() -> (Pipeline, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        (Pipeline::new(ours), theirs)
    }

    /// The next message that arrives at the server.
    async fn next(server: &mut DuplexStream) -> Vec<u8> {
        let mut message = vec![0; usize::from(server.read_u16().await.unwrap())];
        server.read_exact(&mut message).await.unwrap();
        message
    }

    async fn say(server: &mut DuplexStream, message: &[u8]) {
        let mut framed = BytesMut::new();
        assert!(framing::put(message, &mut framed));
        server.write_all(&framed).await.unwrap();
    }

    #[tokio::test]
    async fn answers_out_of_order_come_to_those_who_asked_with_their_ids() {
        let (pipeline, mut server) = pair();
        let script = async {
            let (one, two) = (next(&mut server).await, next(&mut server).await);
            assert_ne!(one[..2], two[..2], "no two have the same id at once");
            say(&mut server, &two).await;
            say(&mut server, &one).await;
        };
        let (one, two, ()) =
            tokio::join!(pipeline.ask(b"\x07\x07one"), pipeline.ask(b"\x07\x07two"), script);
        assert_eq!(one.unwrap(), b"\x07\x07one");
        assert_eq!(two.unwrap(), b"\x07\x07two");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_waits_for_is_passed_over() {
        let (pipeline, mut server) = pair();
        let script = async {
            let mut message = next(&mut server).await;
            message[0] ^= 0xff;
            say(&mut server, &message).await;
            message[0] ^= 0xff;
            say(&mut server, &message).await;
            say(&mut server, &message).await;
            server
        };
        let (answer, _server) = tokio::join!(pipeline.ask(b"\x07\x07one"), script);
        assert_eq!(answer.unwrap(), b"\x07\x07one");
        assert!(pipeline.is_open());
    }

    #[tokio::test]
    async fn a_server_that_closes_leaves_nobody_waiting_and_only_one_that_served_is_worth_another()
    {
        for served in [false, true] {
            let (pipeline, mut server) = pair();
            if served {
                let script = async {
                    let message = next(&mut server).await;
                    say(&mut server, &message).await;
                };
                tokio::join!(pipeline.ask(b"\x00\x00first"), script).0.unwrap();
            }
            let script = async {
                next(&mut server).await;
                drop(server);
            };
            let (lost, ()) = tokio::join!(pipeline.ask(b"\x01\x01one"), script);
            let lost = lost.unwrap_err();
            assert_eq!(lost.failed.error.as_deref(), Some(CLOSED));
            assert_eq!((lost.repeat, pipeline.is_open()), (served, false));
            assert!(
                pipeline.ask(b"\x02\x02two").await.is_err(),
                "nor does anybody wait from now on"
            );
        }
    }

    #[tokio::test]
    async fn what_is_too_short_for_a_message_ends_the_connection() {
        let (pipeline, mut server) = pair();
        let script = async {
            next(&mut server).await;
            say(&mut server, b"x").await;
            server
        };
        let (lost, _server) = tokio::join!(pipeline.ask(b"\x01\x01one"), script);
        assert_eq!(lost.unwrap_err().failed.status, LookupStatus::Malformed);
        assert!(!pipeline.is_open());
    }

    #[tokio::test]
    async fn the_longest_message_arrives_in_whatever_pieces() {
        let (ours, mut server) = tokio::io::duplex(100);
        let pipeline = Pipeline::new(ours);
        let script = async {
            let mut message = next(&mut server).await;
            message.resize(65535, b'x');
            say(&mut server, &message).await;
        };
        let (answer, ()) = tokio::join!(pipeline.ask(b"\x01\x01one"), script);
        assert_eq!(answer.unwrap().len(), 65535);
    }

    #[tokio::test]
    async fn queries_that_were_given_up_leave_no_trace() {
        let (pipeline, mut server) = pair();
        for _ in 0..1000 {
            let ask = pipeline.ask(b"\x01\x01one");
            tokio::select! {
                biased;
                _ = ask => panic!("nobody answered"),
                _ = next(&mut server) => {}
            }
        }
        let mut under_way = UnderWay::default();
        for _ in 0..1000 {
            let (answer, _) = oneshot::channel();
            under_way.enter(Order { query: b"\x01\x01one".to_vec(), answer }).unwrap();
        }
        assert_eq!(under_way.waiting.len(), 1, "the last one is found out by the next");
        assert!(pipeline.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn it_closes_when_nobody_asks_for_a_while_and_not_before() {
        let (pipeline, mut server) = pair();
        let waits = tokio::time::timeout(IDLE * 3, pipeline.ask(b"\x01\x01one")).await;
        assert!(waits.is_err() && pipeline.is_open(), "somebody waited all the time");
        next(&mut server).await;
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0, "it says goodbye");
        assert!(!pipeline.is_open());
    }
}
