//! Authorities of the tests' own, and the certificates that test servers show.
//!
//! Certificates are signed by `rcgen`. RSA keys come from `openssl genpkey`, for `ring`, by which
//! `rcgen` signs here, makes none; so do Ed25519 keys, for OpenSSL cannot read those of `ring`.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData,
    SignatureAlgorithm,
};

use super::openssl::OpenSsl;

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, PEM.
    pub(crate) pem: String,
    /// The certificates between what it signs and the root, its own first, PEM; empty for a root.
    between: Vec<String>,
}

impl Authority {
    /// A root with a key on P-256.
    pub(crate) fn new(name: &str) -> Self {
        Self::with_key(name, KeyPair::generate().unwrap())
    }

    /// A root with an RSA key of 2048 bits. `None` where `openssl` is missing.
    pub(crate) fn rsa(name: &str) -> Option<Self> {
        Some(Self::with_key(name, KeyPair::from_pem(&RsaKey::generate(2048)?.pem).unwrap()))
    }

    fn with_key(name: &str, key: KeyPair) -> Self {
        let params = Self::params(name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem, between: Vec::new() }
    }

    /// What the certificate of an authority says: its name, and no end.
    pub(crate) fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// An authority below this one, with [`params`](Self::params) or others.
    pub(crate) fn subordinate(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let mut between = self.between.clone();
        between.insert(0, pem.clone());
        Self { issuer: Issuer::new(params, key), pem, between }
    }

    /// A certificate for these names and addresses, and its key, both PEM.
    pub(crate) fn sign(&self, names: &[&str]) -> (String, String) {
        let identity = self.issue(&leaf(names), &KeyPair::generate().unwrap());
        (identity.chain.concat(), identity.key)
    }

    /// A certificate that says this, for this key.
    pub(crate) fn issue(&self, params: &CertificateParams, key: &impl Key) -> Identity {
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        Identity::new(&certificate, &self.between, key)
    }
}

/// What a certificate for these names and addresses says, with the first as its common name.
pub(crate) fn leaf(names: &[&str]) -> CertificateParams {
    let all: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(all).unwrap();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params
}

/// A key that can be certified.
pub(crate) trait Key: PublicKeyData {
    /// The secret half, PKCS #8 as PEM.
    fn pem(&self) -> String;
}

impl Key for KeyPair {
    fn pem(&self) -> String {
        self.serialize_pem()
    }
}

/// An RSA key of any length.
pub(crate) struct RsaKey {
    pem: String,
    /// `RSAPublicKey` of RFC 8017 §A.1.1.
    public: Vec<u8>,
}

impl RsaKey {
    /// `None` where `openssl` is missing.
    pub(crate) fn generate(bits: u32) -> Option<Self> {
        let openssl = OpenSsl::find()?;
        let bits = format!("rsa_keygen_bits:{bits}");
        let pem = openssl.run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &bits], b"");
        let public = openssl.run(&["rsa", "-RSAPublicKey_out", "-outform", "DER"], &pem);
        Some(Self { pem: String::from_utf8(pem).unwrap(), public })
    }
}

impl PublicKeyData for RsaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl Key for RsaKey {
    fn pem(&self) -> String {
        self.pem.clone()
    }
}

/// An Ed25519 key. `None` where `openssl` is missing.
pub(crate) fn ed25519() -> Option<KeyPair> {
    let pem = OpenSsl::find()?.run(&["genpkey", "-algorithm", "ED25519"], b"");
    Some(KeyPair::from_pem(&String::from_utf8(pem).unwrap()).unwrap())
}

/// Who a server shows itself to be.
pub(crate) struct Identity {
    /// Its certificate and those of the authorities between it and the root, PEM.
    pub(crate) chain: Vec<String>,
    /// Its secret key, PEM.
    pub(crate) key: String,
}

impl Identity {
    /// A certificate of X.509 version 1, which vouches for itself and has no room for extensions:
    /// what `openssl x509 -req` makes unless told otherwise. `None` where `openssl` is missing.
    pub(crate) fn of_version_1(name: &str) -> Option<Self> {
        let openssl = OpenSsl::find()?;
        let key = RsaKey::generate(2048)?.pem;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.pem");
        std::fs::write(&file, &key).unwrap();
        let (file, subject) = (file.to_str().unwrap(), format!("/CN={name}"));
        let request = openssl.run(&["req", "-new", "-key", file, "-subj", &subject], b"");
        let signed = openssl.run(&["x509", "-req", "-signkey", file], &request);
        Some(Self { chain: vec![String::from_utf8(signed).unwrap()], key })
    }

    fn new(certificate: &Certificate, between: &[String], key: &impl Key) -> Self {
        let mut chain = vec![certificate.pem()];
        chain.extend_from_slice(between);
        Self { chain, key: key.pem() }
    }

    /// A certificate that its own key signed.
    pub(crate) fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::new(&params.self_signed(&key).unwrap(), &[], &key)
    }

    /// Writes key and chain into one file, the key first, as Postfix reads them.
    pub(crate) fn write(&self, file: &Path) {
        fs::write(file, self.key.clone() + &self.chain.concat()).unwrap();
    }
}
