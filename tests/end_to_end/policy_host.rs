//! An HTTPS server of MTA-STS policies on loopback, with an authority of its own.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer},
};

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Answers with this text as `text/plain`.
    Serves(String),
    /// Answers with this status line and header fields.
    Says(&'static str),
    /// Never answers.
    Hangs,
}

/// The server; dropping it closes its port.
pub(crate) struct PolicyHost {
    address: SocketAddr,
    anchors: String,
    manners: Arc<Mutex<BTreeMap<String, Manner>>>,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
    serving: AbortHandle,
}

impl PolicyHost {
    /// Starts it with a certificate for the policy hosts of these domains.
    pub(crate) async fn start(ip: Ipv4Addr, domains: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let anchors = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = domains.iter().map(|domain| format!("mta-sts.{domain}")).collect();
        let params = CertificateParams::new(names).unwrap();
        let chain = vec![params.signed_by(&key, &issuer).unwrap().der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (manners, asked) = (Arc::default(), Arc::default());
        let (known, counts) = (Arc::clone(&manners), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, known) = (acceptor.clone(), Arc::clone(&known));
                tokio::spawn(answer(stream, acceptor, known, Arc::clone(&counts)));
            }
        });
        Self { address, anchors, manners, asked, serving: serving.abort_handle() }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate of its authority, PEM.
    pub(crate) fn anchors(&self) -> &str {
        &self.anchors
    }

    /// Sets what becomes of requests for the policy of a domain.
    pub(crate) fn set(&self, domain: &str, manner: Manner) {
        self.manners.lock().unwrap().insert(format!("mta-sts.{domain}"), manner);
    }

    /// How often the policy of a domain was asked for.
    pub(crate) fn asked(&self, domain: &str) -> usize {
        self.asked.lock().unwrap().get(&format!("mta-sts.{domain}")).copied().unwrap_or_default()
    }
}

impl Drop for PolicyHost {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    manners: Arc<Mutex<BTreeMap<String, Manner>>>,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
) {
    // Who does not trust us goes away.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        request.push(byte);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let asked_for = request.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\n");
    let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let (host, _port) = host.split_once(':').unwrap_or((host, "443"));
    *asked.lock().unwrap().entry(host.to_owned()).or_default() += 1;
    let manner = manners.lock().unwrap().get(host).cloned();
    let text = match manner.filter(|_| asked_for) {
        Some(Manner::Serves(policy)) => {
            let length = policy.len();
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{policy}"
            )
        }
        Some(Manner::Says(head)) => format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n"),
        Some(Manner::Hangs) => return std::future::pending().await,
        None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
    };
    // The client may have gone.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
