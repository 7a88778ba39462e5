//! PKIX (RFC 5280): whether the authorities that this host trusts vouch for a chain and a name.
//! Pure but for the clock, which is handed in. Revocation is not looked at, as no sender does.

use tokio_rustls::rustls::{
    RootCertStore,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime},
};
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{parse_x509_certificate, public_key::PublicKey, time::ASN1Time};

use crate::facts::Pkix;

/// What a chain comes to, the server's own certificate first, while it is for whatever name. Nothing else
/// needs signatures to be checked.
pub(super) fn path(
    chain: &[CertificateDer<'_>],
    anchors: &RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    now: UnixTime,
) -> Pkix {
    let Some((own, others)) = chain.split_first() else { return Pkix::Malformed };
    let verified = EndEntityCert::try_from(own).and_then(|certificate| {
        let usage = KeyUsage::server_auth();
        let (algorithms, roots) = (algorithms.all, &anchors.roots);
        certificate.verify_for_usage(algorithms, roots, others, now, usage, None, None)?;
        Ok(())
    });
    match verified {
        // The keys above were checked on the way, that of the server was not.
        Ok(()) if short_key(own) => Pkix::BadKey,
        Ok(()) => Pkix::Trusted,
        Err(Error::CaUsedAsEndEntity) if is_anchor(own, anchors) => by_itself(own, now),
        Err(error) => reason(&error, chain),
    }
}

/// What a chain comes to for a server of this name, given what it comes to for whatever name.
pub(super) fn named(path: Pkix, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Pkix {
    let Some(own) = chain.first().filter(|_| path.trusted()) else { return path };
    let valid =
        EndEntityCert::try_from(own).and_then(|own| own.verify_is_valid_for_subject_name(name));
    valid.map_or_else(|error| reason(&error, chain), |()| Pkix::Trusted)
}

/// Whether the certificate is itself one that this host trusts, as that of a homemade server may be.
fn is_anchor(own: &CertificateDer<'_>, anchors: &RootCertStore) -> bool {
    let Ok(own) = anchor_from_trusted_cert(own) else { return false };
    let same = |known: &TrustAnchor<'_>| {
        (&known.subject, &known.subject_public_key_info)
            == (&own.subject, &own.subject_public_key_info)
    };
    anchors.roots.iter().any(same)
}

/// A certificate that is trusted for itself.
fn by_itself(own: &CertificateDer<'_>, now: UnixTime) -> Pkix {
    let now = i64::try_from(now.as_secs()).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
    let Some(now) = now else { return Pkix::Other };
    let Ok((_, read)) = parse_x509_certificate(own) else { return Pkix::Malformed };
    match read.validity() {
        validity if now < validity.not_before => Pkix::NotYetValid,
        validity if now > validity.not_after => Pkix::Expired,
        _ => Pkix::Trusted,
    }
}

fn reason(error: &Error, chain: &[CertificateDer<'_>]) -> Pkix {
    match error {
        Error::CertExpired { .. } => Pkix::Expired,
        Error::CertNotValidYet { .. } => Pkix::NotYetValid,
        Error::CertNotValidForName(_) => Pkix::NameMismatch,
        // A certificate for an authority is what people get who make one for themselves.
        Error::CaUsedAsEndEntity | Error::UnknownIssuer | Error::UnsupportedCertVersion
            if self_signed(chain) =>
        {
            Pkix::SelfSigned
        }
        Error::UnknownIssuer => Pkix::UnknownIssuer,
        Error::InvalidSignatureForPublicKey if chain.iter().any(short_key) => Pkix::BadKey,
        Error::InvalidSignatureForPublicKey => Pkix::BadSignature,
        Error::RequiredEkuNotFoundContext(_) => Pkix::NotForServers,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Pkix::BadKey,
        Error::BadDer
        | Error::BadDerTime
        | Error::ExtensionValueInvalid
        | Error::InvalidCertValidity
        | Error::InvalidSerialNumber
        | Error::MalformedDnsIdentifier
        | Error::MalformedExtensions
        | Error::MalformedNameConstraint
        | Error::SignatureAlgorithmMismatch
        | Error::TrailingData(_) => Pkix::Malformed,
        _ => Pkix::Other,
    }
}

/// Whether the server's own certificate names itself as its issuer.
fn self_signed(chain: &[CertificateDer<'_>]) -> bool {
    let own = chain.first().and_then(|own| parse_x509_certificate(own).ok());
    own.is_some_and(|(_, own)| own.subject().as_raw() == own.issuer().as_raw())
}

/// Whether it has an RSA key that is too short to be checked.
fn short_key(certificate: &CertificateDer<'_>) -> bool {
    let read = parse_x509_certificate(certificate).ok();
    read.is_some_and(|(_, certificate)| {
        let key = certificate.public_key().parsed();
        matches!(key, Ok(PublicKey::RSA(rsa)) if rsa.key_size() < SHORTEST_RSA)
    })
}

/// What ring takes.
const SHORTEST_RSA: usize = 2048;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, date_time_ymd,
    };
    use tokio_rustls::rustls::crypto::ring;

    use super::{super::chains::Chains, *};

    /// 2026-06-01.
    const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));

    fn authority(name: &str) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        (certificate, Issuer::new(params, key))
    }

    fn leaf(names: &[&str]) -> CertificateParams {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        params
    }

    fn judged(chain: &[CertificateDer<'_>], anchor: &CertificateDer<'static>) -> Pkix {
        let mut anchors = RootCertStore::empty();
        anchors.add(anchor.clone()).unwrap();
        let name = ServerName::try_from("mx1.example.com").unwrap();
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let judged = named(path(chain, &anchors, algorithms, NOW), chain, &name);
        let chains = Chains::new(anchors.into(), algorithms);
        let first = chains.judge(chain, None, NOW);
        let remembered = chains.judge(chain, None, NOW);
        assert_eq!(
            [first.path, remembered.path].map(|path| named(path, chain, &name)),
            [judged; 2]
        );
        judged
    }

    #[test]
    fn a_chain_is_trusted_or_there_is_a_reason() {
        let (root, issuer) = authority("root");
        let key = KeyPair::generate().unwrap();
        let signed =
            |params: CertificateParams| params.signed_by(&key, &issuer).unwrap().der().clone();
        let good = leaf(&["mx1.example.com"]);
        let mut old = leaf(&["mx1.example.com"]);
        old.not_after = date_time_ymd(2026, 2, 1);
        let mut early = leaf(&["mx1.example.com"]);
        early.not_before = date_time_ymd(2026, 8, 1);
        let mut client = leaf(&["mx1.example.com"]);
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let own = good.clone().self_signed(&key).unwrap().der().clone();
        for (params, want) in [
            (good, Pkix::Trusted),
            (leaf(&["*.example.com"]), Pkix::Trusted),
            (leaf(&["mx2.example.com"]), Pkix::NameMismatch),
            (old, Pkix::Expired),
            (early, Pkix::NotYetValid),
            (client, Pkix::NotForServers),
        ] {
            assert_eq!(judged(&[signed(params)], &root), want);
        }
        assert_eq!(judged(&[own], &root), Pkix::SelfSigned);
        // Trusted for itself, but not for a name that it does not hold.
        assert_eq!(judged(std::slice::from_ref(&root), &root), Pkix::NameMismatch);
        let mut params = leaf(&["mx1.example.com"]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let homemade = params.self_signed(&key).unwrap().der().clone();
        assert_eq!(judged(std::slice::from_ref(&homemade), &homemade), Pkix::Trusted);
        params.not_after = date_time_ymd(2026, 2, 1);
        let old = params.self_signed(&key).unwrap().der().clone();
        assert_eq!(judged(std::slice::from_ref(&old), &homemade), Pkix::Expired);
        assert_eq!(judged(&[], &root), Pkix::Malformed);
        assert_eq!(judged(&[vec![0x30, 3, 1, 1, 1].into()], &root), Pkix::Malformed);
        let (stranger, _) = authority("stranger");
        let mine = signed(leaf(&["mx1.example.com"]));
        assert_eq!(judged(&[mine], &stranger), Pkix::UnknownIssuer);
        assert_eq!(judged(std::slice::from_ref(&root), &stranger), Pkix::SelfSigned);
    }

    #[test]
    fn a_path_needs_its_intermediates_and_right_signatures() {
        let (root, issuer) = authority("root");
        let key = KeyPair::generate().unwrap();
        let mut params = leaf(&[]);
        params.distinguished_name.push(DnType::CommonName, "between");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let between = params.signed_by(&key, &issuer).unwrap().der().clone();
        let by_between = Issuer::new(params, key);
        let own = KeyPair::generate().unwrap();
        let own = leaf(&["mx1.example.com"]).signed_by(&own, &by_between).unwrap().der().clone();
        assert_eq!(judged(&[own.clone(), between.clone()], &root), Pkix::Trusted);
        assert_eq!(judged(std::slice::from_ref(&own), &root), Pkix::UnknownIssuer);
        let mut wrong = own.to_vec();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(judged(&[wrong.into(), between], &root), Pkix::BadSignature);
    }
}
