//! What carries a dialogue: the TCP connection, and TLS on it once that was agreed on.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// A connection, or what is left of one.
#[derive(Debug)]
pub(super) enum Transport {
    /// Given up: a handshake failed on it.
    Gone,
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Takes the plain connection to shake hands on; `None` when it is none any more.
    pub(super) fn take_plain(&mut self) -> Option<TcpStream> {
        match std::mem::replace(self, Self::Gone) {
            Self::Plain(stream) => Some(stream),
            other => {
                *self = other;
                None
            }
        }
    }

    pub(super) const fn encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether the server has said something that nobody has read yet. It is lost.
    pub(super) fn speaks_unasked(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.try_read(&mut [0]).is_ok_and(|length| length > 0),
            Self::Gone | Self::Tls(_) => false,
        }
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Gone => Err(io::ErrorKind::BrokenPipe.into()),
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
        }
    }

    /// Sends what the connection takes at once, without seeing it arrive.
    pub(super) async fn send_blindly(&mut self, octets: &[u8]) {
        let mut sending = std::pin::pin!(self.send(octets));
        poll_fn(|context| {
            // A connection that broke, or is full, takes nothing.
            let _ = sending.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }

    /// Hands over what arrives until `take` has enough. It is given nothing at the end of the
    /// stream.
    pub(super) async fn receive<T>(
        &mut self,
        mut take: impl FnMut(io::Result<&[u8]>) -> Option<T>,
    ) -> T {
        poll_fn(|context| {
            loop {
                // On the stack only while there is something to read: thousands of silent servers
                // cost no buffers.
                let mut bytes = [0; 4096];
                let mut buffer = ReadBuf::new(&mut bytes);
                let read = ready!(self.poll_read(context, &mut buffer));
                if let Some(taken) = take(read.map(|()| buffer.filled())) {
                    return Poll::Ready(taken);
                }
            }
        })
        .await
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Gone => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Self::Plain(stream) => Pin::new(stream).poll_read(context, to),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, to),
        }
    }
}
