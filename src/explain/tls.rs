//! TLS in words: what a handshake agreed on, the certificates as `openssl s_client` lists them, and
//! what went wrong. What a sender makes of it is the verdict's business.

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;

use super::{by_hand, spoken, trouble::Trouble};
use crate::facts::{
    Certificate, ExchangerFacts, Facts, Failure, Pkix, Reason, Session, Stage, Tls, TlsaFacts,
    TlsaStatus,
};

/// Version, cipher suite and key exchange.
pub fn agreed(tls: &Tls) -> String {
    let version = tls.version.map(|version| version.label().to_owned());
    let cipher = tls.cipher.as_ref().map(ToString::to_string);
    let exchange = tls.key_exchange.as_ref().map(|group| format!("key exchange {group}"));
    let parts: Vec<_> = [version, cipher, exchange].into_iter().flatten().collect();
    if parts.is_empty() { "no TLS session".to_owned() } else { parts.join(", ") }
}

/// The certificate by what the authorities say of it, as in `an expired certificate`.
pub fn trust(tls: &Tls) -> String {
    let own = tls.chain.first();
    let names = || own.map(|own| own.names.iter().take(3).cloned().collect::<Vec<_>>().join(", "));
    match tls.pkix {
        Pkix::Trusted => "a trusted certificate".to_owned(),
        Pkix::Expired => "an expired certificate".to_owned(),
        Pkix::NotYetValid => "a certificate that is not valid yet".to_owned(),
        Pkix::NameMismatch => match names().filter(|listed| !listed.is_empty()) {
            Some(listed) => format!("a certificate for another name ({listed})"),
            None => "a certificate for another name".to_owned(),
        },
        Pkix::UnknownIssuer => {
            "a certificate of an authority that this host does not know, or without the intermediate \
             one"
                .to_owned()
        }
        Pkix::SelfSigned => "a self-signed certificate".to_owned(),
        Pkix::BadKey => match own {
            Some(own) => format!("a certificate with a key that does not do ({})", own.key),
            None => "a certificate with a key that does not do".to_owned(),
        },
        Pkix::BadSignature => "a certificate with a wrong signature".to_owned(),
        Pkix::NotForServers => "a certificate that is not meant for servers".to_owned(),
        Pkix::Malformed => "a certificate that cannot be read".to_owned(),
        Pkix::Other => "a certificate that is not trusted".to_owned(),
    }
}

/// What its owner can do about a certificate that is not trusted.
pub(super) fn remedy(tls: &Tls, host: &str) -> String {
    match tls.pkix {
        Pkix::Trusted => String::new(),
        Pkix::Expired => "it has to be renewed".to_owned(),
        Pkix::NotYetValid => "see to the clocks, or wait for its first day".to_owned(),
        Pkix::NameMismatch => format!("it has to be for {host}"),
        Pkix::UnknownIssuer => {
            "the chain has to be complete, and its authority one that others trust".to_owned()
        }
        Pkix::SelfSigned => "an authority that others trust has to sign it".to_owned(),
        _ => "another one has to take its place".to_owned(),
    }
}

/// A login that was not given away.
pub(super) fn kept_back(session: &Session, host: &str) -> Option<Trouble> {
    if session.stage(Stage::Auth)?.reason? != Reason::Untrusted {
        return None;
    }
    let shown = session.tls.as_deref()?;
    let here = match shown.pkix {
        Pkix::NameMismatch => {
            "Write smarthost with a name that stands in the certificate, if that is the right server."
        }
        Pkix::SelfSigned | Pkix::UnknownIssuer => {
            "Let this host trust the authority that signed it; for one of your own SSL_CERT_FILE does."
        }
        _ => "Those who run the server have to see to that.",
    };
    let (peer, what) = (session.peer, trust(shown));
    Some(Trouble {
        what: format!("{peer} was not given the password: it shows {what}. {here}"),
        by_hand: vec![by_hand::s_client(session, host)],
    })
}

/// What DANE makes of it; `None` where no TLSA record counts.
pub fn dane(tls: &Tls, tlsa: &[Arc<TlsaFacts>]) -> Option<Result<&'static str, &'static str>> {
    let matched = tls.dane.as_deref()?;
    let mut secure = tlsa.iter().filter(|tlsa| tlsa.status == TlsaStatus::Secure).peekable();
    secure.peek()?;
    let all = secure.all(|tlsa| tlsa.matched_by(matched));
    Some(if all { Ok("matches its TLSA records") } else { Err("matches none of its TLSA records") })
}

/// The chain, some lines for each certificate, with the days it is valid for from `now`.
pub fn chain(tls: &Tls, now: Timestamp) -> Vec<String> {
    let one = |(place, certificate): (usize, &Certificate)| {
        let mut lines = vec![
            format!("{place} s:{}", certificate.subject),
            format!("  i:{}", certificate.issuer),
            format!(
                "  {}, {}, {}",
                certificate.key,
                certificate.signature,
                dates(certificate, now)
            ),
        ];
        if place == 0 && !certificate.names.is_empty() {
            let more = certificate.names.len().saturating_sub(MOST_NAMES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let names: Vec<_> = certificate.names.iter().take(MOST_NAMES).cloned().collect();
            lines.push(format!("  for {}{more}", names.join(", ")));
        }
        lines
    };
    tls.chain.iter().enumerate().flat_map(one).collect()
}

/// Names of a certificate that are shown.
const MOST_NAMES: usize = 5;

fn dates(certificate: &Certificate, now: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    match (certificate.not_before, certificate.not_after) {
        (Some(from), Some(to)) => format!("{} to {}, {}", day(from), day(to), left(to, now)),
        _ => "without dates".to_owned(),
    }
}

/// The time until a certificate expires, as people count it.
fn left(to: Timestamp, now: Timestamp) -> String {
    let days = |seconds: i64| seconds / (24 * 3600);
    let hours = |seconds: i64| seconds / 3600;
    match to.as_second() - now.as_second() {
        gone if gone < 0 && days(-gone) < 2 => format!("expired {} hours ago", hours(-gone)),
        gone if gone < 0 => format!("expired {} days ago", days(-gone)),
        seconds if days(seconds) < 2 => format!("{} hours left", hours(seconds)),
        seconds => format!("{} days left", days(seconds)),
    }
}

/// What went wrong with TLS, if anything did.
pub(super) fn trouble(session: &Session, host: &str) -> Option<Trouble> {
    let failure = session.tls_failure()?;
    let fact = session.stage(failure.stage)?;
    let said = fact.reply().map(|r| format!("{} {}", r.code, r.lines.join(" / ")));
    let detail = said.as_deref().or(fact.received()).unwrap_or_default();
    let key = session.tls.as_ref().and_then(|tls| tls.chain.first()).map(|own| own.key.as_str());
    let what = what(session.peer, failure, detail, key, &spoken(fact.duration.get()));
    Some(Trouble { what, by_hand: vec![by_hand::s_client(session, host)] })
}

fn what(
    peer: SocketAddr,
    failure: Failure,
    detail: &str,
    key: Option<&str>,
    waited: &str,
) -> String {
    match (failure.stage, failure.reason) {
        (_, Reason::NotOffered) => {
            format!("{peer} does not offer STARTTLS, which is demanded for this destination.")
        }
        (_, Reason::Injected) => format!(
            "{peer} sends plain text after its 220 to STARTTLS, where TLS had to begin. Somebody in \
             between may have put it there, and nothing more was said to it (RFC 3207 §6)."
        ),
        (Stage::Starttls, Reason::Timeout) => {
            format!("{peer} does not answer STARTTLS within {waited}.")
        }
        (Stage::Starttls, _) if !detail.is_empty() => {
            format!("{peer} offers STARTTLS and refuses it: {detail}")
        }
        (Stage::Starttls, reason) => {
            format!("{peer} ends the connection at STARTTLS ({}).", reason.label())
        }
        (_, Reason::Timeout) => {
            format!("{peer} does not finish the TLS handshake within {waited}.")
        }
        (_, Reason::TlsVersion) => format!(
            "{peer} speaks no version of TLS that mxwatch does, which are 1.2 and 1.3 ({detail}). A \
             sender that allows older ones may still encrypt."
        ),
        (_, Reason::TlsCipher) => format!(
            "{peer} has no cipher suite and key exchange in common with mxwatch, which has none \
             without forward secrecy and none with DHE ({detail}). A sender that has others may \
             still encrypt."
        ),
        (_, Reason::TlsKey) => format!(
            "The certificate of {peer} has a key{} that mxwatch cannot check ({detail}). A sender \
             that takes such keys may still encrypt.",
            key.map(|key| format!(", {key},")).unwrap_or_default()
        ),
        (_, Reason::Closed | Reason::Reset) => {
            format!("{peer} ends the connection in the TLS handshake: {detail}.")
        }
        _ => format!("The TLS handshake with {peer} fails: {detail}."),
    }
}

/// A session whose certificates are not those that DANE promises.
pub(super) fn mismatch(session: &Session, exchanger: &ExchangerFacts) -> Option<Trouble> {
    let tls = session.tls.as_deref()?;
    let mut broken = exchanger.tlsa.iter().filter(|tlsa| {
        tlsa.status == TlsaStatus::Secure
            && !tls.dane.as_deref().is_some_and(|m| tlsa.matched_by(m))
    });
    let first = broken.next()?;
    let host = &exchanger.exchanger.host;
    let mut by_hand: Vec<String> =
        first.lookups.last().map(by_hand::dig_dnssec).unwrap_or_default();
    by_hand.push(by_hand::s_client(session, &host.to_string()));
    Some(Trouble {
        what: format!(
            "The certificates that {} shows match none of the TLSA records of {}. A sender that goes \
             by DANE does not deliver there (RFC 7672 §2.2): the records must be published before the \
             certificate changes.",
            session.peer, first.base
        ),
        by_hand,
    })
}

/// Certificates that will soon be a trouble to somebody, or are one to those who look.
pub(super) fn notes(facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    for exchanger in &facts.exchangers {
        let host = &exchanger.exchanger.host;
        let all = || exchanger.sessions.iter().filter_map(|session| session.tls.as_deref());
        if let Some(worst) = all().filter(|tls| !tls.pkix.trusted()).max_by_key(|tls| tls.pkix) {
            notes.push(format!(
                "{host} shows {}. Senders that encrypt without looking do not mind; those that \
                 look do not deliver.",
                trust(worst)
            ));
        }
        let soonest = all().filter(|tls| tls.pkix.trusted()).filter_map(Tls::not_after).min();
        if let Some(soonest) = soonest
            && soonest.as_second() - facts.observed_at.as_second() < SOON
        {
            let left = left(soonest, facts.observed_at);
            notes.push(format!("The certificate of {host} expires soon: {left}."));
        }
    }
    notes
}

/// Those who renew certificates by themselves do it a month before.
const SOON: i64 = 14 * 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_to_both_sides() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |days: i64| now + jiff::SignedDuration::from_hours(24 * days);
        assert_eq!(left(at(90), now), "90 days left");
        assert_eq!(left(at(2), now), "2 days left");
        assert_eq!(left(at(1), now), "24 hours left");
        assert_eq!(left(at(-1), now), "expired 24 hours ago");
        assert_eq!(left(at(-3), now), "expired 3 days ago");
    }
}
