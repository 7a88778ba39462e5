//! Listening sockets from addresses as people write them. Serving is `server`'s.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections the kernel holds for us between two accepts.
const BACKLOG: i32 = 128;

/// Binds `:10187` (all addresses of both families), `127.0.0.1:0`, `[::1]:9` or `localhost:1`.
/// Must be called within a tokio runtime; a host name is looked up on the spot.
pub fn bind(address: &str) -> io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else {
        return first_bound(address.to_socket_addrs().map_err(|error| explain(&error))?);
    };
    let port = port.parse().map_err(|error| explain(&error))?;
    let all_v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match bind_one(all_v6, false) {
        // A host may be booted without IPv6, or forbid it.
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            bind_one((Ipv4Addr::UNSPECIFIED, port).into(), false)
        }
        bound => bound,
    }
}

fn explain(error: &dyn std::fmt::Display) -> io::Error {
    let text = format!("{error}; a listen address is written \":10187\" or \"host:port\"");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn first_bound(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpListener> {
    let mut last = explain(&"no address found");
    for address in addresses {
        match bind_one(address, true) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_one(address: SocketAddr, v6_only: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Not left to the system's default, which differs between hosts.
        socket.set_only_v6(v6_only)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
