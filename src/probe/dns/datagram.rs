//! Datagrams of one exchange over UDP: the query that is sent, and the response that is waited for.
//!
//! Either on a socket of its own, as to strangers' servers that are asked once, or on one that several
//! exchanges with the same server share, which is what [`Ports`] has: a socket for each exchange costs
//! more than everything else about it.
//!
//! No more than [`AT_ONCE`] of them are new and unanswered at a time: hundreds that are sent within a
//! millisecond overflow the receive buffer of the server, and what is lost there looks like its silence.
//!
//! The kernel picks an unpredictable source port for each socket (RFC 5452 §9.2). A shared one is used for
//! few queries and not for long. A forger has as much to guess then as with a socket each: of so many
//! queries under way each has its identifier, and their ports are not known.

use std::{
    collections::HashMap,
    convert::Infallible,
    io::{self, Read},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::Interest,
    net::UdpSocket,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use super::{
    failed::Failed,
    message::{Answer, Reading, UDP_PAYLOAD, Wire},
};
use crate::{
    facts::LookupStatus,
    probe::{routing::any_source, words},
};

/// A query that was sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// On a socket of its own.
    Alone {
        /// The socket.
        socket: UdpSocket,
        /// What was sent.
        query: Arc<Wire>,
    },
    /// On one that others have, too.
    Shared(Waiting),
}

impl Sent {
    /// Sends a query to a server that is asked seldom.
    pub(super) async fn alone(server: SocketAddr, query: Wire) -> io::Result<Self> {
        let socket = open(server).await?;
        socket.send(&query.bytes).await?;
        Ok(Self::Alone { socket, query: Arc::new(query) })
    }

    /// What was sent.
    pub(super) fn query(&self) -> Arc<Wire> {
        match self {
            Self::Alone { query, .. } => Arc::clone(query),
            Self::Shared(waiting) => Arc::clone(&waiting.query),
        }
    }

    /// Waits for the response; what is not for us is passed over. May be called again after a
    /// time-out, to listen on.
    pub(super) async fn response(&mut self, until: Instant) -> Result<Answer, Failed> {
        match self {
            Self::Alone { socket, query } => {
                let response = receive(socket, |datagram| taken(query.read(datagram)));
                timeout_at(until, response).await.unwrap_or(Err(Failed::SILENT))
            }
            Self::Shared(waiting) => {
                if waiting.place.is_some() {
                    let soon = until.min(Instant::now() + NEW);
                    if let Ok(told) = timeout_at(soon, &mut waiting.told).await {
                        return received(told);
                    }
                    // It has left the buffer of the server, if it ever got there.
                    waiting.place = None;
                }
                let told = timeout_at(until, &mut waiting.told).await;
                told.map_or(Err(Failed::SILENT), received)
            }
        }
    }
}

fn received(
    told: Result<Result<Answer, Failed>, oneshot::error::RecvError>,
) -> Result<Answer, Failed> {
    told.unwrap_or_else(|_gone| Err(Failed::network("the socket is closed")))
}

/// The sockets to one server, each for some exchanges.
#[derive(Debug)]
pub(super) struct Ports {
    server: SocketAddr,
    current: Mutex<Option<Port>>,
    places: Arc<Semaphore>,
}

/// A socket in use, and for how long it still is.
#[derive(Debug)]
struct Port {
    shared: Arc<Shared>,
    since: Instant,
}

impl Ports {
    /// None yet.
    pub(super) fn new(server: SocketAddr) -> Self {
        Self { server, current: Mutex::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The server.
    pub(super) const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Sends a query when there is a place for it. Must be called within a runtime.
    pub(super) async fn send(&self, query: Wire) -> io::Result<Sent> {
        let query = Arc::new(query);
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let mut waiting = match self.on_current(&query).await {
            Some(waiting) => waiting,
            None => self.on_another(&query).await?,
        };
        waiting.place = place;
        Ok(Sent::Shared(waiting))
    }

    /// Sends a query on the socket of the moment; `None` where there is none, another query has the same
    /// identifier, or it was not sent.
    async fn on_current(&self, query: &Arc<Wire>) -> Option<Waiting> {
        let shared = self.in_use()?;
        shared.expect(query)?.send().await.ok()
    }

    /// Sends a query on a socket that is opened for it, and used from now on.
    async fn on_another(&self, query: &Arc<Wire>) -> io::Result<Waiting> {
        let shared = Arc::new(Shared::new(open(self.server).await?));
        *lock(&self.current) = Some(Port { shared: Arc::clone(&shared), since: Instant::now() });
        // Others may have sent on it in the meantime.
        shared.expect(query).ok_or(io::ErrorKind::AddrInUse)?.send().await
    }

    /// The socket of the moment, if it may be used once more.
    fn in_use(&self) -> Option<Arc<Shared>> {
        let mut current = lock(&self.current);
        let port = current.as_ref()?;
        let used = port.shared.used.fetch_add(1, Ordering::Relaxed);
        if used < MOST_QUERIES && port.since.elapsed() < LONGEST_USE {
            return Some(Arc::clone(&port.shared));
        }
        // Who waits for a response on it keeps it.
        *current = None;
        None
    }
}

/// A socket and who waits for responses on it. Dropping it closes it.
#[derive(Debug)]
struct Shared {
    inner: Arc<Inner>,
    used: AtomicU32,
    listener: AbortHandle,
}

#[derive(Debug)]
struct Inner {
    socket: UdpSocket,
    waiting: Mutex<HashMap<u16, Expected>>,
}

/// A query, and who wants to know the response to it.
#[derive(Debug)]
struct Expected {
    query: Arc<Wire>,
    tell: oneshot::Sender<Result<Answer, Failed>>,
}

impl Shared {
    fn new(socket: UdpSocket) -> Self {
        let inner = Arc::new(Inner { socket, waiting: Mutex::default() });
        let listening = Arc::clone(&inner);
        let listener = tokio::spawn(async move { listening.listen().await }).abort_handle();
        Self { inner, used: AtomicU32::new(1), listener }
    }

    /// Notes a query that is about to be sent; `None` while another has its identifier.
    fn expect(self: &Arc<Self>, query: &Arc<Wire>) -> Option<Waiting> {
        let mut waiting = lock(&self.inner.waiting);
        if waiting.contains_key(&query.id()) {
            return None;
        }
        let (tell, told) = oneshot::channel();
        let (shared, query) = (Arc::clone(self), Arc::clone(query));
        waiting.insert(query.id(), Expected { query: Arc::clone(&query), tell });
        Some(Waiting { shared, query, told, place: None })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Inner {
    /// Hands responses to those who wait for them, for ever.
    async fn listen(&self) {
        loop {
            let failed = receive(&self.socket, |datagram| {
                self.hand_over(datagram);
                None::<Result<Infallible, Failed>>
            });
            let Err(failed) = failed.await;
            self.tell_all(&failed);
        }
    }

    /// Tells everybody who waits that the server cannot be reached: ICMP does not say which query it is
    /// about.
    fn tell_all(&self, failed: &Failed) {
        for (_, expected) in lock(&self.waiting).drain() {
            // Who has gone does not mind.
            let _ = expected.tell.send(Err(failed.clone()));
        }
    }

    fn hand_over(&self, datagram: &[u8]) {
        let Some(id) = datagram.first_chunk().map(|id| u16::from_be_bytes(*id)) else { return };
        let mut waiting = lock(&self.waiting);
        let Some(expected) = waiting.get(&id) else { return };
        if let Some(response) = taken(expected.query.read(datagram))
            && let Some(expected) = waiting.remove(&id)
        {
            let _ = expected.tell.send(response);
        }
    }
}

/// Somebody's place among those who wait on a shared socket; given up when dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    shared: Arc<Shared>,
    query: Arc<Wire>,
    told: oneshot::Receiver<Result<Answer, Failed>>,
    /// Among those that are new.
    place: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    async fn send(self) -> io::Result<Self> {
        let Err(error) = self.shared.inner.socket.send(&self.query.bytes).await else {
            return Ok(self);
        };
        // The kernel says once what became of queries sent before, and says it to this one.
        let failed = Failed::network(&words::of_io(&error));
        self.shared.inner.tell_all(&failed);
        Err(error)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = lock(&self.shared.inner.waiting);
        // Another may have the same identifier by now.
        let own = |expected: &Expected| Arc::ptr_eq(&expected.query, &self.query);
        if waiting.get(&self.query.id()).is_some_and(own) {
            waiting.remove(&self.query.id());
        }
    }
}

/// A response is taken, broken or not; what is not for us is waited past.
fn taken(reading: Reading) -> Option<Result<Answer, Failed>> {
    match reading {
        Reading::Answer(answer) => Some(Ok(answer)),
        Reading::Malformed => Some(Err(LookupStatus::Malformed.into())),
        Reading::Ignore => None,
    }
}

async fn open(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(any_source(server)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// Reads datagrams until one is taken. The error is what the kernel tells a connected socket: ICMP port
/// or host unreachable.
async fn receive<T>(
    socket: &UdpSocket,
    mut take: impl FnMut(&[u8]) -> Option<Result<T, Failed>>,
) -> Result<T, Failed> {
    // A closed port makes a socket erroneous, never readable.
    let events = Interest::READABLE.add(Interest::ERROR);
    loop {
        let ready = socket.ready(events).await?;
        let event = if ready.is_error() { Interest::ERROR } else { Interest::READABLE };
        if let Some(taken) = read(socket, event, &mut take)? {
            return taken;
        }
        // A timer must get its turn, however many forgeries arrive.
        tokio::task::consume_budget().await;
    }
}

/// Takes one datagram; `None` when there is none after all, or it is not taken.
fn read<T>(
    socket: &UdpSocket,
    event: Interest,
    take: impl FnOnce(&[u8]) -> Option<Result<T, Failed>>,
) -> io::Result<Option<Result<T, Failed>>> {
    // Not part of the exchange's state, which would be that much larger in flight.
    let mut buffer = [0; MAX_DATAGRAM];
    match socket.try_io(event, || (&*SockRef::from(socket)).read(&mut buffer)) {
        Ok(length) => Ok(take(&buffer[..length])),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change leaves what it guards whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// More than is announced, because servers overdo it; never a jumbo buffer.
const MAX_DATAGRAM: usize = 4 * UDP_PAYLOAD as usize;

/// Queries that are new and unanswered; the buffer of a socket holds twice as many by default.
const AT_ONCE: usize = 128;

/// For how long a query is new: whoever has not taken it by then has lost it, or is at work on it.
const NEW: Duration = Duration::from_millis(50);

/// Queries from one port. By then it costs next to nothing, and what waits on it overflows no buffer.
const MOST_QUERIES: u32 = 64;

/// For how long a port is used: who finds out which one it is has no time to make use of that.
const LONGEST_USE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use hickory_resolver::proto::rr::Name;

    use super::*;
    use crate::{
        facts::RecordType,
        probe::dns::message::{Question, renumber},
    };

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A name server that does what the test tells it, and the way to it.
    async fn server() -> (UdpSocket, Ports) {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let ports = Ports::new(server.local_addr().unwrap());
        (server, ports)
    }

    /// A port where nobody listens to us, though no other test can have it, and the way to it.
    async fn nobody() -> (UdpSocket, Ports) {
        let (server, ports) = server().await;
        server.connect("127.0.0.2:9").await.unwrap();
        (server, ports)
    }

    fn query(name: &str) -> Wire {
        let name = Name::from_ascii(name).unwrap();
        Wire::encode(&Question::new(name, RecordType::A)).unwrap()
    }

    async fn received(server: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 4096];
        let received = tokio::time::timeout(PATIENCE, server.recv_from(&mut buffer)).await;
        let (length, from) = received.unwrap().unwrap();
        buffer.truncate(length);
        (buffer, from)
    }

    /// The query as a response without records: QR and RCODE 3 (RFC 1035 §4.1.1).
    fn answer(query: &[u8]) -> Vec<u8> {
        let mut answer = query.to_vec();
        answer[2] |= 0x80;
        answer[3] |= 3;
        answer
    }

    async fn status(mut sent: Sent) -> LookupStatus {
        sent.response(Instant::now() + PATIENCE).await.unwrap().status
    }

    #[tokio::test]
    async fn responses_on_one_port_find_those_who_asked() {
        let (server, ports) = server().await;
        let first = ports.send(query("one.example.test.")).await.unwrap();
        let second = ports.send(query("two.example.test.")).await.unwrap();
        let (one, from) = received(&server).await;
        let (two, also_from) = received(&server).await;
        assert_eq!(from, also_from, "they share a port");
        let mut refusal = answer(&two);
        refusal[3] ^= 3 ^ 5;
        server.send_to(&refusal, from).await.unwrap();
        server.send_to(&answer(&one), from).await.unwrap();
        assert_eq!(status(first).await, LookupStatus::Nxdomain);
        assert_eq!(status(second).await, LookupStatus::Refused);
    }

    #[tokio::test]
    async fn what_nobody_asked_for_is_passed_over_and_what_is_broken_is_taken() {
        let (server, ports) = server().await;
        let sent = ports.send(query("one.example.test.")).await.unwrap();
        let (one, from) = received(&server).await;
        let mut foreign = answer(&one);
        let id = renumber(&mut foreign, 0).unwrap();
        renumber(&mut foreign, id.wrapping_add(1)).unwrap();
        let mut other_question = answer(&query("two.example.test.").bytes);
        renumber(&mut other_question, id).unwrap();
        for forged in [&[][..], &[0], &foreign, &other_question] {
            server.send_to(forged, from).await.unwrap();
        }
        server.send_to(&answer(&one), from).await.unwrap();
        assert_eq!(status(sent).await, LookupStatus::Nxdomain);
        let mut sent = ports.send(query("one.example.test.")).await.unwrap();
        let (one, from) = received(&server).await;
        server.send_to(&one[..12], from).await.unwrap();
        let broken = sent.response(Instant::now() + PATIENCE).await.unwrap_err();
        assert_eq!(broken.status, LookupStatus::Malformed);
    }

    #[tokio::test]
    async fn a_port_is_left_after_some_queries_and_an_answer_to_it_still_arrives() {
        let (server, ports) = server().await;
        let first = ports.send(query("one.example.test.")).await.unwrap();
        let (one, first_from) = received(&server).await;
        let mut seen = HashSet::from([first_from]);
        for _ in 0..2 * MOST_QUERIES {
            drop(ports.send(query("two.example.test.")).await.unwrap());
            seen.insert(received(&server).await.1);
        }
        // More where this machine was so slow that a port was left for its age.
        assert!(seen.len() >= 3, "{seen:?}");
        server.send_to(&answer(&one), first_from).await.unwrap();
        assert_eq!(status(first).await, LookupStatus::Nxdomain);
    }

    #[tokio::test]
    async fn two_queries_with_one_identifier_have_a_port_each() {
        let (server, ports) = server().await;
        let one = query("one.example.test.");
        let two = query("two.example.test.").renumbered(one.id());
        let first = ports.send(one).await.unwrap();
        let second = ports.send(two).await.unwrap();
        for sent in [first, second] {
            let (query, from) = received(&server).await;
            server.send_to(&answer(&query), from).await.unwrap();
            assert_eq!(status(sent).await, LookupStatus::Nxdomain);
        }
    }

    #[tokio::test]
    async fn what_the_kernel_says_to_one_is_told_to_all_who_wait() {
        let (_nobody, ports) = nobody().await;
        let mut waiting = Vec::new();
        for _ in 0..100 {
            // Whether it is the listener or the next to send who hears of it is left to chance.
            waiting.push(ports.send(query("one.example.test.")).await);
            tokio::task::yield_now().await;
        }
        for sent in waiting.into_iter().flatten() {
            let mut sent = sent;
            let failed = sent.response(Instant::now() + PATIENCE).await.unwrap_err();
            assert_eq!(failed.status, LookupStatus::NetworkError);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_at_once_hear_that_nobody_listens() {
        for _ in 0..200 {
            let (_nobody, ports) = nobody().await;
            let ports = Arc::new(ports);
            let ask = |name: String| {
                let ports = Arc::clone(&ports);
                async move {
                    match ports.send(query(&name)).await {
                        Ok(mut sent) => sent.response(Instant::now() + PATIENCE).await.unwrap_err(),
                        Err(error) => error.into(),
                    }
                }
            };
            let asked = (0..10).map(|n| tokio::spawn(ask(format!("n{n}.example.test."))));
            for asked in asked.collect::<Vec<_>>() {
                assert_eq!(asked.await.unwrap().status, LookupStatus::NetworkError);
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn thousands_at_once_lose_nothing() {
        let (server, ports) = server().await;
        let (ports, server) = (Arc::new(ports), Arc::new(server));
        let answering = Arc::clone(&server);
        let answers = tokio::spawn(async move {
            loop {
                let (query, from) = received(&answering).await;
                answering.send_to(&answer(&query), from).await.unwrap();
            }
        });
        for _ in 0..100 {
            let ask = |name: String| {
                let ports = Arc::clone(&ports);
                async move { status(ports.send(query(&name)).await.unwrap()).await }
            };
            let asked = (0..50).map(|n| tokio::spawn(ask(format!("n{n}.example.test."))));
            for asked in asked.collect::<Vec<_>>() {
                assert_eq!(asked.await.unwrap(), LookupStatus::Nxdomain);
            }
        }
        answers.abort();
    }

    #[tokio::test]
    async fn no_more_are_sent_at_once_than_a_server_has_room_for() {
        let (_server, ports) = server().await;
        let mut sent = Vec::new();
        for _ in 0..AT_ONCE {
            sent.push(ports.send(query("one.example.test.")).await.unwrap());
        }
        let mut next = std::pin::pin!(ports.send(query("two.example.test.")));
        tokio::select! {
            biased;
            _ = &mut next => unreachable!("there is no place"),
            () = tokio::task::yield_now() => assert_eq!(ports.places.available_permits(), 0),
        }
        sent.pop();
        tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_has_gone_leaves_nothing_behind() {
        let (_server, ports) = server().await;
        let sent = ports.send(query("one.example.test.")).await.unwrap();
        let shared = ports.in_use().unwrap();
        assert_eq!(lock(&shared.inner.waiting).len(), 1);
        drop(sent);
        assert_eq!(lock(&shared.inner.waiting).len(), 0);
    }
}
