//! What `posttls-finger`, which comes with Postfix, sees of a server that speaks STARTTLS: Postfix as
//! the sender, up to EHLO over TLS and QUIT.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::program::{find, output};

/// The `posttls-finger` of this host.
pub(crate) struct PosttlsFinger {
    program: PathBuf,
    /// The directory of a `main.cf`, without which it does not start.
    conf: TempDir,
}

impl PosttlsFinger {
    /// `None` where it is missing.
    pub(crate) fn find() -> Option<Self> {
        let program = find("posttls-finger", "postfix")?;
        let conf = tempfile::tempdir().unwrap();
        // The first are the groups that rustls has, too: what both prefer of them is the same.
        let main = "compatibility_level = 3.6\n\
                    tls_eecdh_auto_curves = X25519 prime256v1 secp384r1\n";
        fs::write(conf.path().join("main.cf"), main).unwrap();
        Some(Self { program, conf })
    }

    /// A session at this security level, such as `secure`, with a server that is to have this name
    /// and to be vouched for by an authority in `trusted`.
    pub(crate) fn session(
        &self,
        server: SocketAddr,
        name: &str,
        trusted: &Path,
        level: &str,
    ) -> Finger {
        let mut command = Command::new(&self.program);
        command.env("MAIL_CONFIG", self.conf.path()).args(["-c", "-l", level, "-d", "sha256"]);
        command.args(["-s", name, "-L", "summary,certmatch,untrusted", "-F"]).arg(trusted);
        command.arg(format!("[{}]:{}", server.ip(), server.port())).arg(name);
        Finger::read(output(&mut command))
    }
}

/// What it saw.
#[derive(Debug, Default)]
pub(crate) struct Finger {
    /// What it thinks of the certificates: `Verified` is for this name and vouched for, `Trusted` only
    /// vouched for, `Untrusted` neither. Empty when there is no TLS.
    pub(crate) trust: String,
    /// Such as `TLSv1.3`.
    pub(crate) version: String,
    /// The cipher suite as OpenSSL calls it.
    pub(crate) cipher: String,
    /// Such as `X25519` or `ECDHE (prime256v1)`; empty up to TLS 1.2, where it is not told.
    pub(crate) key_exchange: String,
    /// The SHA-256 digest of the first certificate, in hex.
    pub(crate) sha256: String,
    /// The SHA-256 digest of its public key info, in hex.
    pub(crate) spki_sha256: String,
    /// Why the first certificate is not to be trusted, such as `num=62:hostname mismatch`.
    pub(crate) distrust: String,
    /// All it said.
    pub(crate) said: String,
}

impl Finger {
    fn read(said: String) -> Self {
        let after = |key: &str| said.split_once(key).map_or("", |(_, rest)| rest);
        let word = |key| after(key).split([' ', ',', '\n']).next().unwrap_or_default().to_owned();
        let digest = |key| word(key).replace(':', "").to_lowercase();
        let (before, established) =
            said.split_once(" TLS connection established to ").unwrap_or_default();
        let version = established.split_once(": ").map_or("", |(_, rest)| rest);
        let group = after(" key-exchange ").split(" server-").next().unwrap_or_default();
        let distrust = after(" verification failed for ").lines().next().unwrap_or_default();
        Self {
            trust: before.rsplit(' ').next().unwrap_or_default().to_owned(),
            version: version.split(' ').next().unwrap_or_default().to_owned(),
            cipher: word(" with cipher "),
            key_exchange: group.to_owned(),
            sha256: digest(", fingerprint="),
            spki_sha256: digest(", pkey_fingerprint="),
            distrust: distrust.split_once(": ").map_or("", |(_, why)| why).to_owned(),
            said,
        }
    }
}
