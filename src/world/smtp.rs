//! One SMTP server of the world: accepts, lets a session follow the script, keeps count.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

use super::{session, smtp_script::Script};

/// A running SMTP server. Dropping it ends it, open sessions included.
#[derive(Debug)]
pub struct SmtpServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<()>,
    tasks: JoinSet<()>,
}

impl SmtpServer {
    /// Listens on an address, port 0 for any free one. A v4-mapped address (`::ffff:127.0.0.9`)
    /// is bound as the IPv6 address it is.
    pub async fn start(addr: SocketAddr, script: Script) -> io::Result<Self> {
        Self::serve(TcpListener::bind(addr).await?, script)
    }

    /// Serves on a socket that listens already.
    pub(super) fn serve(listener: TcpListener, script: Script) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: ArcSwap::from_pointee(script),
            tally: watch::Sender::new(Tally::default()),
            commands: Mutex::new(VecDeque::new()),
        });
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared), stopped));
        Ok(Self { addr, shared, stop, tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Replaces the script for sessions that begin from now on.
    pub fn set_script(&self, script: Script) {
        self.shared.script.store(Arc::new(script));
    }

    /// The counts of now.
    pub fn tally(&self) -> Tally {
        *self.shared.tally.borrow()
    }

    /// Waits until the counts are as wanted, such as `|tally| tally.open == 0`, and returns them.
    pub async fn until(&self, wanted: impl FnMut(&Tally) -> bool) -> Tally {
        let mut tally = self.shared.tally.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        tally.wait_for(wanted).await.map_or_else(|_| self.tally(), |tally| *tally)
    }

    /// The last command lines received, oldest first, at most 1000; unprintable bytes replaced.
    pub fn commands(&self) -> Vec<String> {
        let commands = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.iter().cloned().collect()
    }

    /// Ends the server and its sessions and waits until their sockets are closed.
    pub async fn stop(self) {
        let Self { stop, mut tasks, .. } = self;
        drop(stop);
        while tasks.join_next().await.is_some() {}
    }
}

/// What a server counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Sessions begun.
    pub accepted: u64,
    /// Sessions in which the client said QUIT.
    pub quit: u64,
    /// Sessions going on now.
    pub open: u64,
    /// The most that ever went on at once.
    pub peak: u64,
}

/// What the sessions of one server have in common.
#[derive(Debug)]
pub(super) struct Shared {
    script: ArcSwap<Script>,
    tally: watch::Sender<Tally>,
    commands: Mutex<VecDeque<String>>,
}

impl Shared {
    /// Notes a command line.
    pub(super) fn received(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(&line[..line.len().min(COMMAND_SHOWN)]).into_owned();
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.len() == COMMANDS {
            commands.pop_front();
        }
        commands.push_back(text);
    }

    /// Notes a client that took its leave.
    pub(super) fn quit(&self) {
        self.tally.send_modify(|tally| tally.quit += 1);
    }
}

/// Counts a session as open for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.tally.send_modify(|tally| {
            tally.accepted += 1;
            tally.open += 1;
            tally.peak = tally.peak.max(tally.open);
        });
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.tally.send_modify(|tally| tally.open -= 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<()>) {
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            Some(_) = sessions.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if sessions.len() < SESSIONS => {
                sessions.spawn(serve(stream, Open::new(&shared)));
            }
            Ok(_) => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
    sessions.shutdown().await;
}

async fn serve(stream: TcpStream, open: Open) {
    // Without it a dripped byte would wait for the acknowledgement of the one before. An error
    // here means that the peer has gone, which the session is about to notice.
    let _ = stream.set_nodelay(true);
    session::run(stream, &open.0.script.load_full(), &open.0).await;
}

/// How many command lines are kept.
const COMMANDS: usize = 1000;
/// How many bytes of each.
const COMMAND_SHOWN: usize = 512;
/// A breath after an error of the listening socket, so that it does not spin.
const PAUSE: Duration = Duration::from_millis(20);
/// How many sessions go on at once; more are closed unread.
const SESSIONS: usize = 65_536;

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
        time::{Instant, timeout},
    };

    use super::*;
    use crate::world::smtp_script::{Action, Verb};

    const LIMIT: Duration = Duration::from_secs(20);

    async fn start(script: Script) -> SmtpServer {
        SmtpServer::start("127.0.0.1:0".parse().unwrap(), script).await.unwrap()
    }

    /// A client that writes lines and reads whole replies.
    struct Client(BufReader<TcpStream>);

    impl Client {
        async fn connect(server: &SmtpServer) -> Self {
            Self(BufReader::new(TcpStream::connect(server.addr()).await.unwrap()))
        }

        async fn say(&mut self, line: &str) -> String {
            self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
            self.reply().await
        }

        async fn reply(&mut self) -> String {
            let mut reply = String::new();
            loop {
                let start = reply.len();
                let read = timeout(LIMIT, self.0.read_line(&mut reply)).await.unwrap().unwrap();
                if read == 0 || reply.as_bytes().get(start + 3) != Some(&b'-') {
                    return reply;
                }
            }
        }

        /// What comes until the connection ends, and how it ends.
        async fn rest(&mut self) -> (String, Result<(), io::ErrorKind>) {
            let mut rest = Vec::new();
            let end = timeout(LIMIT, self.0.read_to_end(&mut rest)).await.unwrap();
            (String::from_utf8(rest).unwrap(), end.map(|_| ()).map_err(|error| error.kind()))
        }
    }

    #[tokio::test]
    async fn a_healthy_server_takes_a_message_and_counts_the_session() {
        let server = start(Script::healthy("mx1.example.test")).await;
        let mut client = Client::connect(&server).await;
        assert_eq!(client.reply().await, "220 mx1.example.test ESMTP\r\n");
        let ehlo = client.say("EHLO probe.example.test").await;
        assert_eq!(ehlo.lines().count(), 6);
        assert!(ehlo.ends_with("\r\n250 ENHANCEDSTATUSCODES\r\n"), "{ehlo}");
        // Pipelined, as Postfix does it, the message with a dot-stuffed line.
        let reply = client
            .say("mail FROM:<>\r\nRCPT TO:<a@example.test>\r\nDATA\r\nHi\r\n..\r\nQUIT\r\n.")
            .await;
        assert!(reply.starts_with("250 2.1.0"), "{reply}");
        for code in ["250 2.1.5", "354 ", "250 2.0.0"] {
            assert!(client.reply().await.starts_with(code));
        }
        assert!(client.say("STARTTLS").await.starts_with("502"));
        assert!(client.say("XYZZY").await.starts_with("500"));
        assert_eq!(server.tally(), Tally { accepted: 1, quit: 0, open: 1, peak: 1 });
        assert!(client.say("QUIT").await.starts_with("221"));
        assert_eq!(client.rest().await, (String::new(), Ok(())));
        drop(client);
        let tally = server.until(|tally| tally.open == 0).await;
        assert_eq!(tally, Tally { accepted: 1, quit: 1, open: 0, peak: 1 });
        let said = server.commands();
        assert_eq!(said[1..4], ["mail FROM:<>", "RCPT TO:<a@example.test>", "DATA"]);
        assert_eq!(said[4..], ["STARTTLS", "XYZZY", "QUIT"]);
    }

    #[tokio::test]
    async fn each_ending_is_what_it_is_called() {
        let reset = (String::new(), Err(io::ErrorKind::ConnectionReset));
        let busy = "421 4.3.2 Busy\r\n";
        let page = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        for (script, want) in [
            (Script::resets_on_accept(), reset),
            (Script::closes_on_accept(), (String::new(), Ok(()))),
            (Script::banner("421 4.3.2 Busy"), (busy.to_owned(), Ok(()))),
            (Script::not_smtp(), (page.to_owned(), Ok(()))),
        ] {
            let server = start(script).await;
            assert_eq!(Client::connect(&server).await.rest().await, want);
        }
    }

    #[tokio::test]
    async fn closing_with_unread_input_still_sends_fin() {
        let closing = Action::reply("421 enough").then(Action::close());
        let server = start(Script::healthy("a.test").on(Verb::Ehlo, closing)).await;
        let mut client = Client::connect(&server).await;
        client.reply().await;
        client.0.write_all(b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@a.test>\r\n").await.unwrap();
        assert_eq!(client.rest().await, ("421 enough\r\n".to_owned(), Ok(())));
    }

    #[tokio::test]
    async fn refusals_come_at_their_stage() {
        let server = start(Script::ehlo_refused()).await;
        let mut client = Client::connect(&server).await;
        client.reply().await;
        assert!(client.say("EHLO a").await.starts_with("502"));
        assert!(client.say("HELO a").await.starts_with("250"));
        server.set_script(Script::helo_refused());
        let mut client = Client::connect(&server).await;
        client.reply().await;
        assert!(client.say("HELO a").await.starts_with("550"));
        server.set_script(Script::banner("554-5.7.1 No\n554 5.7.1 Really"));
        let mut client = Client::connect(&server).await;
        assert_eq!(client.reply().await, "554-5.7.1 No\r\n554 5.7.1 Really\r\n");
        assert!(client.say("EHLO a").await.starts_with("503"));
        assert!(client.say("QUIT").await.starts_with("221"));
    }

    #[tokio::test]
    async fn floods_flow_until_the_client_has_enough() {
        let server = start(Script::long_line()).await;
        let mut client = Client::connect(&server).await;
        let mut line = vec![0; 4 + (1 << 20) - 4];
        timeout(LIMIT, client.0.read_exact(&mut line)).await.unwrap().unwrap();
        assert!(line.starts_with(b"220 x") && !line.contains(&b'\n'));
        server.set_script(Script::endless());
        let mut client = Client::connect(&server).await;
        client.reply().await;
        client.0.write_all(b"EHLO a\r\n").await.unwrap();
        for _ in 0..10_000 {
            let mut line = String::new();
            timeout(LIMIT, client.0.read_line(&mut line)).await.unwrap().unwrap();
            assert_eq!(line, "250-AND-ANOTHER-EXTENSION\r\n");
        }
        drop(client);
        timeout(LIMIT, server.until(|tally| tally.open <= 1)).await.unwrap();
    }

    #[tokio::test]
    async fn silence_listens_and_sees_the_client_go() {
        let server = start(Script::silent()).await;
        let mut client = Client::connect(&server).await;
        client.0.write_all(b"EHLO a\r\nQUIT\r\n").await.unwrap();
        timeout(LIMIT, server.until(|tally| tally.quit == 1)).await.unwrap();
        let more = timeout(Duration::from_millis(50), client.0.read_u8()).await;
        assert!(more.is_err(), "it said something");
        drop(client);
        timeout(LIMIT, server.until(|tally| tally.open == 0)).await.unwrap();
    }

    #[tokio::test]
    async fn delays_drips_and_pieces_take_their_time() {
        let pause = Duration::from_millis(30);
        for (action, text, pauses) in [
            (Action::reply("220 a").after(pause), "220 a\r\n", 1),
            (Action::drip("220 a", pause), "220 a\r\n", 6),
            (Action::split(&["22", "0 a\r", "\n"], pause), "220 a\r\n", 2),
        ] {
            let server = start(Script::silent().on(Verb::Banner, action)).await;
            let begin = Instant::now();
            let mut client = Client::connect(&server).await;
            assert_eq!(client.reply().await, text);
            assert!(begin.elapsed() >= pause * pauses, "{text:?} after {:?}", begin.elapsed());
        }
    }

    #[tokio::test]
    async fn a_client_that_leaves_ends_a_long_wait() {
        for script in [Script::slow_banner(Duration::from_secs(3600)), Script::drip()] {
            let server = start(script).await;
            let client = Client::connect(&server).await;
            server.until(|tally| tally.open == 1).await;
            drop(client);
            timeout(LIMIT, server.until(|tally| tally.open == 0)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn odd_input_is_bounded_and_harmless() {
        let server = start(Script::healthy("a.test")).await;
        let mut client = Client::connect(&server).await;
        client.reply().await;
        assert!(client.say(&"x".repeat(100_000)).await.starts_with("500"));
        client.0.write_all(b"\xff\xfe\0\n\r\n").await.unwrap();
        assert!(client.reply().await.starts_with("500"));
        assert!(client.reply().await.starts_with("500"));
        let said = server.commands();
        assert_eq!((said.len(), said[0].len()), (3, COMMAND_SHOWN));
        for _ in 0..COMMANDS {
            client.say("NOOP").await;
        }
        assert_eq!(server.commands().len(), COMMANDS);
    }

    #[tokio::test]
    async fn stopping_ends_open_sessions_and_frees_the_port() {
        let server = start(Script::silent()).await;
        let addr = server.addr();
        let mut first = Client::connect(&server).await;
        let mut second = Client::connect(&server).await;
        assert_eq!(server.until(|tally| tally.open == 2).await.peak, 2);
        server.stop().await;
        first.rest().await.1.unwrap();
        second.rest().await.1.unwrap();
        let again = SmtpServer::start(addr, Script::silent()).await.unwrap();
        let mut third = Client::connect(&again).await;
        again.until(|tally| tally.open == 1).await;
        drop(again);
        third.rest().await.1.unwrap();
    }

    #[tokio::test]
    async fn it_listens_on_ipv6_and_on_mapped_addresses() {
        if !crate::world::World::ipv6_available() {
            return;
        }
        for addr in ["[::1]:0", "[::ffff:127.0.0.9]:0"] {
            let healthy = Script::healthy("a.test");
            let server = SmtpServer::start(addr.parse().unwrap(), healthy).await.unwrap();
            assert!(server.addr().is_ipv6());
            assert!(Client::connect(&server).await.reply().await.starts_with("220"));
        }
    }
}
