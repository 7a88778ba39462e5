//! Families about TLS with exchangers, each by address family: what was agreed on, when certificates
//! expire, and who would trust them.
//!
//! A family that showed no certificate has none of them, but for policies that want one. Of several
//! addresses the one that is worst off counts.

use crate::{
    config::Detail,
    facts::{Reason, Session, Tls, TlsaStatus},
    metrics::{
        names,
        series::{exchanger::Part, unix_seconds},
        text::Family,
    },
};

/// All families.
pub(super) fn write(parts: &[Part<'_>], detail: Detail, out: &mut String) {
    let shown: Vec<(&Part<'_>, Vec<&Tls>)> = parts
        .iter()
        .map(|part| {
            (part, part.sessions.iter().filter_map(|session| session.tls.as_deref()).collect())
        })
        .filter(|(_, shown): &(_, Vec<_>)| !shown.is_empty())
        .collect();
    let mut family = Family::new(out, &names::TLS_CERTIFICATE_NOT_AFTER);
    for (part, shown) in &shown {
        if let Some(soonest) = shown.iter().filter_map(|tls| tls.not_after()).min() {
            family.sample(part.labels, &[], unix_seconds(soonest));
        }
    }
    let mut family = Family::new(out, &names::TLS_CERTIFICATE_STATUS);
    for (part, shown) in &shown {
        if let Some(worst) = shown.iter().map(|tls| tls.pkix).max() {
            family.sample(part.labels, &[("status", worst.label())], 1);
        }
    }
    if detail == Detail::Lean {
        return;
    }
    let mut family = Family::new(out, &names::TLS_INFO);
    for (part, shown) in &shown {
        let agreed = shown.iter().filter_map(|tls| Some((tls.version?, *tls)));
        let Some((version, tls)) = agreed.min_by_key(|(version, tls)| (*version, &tls.cipher))
        else {
            continue;
        };
        let more = [
            ("version", version.label()),
            ("cipher", tls.cipher.as_deref().unwrap_or_default()),
            ("key_exchange", tls.key_exchange.as_deref().unwrap_or_default()),
        ];
        family.sample(part.labels, &more, 1);
    }
    let mut family = Family::new(out, &names::TLS_VERIFIED);
    for part in parts {
        let policies = [("pkix", pkix(part)), ("dane", dane(part)), ("mta_sts", mta_sts(part))];
        for (policy, kept) in policies {
            if let Some(kept) = kept {
                family.sample(part.labels, &[("policy", policy)], u8::from(kept));
            }
        }
    }
}

/// Whether all addresses show certificates that are trusted; `None` where none shows any.
fn pkix(part: &Part<'_>) -> Option<bool> {
    let shown = part.sessions.iter().any(|session| session.tls.is_some());
    every_address(part, |tls| Some(tls.pkix.trusted())).filter(|_| shown)
}

/// Whether all addresses match the TLSA records of every resolver that proves any; `None` where none does.
fn dane(part: &Part<'_>) -> Option<bool> {
    let secure = || part.tlsa.iter().filter(|tlsa| tlsa.status == TlsaStatus::Secure);
    secure().next()?;
    // A session from before there were records was held against none.
    every_address(part, |tls| {
        let matched = tls.dane.as_deref()?;
        Some(secure().all(|tlsa| tlsa.matched_by(matched)))
    })
}

/// Whether the certificates hold by which MTA-STS knows an exchanger (RFC 8461 §4.2); `None` where no
/// policy is in force. Whether the policy lists it is a finding of the domain.
fn mta_sts(part: &Part<'_>) -> Option<bool> {
    every_address(part, |tls| Some(tls.pkix.trusted())).filter(|_| part.under_sts)
}

/// Whether every address that takes mail, and of which it is known, encrypts and shows what is wanted;
/// `None` where it is known of none.
fn every_address(part: &Part<'_>, shows: impl Fn(&Tls) -> Option<bool>) -> Option<bool> {
    let up = part.sessions.iter().filter(|session| session.up());
    let known: Vec<bool> = up.filter_map(|session| encrypted(session, &shows)).collect();
    (!known.is_empty()).then(|| known.into_iter().all(|shown| shown))
}

/// What one session tells; `None` where it was not to encrypt, or the probe speaks less than others do.
fn encrypted(session: &Session, shows: impl Fn(&Tls) -> Option<bool>) -> Option<bool> {
    match (session.tls_failure().map(|failure| failure.reason), session.tls.as_deref()) {
        (Some(Reason::TlsCipher | Reason::TlsKey | Reason::TlsVersion), _) => None,
        (Some(_), _) => Some(false),
        (None, Some(tls)) => shows(tls),
        (None, None) => (!session.offers("STARTTLS")).then_some(false),
    }
}
