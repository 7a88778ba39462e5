//! The world's DNS server: UDP and TCP on one address, answering as [`super::answer`] says.
//!
//! It only moves bytes and counts questions; what to answer is decided elsewhere.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    answer::{Answer, Transport, answer},
    zone::{Zones, dns_name},
};

/// A running DNS server. Dropping it ends it.
#[derive(Debug)]
pub struct DnsServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<()>,
    tasks: JoinSet<()>,
}

impl DnsServer {
    /// Listens on UDP and TCP. Port 0 picks one that is free for both.
    pub async fn start(addr: SocketAddr, zones: Zones) -> io::Result<Self> {
        let (udp, tcp) = bind(addr).await?;
        let addr = tcp.local_addr()?;
        let shared = Arc::new(Shared {
            zones: ArcSwap::from_pointee(zones),
            asked: Mutex::new(HashMap::new()),
        });
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(Arc::new(udp), Arc::clone(&shared), stopped.clone()));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&shared), stopped));
        Ok(Self { addr, shared, stop, tasks })
    }

    /// Where it listens, over both transports.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Replaces all zones; queries from now on see the new ones.
    pub fn set_zones(&self, zones: Zones) {
        self.shared.zones.store(Arc::new(zones));
    }

    /// How often a name and type was asked for, over both transports. The name is absolute, its
    /// final dot may be left out.
    pub fn queries(&self, name: &str, rtype: RecordType) -> u64 {
        [Transport::Tcp, Transport::Udp].map(|via| self.queries_via(via, name, rtype)).iter().sum()
    }

    /// How often a name and type was asked for over one transport.
    pub fn queries_via(&self, transport: Transport, name: &str, rtype: RecordType) -> u64 {
        let Ok(name) = dns_name(name, Some(&Name::root())) else {
            return 0;
        };
        let asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&(name, rtype)).map_or(0, |counts| counts.of(transport))
    }

    /// How many questions came in, whatever they were about.
    pub fn all_queries(&self) -> u64 {
        let asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.values().map(|counts| counts.tcp + counts.udp).sum()
    }

    /// Ends the server and waits until its sockets are closed.
    pub async fn stop(self) {
        let Self { stop, mut tasks, .. } = self;
        drop(stop);
        while tasks.join_next().await.is_some() {}
    }
}

/// What the tasks of one server have in common.
#[derive(Debug)]
struct Shared {
    zones: ArcSwap<Zones>,
    asked: Mutex<HashMap<(Name, RecordType), Counts>>,
}

impl Shared {
    fn answer(&self, query: &[u8], transport: Transport) -> Answer {
        let mut answer = answer(&self.zones.load(), query, transport);
        if let Some(question) = answer.question.take() {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.len() < QUESTIONS || asked.contains_key(&question) {
                let counts = asked.entry(question).or_default();
                match transport {
                    Transport::Tcp => counts.tcp += 1,
                    Transport::Udp => counts.udp += 1,
                }
            }
        }
        answer
    }
}

/// Questions by transport.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    tcp: u64,
    udp: u64,
}

impl Counts {
    fn of(self, transport: Transport) -> u64 {
        match transport {
            Transport::Tcp => self.tcp,
            Transport::Udp => self.udp,
        }
    }
}

/// Binds both transports to one port.
async fn bind(addr: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = if addr.port() == 0 { BIND_TRIES } else { 1 };
    loop {
        let udp = UdpSocket::bind(addr).await?;
        tries -= 1;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if tries == 0 || error.kind() != io::ErrorKind::AddrInUse => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>, mut stop: watch::Receiver<()>) {
    let mut late = JoinSet::new();
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let received = tokio::select! {
            _ = stop.changed() => break,
            Some(_) = late.join_next() => continue,
            received = socket.recv_from(&mut buffer) => received,
        };
        let Ok((length, peer)) = received else {
            sleep(PAUSE).await;
            continue;
        };
        let Answer { delay, reply, .. } = shared.answer(&buffer[..length], Transport::Udp);
        let Some(reply) = reply else { continue };
        // A reply that cannot be sent is a lost datagram: the client's time-out deals with both.
        if delay.is_zero() {
            let _ = socket.send_to(&reply, peer).await;
        } else if late.len() < LATE_REPLIES {
            let socket = Arc::clone(&socket);
            late.spawn(async move {
                sleep(delay).await;
                let _ = socket.send_to(&reply, peer).await;
            });
        }
    }
    late.shutdown().await;
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if connections.len() < CONNECTIONS => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    // The peer went away; there is nobody to tell.
                    let _ = serve_connection(stream, &shared).await;
                });
            }
            Ok(_) => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
    connections.shutdown().await;
}

/// Answers the queries of one connection, each after its own delay (RFC 7766 §6.2.1.1).
async fn serve_connection(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(tokio::sync::Mutex::new(writer));
    let mut replies = JoinSet::new();
    while replies.len() < LATE_REPLIES {
        let Ok(Ok(length)) = timeout(IDLE, reader.read_u16()).await else { break };
        let mut query = vec![0; usize::from(length)];
        timeout(IDLE, reader.read_exact(&mut query)).await??;
        while replies.try_join_next().is_some() {}
        let Answer { delay, reply, .. } = shared.answer(&query, Transport::Tcp);
        let Some(reply) = reply else { continue };
        let Ok(length) = u16::try_from(reply.len()) else { continue };
        let framed = [length.to_be_bytes().as_slice(), &reply].concat();
        let writer = Arc::clone(&writer);
        replies.spawn(async move {
            sleep(delay).await;
            let _ = writer.lock().await.write_all(&framed).await;
        });
    }
    while replies.join_next().await.is_some() {}
    Ok(())
}

const BIND_TRIES: u32 = 32;
/// How many connections are open at once; more are closed unread.
const CONNECTIONS: usize = 1024;
/// How long a connection may say nothing.
const IDLE: Duration = Duration::from_secs(60);
/// How many delayed replies wait at once; more are lost.
const LATE_REPLIES: usize = 16_384;
/// A breath after an error of the listening socket, so that it does not spin.
const PAUSE: Duration = Duration::from_millis(20);
/// How many different questions are counted.
const QUESTIONS: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};

    use super::*;

    const ZONE: &str = "
        $ORIGIN a.test.
        @       MX   10 mx1
        mx1     A    127.0.0.2
        mx1     AAAA !servfail
        slow    A    !delay=60s 127.0.0.3
        soon    A    !delay=30ms 127.0.0.3
        silent  A    !silent
        long    TXT  !truncate text
        garbage A    !garbage
        id      A    !wrong-id 127.0.0.5";

    async fn server() -> DnsServer {
        let zones = Zones::parse(ZONE).unwrap();
        DnsServer::start("127.0.0.1:0".parse().unwrap(), zones).await.unwrap()
    }

    fn query(id: u16, name: &str, rtype: RecordType) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(dns_name(name, None).unwrap(), rtype));
        message.to_vec().unwrap()
    }

    async fn udp(server: &DnsServer) -> UdpSocket {
        let local = if server.addr().is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        let socket = UdpSocket::bind(local).await.unwrap();
        socket.connect(server.addr()).await.unwrap();
        socket
    }

    async fn receive(socket: &UdpSocket) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        let length = timeout(IDLE, socket.recv(&mut buffer)).await.unwrap().unwrap();
        buffer.truncate(length);
        buffer
    }

    async fn ask(server: &DnsServer, name: &str, rtype: RecordType) -> Message {
        let socket = udp(server).await;
        socket.send(&query(7, name, rtype)).await.unwrap();
        Message::from_vec(&receive(&socket).await).unwrap()
    }

    async fn ask_tcp(stream: &mut TcpStream, query: &[u8]) {
        stream.write_u16(query.len().try_into().unwrap()).await.unwrap();
        stream.write_all(query).await.unwrap();
    }

    async fn receive_tcp(stream: &mut TcpStream) -> Message {
        let mut reply = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut reply).await.unwrap();
        Message::from_vec(&reply).unwrap()
    }

    #[tokio::test]
    async fn both_transports_answer_at_one_port_and_count() {
        let server = server().await;
        assert_eq!(ask(&server, "a.test.", RecordType::MX).await.answers.len(), 1);
        assert!(ask(&server, "long.a.test.", RecordType::TXT).await.metadata.truncation);
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        ask_tcp(&mut stream, &query(8, "long.a.test.", RecordType::TXT)).await;
        let full = receive_tcp(&mut stream).await;
        assert_eq!((full.metadata.truncation, full.answers.len()), (false, 1));
        assert_eq!(server.queries("long.a.test", RecordType::TXT), 2);
        assert_eq!(server.queries_via(Transport::Udp, "LONG.a.test.", RecordType::TXT), 1);
        assert_eq!(server.queries("long.a.test", RecordType::A), 0);
        assert_eq!(server.all_queries(), 3);
    }

    #[tokio::test]
    async fn faults_reach_the_wire() {
        let server = server().await;
        let failed = ask(&server, "mx1.a.test.", RecordType::AAAA).await;
        assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(ask(&server, "id.a.test.", RecordType::A).await.metadata.id, 8);
        assert_eq!(ask(&server, "soon.a.test.", RecordType::A).await.answers.len(), 1);
        // Neither silence nor a delay holds up the next query of the same socket.
        let socket = udp(&server).await;
        for name in ["silent.a.test.", "slow.a.test.", "garbage.a.test."] {
            socket.send(&query(9, name, RecordType::A)).await.unwrap();
        }
        let garbage = receive(&socket).await;
        assert_eq!(garbage[..2], [0, 9]);
        assert!(Message::from_vec(&garbage).is_err());
        assert_eq!(server.queries("silent.a.test", RecordType::A), 1);
    }

    #[tokio::test]
    async fn a_slow_answer_does_not_hold_up_others_of_its_connection() {
        let server = server().await;
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        ask_tcp(&mut stream, &query(1, "slow.a.test.", RecordType::A)).await;
        ask_tcp(&mut stream, &query(2, "mx1.a.test.", RecordType::A)).await;
        assert_eq!(receive_tcp(&mut stream).await.metadata.id, 2);
    }

    #[tokio::test]
    async fn zones_switch_while_it_runs() {
        let server = server().await;
        let code = |reply: Message| reply.metadata.response_code;
        assert_eq!(
            code(ask(&server, "mx1.a.test.", RecordType::AAAA).await),
            ResponseCode::ServFail
        );
        server.set_zones(Zones::parse("$ORIGIN a.test.\nmx1 AAAA ::1").unwrap());
        assert_eq!(
            code(ask(&server, "mx1.a.test.", RecordType::AAAA).await),
            ResponseCode::NoError
        );
    }

    #[tokio::test]
    async fn stopping_frees_the_port_and_ends_connections() {
        let server = server().await;
        let addr = server.addr();
        let mut stream = TcpStream::connect(addr).await.unwrap();
        ask_tcp(&mut stream, &query(2, "mx1.a.test.", RecordType::A)).await;
        receive_tcp(&mut stream).await;
        server.stop().await;
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        bind(addr).await.unwrap();
    }

    #[tokio::test]
    async fn it_serves_ipv6() {
        if !crate::world::World::ipv6_available() {
            return;
        }
        let zones = Zones::parse(ZONE).unwrap();
        let server = DnsServer::start("[::1]:0".parse().unwrap(), zones).await.unwrap();
        assert_eq!(ask(&server, "mx1.a.test.", RecordType::A).await.answers.len(), 1);
    }
}
