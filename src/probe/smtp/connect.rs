//! The TCP handshake with a server, and the reasons it fails for.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout_at},
};

use crate::{facts::Reason, probe::routing::routed};

/// Connects to `peer`, from `source` if one is given, until `until`.
pub(in crate::probe) async fn connect(
    peer: SocketAddr,
    source: Option<IpAddr>,
    until: Instant,
) -> Result<TcpStream, Reason> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|error| reason(&error, peer))?;
    if let Some(source) = source {
        socket.bind((source, 0).into()).map_err(|_| Reason::LocalError)?;
    }
    let attempt = async {
        let stream = socket.connect(peer).await?;
        // Commands are small; waiting to fill a segment would be measured as the peer's time.
        stream.set_nodelay(true)?;
        io::Result::Ok(stream)
    };
    match timeout_at(until, attempt).await {
        Err(_) => Err(Reason::Timeout),
        Ok(Err(error)) => Err(reason(&error, peer)),
        Ok(Ok(stream)) => Ok(stream),
    }
}

fn reason(error: &io::Error, peer: SocketAddr) -> Reason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Reason::Reset,
        io::ErrorKind::TimedOut => Reason::Timeout,
        _ if matches!(error.raw_os_error(), Some(ENFILE | EMFILE)) => Reason::LocalError,
        // Tells "we have no IPv6" from "the network there is down".
        _ if !routed(peer) => Reason::NoLocalFamily,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Reason::Unreachable,
        _ => Reason::LocalError,
    }
}

/// Too many open files, in the whole system and in this process: the same numbers on every Unix.
/// Asking for the route needs a socket too, and would fail just as well.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
