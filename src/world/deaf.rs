//! An address where connections time out: the packets arrive and nothing comes back.
//!
//! Linux drops what asks for a connection while as many wait as the listener takes. So this
//! listener takes the fewest, accepts none, and keeps the places taken. It needs no rights and no
//! network device that swallows packets.

use std::{io, time::Duration};

use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// A listener that answers nobody. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Deaf {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Deaf {
    /// Makes a listener deaf; returns when it is.
    pub(super) async fn new(listener: TcpListener) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        // Listening anew changes how many may wait.
        SockRef::from(&listener).listen(0)?;
        let mut waiting = Vec::new();
        for _ in 0..KNOCKS {
            match timeout(KNOCK, TcpStream::connect(addr)).await {
                Ok(stream) => waiting.push(stream?),
                Err(_) => return Ok(Self { _listener: listener, _waiting: waiting }),
            }
        }
        Err(io::Error::other("this system lets in more connections than the listener takes"))
    }
}

/// How long a connection on loopback may take to be made, on a busy machine.
const KNOCK: Duration = Duration::from_millis(200);
/// How many connections are tried; Linux lets one in.
const KNOCKS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_to_it_are_neither_made_nor_refused_until_it_ends() {
        for place in ["127.83.1.6:0", "[::1]:0"] {
            if place.starts_with('[') && !crate::world::World::ipv6_available() {
                continue;
            }
            let listener = TcpListener::bind(place).await.unwrap();
            let addr = listener.local_addr().unwrap();
            let deaf = Deaf::new(listener).await.unwrap();
            for _ in 0..3 {
                assert!(timeout(2 * KNOCK, TcpStream::connect(addr)).await.is_err());
            }
            drop(deaf);
            let error = TcpStream::connect(addr).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}
