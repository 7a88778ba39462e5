//! The role of the floor: the barest tokio client that exchanges the same bytes as the agent.
//!
//! No time-outs, no facts, no metrics, replies read but not understood: what is left is the kernel, the
//! runtime and, over TLS, the arithmetic. Nobody can be quicker by more than this.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
};
use http_body_util::Full;
use hyper::{Response, body::Bytes, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Semaphore, oneshot},
    task::{LocalSet, spawn_local},
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::{
    fail,
    world::{self, Exchangers, LOOPBACK},
};

/// What there is to do, how often and how quickly.
struct Errand {
    dns: SocketAddr,
    smtp: u16,
    domains: usize,
    times: usize,
    /// Domain checks or sessions begun in a second; 0 as fast as [`IN_FLIGHT`] allow.
    pace: u32,
}

/// How many are under way at the same time where no pace is set.
const IN_FLIGHT: usize = 64;

/// Runs as asked and ends.
pub(crate) async fn run(arguments: &[String]) {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", file] => serve(Path::new(file)).await,
        ["wait", smtp, sessions] => wait(number(smtp), number(sessions)).await,
        [what, dns, smtp, domains, times, pace] => {
            let errand = Errand {
                dns: (LOOPBACK, number(dns)).into(),
                smtp: number(smtp),
                domains: number(domains),
                times: number(times),
                pace: number(pace),
            };
            LocalSet::new().run_until(all(what, errand)).await;
            println!("done");
            // Until what it cost has been read.
            std::future::pending::<()>().await;
        }
        _ => fail("floor does not know that errand"),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| fail(&format!("{word} is no number")))
}

async fn all(what: &str, errand: Errand) {
    let resolver = Resolver::to(errand.dns).await.unwrap_or_else(|error| fail(&error.to_string()));
    let tls = (what == "starttls").then(|| trusting(errand.smtp));
    let permits =
        Arc::new(Semaphore::new(if errand.pace == 0 { IN_FLIGHT } else { usize::MAX >> 4 }));
    let mut ticks = (errand.pace > 0).then(|| interval(TICK));
    if let Some(ticks) = &mut ticks {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    let at_a_tick = errand.pace as usize * usize::try_from(TICK.as_millis()).unwrap_or(1) / 1000;
    let errand = Rc::new(errand);
    let mut tasks = tokio::task::JoinSet::new();
    for nth in 0..errand.times {
        if let Some(ticks) = &mut ticks
            && nth.is_multiple_of(at_a_tick.max(1))
        {
            ticks.tick().await;
        }
        let permit = Arc::clone(&permits).acquire_owned().await;
        let (errand, resolver, tls) = (Rc::clone(&errand), Rc::clone(&resolver), tls.clone());
        tasks.spawn_local(async move {
            let _permit = permit;
            let domain = nth % errand.domains;
            match tls {
                Some(tls) => session_with_tls(domain, errand.smtp, &tls).await,
                None => check(domain, &errand, &resolver).await,
            }
        });
        while let Some(ended) = tasks.try_join_next() {
            done(ended);
        }
    }
    while let Some(ended) = tasks.join_next().await {
        done(ended);
    }
}

fn done(ended: Result<io::Result<()>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => fail(&format!("the floor's client failed: {error}")),
        Err(error) => fail(&error.to_string()),
    }
}

/// One domain check: MX, twice A and AAAA, two sessions.
async fn check(domain: usize, errand: &Rc<Errand>, resolver: &Rc<Resolver>) -> io::Result<()> {
    resolver.ask(&world::domain(domain), RecordType::MX).await?;
    let exchangers = world::exchangers_of(domain, errand.domains, Exchangers::Distinct);
    let sessions = exchangers.map(|exchanger| {
        let (resolver, smtp) = (Rc::clone(resolver), errand.smtp);
        spawn_local(async move {
            let name = world::exchanger(exchanger);
            tokio::try_join!(
                resolver.ask(&name, RecordType::A),
                resolver.ask(&name, RecordType::AAAA)
            )?;
            session(world::address(exchanger), smtp).await
        })
    });
    for session in sessions {
        session.await.unwrap_or_else(|error| fail(&error.to_string()))?;
    }
    Ok(())
}

/// A connected UDP socket that all share; replies find their way by their identifier.
struct Resolver {
    socket: UdpSocket,
    waiting: RefCell<HashMap<u16, Waiting>>,
    next: RefCell<u16>,
}

/// A query, and who waits for the reply to it.
struct Waiting {
    query: Vec<u8>,
    tell: oneshot::Sender<()>,
    /// It waits since before the last look at all of them.
    seen: bool,
}

impl Resolver {
    async fn to(server: SocketAddr) -> io::Result<Rc<Self>> {
        let socket = UdpSocket::bind((LOOPBACK, 0)).await?;
        socket.connect(server).await?;
        let resolver = Rc::new(Self { socket, waiting: RefCell::default(), next: RefCell::new(0) });
        let receiver = Rc::clone(&resolver);
        spawn_local(async move {
            let mut buffer = [0; 4096];
            loop {
                let Ok(length) = receiver.socket.recv(&mut buffer).await else { continue };
                if let [high, low, ..] = buffer[..length] {
                    let waits =
                        receiver.waiting.borrow_mut().remove(&u16::from_be_bytes([high, low]));
                    let _ = waits.map(|waits| waits.tell.send(()));
                }
            }
        });
        let sender = Rc::clone(&resolver);
        spawn_local(async move {
            loop {
                sleep(PATIENCE).await;
                sender.send_again();
            }
        });
        Ok(resolver)
    }

    /// A queue was full somewhere, and what was lost would be waited for in vain.
    fn send_again(&self) {
        for waiting in self.waiting.borrow_mut().values_mut() {
            if std::mem::replace(&mut waiting.seen, true) {
                let _ = self.socket.try_send(&waiting.query);
            }
        }
    }

    async fn ask(&self, name: &str, rtype: RecordType) -> io::Result<()> {
        let id = loop {
            let id = self.next.replace_with(|id| id.wrapping_add(1));
            if !self.waiting.borrow().contains_key(&id) {
                break id;
            }
        };
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        let name = Name::from_ascii(format!("{name}.")).map_err(io::Error::other)?;
        message.add_query(Query::query(name, rtype));
        message.set_edns(Edns::new());
        let (tell, told) = oneshot::channel();
        let query = message.to_vec().map_err(io::Error::other)?;
        self.socket.send(&query).await?;
        self.waiting.borrow_mut().insert(id, Waiting { query, tell, seen: false });
        told.await.map_err(io::Error::other)
    }
}

async fn session(address: Ipv4Addr, port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect((address, port)).await?;
    reply(&mut stream).await?;
    say(&mut stream, b"EHLO probe.example.org\r\n").await?;
    say(&mut stream, b"QUIT\r\n").await?;
    ended(&mut stream).await
}

async fn session_with_tls(number: usize, port: u16, tls: &TlsConnector) -> io::Result<()> {
    let mut stream = TcpStream::connect((world::address(number), port)).await?;
    reply(&mut stream).await?;
    say(&mut stream, b"EHLO probe.example.org\r\n").await?;
    say(&mut stream, b"STARTTLS\r\n").await?;
    let name = ServerName::from(IpAddr::V4(world::address(number)));
    let mut stream = tls.connect(name, stream).await?;
    say(&mut stream, b"EHLO probe.example.org\r\n").await?;
    say(&mut stream, b"QUIT\r\n").await?;
    ended(&mut stream).await
}

fn trusting(port: u16) -> TlsConnector {
    let pem = CertificateDer::from_pem_file(crate::tls_server::authority_of(port));
    let mut roots = RootCertStore::empty();
    let added = pem.map(|authority| roots.add(authority));
    if !matches!(added, Ok(Ok(()))) {
        fail("the bench's authority cannot be read");
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    // As the agent has it: every handshake is a whole one.
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

async fn say(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), line: &[u8]) -> io::Result<()> {
    stream.write_all(line).await?;
    reply(stream).await
}

/// Reads to the last line of a reply.
async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let (mut buffer, mut filled) = ([0; 2048], 0);
    loop {
        filled += match stream.read(&mut buffer[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => length,
        };
        let read = &buffer[..filled];
        let last =
            read.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|&byte| byte == b'\n').next());
        if last.is_some_and(|line| line.get(3) == Some(&b' ')) {
            return Ok(());
        }
    }
}

/// Lets the server close first, so that TIME_WAIT is on its side.
async fn ended(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    match stream.read(&mut [0; 64]).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(io::Error::other("the server said more")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens connections to servers that say nothing, says so, and waits.
async fn wait(port: u16, sessions: usize) {
    println!("begin");
    let mut line = String::new();
    let _ = io::stdin().read_line(&mut line);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..sessions {
        tasks.spawn(async move { session(world::address(number), port).await });
    }
    let _ = tasks.join_next().await;
}

/// Serves a file over HTTP that is in memory already.
async fn serve(file: &Path) {
    let content = std::fs::read(file).unwrap_or_else(|error| fail(&error.to_string()));
    let content = Bytes::from(content);
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await;
    let listener = listener.unwrap_or_else(|error| fail(&error.to_string()));
    println!("{}", listener.local_addr().map_or(0, |address| address.port()));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let content = content.clone();
        tokio::spawn(async move {
            let answer = service_fn(|_| {
                let content = content.clone();
                async move { Ok::<_, std::convert::Infallible>(Response::new(Full::new(content))) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            drop(connection.serve_connection(TokioIo::new(stream), answer).await);
        });
    }
}

/// After which a query is sent again, at the latest after twice that.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often those are begun whose time has come, where a pace is set.
const TICK: Duration = Duration::from_millis(5);
