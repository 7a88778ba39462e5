//! The only exchanger of example.test: a Postfix with STARTTLS, and an authority that vouches for it.

use std::{net::SocketAddr, path::Path, path::PathBuf, process::Command};

use mxwatch::facts::Session;
use tempfile::TempDir;

use super::servers::{
    certificates::{Authority, Key, leaf},
    check::check,
    postfix::{Postfix, starttls},
};

/// Its name.
pub(crate) const NAME: &str = "mx1.example.test";

/// The zone it is in.
pub(crate) const ZONE: &str = "$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 127.0.0.1";

/// A running exchanger.
pub(crate) struct Exchanger {
    pub(crate) postfix: Postfix,
    /// The certificate of the authority.
    pub(crate) trusted: PathBuf,
    _dir: TempDir,
}

impl Exchanger {
    /// Starts it with this key and these lines of `main.cf`.
    pub(crate) fn start(key: &impl Key, main: &str) -> Option<Self> {
        let (root, dir) = (Authority::new("Root"), tempfile::tempdir().unwrap());
        let (trusted, identity) = (dir.path().join("root.pem"), dir.path().join("identity.pem"));
        std::fs::write(&trusted, &root.pem).unwrap();
        root.issue(&leaf(&[NAME]), key).write(&identity);
        let postfix = Postfix::start_with("", &(starttls(&identity) + main))?;
        Some(Self { postfix, trusted, _dir: dir })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.postfix.addresses().next().unwrap()
    }

    /// What mxwatch sees of it.
    pub(crate) async fn session(&self) -> Session {
        session(self.postfix.port(), &self.trusted, &[]).await
    }
}

/// Lets mxwatch check example.test, whose exchanger is at this port of 127.0.0.1, with the authorities
/// in this file and with more flags.
pub(crate) async fn session(port: u16, trusted: &Path, flags: &[&str]) -> Session {
    let more = |command: &mut Command| {
        command.env("SSL_CERT_FILE", trusted).args(flags).arg("example.test");
    };
    check(ZONE, port, more).await.session(0)
}
