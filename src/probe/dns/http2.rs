//! Queries as requests of HTTP/2 (RFC 8484): one connection, many at the same time.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until, timeout},
};

use super::{
    failed::Failed,
    kept::{GOODBYE, IDLE, Life, Lost},
    message::renumber,
};
use crate::probe::media_type;

/// A connection that takes queries; dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Http2 {
    uri: Uri,
    life: Arc<Life>,
    sender: Arc<Sender>,
}

/// What sends requests; `None` once it is not needed any more, which has hyper say goodbye.
#[derive(Debug)]
struct Sender(Mutex<Option<SendRequest<Full<Bytes>>>>);

impl Sender {
    fn current(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn close_if(&self, unneeded: impl FnOnce() -> bool) -> bool {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unneeded = unneeded();
        if unneeded {
            *requests = None;
        }
        unneeded
    }
}

impl Http2 {
    /// Greets the server on a stream over which HTTP/2 was agreed upon.
    pub(super) async fn new<S>(stream: S, uri: Uri) -> Result<Self, Failed>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(STREAM_WINDOW);
        builder.initial_connection_window_size(CONNECTION_WINDOW);
        let (requests, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let life = Arc::new(Life::default());
        let sender = Arc::new(Sender(Mutex::new(Some(requests))));
        tokio::spawn(drive(connection, Arc::clone(&sender), Arc::clone(&life)));
        Ok(Self { uri, life, sender })
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    pub(super) fn is_open(&self) -> bool {
        self.sender.current().is_some_and(|requests| !requests.is_closed())
    }

    /// Sends a query and waits for its answer.
    pub(super) async fn ask(&self, query: &[u8]) -> Result<Vec<u8>, Lost> {
        let mut query = query.to_vec();
        // RFC 8484 §4.1: the same question is always the same request.
        let Some(id) = renumber(&mut query, 0) else {
            return Err(Lost::finally(Failed::network("what is asked is no query")));
        };
        let Some(mut requests) = self.sender.current() else { return Err(self.life.lost()) };
        requests.ready().await.map_err(|error| self.over(error))?;
        let response = requests.send_request(self.request(query)).await;
        let response = response.map_err(|error| self.over(error))?;
        self.life.heard();
        let mut answer = self.read(response).await?;
        match renumber(&mut answer, id) {
            Some(0) => Ok(answer),
            _ => Err(Lost::finally(Failed::malformed("its answer is one to another query"))),
        }
    }

    fn request(&self, query: Vec<u8>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::from(query));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        for header in [ACCEPT, CONTENT_TYPE] {
            request.headers_mut().insert(header, HeaderValue::from_static(MESSAGE));
        }
        request
    }

    /// The message in a response.
    async fn read(&self, response: Response<Incoming>) -> Result<Vec<u8>, Lost> {
        let status = response.status();
        if status != StatusCode::OK {
            let why = format!("it answers with HTTP status {status}");
            return Err(Lost::finally(Failed::network(&why)));
        }
        if let Err(why) = media_type::expect(response.headers(), MESSAGE) {
            return Err(Lost::finally(Failed::malformed(&why)));
        }
        match Limited::new(response.into_body(), LONGEST).collect().await {
            Ok(body) => Ok(body.to_bytes().into()),
            Err(error) => Err(match error.downcast::<hyper::Error>() {
                Ok(error) => self.over(*error),
                Err(_) => Lost::finally(Failed::malformed("it answers with more than 64 KiB")),
            }),
        }
    }

    fn over(&self, error: hyper::Error) -> Lost {
        Lost { failed: error.into(), ..self.life.lost() }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.sender.close_if(|| true);
    }
}

/// Has the connection go on until it ends or is idle.
async fn drive(connection: impl Future, sender: Arc<Sender>, life: Arc<Life>) {
    let mut connection = std::pin::pin!(connection);
    let mut idle_at = Instant::now() + IDLE;
    loop {
        tokio::select! {
            _ = &mut connection => return,
            () = sleep_until(idle_at) => match life.idle_at() {
                Some(later) if later > Instant::now() => idle_at = later,
                // Under the same lock as those who ask, who have their turn before they come here.
                _ if sender.close_if(|| life.is_unneeded()) => break,
                _ => idle_at = Instant::now() + IDLE,
            },
        }
    }
    let _ = timeout(GOODBYE, connection).await;
}

/// RFC 8484 §6.
const MESSAGE: &str = "application/dns-message";

/// No DNS message is longer.
const LONGEST: usize = u16::MAX as usize;

/// What a server may send before it is read: one message, and a few of them.
const STREAM_WINDOW: u32 = 1 << 16;
const CONNECTION_WINDOW: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use hyper::{server::conn::http2 as server, service::service_fn};

    use super::*;
    use crate::facts::LookupStatus;

    /// How a server answers.
    #[derive(Clone, Copy, Debug)]
    struct Manner {
        status: u16,
        of_type: &'static str,
        /// Bytes of the body, which begins with the query.
        length: usize,
        /// Of the answer.
        id: u8,
    }

    const USUAL: Manner = Manner { status: 200, of_type: MESSAGE, length: 12, id: 0 };

    /// A connection to a server that answers in this manner.
    async fn connected(manner: Manner) -> Http2 {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let answer = move |request: Request<Incoming>| async move {
            let (head, body) = request.into_parts();
            assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/dns-query"));
            assert_eq!(head.headers[CONTENT_TYPE], MESSAGE);
            let mut message = body.collect().await?.to_bytes().to_vec();
            assert_eq!(message[..2], [0, 0], "RFC 8484 §4.1");
            message[0] = manner.id;
            message.resize(manner.length, b'x');
            let response = Response::builder().status(manner.status);
            let response = response.header(CONTENT_TYPE, manner.of_type);
            Ok::<_, hyper::Error>(response.body(Full::new(Bytes::from(message))).unwrap())
        };
        let serve = server::Builder::new(TokioExecutor::new());
        tokio::spawn(serve.serve_connection(TokioIo::new(theirs), service_fn(answer)));
        let uri = Uri::from_static("https://dns.example.net/dns-query");
        Http2::new(ours, uri).await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_has_the_id_of_the_query() {
        let http = connected(USUAL).await;
        for _ in 0..2 {
            assert_eq!(http.ask(b"\x07\x08query").await.unwrap(), b"\x07\x08queryxxxxx");
        }
        let charset = Manner { of_type: "Application/DNS-message; charset=x", ..USUAL };
        connected(charset).await.ask(b"\x07\x08query").await.unwrap();
        let longest = Manner { length: LONGEST, ..USUAL };
        connected(longest).await.ask(b"\x07\x08query").await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_answer_is_said_and_not_asked_for_again() {
        let (network, malformed) = (LookupStatus::NetworkError, LookupStatus::Malformed);
        for (manner, status, why) in [
            (Manner { status: 403, ..USUAL }, network, "it answers with HTTP status 403 Forbidden"),
            (
                Manner { status: 204, ..USUAL },
                network,
                "it answers with HTTP status 204 No Content",
            ),
            (
                Manner { of_type: "text/html", ..USUAL },
                malformed,
                "it answers with content of type \"text/html\", not application/dns-message",
            ),
            (Manner { length: 65536, ..USUAL }, malformed, "it answers with more than 64 KiB"),
            (Manner { length: 1, ..USUAL }, malformed, "its answer is one to another query"),
            (Manner { id: 9, ..USUAL }, malformed, "its answer is one to another query"),
        ] {
            let http = connected(manner).await;
            let lost = http.ask(b"\x07\x08query").await.unwrap_err();
            assert_eq!(lost.failed.error.as_deref(), Some(why));
            assert_eq!((lost.failed.status, lost.repeat), (status, false), "{manner:?}");
            assert!(http.is_open(), "it still serves others");
        }
    }

    #[tokio::test]
    async fn a_server_that_speaks_something_else_is_a_network_error() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let uri = Uri::from_static("https://dns.example.net/dns-query");
        tokio::io::AsyncWriteExt::write_all(&mut theirs, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let http = Http2::new(ours, uri).await.unwrap();
        let lost = http.ask(b"\x07\x08query").await.unwrap_err();
        assert_eq!((lost.failed.status, lost.repeat), (LookupStatus::NetworkError, false));
        let why = lost.failed.error.unwrap();
        assert!(why.starts_with("HTTP/2 ends: "), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_closes_when_nobody_asks_for_a_while() {
        let http = connected(USUAL).await;
        http.ask(b"\x07\x08query").await.unwrap();
        http.life().heard();
        tokio::time::sleep(IDLE / 2).await;
        assert!(http.is_open());
        tokio::time::sleep(IDLE).await;
        assert!(!http.is_open());
        assert!(http.ask(b"\x07\x08query").await.unwrap_err().repeat);
    }
}
