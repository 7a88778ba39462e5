//! Listening sockets that systemd has opened before the service starts (sd_listen_fds(3)), so that
//! no scrape is refused while it starts anew. Those it opens itself are `web::bind`'s.

use std::{io, net::TcpListener};

use listenfd::ListenFd;

/// The sockets that were handed over. Reads and clears variables of the environment: to be called
/// before there is another thread.
///
/// # Errors
///
/// When there is none, or one that is no listening TCP socket.
pub fn handed_over() -> io::Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    let listeners =
        (0..handed.len()).filter_map(|place| handed.take_tcp_listener(place).transpose());
    let listeners: Vec<TcpListener> = listeners.collect::<io::Result<_>>().map_err(|error| {
        io::Error::new(error.kind(), format!("a socket of systemd is none of TCP: {error}"))
    })?;
    if listeners.is_empty() {
        let none = "systemd has handed over no socket; start mxwatch.socket, or leave out \
                    --web.systemd-socket";
        return Err(io::Error::new(io::ErrorKind::NotFound, none));
    }
    Ok(listeners)
}
