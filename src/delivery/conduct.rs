//! How an exchanger's address behaves towards a caller, out of one session with it.
//!
//! It tells what was seen and for how long; what a sender makes of that is `effect`'s.

use std::time::Duration;

use crate::facts::{Reason, Session, Stage, StageFact, TlsaFacts};

/// One address as its last session found it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Conduct {
    pub(super) connect: Connect,
    pub(super) greeting: Greeting,
    pub(super) ehlo: Answer,
    pub(super) helo: Answer,
    pub(super) starttls: Starttls,
    pub(super) mail: Answer,
    pub(super) rcpt: Answer,
}

/// What came of the TCP connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Connect {
    /// Established after this time.
    Up(Duration),
    /// No answer for this time.
    Silent(Duration),
    Refused,
    Reset,
    Unreachable,
    /// This host has no route of that family.
    NoLocalFamily,
    /// This host could not try.
    LocalError,
    /// Nobody tried.
    Unobserved,
}

/// What came after the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Greeting {
    /// A banner with this code, after this time.
    Code(u16, Duration),
    /// No complete banner for this time.
    Silent(Duration),
    Closed,
    Reset,
    /// No SMTP banner.
    Malformed,
    /// TLS had to come first, and failed, or did not come to an end for this time.
    NoTls(Option<Duration>),
    Unobserved,
}

/// What came after a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// A reply with this code, after this time.
    Code(u16, Duration),
    /// No complete reply for this time.
    Silent(Duration),
    /// The connection ended, or what came is no reply.
    Lost,
    Unobserved,
}

/// How it is with TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Starttls {
    NotOffered,
    /// Offered, and not known whether a sender would get there: not tried, or beyond what the probe
    /// speaks itself.
    Untried,
    /// STARTTLS was not answered with 220.
    Rejected,
    /// The handshake, or the reply before it, did not come to an end.
    Silent(Duration),
    /// The handshake failed.
    Failed,
    /// Encrypted.
    Up(Trust),
}

/// Whether the certificate of a session would be trusted, by what it is held against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Trust {
    /// By the certificate authorities, for the exchanger's name (RFC 8461 §4.2).
    pub(super) pkix: bool,
    /// By the TLSA records (RFC 7672 §3); `None` when it was not held against any.
    pub(super) dane: Option<bool>,
}

impl Conduct {
    /// One that takes every message at once.
    pub(super) const HEALTHY: Self = Self {
        connect: Connect::Up(Duration::ZERO),
        greeting: Greeting::Code(220, Duration::ZERO),
        ehlo: Answer::Code(250, Duration::ZERO),
        helo: Answer::Unobserved,
        starttls: Starttls::Up(Trust { pkix: true, dane: Some(true) }),
        mail: Answer::Code(250, Duration::ZERO),
        rcpt: Answer::Code(250, Duration::ZERO),
    };

    /// One that nobody has called.
    pub(super) const UNOBSERVED: Self = Self { connect: Connect::Unobserved, ..Self::HEALTHY };

    /// The same where nobody knows what comes of TLS.
    pub(super) fn with_tls_untried(self) -> Self {
        let starttls = match self.starttls {
            Starttls::Up(_) | Starttls::Failed => Starttls::Untried,
            other => other,
        };
        Self { starttls, ..self }
    }

    /// As a session tells, held against the TLSA records that the sender goes by.
    pub(super) fn of(session: &Session, tlsa: Option<&TlsaFacts>) -> Self {
        Self {
            connect: connect(session.stage(Stage::Connect)),
            greeting: without_tls(session)
                .unwrap_or_else(|| greeting(session.stage(Stage::Banner))),
            ehlo: answer(session.stage(Stage::Ehlo)),
            helo: answer(session.stage(Stage::Helo)),
            starttls: starttls(session, tlsa),
            mail: cut_short(session).unwrap_or_else(|| answer(session.stage(Stage::Mail))),
            rcpt: answer(session.stage(Stage::Rcpt)),
        }
    }
}

fn connect(fact: Option<&StageFact>) -> Connect {
    let Some(fact) = fact else { return Connect::Unobserved };
    match fact.reason {
        None => Connect::Up(fact.duration.get()),
        Some(Reason::Timeout) => Connect::Silent(fact.duration.get()),
        Some(Reason::Refused) => Connect::Refused,
        Some(Reason::Unreachable) => Connect::Unreachable,
        Some(Reason::NoLocalFamily) => Connect::NoLocalFamily,
        Some(Reason::LocalError) => Connect::LocalError,
        // Anything else that ends a connection before it is one.
        Some(_) => Connect::Reset,
    }
}

/// What comes of a server that encrypts from the first octet on, where that failed. What the probe does
/// not speak itself leaves it open.
fn without_tls(session: &Session) -> Option<Greeting> {
    let handshake = session.stage(Stage::TlsHandshake)?;
    if session.stage(Stage::Banner).is_some() {
        return None;
    }
    Some(match handshake.reason? {
        Reason::Timeout => Greeting::NoTls(Some(handshake.duration.get())),
        Reason::TlsCipher | Reason::TlsKey | Reason::TlsVersion => Greeting::Unobserved,
        _ => Greeting::NoTls(None),
    })
}

fn greeting(fact: Option<&StageFact>) -> Greeting {
    let Some(fact) = fact else { return Greeting::Unobserved };
    match (fact.reply(), fact.reason_by_code()) {
        (Some(reply), None | Some(Reason::Reply4xx | Reason::Reply5xx)) => {
            Greeting::Code(reply.code, fact.duration.get())
        }
        (_, Some(Reason::Timeout)) => Greeting::Silent(fact.duration.get()),
        (_, Some(Reason::Closed)) => Greeting::Closed,
        (_, Some(Reason::Reset | Reason::Refused | Reason::Unreachable)) => Greeting::Reset,
        (_, Some(Reason::NoLocalFamily | Reason::LocalError) | None) => Greeting::Unobserved,
        // Other codes, and what is none.
        (_, Some(_)) => Greeting::Malformed,
    }
}

fn answer(fact: Option<&StageFact>) -> Answer {
    let Some(fact) = fact else { return Answer::Unobserved };
    match (fact.reply(), fact.reason) {
        (Some(reply), _) => Answer::Code(reply.code, fact.duration.get()),
        (None, Some(Reason::Timeout)) => Answer::Silent(fact.duration.get()),
        (None, Some(_)) => Answer::Lost,
        (None, None) => Answer::Unobserved,
    }
}

/// How the session ended where EHLO over TLS or the login was not taken. A sender whose password is
/// refused keeps its mail, as one does whose connection is lost.
fn cut_short(session: &Session) -> Option<Answer> {
    let stages = [Stage::EhloTls, Stage::Auth].into_iter();
    let fact =
        stages.filter_map(|stage| session.stage(stage)).find(|fact| fact.reason.is_some())?;
    Some(match fact.reason? {
        Reason::Timeout => Answer::Silent(fact.duration.get()),
        // Most senders look at no certificate; what would be said to them nobody asked.
        Reason::Untrusted => Answer::Unobserved,
        _ => Answer::Lost,
    })
}

fn starttls(session: &Session, tlsa: Option<&TlsaFacts>) -> Starttls {
    if let Some(handshake) = session.stage(Stage::TlsHandshake) {
        let trust = session.tls.as_deref().map(|tls| Trust {
            pkix: tls.pkix.trusted(),
            dane: tls.dane.as_ref().zip(tlsa).map(|(matched, tlsa)| tlsa.matched_by(matched)),
        });
        return match (handshake.reason, trust) {
            (Some(Reason::Timeout), _) => Starttls::Silent(handshake.duration.get()),
            (None, Some(trust)) => Starttls::Up(trust),
            // Most senders speak more than the probe: old versions, static RSA, short keys. And without
            // a word on trust a handshake that came about says nothing about it.
            (None | Some(Reason::TlsCipher | Reason::TlsKey | Reason::TlsVersion), _) => {
                Starttls::Untried
            }
            (Some(_), _) => Starttls::Failed,
        };
    }
    let asked = session.stage(Stage::Starttls);
    match answer(asked) {
        _ if asked.is_some_and(|fact| fact.reason == Some(Reason::NotOffered)) => {
            Starttls::NotOffered
        }
        Answer::Code(220, _) if session.tls_failure().is_some() => Starttls::Failed,
        Answer::Code(220, _) => Starttls::Untried,
        Answer::Code(..) => Starttls::Rejected,
        Answer::Silent(waited) => Starttls::Silent(waited),
        Answer::Lost => Starttls::Failed,
        Answer::Unobserved => {
            if session.offers("STARTTLS") {
                Starttls::Untried
            } else {
                Starttls::NotOffered
            }
        }
    }
}
