//! What a session needs to know: whom to call, under which name, how patiently, and what is wanted of
//! the server.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{envelope::Envelope, name::Host, probe::tls::dane::Expected, secret::Login};

/// What a session needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to call.
    pub peer: SocketAddr,
    /// Whose address that is: the name to send along with the handshake, and to find in the
    /// certificate.
    pub host: Host,
    /// Whether to encrypt.
    pub security: Security,
    /// What DANE expects of the certificates, if anything.
    pub dane: Option<Arc<Expected>>,
    /// Whom the server knows this host as; over TLS only.
    pub login: Option<Login>,
    /// What the server is asked to take.
    pub envelopes: Arc<[Envelope]>,
    /// The own address to call from, if it is fixed.
    pub source: Option<IpAddr>,
    /// The name to give (RFC 5321 §4.1.1.1).
    pub helo_name: Arc<str>,
    /// For the TCP handshake.
    pub connect_timeout: Duration,
    /// For the banner.
    pub banner_timeout: Duration,
    /// For each later reply.
    pub command_timeout: Duration,
    /// For the whole session, whatever the server drips.
    pub session_timeout: Duration,
    /// When it must be over all the same, for somebody who waits.
    pub deadline: Option<Instant>,
}

/// When a session is encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Security {
    /// Never.
    Never,
    /// Where the server offers it; what goes wrong with it is no failure of the session.
    Opportunistic,
    /// Always, by STARTTLS: a server that does not get there fails.
    Always,
    /// From the first byte on, as on port 465 (RFC 8314 §3.3).
    Implicit,
}

impl Plan {
    /// Whether this plan waits at least as long as the other at every stage.
    pub fn as_patient_as(&self, other: &Self) -> bool {
        self.connect_timeout >= other.connect_timeout
            && self.banner_timeout >= other.banner_timeout
            && self.command_timeout >= other.command_timeout
            && self.session_timeout >= other.session_timeout
    }
}
