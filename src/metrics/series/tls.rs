//! Families about TLS with exchangers, each by address family: what was agreed on, when certificates
//! expire, and who would trust them.
//!
//! A family that showed no certificate has none of them, but for policies that want one. Of several
//! addresses the one that is worst off counts.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    config::Detail,
    facts::{Pkix, Reason, Session, Tls, TlsaFacts, TlsaStatus},
    metrics::{
        labels::Closed,
        names,
        series::exchanger::Part,
        sink::Gone,
        text::{Family, Text},
        view::View,
    },
};

/// What the sessions of one family of an exchanger show of TLS.
pub(super) struct PartTls<'a> {
    /// The soonest end of a certificate.
    not_after: Option<Timestamp>,
    /// The worst that PKIX makes of one.
    pkix: Option<Pkix>,
    /// The handshake with the oldest version.
    oldest: Option<&'a Tls>,
    /// Whether what each policy wants is kept, where it applies: PKIX, DANE, MTA-STS.
    kept: [Option<bool>; 3],
}

/// Values of the `policy` label, in the order of [`PartTls::kept`].
const POLICIES: [&str; 3] = ["pkix", "dane", "mta_sts"];

impl<'a> PartTls<'a> {
    pub(super) fn new(sessions: &[&'a Session], tlsa: &[Arc<TlsaFacts>], under_sts: bool) -> Self {
        let shown = || sessions.iter().filter_map(|session| session.tls.as_deref());
        let agreed = shown().filter_map(|tls| Some((tls.version?, tls)));
        let oldest = agreed.min_by_key(|(version, tls)| (*version, &tls.cipher));
        Self {
            not_after: shown().filter_map(Tls::not_after).min(),
            pkix: shown().map(|tls| tls.pkix).max(),
            oldest: oldest.map(|(_, tls)| tls),
            kept: [pkix(sessions), dane(sessions, tlsa), mta_sts(sessions, under_sts)],
        }
    }
}

/// All families.
pub(super) fn write(
    view: &View<'_>,
    parts: &[Part<'_>],
    detail: Detail,
    out: &mut Text<'_>,
) -> Result<(), Gone> {
    let mut each = Closed::new(["family"]);
    let mut family = Family::by(out, &names::TLS_CERTIFICATE_NOT_AFTER, "mx");
    for part in parts {
        if let Some(soonest) = part.tls.not_after {
            family.row(part.mx(view), each.tail([part.family()]), soonest)?;
        }
    }
    let mut family = Family::by(out, &names::TLS_CERTIFICATE_STATUS, "mx");
    let mut status = Closed::new(["family", "status"]);
    for part in parts {
        if let Some(worst) = part.tls.pkix {
            family.row(part.mx(view), status.tail([part.family(), worst.label()]), 1)?;
        }
    }
    if detail == Detail::Lean {
        return Ok(());
    }
    let mut family = Family::by(out, &names::TLS_INFO, "mx");
    for part in parts {
        let Some((version, tls)) = part.tls.oldest.and_then(|tls| Some((tls.version?, tls))) else {
            continue;
        };
        let more = [
            ("version", version.label()),
            ("cipher", tls.cipher.as_deref().unwrap_or_default()),
            ("key_exchange", tls.key_exchange.as_deref().unwrap_or_default()),
        ];
        family.row_with(part.mx(view), each.middle([part.family()]), &more, 1)?;
    }
    let mut family = Family::by(out, &names::TLS_VERIFIED, "mx");
    let mut policy = Closed::new(["family", "policy"]);
    for part in parts {
        for (name, kept) in POLICIES.into_iter().zip(part.tls.kept) {
            if let Some(kept) = kept {
                let tail = policy.tail([part.family(), name]);
                family.row(part.mx(view), tail, u8::from(kept))?;
            }
        }
    }
    Ok(())
}

/// Whether all addresses show certificates that are trusted; `None` where none shows any.
fn pkix(sessions: &[&Session]) -> Option<bool> {
    let shown = sessions.iter().any(|session| session.tls.is_some());
    // The rest is a look into replies, which most scrapes can do without.
    if shown { every_address(sessions, |tls| Some(tls.pkix.trusted())) } else { None }
}

/// Whether all addresses match the TLSA records of every resolver that proves any; `None` where none does.
fn dane(sessions: &[&Session], tlsa: &[Arc<TlsaFacts>]) -> Option<bool> {
    let secure = || tlsa.iter().filter(|tlsa| tlsa.status == TlsaStatus::Secure);
    secure().next()?;
    // A session from before there were records was held against none.
    every_address(sessions, |tls| {
        let matched = tls.dane.as_deref()?;
        Some(secure().all(|tlsa| tlsa.matched_by(matched)))
    })
}

/// Whether the certificates hold by which MTA-STS knows an exchanger (RFC 8461 §4.2); `None` where no
/// policy is in force. Whether the policy lists it is a finding of the domain.
fn mta_sts(sessions: &[&Session], under_sts: bool) -> Option<bool> {
    if under_sts { every_address(sessions, |tls| Some(tls.pkix.trusted())) } else { None }
}

/// Whether every address that takes mail, and of which it is known, encrypts and shows what is wanted;
/// `None` where it is known of none.
fn every_address(sessions: &[&Session], shows: impl Fn(&Tls) -> Option<bool>) -> Option<bool> {
    let up = sessions.iter().filter(|session| session.up());
    up.filter_map(|session| encrypted(session, &shows)).reduce(|all, one| all && one)
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
