//! The policy over HTTPS (RFC 8461 §3.3).

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use hyper::HeaderMap;
use tokio::time::Instant;
use tokio_rustls::rustls::RootCertStore;

use crate::{
    facts::StsStatus,
    probe::{
        https::{self, Get, Step},
        words,
    },
    shown::one_line,
};

/// Why there is no policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failed {
    pub(super) status: StsStatus,
    /// A clause, where there is more to say.
    pub(super) detail: Option<String>,
}

impl Failed {
    /// The clause may quote a server.
    pub(super) fn new(status: StsStatus, why: &str) -> Self {
        Self { status, detail: Some(one_line(why, words::MOST)) }
    }
}

impl From<https::Failed> for Failed {
    fn from(failed: https::Failed) -> Self {
        let status = match failed.at {
            Step::Connect => StsStatus::FetchConnect,
            Step::Timeout => StsStatus::FetchTimeout,
            Step::Tls => StsStatus::FetchTls,
            Step::Certificate => StsStatus::FetchCertificate,
            Step::Http => StsStatus::FetchHttp,
        };
        Self::new(status, &failed.why)
    }
}

/// Fetches the text at the well-known place of `host` from the first of its addresses that takes a
/// connection. Nothing is waited for beyond `until`.
pub(super) async fn fetch(
    host: &str,
    peers: &[SocketAddr],
    anchors: Arc<RootCertStore>,
    until: Instant,
) -> Result<Bytes, Failed> {
    let port = peers.first().map_or(HTTPS, SocketAddr::port);
    let authority = if port == HTTPS { host.to_owned() } else { format!("{host}:{port}") };
    let get = Get {
        host,
        authority: &authority,
        path: PATH,
        media_type: TEXT,
        headers: HeaderMap::new(),
        longest: LONGEST,
        anchors: Some(anchors),
    };
    Ok(get.fetch(peers, until).await?)
}

/// RFC 9110 §4.2.2.
const HTTPS: u16 = 443;

/// RFC 8461 §3.2.
const PATH: &str = "/.well-known/mta-sts.txt";

/// The media type of a policy (§3.2).
const TEXT: &str = "text/plain";

/// The most that is read of a policy (§3.3).
const LONGEST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::SystemTime};

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::{Duration, sleep},
    };
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer},
    };

    use super::*;

    const HOST: &str = "mta-sts.example.com";

    const POLICY: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

    /// An authority that signs for servers.
    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        anchors: Arc<RootCertStore>,
    }

    impl Authority {
        fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, "ours");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let mut anchors = RootCertStore::empty();
            anchors.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
            Self { issuer: Issuer::new(params, key), anchors: Arc::new(anchors) }
        }

        fn acceptor(&self, name: &str, not_after: Option<SystemTime>) -> TlsAcceptor {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.not_after = not_after.map_or(params.not_after, Into::into);
            let chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
            let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
            let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
            let builder = builder.with_safe_default_protocol_versions().unwrap();
            let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
            TlsAcceptor::from(Arc::new(config))
        }
    }

    /// What a server does after the handshake.
    #[derive(Clone)]
    enum Manner {
        /// Answers, and closes.
        Answers(String),
        /// Answers, and then sends this again and again, with a pause before each.
        GoesOn(String, String, Duration),
        /// Answers, and then says nothing and stays.
        Hangs(String),
    }

    /// A server on loopback.
    async fn serve(acceptor: Option<TlsAcceptor>, manner: Manner) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, manner) = (acceptor.clone(), manner.clone());
                tokio::spawn(async move {
                    let Some(acceptor) = acceptor else { return std::future::pending().await };
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = [0; 4096];
                    let length = stream.read(&mut request).await.unwrap();
                    let request = String::from_utf8_lossy(&request[..length]).into_owned();
                    let first =
                        "GET /.well-known/mta-sts.txt HTTP/1.1\r\nhost: mta-sts.example.com";
                    assert!(request.starts_with(first), "{request}");
                    match manner {
                        Manner::Answers(answer) => {
                            let _ = stream.write_all(answer.as_bytes()).await;
                            let _ = stream.shutdown().await;
                        }
                        Manner::GoesOn(answer, more, pause) => {
                            let _ = stream.write_all(answer.as_bytes()).await;
                            while stream.write_all(more.as_bytes()).await.is_ok() {
                                let _ = stream.flush().await;
                                sleep(pause).await;
                            }
                        }
                        Manner::Hangs(answer) => {
                            let _ = stream.write_all(answer.as_bytes()).await;
                            let _ = stream.flush().await;
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        address
    }

    fn http(why: &str) -> Failed {
        Failed::new(StsStatus::FetchHttp, why)
    }

    /// What is fetched from a server with the right certificate.
    async fn fetched(manner: Manner, patience: Duration) -> Result<Bytes, Failed> {
        let authority = Authority::new();
        let peer = serve(Some(authority.acceptor(HOST, None)), manner).await;
        fetch(HOST, &[peer], authority.anchors, Instant::now() + patience).await
    }

    /// Longer than anything takes that does not hang.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// For what hangs.
    const IMPATIENCE: Duration = Duration::from_millis(300);

    const AT_ONCE: Duration = Duration::ZERO;

    /// Between two drops.
    const DRIP: Duration = Duration::from_millis(10);

    fn of_length(length: usize) -> Manner {
        let body = "x".repeat(length);
        Manner::Answers(format!("{POLICY}Content-Length: {length}\r\n\r\n{body}"))
    }

    #[tokio::test]
    async fn what_the_server_answers_is_fetched() {
        assert_eq!(fetched(of_length(LONGEST), PATIENCE).await.unwrap().len(), LONGEST);
        for answer in [
            format!("{POLICY}Content-Length: 2\r\n\r\nok"),
            format!("{POLICY}Connection: close\r\n\r\nok"),
            format!("{POLICY}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
            format!("{POLICY}Connection: close\r\n\r\nok").replace("plain", "Plain; charset=utf-8"),
        ] {
            let body = fetched(Manner::Answers(answer.clone()), PATIENCE).await;
            assert_eq!(body.as_deref(), Ok(&b"ok"[..]), "{answer}");
        }
    }

    #[tokio::test]
    async fn what_is_no_policy_is_told() {
        for (answer, why) in [
            ("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n".to_owned(), "HTTP 301"),
            ("HTTP/1.1 404 No\r\nContent-Type: text/plain\r\n\r\n".to_owned(), "HTTP 404"),
            ("HTTP/1.1 204 No\r\n\r\n".to_owned(), "HTTP 204"),
            (
                POLICY.replace("plain", "html\u{1b}") + "\r\n",
                "it does not speak HTTP: invalid HTTP header parsed",
            ),
            (
                POLICY.replace("plain", "html") + "\r\n",
                "it answers with content of type \"text/html\", not text/plain",
            ),
            (
                "HTTP/1.1 200 OK\r\n\r\nversion: STSv1".to_owned(),
                "it answers with content of type \"\", not text/plain",
            ),
            (
                format!("{POLICY}Content-Length: 9\r\n\r\nversion"),
                "its answer breaks off: end of file before message length reached",
            ),
            ("220 mx ESMTP\r\n".to_owned(), "it does not speak HTTP: invalid HTTP version parsed"),
        ] {
            let failed = fetched(Manner::Answers(answer), PATIENCE).await.unwrap_err();
            assert_eq!(failed, http(why));
        }
        let too_long = http("its answer is longer than 64 KiB");
        assert_eq!(fetched(of_length(LONGEST + 1), PATIENCE).await, Err(too_long.clone()));
        let endless =
            Manner::GoesOn(format!("{POLICY}\r\n"), "version: STSv1\n".repeat(99), AT_ONCE);
        assert_eq!(fetched(endless, PATIENCE).await, Err(too_long));
        let head = Manner::GoesOn(POLICY.to_owned(), "X-Filler: x\r\n".repeat(99), AT_ONCE);
        let failed = fetched(head, PATIENCE).await.unwrap_err();
        assert_eq!(failed.status, StsStatus::FetchHttp, "{failed:?}");
    }

    #[tokio::test]
    async fn who_drips_or_hangs_is_left() {
        let chunked = format!("{POLICY}Transfer-Encoding: chunked\r\n\r\n");
        for manner in [
            Manner::Hangs(String::new()),
            Manner::Hangs(format!("{POLICY}\r\nversion: ")),
            Manner::GoesOn(format!("{POLICY}\r\n"), "x".to_owned(), DRIP),
            Manner::GoesOn(chunked, "1\r\nx\r\n".to_owned(), DRIP),
            Manner::GoesOn(POLICY.to_owned(), "X: x\r\n".to_owned(), DRIP),
        ] {
            let failed = fetched(manner, IMPATIENCE).await.unwrap_err();
            assert_eq!(failed.status, StsStatus::FetchTimeout, "{failed:?}");
        }
        let peer = serve(None, Manner::Hangs(String::new())).await;
        let anchors = Authority::new().anchors;
        let failed = fetch(HOST, &[peer], anchors, Instant::now() + IMPATIENCE).await.unwrap_err();
        let why = format!("{peer} does not complete the TLS handshake in time");
        assert_eq!(failed, Failed::new(StsStatus::FetchTimeout, &why));
    }

    #[tokio::test]
    async fn only_a_certificate_for_the_policy_host_will_do() {
        let authority = Authority::new();
        let answer = Manner::Answers(format!("{POLICY}Connection: close\r\n\r\nok"));
        let past = SystemTime::now() - Duration::from_secs(60);
        for (name, not_after, trusted, why) in [
            (
                "www.example.com",
                None,
                true,
                "its certificate is not valid for mta-sts.example.com, but for www.example.com",
            ),
            (HOST, Some(past), true, "its certificate has expired"),
            (HOST, None, false, "its certificate comes from nobody that is trusted here"),
        ] {
            let peer = serve(Some(authority.acceptor(name, not_after)), answer.clone()).await;
            let anchors = if trusted {
                Arc::clone(&authority.anchors)
            } else {
                Arc::new(RootCertStore::empty())
            };
            let fetched = fetch(HOST, &[peer], anchors, Instant::now() + PATIENCE).await;
            assert_eq!(fetched, Err(Failed::new(StsStatus::FetchCertificate, why)));
        }
        let wildcard = serve(Some(authority.acceptor("*.example.com", None)), answer).await;
        let anchors = Arc::clone(&authority.anchors);
        assert!(fetch(HOST, &[wildcard], anchors, Instant::now() + PATIENCE).await.is_ok());
    }

    #[tokio::test]
    async fn the_next_address_is_tried_where_one_takes_no_connection() {
        let authority = Authority::new();
        let refusing = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            listener.local_addr().unwrap()
        };
        let answer = Manner::Answers(format!("{POLICY}Connection: close\r\n\r\nok"));
        let peer = serve(Some(authority.acceptor(HOST, None)), answer).await;
        let until = Instant::now() + PATIENCE;
        let anchors = || Arc::clone(&authority.anchors);
        assert!(fetch(HOST, &[refusing, peer], anchors(), until).await.is_ok());
        let why = format!("no connection to {refusing}: refused");
        let failed = fetch(HOST, &[refusing, refusing], anchors(), until).await;
        assert_eq!(failed, Err(Failed::new(StsStatus::FetchConnect, &why)));
        let failed = fetch(HOST, &[], anchors(), until).await.unwrap_err();
        assert_eq!(failed.status, StsStatus::FetchConnect);
    }
}
