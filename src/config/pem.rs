//! Certificates in PEM, as files and keys of the configuration hold them.

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Every certificate of a text, at least one; the error completes "FILE ...".
pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match read {
        Err(_) => Err("holds PEM that is broken"),
        Ok(certificates) if certificates.is_empty() => Err("holds no certificate"),
        Ok(certificates) => Ok(certificates),
    }
}

/// The same of certificates each of which does as a trust anchor.
pub(super) fn authorities(
    text: &str,
) -> Result<(Vec<CertificateDer<'static>>, RootCertStore), &'static str> {
    let certificates = certificates(text)?;
    let mut store = RootCertStore::empty();
    if certificates.iter().any(|certificate| store.add(certificate.clone()).is_err()) {
        return Err("holds something that is no certificate of an authority");
    }
    Ok((certificates, store))
}
