//! The verifier of the handshake: it takes every certificate and remembers the chain. Only that the
//! server holds the key of its certificate is checked, because the handshake has no sense without. Of the
//! certificate nothing but that key counts for it: odd ones come to a handshake like any other.

use std::sync::{Mutex, PoisonError};

use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
};
use webpki::{EndEntityCert, RawPublicKeyEntity};
use x509_parser::parse_x509_certificate;

/// The verifier of one handshake.
#[derive(Debug)]
pub(super) struct Witness {
    algorithms: WebPkiSupportedAlgorithms,
    seen: Mutex<Seen>,
}

/// What it has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The chain, the server's own certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The server's signature could not be checked with the key of its certificate.
    pub(super) bad_key: bool,
}

impl Witness {
    pub(super) fn new(algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { algorithms, seen: Mutex::default() }
    }

    /// Takes what it has seen.
    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the key made the signature by one of the algorithms that the scheme stands for, which in
    /// TLS 1.2 leaves the curve open (RFC 8422 §5.1.1).
    fn signed_tls12(
        &self,
        message: &[u8],
        key: &SubjectPublicKeyInfoDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> bool {
        let mapping = self.algorithms.mapping.iter();
        let mut fitting = mapping
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| algorithms.iter());
        let Ok(key) = RawPublicKeyEntity::try_from(key) else { return false };
        fitting
            .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok())
    }

    fn note<T>(&self, checked: Result<T, Error>) -> Result<T, Error> {
        if checked.is_err() {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).bad_key = true;
        }
        checked
    }
}

/// The public key of a certificate, whatever else is in it. What is no certificate to webpki, which is
/// the quicker, is read more leniently.
fn key(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    if let Ok(read) = EndEntityCert::try_from(certificate) {
        return Some(read.subject_public_key_info());
    }
    let (_, read) = parse_x509_certificate(certificate).ok()?;
    Some(SubjectPublicKeyInfoDer::from(read.tbs_certificate.subject_pki.raw.to_vec()))
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = [end_entity].into_iter().chain(intermediates);
        let chain = shown.map(|certificate| certificate.clone().into_owned()).collect();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).chain = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = key(certificate).is_some_and(|key| self.signed_tls12(message, &key, signed));
        let refused = Error::InvalidCertificate(CertificateError::BadSignature);
        self.note(if valid { Ok(HandshakeSignatureValid::assertion()) } else { Err(refused) })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let refused = Error::InvalidCertificate(CertificateError::BadEncoding);
        let checked = key(certificate).ok_or(refused).and_then(|key| {
            verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
        });
        self.note(checked)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
