//! SMTP servers that offer STARTTLS, answer 220 to it, and then do what no server may.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often a session looks whether its server is to end.
const GLANCE: Duration = Duration::from_millis(20);

/// What comes after the 220 to STARTTLS.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After {
    /// This plain text in the same segment, as from somebody in between (RFC 3207 §6,
    /// CVE-2011-0411), and nothing more.
    Text(&'static str),
    /// These bytes once the client has begun its handshake.
    Bytes(&'static [u8]),
    /// Nothing.
    Silence,
    /// The end of the connection once the client has begun its handshake.
    Close,
}

/// A running server; dropping it ends it.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    commands: Mutex<Vec<String>>,
}

impl Server {
    /// Listens on a port of 127.0.0.1.
    pub(crate) fn start(after: After) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::<Shared>::default());
        let its = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let mut sessions = Vec::new();
            for stream in listener.incoming() {
                if its.ending.load(Ordering::Relaxed) {
                    break;
                }
                let its = Arc::clone(&its);
                // An error is a client that went away.
                sessions.push(thread::spawn(move || drop(session(stream.unwrap(), after, &its))));
            }
            for session in sessions {
                session.join().unwrap();
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lines that came before any handshake, of all sessions.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        // It waits for a connection.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn session(mut stream: TcpStream, after: After, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(GLANCE))?;
    let mut client = BufReader::new(Client { stream: stream.try_clone()?, shared });
    stream.write_all(b"220 mx1.example.test ESMTP\r\n")?;
    loop {
        let mut line = String::new();
        if client.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let command = line.trim_end();
        shared.commands.lock().unwrap().push(command.to_owned());
        match command {
            "STARTTLS" => break,
            "QUIT" => return stream.write_all(b"221 2.0.0 Bye\r\n"),
            _ => stream.write_all(b"250-mx1.example.test\r\n250-SIZE 1000\r\n250 STARTTLS\r\n")?,
        }
    }
    let mut ready = "220 2.0.0 Ready to start TLS\r\n".to_owned();
    if let After::Text(text) = after {
        ready += text;
    }
    stream.write_all(ready.as_bytes())?;
    if let After::Bytes(_) | After::Close = after {
        let begun = client.fill_buf()?.len();
        client.consume(begun);
    }
    match after {
        After::Close => return Ok(()),
        After::Bytes(bytes) => stream.write_all(bytes)?,
        After::Text(_) | After::Silence => {}
    }
    // Until the client has enough of it.
    io::copy(&mut client, &mut io::sink()).map(drop)
}

/// What a client sends, which ends when the server ends.
struct Client<'a> {
    stream: TcpStream,
    shared: &'a Shared,
}

impl Read for Client<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.shared.ending.load(Ordering::Relaxed) {
                        return Ok(0);
                    }
                }
                done => return done,
            }
        }
    }
}
