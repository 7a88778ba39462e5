//! A server that collects what is posted to it as JSON, such as notifications of Alertmanager.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use serde_json::Value;

/// A running server at a free port of loopback; dropping it ends it.
pub(crate) struct Webhook {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Post>>>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// Something posted.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Where to: the path of the URL.
    pub(crate) path: String,
    /// What.
    pub(crate) body: Value,
    /// When it had come whole.
    pub(crate) at: Instant,
}

impl Webhook {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (posts, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (kept, stopped) = (Arc::clone(&posts), Arc::clone(&stop));
        let accepting = Some(thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                // A client may open connections in reserve, and these end with it.
                let kept = Arc::clone(&kept);
                thread::spawn(move || take(&stream, &kept));
            }
        }));
        Self { address, posts, stop, accepting }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything posted so far, in order.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes it up.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Takes one request, keeps it, and says so.
fn take(stream: &TcpStream, posts: &Mutex<Vec<Post>>) {
    if let Ok(Some((path, body))) = read(stream) {
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let post = Post { path, body, at: Instant::now() };
        posts.lock().unwrap_or_else(PoisonError::into_inner).push(post);
        let reply = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let mut stream = stream;
        // A client that has gone sends it again.
        let _ = stream.write_all(reply.as_bytes());
    }
}

/// Path and body of a request; `None` where there is no request.
fn read(stream: &TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let Some(path) = line.split(' ').nth(1).map(str::to_owned) else { return Ok(None) };
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((path, body)))
}
