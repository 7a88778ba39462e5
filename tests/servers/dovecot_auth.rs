//! As much of Dovecot's authentication server as Postfix needs to offer AUTH: it has mechanisms, and
//! nobody logs in.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// The greeting of its protocol, version 1.1.
const GREETING: &str = "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\n\
                        CUID\t1\nCOOKIE\t0\nDONE\n";

/// A running server; dropping it ends it.
pub(crate) struct DovecotAuth {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DovecotAuth {
    /// Listens on a port of 127.0.0.1.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, ending) = (listener.local_addr().unwrap(), Arc::<AtomicBool>::default());
        let told = Arc::clone(&ending);
        let thread = thread::spawn(move || {
            // Postfix keeps its connections.
            let mut open: Vec<TcpStream> = Vec::new();
            for stream in listener.incoming().map_while(io::Result::ok) {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                open.extend((&stream).write_all(GREETING.as_bytes()).is_ok().then_some(stream));
            }
        });
        Self { address, ending, thread: Some(thread) }
    }

    /// The lines of `main.cf` with which Postfix offers AUTH over TLS alone.
    pub(crate) fn main(&self) -> String {
        format!(
            "smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = yes\nsmtpd_sasl_type = dovecot\n\
             smtpd_sasl_path = inet:{}\n",
            self.address
        )
    }
}

impl Drop for DovecotAuth {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        // It waits for a connection.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
