//! The words in which senders report to a domain what kept them from delivering over TLS as its policy
//! wants it (RFC 8460 §4.3): what its postmaster reads about the same failure elsewhere.

use super::{Pkix, Session, TlsaStatus};

/// Why a session, or what it is held against, is not what a policy wants. What is wrong with a policy
/// itself is `StsFailure`'s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsFailure {
    /// The certificate has expired, or is not valid yet.
    CertificateExpired,
    /// The certificate is for other names.
    CertificateHostMismatch,
    /// Nobody vouches for the certificate.
    CertificateNotTrusted,
    /// The TLSA lookup failed, or is bogus.
    DnssecInvalid,
    /// The server offers no STARTTLS.
    StarttlsNotSupported,
    /// No TLSA record is of use.
    TlsaInvalid,
    /// Anything else.
    ValidationFailure,
}

impl TlsFailure {
    /// What is wrong with a session for those who want a certificate that is trusted (PKIX); `None`
    /// where nothing is, or it did not come to TLS for another reason.
    pub fn of_session(session: &Session) -> Option<Self> {
        if session.tls_failure().is_some() {
            return Some(Self::ValidationFailure);
        }
        match session.tls.as_deref().map(|tls| tls.pkix) {
            Some(Pkix::Trusted) => None,
            Some(Pkix::Expired | Pkix::NotYetValid) => Some(Self::CertificateExpired),
            Some(Pkix::NameMismatch) => Some(Self::CertificateHostMismatch),
            Some(Pkix::SelfSigned | Pkix::UnknownIssuer) => Some(Self::CertificateNotTrusted),
            Some(_) => Some(Self::ValidationFailure),
            None if session.up() && !session.offers("STARTTLS") => Some(Self::StarttlsNotSupported),
            None => None,
        }
    }

    /// What is wrong with TLSA records for those who go by DANE.
    pub const fn of_tlsa(status: TlsaStatus) -> Option<Self> {
        match status {
            TlsaStatus::Error => Some(Self::DnssecInvalid),
            TlsaStatus::Unusable => Some(Self::TlsaInvalid),
            TlsaStatus::Absent | TlsaStatus::Insecure | TlsaStatus::Secure => None,
        }
    }

    /// The word of the RFC.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::ValidationFailure => "validation-failure",
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::facts::{Elapsed, Heard, Reason, Reply, Stage, StageFact, Tls};

    /// A session up to EHLO, which offers this, with what a handshake showed.
    fn session(offered: &str, pkix: Option<Pkix>) -> Session {
        let lines = ["mx.example.com", offered].into_iter().collect();
        let heard = Heard::Reply(Reply { code: 250, enhanced: None, lines });
        let duration = Elapsed::ZERO;
        let stage = StageFact { stage: Stage::Ehlo, duration, heard, reason: None };
        let tls = pkix.map(|pkix| Tls {
            server_name: None,
            version: None,
            cipher: None,
            key_exchange: None,
            pkix,
            dane: None,
            chain: [].into(),
        });
        Session {
            peer: ([192, 0, 2, 1], 25).into(),
            source: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration,
            helo_name: "probe.example.org".into(),
            stages: [stage].into(),
            failure: None,
            tls: tls.map(Box::new),
            auth_mechanism: None,
            transactions: Box::default(),
        }
    }

    #[test]
    fn a_session_is_reported_in_the_words_of_the_rfc() {
        let word = |session: &Session| TlsFailure::of_session(session).map(TlsFailure::word);
        for (pkix, want) in [
            (Pkix::Trusted, None),
            (Pkix::Expired, Some("certificate-expired")),
            (Pkix::NameMismatch, Some("certificate-host-mismatch")),
            (Pkix::SelfSigned, Some("certificate-not-trusted")),
            (Pkix::UnknownIssuer, Some("certificate-not-trusted")),
            (Pkix::BadKey, Some("validation-failure")),
        ] {
            assert_eq!(word(&session("STARTTLS", Some(pkix))), want, "{pkix:?}");
        }
        assert_eq!(word(&session("SIZE", None)), Some("starttls-not-supported"));
        assert_eq!(word(&session("STARTTLS", None)), None, "nobody tried");
        let mut refused = session("STARTTLS", None);
        let [ehlo] = &*refused.stages else { panic!("{refused:?}") };
        let reason = Some(Reason::Reply4xx);
        let starttls = StageFact { stage: Stage::Starttls, reason, ..ehlo.clone() };
        refused.stages = [ehlo.clone(), starttls].into();
        assert_eq!(word(&refused), Some("validation-failure"));
    }
}
