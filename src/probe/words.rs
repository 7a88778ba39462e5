//! What the network, TLS and HTTP report, as clauses about a server.
//!
//! They may quote it: who shows one escapes and cuts it, as `crate::shown` does, at [`MOST`].

use std::{error::Error, io};

use tokio_rustls::rustls::{self, CertificateError};

/// Characters of a clause.
pub(super) const MOST: usize = 200;

/// What the peer did who says no more.
pub(super) const CLOSED: &str = "the server closes the connection";

/// Why a connection, or TLS on it, failed.
pub(super) fn of_io(error: &io::Error) -> String {
    if let Some(error) = tls_error(error) {
        return of_tls(error);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection is refused".to_owned(),
        io::ErrorKind::ConnectionReset => "the connection is reset".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "the network reports it unreachable".to_owned()
        }
        io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => CLOSED.to_owned(),
        _ => error.to_string(),
    }
}

/// What TLS says, where the error is one of it.
pub(super) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Why HTTP ended. What the stream below reports says more than the layers above it.
pub(super) fn of_http(error: &hyper::Error) -> String {
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return io.to_string();
        }
        if inner.source().is_none() {
            return inner.to_string();
        }
        cause = inner.source();
    }
    error.to_string()
}

fn of_tls(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return match error {
            rustls::Error::AlertReceived(alert) => {
                format!("the server ends the TLS handshake with the alert {alert:?}")
            }
            rustls::Error::InvalidMessage(_) => "what it speaks is not TLS".to_owned(),
            other => format!("the TLS handshake fails: {other}"),
        };
    };
    match wrong {
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = match presented.as_slice() {
                [] => "for no name at all".to_owned(),
                [only] => format!("for {}", bare(only)),
                [first, ..] => format!("for {} and {} more", bare(first), presented.len() - 1),
            };
            format!("its certificate is not valid for {}, but {presented}", expected.to_str())
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        CertificateError::BadSignature => {
            "its certificate is not signed by the authority that it names".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "its certificate comes from nobody that is trusted here".to_owned()
        }
        other => format!("its certificate is not valid: {other}"),
    }
}

/// A name in a certificate, which webpki writes as in `DnsName("dns.example.net")`.
fn bare(presented: &str) -> &str {
    let mut words = presented.split(['(', ')', '"']);
    words.rfind(|word| !word.is_empty()).unwrap_or(presented)
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::ServerName;

    use super::*;

    fn words(error: &io::Error) -> String {
        crate::shown::one_line(&of_io(error), MOST)
    }

    #[test]
    fn a_certificate_for_others_is_told_with_both_names_and_no_more_than_fits() {
        let of = |presented: Vec<String>| {
            let expected = ServerName::try_from("dns.example.net").unwrap();
            let wrong = CertificateError::NotValidForNameContext { expected, presented };
            let tls = rustls::Error::InvalidCertificate(wrong);
            words(&io::Error::new(io::ErrorKind::InvalidData, tls))
        };
        let begin = "its certificate is not valid for dns.example.net, but for ";
        assert_eq!(of(vec![]), format!("{begin}no name at all"));
        assert_eq!(of(vec!["DnsName(\"a.test\")".into()]), format!("{begin}a.test"));
        assert_eq!(of(vec!["IpAddress(192.0.2.1)".into()]), format!("{begin}192.0.2.1"));
        assert_eq!(of(vec!["a.test".into(); 3]), format!("{begin}a.test and 2 more"));
        let hostile = of(vec!["\x1b[2J".repeat(5000)]);
        assert!(hostile.chars().count() <= MOST + 1 && !hostile.contains('\x1b'), "{hostile}");
    }

    #[test]
    fn what_the_network_reports_is_said_in_words() {
        for (kind, want) in [
            (io::ErrorKind::ConnectionRefused, "the connection is refused"),
            (io::ErrorKind::UnexpectedEof, CLOSED),
        ] {
            assert_eq!(words(&kind.into()), want);
        }
    }
}
