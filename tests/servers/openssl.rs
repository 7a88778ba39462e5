//! What `openssl s_client` sees of a server that speaks STARTTLS, and `openssl x509` of its
//! certificates.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::program::find;

/// Lets `s_client` speak what OpenSSL has put away since: TLS 1.0 and 1.1, and keys as short as
/// 1024 bits.
pub(crate) const OLD: [&str; 4] = ["-min_protocol", "TLSv1", "-cipher", "DEFAULT:@SECLEVEL=0"];

/// How it writes names: as in `CN=mx1.example.com, O=Example`.
const NAMES: &str = "sep_comma_plus_space,sname,utf8";

/// The `openssl` of this host.
pub(crate) struct OpenSsl(PathBuf);

impl OpenSsl {
    /// `None` where it is missing.
    pub(crate) fn find() -> Option<Self> {
        find("openssl", "openssl").map(Self)
    }

    /// A handshake after STARTTLS with a server that is to have this name and to be vouched for by
    /// an authority in `trusted`, with more flags, such as [`OLD`].
    pub(crate) fn session(
        &self,
        server: SocketAddr,
        name: &str,
        trusted: &Path,
        more: &[&str],
    ) -> Handshake {
        let mut command = Command::new(&self.0);
        command.args(["s_client", "-starttls", "smtp", "-connect", &server.to_string()]);
        command.args(["-servername", name, "-verify_hostname", name, "-showcerts"]);
        command.arg("-CAfile").arg(trusted).args(["-no-CApath", "-no-CAstore"]);
        // Groups that rustls has, too: what both prefer of them is the same.
        command.args(["-groups", "X25519:P-256:P-384"]).args(more);
        // Without this it speaks on for as long as its input is open.
        let said = command.stdin(Stdio::null()).output().unwrap();
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        Handshake::read(&String::from_utf8_lossy(&said.stdout), error)
    }

    /// The lines that a server says to this over TLS, after STARTTLS; that must end with QUIT.
    pub(crate) fn dialogue(&self, server: SocketAddr, said: &str) -> Vec<String> {
        let server = server.to_string();
        let args = ["s_client", "-quiet", "-starttls", "smtp", "-connect", &server];
        text(self.run(&args, said.as_bytes())).lines().map(str::to_owned).collect()
    }

    /// What a certificate in PEM says.
    pub(crate) fn certificate(&self, pem: &str) -> Certificate {
        let args = [
            &["x509", "-noout", "-nameopt", NAMES, "-dateopt", "iso_8601", "-subject"][..],
            &["-issuer", "-serial", "-startdate", "-enddate", "-fingerprint", "-sha256"],
            &["-text", "-certopt", "no_sigdump"],
        ];
        let said = self.run(&args.concat(), pem.as_bytes());
        let key = self.run(&["x509", "-noout", "-pubkey"], pem.as_bytes());
        let key = self.run(&["pkey", "-pubin", "-outform", "DER"], &key);
        let digest = text(self.run(&["dgst", "-sha256", "-r"], &key));
        let (digest, _) = digest.split_once(' ').unwrap();
        Certificate::read(&text(said), digest.to_owned())
    }

    /// The OpenSSL name of a cipher suite by the name that RFCs give it.
    pub(crate) fn cipher(&self, standard: &str) -> String {
        let known = text(self.run(&["ciphers", "-stdname", "ALL:@SECLEVEL=0"], b""));
        let mut known = known.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found = known.find(|line| line[0] == standard);
        found.unwrap_or_else(|| panic!("OpenSSL has no {standard}"))[2].to_owned()
    }

    /// Runs it with this input to its end, and returns its output.
    pub(super) fn run(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new(&self.0);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let ran = child.wait_with_output().unwrap();
        assert!(ran.status.success(), "openssl {args:?}: {ran:?}");
        ran.stdout
    }
}

fn text(output: Vec<u8>) -> String {
    String::from_utf8(output).unwrap()
}

/// What `s_client` saw.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    /// Such as `TLSv1.3`; empty when the handshake failed.
    pub(crate) version: String,
    /// The cipher suite as OpenSSL calls it; empty when the handshake failed.
    pub(crate) cipher: String,
    /// The ephemeral key of the server, such as `X25519`; empty when it had none.
    pub(crate) key: String,
    /// What was wrong with the certificates, in the order of finding out; see `openssl verify`.
    pub(crate) errors: Vec<u32>,
    /// The last of them, 0 when there was none. It is 0, too, when there was no certificate.
    pub(crate) verify_code: u32,
    /// The certificates that the server sent, in their order, PEM.
    pub(crate) chain: Vec<String>,
    /// What it complained of.
    pub(crate) error: String,
}

impl Handshake {
    fn read(said: &str, error: String) -> Self {
        let mut handshake = Self { error, ..Self::default() };
        let value = |line: &str, key: &str| line.strip_prefix(key).map(str::to_owned);
        for line in said.lines().map(str::trim_start) {
            if let Some(new) = value(line, "New, ")
                && let Some((version, cipher)) = new.split_once(", Cipher is ")
                && cipher != "(NONE)"
            {
                (handshake.version, handshake.cipher) = (version.to_owned(), cipher.to_owned());
            } else if let Some(version) = value(line, "Protocol  : ") {
                // Up to TLS 1.2 the line before tells the version that the cipher suite came with.
                handshake.version = version;
            } else if let Some(key) =
                value(line, "Server Temp Key: ").or_else(|| value(line, "Peer Temp Key: "))
            {
                // `X25519, 253 bits` or `ECDH, prime256v1, 256 bits`.
                let parts: Vec<_> = key.split(", ").collect();
                parts[parts.len() - 2].clone_into(&mut handshake.key);
            } else if let Some(code) = value(line, "Verify return code: ") {
                handshake.verify_code = code.split(' ').next().unwrap().parse().unwrap();
            } else if line == "-----BEGIN CERTIFICATE-----" {
                handshake.chain.push(String::new());
            }
            if let Some(open) = handshake.chain.last_mut()
                && !open.ends_with("-----END CERTIFICATE-----\n")
            {
                *open += line;
                open.push('\n');
            }
        }
        let numbers = handshake.error.lines().filter_map(|line| {
            let (number, _) = line.strip_prefix("verify error:num=")?.split_once(':')?;
            number.parse().ok()
        });
        handshake.errors = numbers.collect();
        handshake
    }
}

/// What `openssl x509` says of a certificate.
#[derive(Debug, Default)]
pub(crate) struct Certificate {
    /// Its subject, such as `CN=mx1.example.com, O=Example`.
    pub(crate) subject: String,
    /// Its issuer, likewise.
    pub(crate) issuer: String,
    /// Its serial number in hex, upper case.
    pub(crate) serial: String,
    /// Since when it is valid, such as `2026-01-31 10:00:00Z`.
    pub(crate) not_before: String,
    /// Until when it is valid, likewise.
    pub(crate) not_after: String,
    /// The SHA-256 digest of the whole of it, in hex.
    pub(crate) sha256: String,
    /// The SHA-256 digest of its public key info, in hex.
    pub(crate) spki_sha256: String,
    /// The names it is for, such as `DNS:mx1.example.test`.
    pub(crate) names: Vec<String>,
    /// By what it was signed, such as `ecdsa-with-SHA256`.
    pub(crate) signature: String,
    /// What its key is for, such as `rsaEncryption`.
    pub(crate) algorithm: String,
    /// How long its key is; `None` for keys of one length.
    pub(crate) bits: Option<u32>,
}

impl Certificate {
    fn read(said: &str, spki_sha256: String) -> Self {
        let after = |key: &str| said.split_once(key).map_or("", |(_, rest)| rest);
        let value = |key| after(key).lines().next().unwrap_or_default().trim();
        let names = after("X509v3 Subject Alternative Name:").lines().nth(1).unwrap_or_default();
        let names = names.trim().split(", ").filter(|name| !name.is_empty());
        Self {
            subject: value("subject=").to_owned(),
            issuer: value("issuer=").to_owned(),
            serial: value("serial=").to_owned(),
            not_before: value("notBefore=").to_owned(),
            not_after: value("notAfter=").to_owned(),
            sha256: value("sha256 Fingerprint=").replace(':', "").to_lowercase(),
            spki_sha256,
            names: names.map(str::to_owned).collect(),
            signature: value("Signature Algorithm:").to_owned(),
            algorithm: value("Public Key Algorithm:").to_owned(),
            bits: value("Public-Key: (").split(' ').next().and_then(|bits| bits.parse().ok()),
        }
    }
}
