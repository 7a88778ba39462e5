//! Families about TLS with exchangers, each by address family: what was agreed on, when certificates
//! expire, and who would trust them.
//!
//! A family with which no TLS session came about has none of them. Of several addresses the one that
//! is worst off counts.

use crate::{
    config::Detail,
    facts::{Tls, TlsaStatus},
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
    for (part, shown) in &shown {
        let trusted = shown.iter().all(|tls| tls.pkix.trusted());
        family.sample(part.labels, &[("policy", "pkix")], u8::from(trusted));
    }
    for part in parts {
        let policies = [("dane", dane(part)), ("mta_sts", mta_sts(part))];
        for (policy, kept) in policies {
            if let Some(kept) = kept {
                family.sample(part.labels, &[("policy", policy)], u8::from(kept));
            }
        }
    }
}

/// Whether all addresses that take mail match the TLSA records of every resolver that proves any; `None`
/// where none does.
fn dane(part: &Part<'_>) -> Option<bool> {
    let secure = || part.tlsa.iter().filter(|tlsa| tlsa.status == TlsaStatus::Secure);
    secure().next()?;
    every_address(part, |tls| {
        let matched = tls.dane.as_deref().unwrap_or_default();
        secure().all(|tlsa| tlsa.matched_by(matched))
    })
}

/// Whether the certificates hold by which MTA-STS knows an exchanger (RFC 8461 §4.2); `None` where no
/// policy is in force. Whether the policy lists it is a finding of the domain.
fn mta_sts(part: &Part<'_>) -> Option<bool> {
    every_address(part, |tls| tls.pkix.trusted()).filter(|_| part.under_sts)
}

/// Whether every address that takes mail encrypts and shows what is wanted; `None` when none takes mail.
fn every_address(part: &Part<'_>, shows: impl Fn(&Tls) -> bool) -> Option<bool> {
    let mut up = part.sessions.iter().filter(|session| session.up()).peekable();
    up.peek()?;
    Some(up.all(|session| {
        session.tls_failure().is_none() && session.tls.as_deref().is_some_and(&shows)
    }))
}
