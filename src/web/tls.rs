//! The server's side of TLS: the handshake, and a word for clients that do not begin one.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use super::{Limits, stall::Impatient};

/// Shakes hands within the time for it. An error in words for the log.
pub(super) async fn accept(
    mut stream: TcpStream,
    config: &Arc<ServerConfig>,
    limits: Limits,
) -> Result<TlsStream<Impatient>, io::Error> {
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first.iter().all(u8::is_ascii_uppercase) {
            return Err(tell(&mut stream).await);
        }
        let stream = Impatient::new(stream, limits.response_time);
        TlsAcceptor::from(Arc::clone(config)).accept(stream).await
    };
    timeout(limits.handshake_time, handshake).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

/// Answers the begin of an HTTP request, which people send by forgetting the "s" of "https".
async fn tell(stream: &mut TcpStream) -> io::Error {
    let told = async {
        // What stays unread would end the connection before the answer is read.
        let _ = stream.read(&mut [0; 4096]).await?;
        stream.write_all(HTTPS_ONLY).await?;
        stream.shutdown().await
    };
    told.await.err().unwrap_or_else(|| io::Error::other("a request in plain HTTP"))
}

const HTTPS_ONLY: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\
    \r\n\
    400: this is an HTTPS server; ask by https://\n";
