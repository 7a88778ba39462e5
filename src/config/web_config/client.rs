//! `client_auth_type` and the keys that go with it: which certificates of clients are taken.

use std::{net::IpAddr, sync::Arc};

use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, time::ASN1Time,
};

use super::{Noted, files::Files, tls::pem_text};
use crate::config::{key, pem, table::Table};

/// Reads what is asked of clients; `None` for nothing.
pub(super) fn read(
    table: &Table<'_>,
    files: &mut Files,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Noted> {
    let policy = policy(table)?;
    let authorities = authorities(table, files, provider, policy)?;
    let names = allowed_names(table, policy)?;
    let asks_nobody = policy == Policy::VerifyIfGiven && authorities.is_none();
    if policy == Policy::None || asks_nobody {
        return Ok(None);
    }
    Ok(Some(Arc::new(Clients {
        mandatory: policy.is_mandatory(),
        authorities,
        names,
        algorithms: provider.signature_verification_algorithms,
    })))
}

/// `ClientAuthType` of Go's crypto/tls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Policy {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

impl Policy {
    /// By their words; the last is an old one for `RequireAnyClientCert`.
    const WORDS: [(&'static str, Self); 6] = [
        ("NoClientCert", Self::None),
        ("RequestClientCert", Self::Request),
        ("RequireAnyClientCert", Self::RequireAny),
        ("VerifyClientCertIfGiven", Self::VerifyIfGiven),
        ("RequireAndVerifyClientCert", Self::RequireAndVerify),
        ("RequireClientCert", Self::RequireAny),
    ];

    const fn is_mandatory(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }

    const fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

fn policy(table: &Table<'_>) -> Result<Policy, Noted> {
    let Some(node) = table.given("client_auth_type") else { return Ok(Policy::None) };
    let policy = node.parse("a word such as \"RequireAndVerifyClientCert\"", |word| {
        let words = || Policy::WORDS.into_iter().map(|(word, _)| word);
        if word.is_empty() {
            return Ok(Policy::None);
        }
        let found = Policy::WORDS.into_iter().find(|(known, _)| *known == word);
        found.map(|(_, policy)| policy).ok_or_else(|| match key::nearest(word, words()) {
            Some(near) => format!("unknown, did you mean {near}?"),
            None => {
                format!("unknown; known are {}", words().take(5).collect::<Vec<_>>().join(", "))
            }
        })
    });
    policy.ok_or(Noted)
}

/// Whom to trust with the certificates of clients.
#[derive(Debug)]
struct Authorities {
    paths: Arc<dyn ClientCertVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

fn authorities(
    table: &Table<'_>,
    files: &mut Files,
    provider: &Arc<CryptoProvider>,
    policy: Policy,
) -> Result<Option<Authorities>, Noted> {
    let Some((node, what, pem)) = pem_text(table, "client_ca", "client_ca_file", files)? else {
        if policy == Policy::VerifyIfGiven {
            table.get("client_auth_type").inspect(|node| {
                node.warn(
                    "has no effect without client_ca_file: nobody is asked for a certificate",
                );
            });
        } else if policy.verifies() {
            table.missing(
                "client_ca_file",
                "missing; without the authority that signs for your clients, none can be verified",
            );
            return Err(Noted);
        }
        return Ok(None);
    };
    if policy == Policy::None {
        node.refuse(
            "nobody is asked for a certificate; add client_auth_type: RequireAndVerifyClientCert, or \
             remove this",
        );
        return Err(Noted);
    }
    let refused = |why: &str| {
        node.refuse(format!(
            "{what} {why}; name the PEM certificate of the authority that signs for your clients"
        ));
        Err(Noted)
    };
    let (certificates, store) = match pem::authorities(&pem) {
        Ok(authorities) => authorities,
        Err(why) => return refused(why),
    };
    if !policy.verifies() {
        node.warn("has no effect: by client_auth_type, certificates of clients are not verified");
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
    match builder.build() {
        Ok(paths) if policy.verifies() => Ok(Some(Authorities { paths, certificates })),
        Ok(_) => Ok(None),
        Err(error) => refused(&format!("cannot be used: {error}")),
    }
}

fn allowed_names(table: &Table<'_>, policy: Policy) -> Result<Option<Vec<String>>, Noted> {
    let Some(node) = table.given("client_allowed_sans") else { return Ok(None) };
    let items = node.list("a list of names such as [\"prometheus.example.com\"]");
    let names: Vec<_> = items.iter().filter_map(|item| item.text("a name")).collect();
    if names.is_empty() {
        node.refuse("names nobody, so no client could connect; leave the key out to take any name");
        return Err(Noted);
    }
    if !policy.is_mandatory() {
        node.refuse(
            "a client without a certificate would not be held to it; add client_auth_type: \
             RequireAndVerifyClientCert",
        );
        return Err(Noted);
    }
    if !policy.verifies() {
        node.warn(
            "holds nobody off: anybody can make a certificate with these names; add \
             client_auth_type: RequireAndVerifyClientCert and client_ca_file",
        );
    }
    Ok(Some(names))
}

/// What is asked of clients.
#[derive(Debug)]
struct Clients {
    mandatory: bool,
    /// `None` where any certificate does.
    authorities: Option<Authorities>,
    /// Subject alternative names, one of which must be there; `None` for any.
    names: Option<Vec<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.as_ref().map_or(&[], |known| known.paths.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(known) = &self.authorities
            && !(known.certificates.contains(end_entity) && is_valid(end_entity, now))
        {
            known.paths.verify_client_cert(end_entity, intermediates, now)?;
        }
        if let Some(allowed) = &self.names
            && !names(end_entity)?.iter().any(|name| allowed.contains(name))
        {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether the present lies within the dates of a certificate. A certificate that is itself among
/// the trusted ones needs nothing else, as in Go: `openssl req -x509` makes one that vouches for
/// itself, and webpki takes none such from a client.
fn is_valid(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let now = i64::try_from(now.as_secs()).ok().and_then(|at| ASN1Time::from_timestamp(at).ok());
    let parsed = X509Certificate::from_der(certificate).ok();
    parsed.zip(now).is_some_and(|((_, parsed), now)| parsed.validity().is_valid_at(now))
}

/// The subject alternative names of the kinds that Go knows, as Go writes them.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let broken = || Error::from(CertificateError::BadEncoding);
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| broken())?;
    let extension = parsed.subject_alternative_name().map_err(|_| broken())?;
    let all = extension.iter().flat_map(|extension| &extension.value.general_names);
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok()?;
            Some(address.to_string())
        }
        _ => None,
    };
    Ok(all.filter_map(text).collect())
}
