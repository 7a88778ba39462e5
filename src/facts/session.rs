//! SMTP: one dialogue with one address, stage by stage.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Elapsed, Family, Lines, StageFact, Tls, Transaction, stage::is_extension};
use crate::envelope::Envelope;

/// One SMTP dialogue with one address.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Session {
    /// The address and port connected to.
    pub peer: SocketAddr,
    /// The own address the connection left from, once there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// When it began.
    pub started_at: Timestamp,
    /// From the first SYN to the end of the last stage.
    #[serde(rename = "duration_seconds")]
    pub duration: Elapsed,
    /// The name given with EHLO and HELO.
    pub helo_name: Arc<str>,
    /// The stages reached, in order; the last one is where it stopped.
    pub stages: Box<[StageFact]>,
    /// Why no mail could have been handed over in this session; `None` when it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What the TLS handshake showed; absent where there was none, or it ended before the server
    /// showed a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Box<Tls>>,
    /// How this host made itself known; absent where it did not try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_mechanism: Option<AuthMechanism>,
    /// What came of the envelopes that were asked about, in the order of the dialogue: after the other
    /// stages, before QUIT. What is refused there is no failure of the session.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub transactions: Box<[Transaction]>,
}

/// How a client makes itself known with a password (RFC 4954).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AuthMechanism {
    /// The name, and then the password, each when asked for.
    Login,
    /// RFC 4616.
    Plain,
}

impl AuthMechanism {
    /// Its SASL name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
        }
    }
}

impl Session {
    /// The family of the peer.
    pub fn family(&self) -> Family {
        Family::of(self.peer.ip())
    }

    /// Went as far as mail: greeted with 220, took EHLO or HELO, and what was demanded beyond, TLS or a
    /// login.
    pub fn up(&self) -> bool {
        self.failure.is_none()
    }

    /// The peer was called at all. Where this host has no route or could not open a socket, nothing
    /// was learned about the peer.
    pub fn tried(&self) -> bool {
        !self.failure.is_some_and(|failure| {
            failure.stage == Stage::Connect
                && matches!(failure.reason, Reason::LocalError | Reason::NoLocalFamily)
        })
    }

    /// The given stage, if it was reached; MAIL and RCPT are those of the first envelope that is no
    /// relay test.
    pub fn stage(&self, stage: Stage) -> Option<&StageFact> {
        let asked = self.transactions.iter().find(|asked| !asked.envelope.relay_test);
        let asked = asked.into_iter().flat_map(|transaction| &transaction.stages);
        self.stages.iter().chain(asked).find(|fact| fact.stage == stage)
    }

    /// All stages in the order of the dialogue, those of the transactions before QUIT, each with its
    /// transaction.
    pub fn dialogue(&self) -> impl Iterator<Item = (&StageFact, Option<&Transaction>)> {
        let end = self.stages.iter().position(|fact| fact.stage == Stage::Quit);
        let (before, quit) = self.stages.split_at(end.unwrap_or(self.stages.len()));
        let asked = self.transactions.iter().flat_map(|transaction| {
            transaction.stages.iter().map(move |fact| (fact, Some(transaction)))
        });
        let alone = |fact| (fact, None);
        before.iter().map(alone).chain(asked).chain(quit.iter().map(alone))
    }

    /// The same session as one sees it who wanted to know of these envelopes only.
    pub fn asked_about(self: &Arc<Self>, envelopes: &[Envelope]) -> Arc<Self> {
        let own = |transaction: &Transaction| envelopes.contains(&transaction.envelope);
        if self.transactions.iter().all(own) {
            return Arc::clone(self);
        }
        let transactions = self.transactions.iter().filter(|one| own(one)).cloned().collect();
        Arc::new(Self { transactions, ..Self::clone(self) })
    }

    /// The first thing that went wrong with TLS where that is no failure, because mail could go on in
    /// plain text.
    pub fn tls_failure(&self) -> Option<Failure> {
        let of_tls =
            |fact: &&StageFact| matches!(fact.stage, Stage::Starttls | Stage::TlsHandshake);
        self.stages
            .iter()
            .filter(of_tls)
            .find_map(|fact| Some(Failure { stage: fact.stage, reason: fact.reason? }))
    }

    /// The worst there is to say about the session: why it failed, or what went wrong without harm.
    pub fn fault(&self) -> Option<Failure> {
        let login = || {
            let kept_back = self.stage(Stage::Auth)?.reason? == Reason::Untrusted;
            kept_back.then_some(Failure { stage: Stage::Auth, reason: Reason::Untrusted })
        };
        self.failure.or_else(|| self.tls_failure()).or_else(login)
    }

    /// The lines of the EHLO reply after the first: keyword and parameters (RFC 5321 §4.1.1.1). What
    /// a server offers over TLS counts, not what it offered before (RFC 3207 §4.2).
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.listing().into_iter().flat_map(Reply::listed)
    }

    /// The whole reply that lists them.
    pub fn listing(&self) -> Option<&Reply> {
        let of = |stage| self.stage(stage).and_then(StageFact::listing);
        of(Stage::EhloTls).or_else(|| of(Stage::Ehlo))
    }

    /// Whether the server offers an extension; STARTTLS is offered before TLS, others count as they
    /// are offered at last.
    pub fn offers(&self, extension: &str) -> bool {
        if extension.eq_ignore_ascii_case("STARTTLS") {
            return self.stage(Stage::Ehlo).is_some_and(|fact| fact.offers(extension));
        }
        self.extensions().any(|line| is_extension(line, extension))
    }

    /// The SIZE limit announced (RFC 1870 §3), `Some(0)` for "no fixed limit".
    pub fn size_limit(&self) -> Option<u64> {
        self.extensions().find_map(size_limit)
    }

    /// Which of these extensions the server offers, and the SIZE limit it announces, in one reading: every
    /// scrape asks for both.
    pub fn offers_each<const N: usize>(&self, wanted: [&str; N]) -> ([bool; N], Option<u64>) {
        let (mut offered, mut limit) = ([false; N], None);
        for line in self.extensions() {
            for (extension, offered) in wanted.iter().zip(&mut offered) {
                *offered |= is_extension(line, extension);
            }
            limit = limit.or_else(|| size_limit(line));
        }
        if self.stage(Stage::EhloTls).is_some() {
            // What was offered before counts for one of them.
            offered = wanted.map(|extension| self.offers(extension));
        }
        (offered, limit)
    }
}

/// The limit in a line of an EHLO reply, if it announces one.
fn size_limit(line: &str) -> Option<u64> {
    // Most lines are told apart without looking for words in them.
    let line = line.trim_ascii_start();
    let mut words = is_extension(line, "SIZE").then(|| line.split_ascii_whitespace())?;
    let plain = words.next().is_some_and(|keyword| keyword.eq_ignore_ascii_case("SIZE"));
    plain.then(|| words.next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// One complete SMTP reply (RFC 5321 §4.2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The enhanced status code (RFC 3463) that opens the text, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enhanced: Option<EnhancedCode>,
    /// The text of each line; unprintable bytes replaced by U+FFFD.
    pub lines: Lines,
}

impl Reply {
    /// The lines after the first, which is where a positive reply to EHLO lists what is offered.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().skip(1)
    }

    /// 2yz.
    pub const fn positive(&self) -> bool {
        self.code >= 200 && self.code < 300
    }
}

/// An enhanced mail system status code, `class.subject.detail` (RFC 3463 §2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnhancedCode {
    /// What it says at large.
    pub class: Class,
    /// 0–999.
    pub subject: u16,
    /// 0–999.
    pub detail: u16,
}

impl EnhancedCode {
    /// Parses the whole of a text such as `4.7.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let class = match parts.next()? {
            "2" => Class::Success,
            "4" => Class::TransientFailure,
            "5" => Class::PermanentFailure,
            _ => return None,
        };
        let mut number = || {
            let digits = parts.next()?;
            let plain =
                (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let (subject, detail) = (number()?, number()?);
        parts.next().is_none().then_some(Self { class, subject, detail })
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class.digit(), self.subject, self.detail)
    }
}

impl TryFrom<String> for EnhancedCode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not an enhanced status code such as 4.7.1")
    }
}

impl From<EnhancedCode> for String {
    fn from(code: EnhancedCode) -> Self {
        code.to_string()
    }
}

/// The class of an enhanced status code (RFC 3463 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// 2.
    Success,
    /// 4: it may work later.
    TransientFailure,
    /// 5.
    PermanentFailure,
}

impl Class {
    /// The digit that stands for it, which is the first one of the reply's code as well.
    pub const fn digit(self) -> u16 {
        match self {
            Self::Success => 2,
            Self::TransientFailure => 4,
            Self::PermanentFailure => 5,
        }
    }
}

/// A stage of the dialogue, in the order they are passed but for TLS before the banner.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// TCP handshake.
    Connect,
    /// Established connection to 220.
    Banner,
    /// EHLO.
    Ehlo,
    /// HELO, after EHLO was refused.
    Helo,
    /// STARTTLS (RFC 3207).
    Starttls,
    /// The TLS handshake after it, or before the banner.
    TlsHandshake,
    /// EHLO again, over TLS (RFC 3207 §4.2).
    EhloTls,
    /// AUTH (RFC 4954), its prompts included.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// QUIT; its failure harms no mail.
    Quit,
}

impl Stage {
    /// Value of the `stage` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Banner => "banner",
            Self::Ehlo => "ehlo",
            Self::Helo => "helo",
            Self::Starttls => "starttls",
            Self::TlsHandshake => "tls_handshake",
            Self::EhloTls => "ehlo_tls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Quit => "quit",
        }
    }
}

/// Where and why a session failed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Failure {
    /// The stage it stopped at.
    pub stage: Stage,
    /// Why.
    pub reason: Reason,
}

impl Failure {
    /// Reachable, and not for us or not now: the server said so itself.
    pub const fn refuses_us(self) -> bool {
        let of_tls = matches!(self.stage, Stage::Starttls);
        matches!(self.reason, Reason::RefusingUs | Reason::Reply4xx | Reason::Reply5xx) && !of_tls
    }
}

/// Why a stage failed: a closed set.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The peer closed the connection in order.
    Closed,
    /// Plain text came after the 220 to STARTTLS, where TLS had to begin: somebody in between may
    /// have put it there (RFC 3207 §4.2).
    Injected,
    /// This host could not: no file descriptor, no such source address.
    LocalError,
    /// What came is no SMTP reply.
    Malformed,
    /// This host has no address or route of that family.
    NoLocalFamily,
    /// STARTTLS, or AUTH with a password, is demanded and not offered.
    NotOffered,
    /// The TCP connection was refused.
    Refused,
    /// A 4yz or 5yz reply that says that it is this host, or its address, that is not wanted.
    RefusingUs,
    /// A 4yz reply: reachable, but not now.
    #[serde(rename = "reply_4xx")]
    Reply4xx,
    /// A 5yz reply: reachable, but not for us.
    #[serde(rename = "reply_5xx")]
    Reply5xx,
    /// A well-formed reply with a code that has no place there, such as 250 as banner.
    ReplyUnexpected,
    /// The peer reset the connection.
    Reset,
    /// Nothing came in time.
    Timeout,
    /// There is no cipher suite or key exchange that both sides know.
    TlsCipher,
    /// The TLS handshake failed otherwise.
    TlsError,
    /// The key or signature of the server's certificate cannot be checked, as with RSA of 1024 bits.
    TlsKey,
    /// There is no protocol version that both sides know.
    TlsVersion,
    /// A line or a reply above the limits.
    TooLong,
    /// The network said host or network unreachable.
    Unreachable,
    /// No password is given to a server whose certificate nobody vouches for.
    Untrusted,
}

impl Reason {
    /// Value of the `reason` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Injected => "injected",
            Self::LocalError => "local_error",
            Self::Malformed => "malformed",
            Self::NoLocalFamily => "no_local_family",
            Self::NotOffered => "not_offered",
            Self::Refused => "refused",
            Self::RefusingUs => "refusing_us",
            Self::Reply4xx => "reply_4xx",
            Self::Reply5xx => "reply_5xx",
            Self::ReplyUnexpected => "reply_unexpected",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::TlsCipher => "tls_cipher",
            Self::TlsError => "tls_error",
            Self::TlsKey => "tls_key",
            Self::TlsVersion => "tls_version",
            Self::TooLong => "too_long",
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Heard;

    fn ehlo(stage: Stage, code: u16, lines: &[&str]) -> StageFact {
        let lines = ["mx.example.com"].iter().chain(lines).collect();
        let heard = Heard::Reply(Reply { code, enhanced: None, lines });
        StageFact { stage, duration: Elapsed::ZERO, heard, reason: None }
    }

    fn session(stages: Vec<StageFact>) -> Session {
        Session {
            peer: ([192, 0, 2, 1], 25).into(),
            source: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration: Elapsed::ZERO,
            helo_name: "probe.example.org".into(),
            stages: stages.into(),
            failure: None,
            tls: None,
            auth_mechanism: None,
            transactions: Box::default(),
        }
    }

    #[test]
    fn what_is_offered_over_tls_counts_but_for_starttls_itself() {
        let plain = || ehlo(Stage::Ehlo, 250, &["SIZE 9", "starttls", "AUTH=LOGIN"]);
        let before = session(vec![plain()]);
        let offers = |session: &Session| {
            ["STARTTLS", "AUTH", "SMTPUTF8"].map(|extension| session.offers(extension))
        };
        assert_eq!((offers(&before), before.size_limit()), ([true, true, false], Some(9)));
        let over_tls = ehlo(Stage::EhloTls, 250, &["SIZE 10", "SMTPUTF8"]);
        let after = session(vec![plain(), over_tls]);
        assert_eq!((offers(&after), after.size_limit()), ([true, false, true], Some(10)));
        let spaced = session(vec![ehlo(Stage::Ehlo, 250, &["SIZE=7", " SIZE 5"])]);
        assert_eq!(spaced.size_limit(), Some(5));
        // Refused, it says nothing new.
        let refused = session(vec![plain(), ehlo(Stage::EhloTls, 503, &["SMTPUTF8"])]);
        assert_eq!(offers(&refused), [true, true, false]);
        for session in [before, after, refused, session(Vec::new())] {
            let at_once = session.offers_each(["STARTTLS", "AUTH", "SMTPUTF8"]);
            assert_eq!(at_once, (offers(&session), session.size_limit()));
        }
    }

    #[test]
    fn opportunistic_tls_that_fails_is_a_fault_and_no_failure() {
        let mut refused = ehlo(Stage::Starttls, 454, &[]);
        refused.reason = Some(Reason::Reply4xx);
        let fault = Failure { stage: Stage::Starttls, reason: Reason::Reply4xx };
        let session = session(vec![ehlo(Stage::Ehlo, 250, &["STARTTLS"]), refused]);
        assert!(session.up());
        assert_eq!((session.fault(), session.tls_failure()), (Some(fault), Some(fault)));
        let later = Failure { stage: Stage::Auth, reason: Reason::Reply5xx };
        assert_eq!(Session { failure: Some(later), ..session }.fault(), Some(later));
    }
}
