//! One GET over HTTP/1.1, in TLS or not: one request, no redirects, an end to everything.
//!
//! What is asked for and what the answer means is the business of the caller, who also resolves the
//! host and may not take longer than it says.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{ACCEPT, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Duration, Instant, timeout_at},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, RootCertStore, client::Resumption, crypto::ring, pki_types::ServerName,
    },
};

use super::{media_type, routing::routed, smtp::connect::connect, words};
use crate::facts::Reason;

/// What is asked for, and how much of it is taken.
#[derive(Clone, Debug)]
pub(crate) struct Get<'a> {
    /// The name, or the address without brackets, that the certificate must be for.
    pub(crate) host: &'a str,
    /// The host, and its port where that is not the usual one (RFC 9110 §7.2).
    pub(crate) authority: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// The only media type that is taken, whatever its parameters.
    pub(crate) media_type: &'static str,
    /// Further header fields of the request.
    pub(crate) headers: HeaderMap,
    /// The octets of the longest body that is taken.
    pub(crate) longest: usize,
    /// Who may sign for the host; `None` for a connection in the clear.
    pub(crate) anchors: Option<Arc<RootCertStore>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failed {
    /// How far it came.
    pub(crate) at: Step,
    /// A clause that may quote the server: who shows it escapes and cuts it.
    pub(crate) why: String,
}

/// The steps at which a fetch fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// No address takes a connection.
    Connect,
    /// Whatever was under way took too long.
    Timeout,
    /// The handshake.
    Tls,
    /// The certificate is not to be trusted.
    Certificate,
    /// The answer, or what should have been one.
    Http,
}

impl Failed {
    fn new(at: Step, why: impl Into<String>) -> Self {
        Self { at, why: why.into() }
    }
}

impl Get<'_> {
    /// Fetches the body from the first of these addresses that takes a connection. Nothing is waited
    /// for beyond `until`.
    pub(crate) async fn fetch(
        &self,
        peers: &[SocketAddr],
        until: Instant,
    ) -> Result<Bytes, Failed> {
        let (stream, peer) = connected(peers, until).await?;
        let late = |what: &str| Failed::new(Step::Timeout, format!("{peer} {what}"));
        let body = match &self.anchors {
            None => timeout_at(until, self.ask(stream)).await,
            Some(anchors) => {
                let secured = timeout_at(until, secure(self.host, stream, Arc::clone(anchors)));
                let secured = secured.await;
                let stream =
                    secured.map_err(|_| late("does not complete the TLS handshake in time"))??;
                timeout_at(until, self.ask(stream)).await
            }
        };
        body.map_err(|_| late("does not answer completely in time"))?
    }

    /// Sends the request and reads the answer.
    async fn ask<S>(&self, stream: S) -> Result<Bytes, Failed>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let over = |error: hyper::Error| {
            let why = format!("it does not speak HTTP: {}", words::of_http(&error));
            Failed::new(Step::Http, why)
        };
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MOST_BUFFERED);
        let (mut requests, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(over)?;
        let exchange = async {
            let response = requests.send_request(self.request()?).await.map_err(over)?;
            self.read(response).await
        };
        tokio::select! {
            biased;
            body = exchange => body,
            // How it ends is told to the exchange, which may have more to read by then.
            never = async { let _ = connection.await; std::future::pending().await } => never,
        }
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, Failed> {
        let request = Request::get(self.path).header(HOST, self.authority);
        let request = request.header(ACCEPT, HeaderValue::from_static(self.media_type));
        let request = request.header(USER_AGENT, concat!("mxwatch/", env!("CARGO_PKG_VERSION")));
        let request = request.body(Empty::new());
        let mut request = request.map_err(|error| Failed::new(Step::Http, error.to_string()))?;
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Bytes, Failed> {
        let failed = |why: String| Failed::new(Step::Http, why);
        let status = response.status();
        if status != StatusCode::OK {
            return Err(failed(format!("HTTP {}", status.as_u16())));
        }
        media_type::expect(response.headers(), self.media_type).map_err(failed)?;
        let body = Limited::new(response.into_body(), self.longest).collect().await;
        let body = body.map_err(|error| {
            let too_long = error.is::<LengthLimitError>();
            failed(match error.downcast::<hyper::Error>() {
                Ok(error) => format!("its answer breaks off: {}", words::of_http(&error)),
                Err(_) if too_long => {
                    format!("its answer is longer than {}", humanized(self.longest))
                }
                Err(error) => error.to_string(),
            })
        })?;
        Ok(body.to_bytes())
    }
}

/// A connection to the first address that takes one.
async fn connected(
    peers: &[SocketAddr],
    until: Instant,
) -> Result<(TcpStream, SocketAddr), Failed> {
    let mut ways: Vec<_> = peers.iter().copied().filter(|peer| routed(*peer)).collect();
    ways.truncate(MOST_ADDRESSES);
    let no_way = "this host has no route to any of its addresses";
    let mut failed = Failed::new(Step::Connect, no_way);
    for peer in ways {
        let patience = until.min(Instant::now() + CONNECT_PATIENCE);
        match connect(peer, None, patience).await {
            Ok(stream) => return Ok((stream, peer)),
            Err(Reason::Timeout) => {
                let why = format!("{peer} does not take a connection in time");
                failed = Failed::new(Step::Timeout, why);
            }
            Err(reason) => {
                let why = format!("no connection to {peer}: {}", reason.label().replace('_', " "));
                failed = Failed::new(Step::Connect, why);
            }
        }
    }
    Err(failed)
}

/// Shakes hands with a server that must be `host` (RFC 9110 §4.3.4).
async fn secure(
    host: &str,
    stream: TcpStream,
    anchors: Arc<RootCertStore>,
) -> Result<TlsStream<TcpStream>, Failed> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Failed::new(Step::Certificate, "no certificate can be for such a name"))?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.expect("ring has what the protocol versions need");
    let mut config = builder.with_root_certificates(anchors).with_no_client_auth();
    config.resumption = Resumption::disabled();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map_err(|error| {
        let step = match words::tls_error(&error) {
            Some(rustls::Error::InvalidCertificate(_)) => Step::Certificate,
            _ => Step::Tls,
        };
        Failed::new(step, words::of_io(&error))
    })
}

/// A number of octets in the unit that it is a multiple of.
fn humanized(octets: usize) -> String {
    if octets.is_multiple_of(1 << 20) {
        format!("{} MiB", octets >> 20)
    } else {
        format!("{} KiB", octets >> 10)
    }
}

/// What is buffered of a head or a piece of a body.
const MOST_BUFFERED: usize = 16 << 10;

/// Addresses that are tried.
const MOST_ADDRESSES: usize = 8;

/// For one of them, so that there is time for the next.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
