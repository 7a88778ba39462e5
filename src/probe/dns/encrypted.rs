//! Servers asked over TLS: framed messages (RFC 7858) or HTTP/2 (RFC 8484), on one connection to each
//! that is kept.

use std::{collections::BTreeMap, net::SocketAddr};

use hyper::{Uri, http::uri::PathAndQuery};
use tokio::time::Instant;

use super::{
    failed::Failed,
    http2::Http2,
    kept::{Connection, Kept},
    pipeline::Pipeline,
    tls::Tls,
};
use crate::{config::ResolverTls, facts::Transport};

/// The servers of one view.
#[derive(Debug)]
pub(super) struct Encrypted {
    tls: Tls,
    /// That of the requests, where HTTP carries the messages.
    path: Option<PathAndQuery>,
    name: Option<String>,
    kept: BTreeMap<SocketAddr, Kept>,
}

impl Encrypted {
    /// Those that speak DNS over TLS, or over HTTPS where there is a path.
    pub(super) fn new(
        tls: &ResolverTls,
        path: Option<&PathAndQuery>,
        servers: &[SocketAddr],
    ) -> Self {
        Self {
            tls: Tls::new(tls.clone(), path.map(|_| HTTP2)),
            path: path.cloned(),
            name: tls.name.as_ref().map(|name| name.as_ref().to_owned()),
            kept: servers.iter().map(|server| (*server, Kept::default())).collect(),
        }
    }

    /// Makes ready what no server is to be blamed for.
    pub(super) async fn prepare(&self) {
        self.tls.connector().await;
    }

    pub(super) fn transport(&self) -> Transport {
        if self.path.is_some() { Transport::Https } else { Transport::Tls }
    }

    /// Sends a query and brings its response, whose id is that of the query.
    pub(super) async fn ask(
        &self,
        server: SocketAddr,
        query: &[u8],
        until: Instant,
    ) -> Result<Vec<u8>, Failed> {
        let Some(kept) = self.kept.get(&server) else {
            return Err(Failed::network("it is none of the servers"));
        };
        kept.ask(query, until, || Box::pin(self.connect(server))).await
    }

    async fn connect(&self, server: SocketAddr) -> Result<Connection, Failed> {
        let stream = self.tls.connect(server).await?;
        let Some(path) = &self.path else {
            return Ok(Connection::Framed(Pipeline::new(stream)));
        };
        if stream.get_ref().1.alpn_protocol() != Some(HTTP2) {
            return Err(Failed::network("the server does not speak HTTP/2"));
        }
        let authority = match &self.name {
            Some(name) => format!("{name}:{}", server.port()),
            None => server.to_string(),
        };
        let authority = authority.strip_suffix(":443").unwrap_or(&authority);
        let uri = Uri::builder().scheme("https").authority(authority).path_and_query(path.clone());
        let uri = uri.build().map_err(|error| Failed::network(&error.to_string()))?;
        Ok(Connection::Http(Http2::new(stream, uri).await?))
    }
}

/// As it is agreed upon in TLS (RFC 9113 §3.1).
const HTTP2: &[u8] = b"h2";
