//! TLS to DNS servers: whom it trusts, whom it expects, and the handshake.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpStream, sync::OnceCell};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use crate::{config::ResolverTls, probe::anchors};

/// How the servers of a view are authenticated.
pub(super) struct Tls {
    settings: ResolverTls,
    /// Offered protocol (RFC 7301); none for DNS over TLS, which needs no choice.
    protocol: Option<&'static [u8]>,
    connector: OnceCell<TlsConnector>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl Tls {
    pub(super) fn new(settings: ResolverTls, protocol: Option<&'static [u8]>) -> Self {
        Self { settings, protocol, connector: OnceCell::new() }
    }

    /// No lookup is to wait for it: trust anchors are read the first time.
    pub(super) async fn connector(&self) -> &TlsConnector {
        let make = || async {
            let mut roots = RootCertStore::clone(&*anchors::of_system().await);
            roots.add_parsable_certificates(self.settings.anchors.iter().cloned());
            let provider = Arc::new(ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider);
            let builder = builder.with_safe_default_protocol_versions();
            let builder = builder.expect("ring has what the protocol versions need");
            let mut config = builder.with_root_certificates(roots).with_no_client_auth();
            config.alpn_protocols = self.protocol.into_iter().map(<[u8]>::to_vec).collect();
            TlsConnector::from(Arc::new(config))
        };
        self.connector.get_or_init(make).await
    }

    /// Connects and shakes hands. The certificate must be valid for the configured name, or else
    /// for the address; only a name is sent along (RFC 6066 §3).
    pub(super) async fn connect(&self, server: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let name = match &self.settings.name {
            Some(name) => ServerName::DnsName(name.clone()),
            None => ServerName::from(server.ip()),
        };
        self.connector().await.connect(name, stream).await
    }
}
