//! The handshake with whoever answers, and what came of it.
//!
//! It takes any certificate: whether to trust it is told beside, so that "the handshake fails" and
//! "nobody vouches for this server" stay two facts. Nothing is resumed, for then no certificate is
//! shown.

use std::{borrow::Cow, io, sync::Arc};

use tokio::{net::TcpStream, sync::OnceCell};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        AlertDescription, CipherSuite, ClientConfig, ClientConnection, Error, PeerIncompatible,
        ProtocolVersion,
        client::Resumption,
        crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring},
        pki_types::{ServerName, UnixTime},
    },
};

use super::{
    chains::Chains,
    dane::Expected,
    pkix,
    witness::{Seen, Witness},
};
use crate::{
    facts::{Pkix, Reason, Tls, TlsVersion},
    name::Host,
    probe::anchors,
};

/// What every handshake needs; cheap to share.
#[derive(Debug)]
pub struct Client {
    algorithms: WebPkiSupportedAlgorithms,
    /// But for who looks at the certificate.
    settings: Result<ClientConfig, Error>,
    chains: OnceCell<Chains>,
}

/// How a handshake ended.
#[derive(Debug)]
pub struct Handshake {
    /// What was shown and agreed on; `None` where it did not come to that.
    pub tls: Option<Tls>,
    /// The encrypted connection, or why there is none, with more words on that where there are any.
    pub outcome: Result<Box<TlsStream<TcpStream>>, (Reason, Option<String>)>,
}

impl Default for Client {
    fn default() -> Self {
        let provider = ring::default_provider();
        let algorithms = provider.signature_verification_algorithms;
        let settings = settings(provider, Witness::new(algorithms));
        Self { algorithms, settings, chains: OnceCell::new() }
    }
}

impl Client {
    /// Reads the trust anchors of the system, which takes a moment that is no server's.
    pub async fn prepare(&self) {
        self.chains().await;
    }

    async fn chains(&self) -> &Chains {
        let new = || async { Chains::new(anchors::of_system().await, self.algorithms) };
        self.chains.get_or_init(new).await
    }

    /// Shakes hands with a server that should be `host`, whose name is sent along, and holds its chain
    /// against what DANE expects, if anything.
    pub async fn shake_hands(
        &self,
        stream: TcpStream,
        host: &Host,
        dane: Option<&Arc<Expected>>,
    ) -> Handshake {
        let chains = self.chains().await;
        let server_name = server_name(host);
        let witness = Arc::new(Witness::new(self.algorithms));
        let mut config = match &self.settings {
            Ok(settings) => settings.clone(),
            Err(error) => return Handshake::failed(Reason::LocalError, error),
        };
        config.dangerous().set_certificate_verifier(Arc::clone(&witness) as _);
        let name = server_name.clone().unwrap_or_else(|| stand_in(&stream));
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let seen = witness.take();
        let bad_key = seen.bad_key;
        let mut tls =
            (!seen.chain.is_empty()).then(|| facts(&seen, server_name.as_ref(), dane, chains));
        let outcome = match connected {
            Ok(stream) => {
                if let Some(tls) = &mut tls {
                    note_agreed(tls, stream.get_ref().1);
                }
                Ok(Box::new(stream))
            }
            Err(error) => {
                let reason = if bad_key { Reason::TlsKey } else { reason(&error) };
                Err((reason, Some(error.to_string())))
            }
        };
        Handshake { tls, outcome }
    }
}

/// What all handshakes have in common.
fn settings(provider: CryptoProvider, witness: Witness) -> Result<ClientConfig, Error> {
    let mut settings = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(witness))
        .with_no_client_auth();
    settings.resumption = Resumption::disabled();
    Ok(settings)
}

/// What is to be thought of the chain; nothing is agreed on yet.
fn facts(
    seen: &Seen,
    server_name: Option<&ServerName<'static>>,
    dane: Option<&Arc<Expected>>,
    chains: &Chains,
) -> Tls {
    let judged = chains.judge(&seen.chain, dane, UnixTime::now());
    let sent = server_name.filter(|name| matches!(name, ServerName::DnsName(_)));
    let named = |name| pkix::named(judged.path, &seen.chain, name);
    Tls {
        server_name: sent.map(|name| name.to_str().into()),
        version: None,
        cipher: None,
        key_exchange: None,
        // No certificate can be valid for a name that is none.
        pkix: server_name.map_or(Pkix::NameMismatch, named),
        dane: judged.matched,
        chain: judged.facts,
    }
}

impl Handshake {
    fn failed(reason: Reason, error: &Error) -> Self {
        Self { tls: None, outcome: Err((reason, Some(error.to_string()))) }
    }
}

/// What a certificate must be valid for; `None` for a name that no certificate can have.
fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Address(address) => Some(ServerName::from(*address)),
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned()).ok(),
    }
}

/// What to give in place of a name that cannot be sent along: with an address none is.
fn stand_in(stream: &TcpStream) -> ServerName<'static> {
    let address = stream.peer_addr().map(|peer| peer.ip());
    ServerName::from(address.unwrap_or_else(|_| std::net::Ipv4Addr::UNSPECIFIED.into()))
}

fn note_agreed(tls: &mut Tls, connection: &ClientConnection) {
    tls.version = connection.protocol_version().and_then(|version| match version {
        ProtocolVersion::TLSv1_2 => Some(TlsVersion::Tls12),
        ProtocolVersion::TLSv1_3 => Some(TlsVersion::Tls13),
        _ => None,
    });
    tls.cipher = connection.negotiated_cipher_suite().and_then(|suite| iana(suite.suite()));
    let group = connection.negotiated_key_exchange_group();
    tls.key_exchange = group.and_then(|group| group.name().as_str()).map(Cow::Borrowed);
}

/// The IANA name of a cipher suite; rustls has other names for those of TLS 1.3.
fn iana(suite: CipherSuite) -> Option<Cow<'static, str>> {
    let name = match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str()?,
    };
    Some(Cow::Borrowed(name))
}

fn reason(error: &io::Error) -> Reason {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return match error {
            Error::AlertReceived(AlertDescription::ProtocolVersion) => Reason::TlsVersion,
            Error::AlertReceived(
                AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
            ) => Reason::TlsCipher,
            Error::PeerIncompatible(peer) => incompatible(peer),
            _ => Reason::TlsError,
        };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Reason::Closed,
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset => Reason::Reset,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Reason::Unreachable,
        io::ErrorKind::TimedOut => Reason::Timeout,
        _ => Reason::TlsError,
    }
}

fn incompatible(peer: &PeerIncompatible) -> Reason {
    match peer {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => Reason::TlsVersion,
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::EcPointsExtensionRequired => Reason::TlsCipher,
        _ => Reason::TlsError,
    }
}
