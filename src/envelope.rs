//! The envelope of a message that is asked about and never sent: reverse path and recipient
//! (RFC 5321 §3.3), parsed once.
//!
//! A value of these types can stand in a command as it is: no space, control or bracket can end it
//! early. Nothing here talks to a server.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::name::{Domain, NameError};

/// A mailbox (RFC 5321 §4.1.2): the local part as it was written, the domain in A-labels. ASCII only;
/// address literals are none.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mailbox {
    local: Arc<str>,
    domain: Domain,
}

impl Mailbox {
    /// Parses `local-part@domain`, without angle brackets.
    pub fn parse(text: &str) -> Result<Self, MailboxError> {
        if text.starts_with('<') || text.ends_with('>') {
            return Err(MailboxError::Brackets);
        }
        // A quoted local part may hold an @, a domain never does.
        let (local, domain) = text.rsplit_once('@').ok_or(MailboxError::NoAt)?;
        if domain.starts_with('[') {
            return Err(MailboxError::Literal);
        }
        if !(is_dot_string(local) || is_quoted_string(local)) {
            return Err(MailboxError::LocalPart);
        }
        if domain.trim() != domain {
            return Err(MailboxError::Domain(NameError::Syntax));
        }
        let domain = Domain::parse(domain).map_err(MailboxError::Domain)?;
        if local.len() > MAX_LOCAL || local.len() + 1 + domain.as_str().len() > MAX_MAILBOX {
            return Err(MailboxError::Length);
        }
        Ok(Self { local: local.into(), domain })
    }

    /// The part behind the @.
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl TryFrom<String> for Mailbox {
    type Error = MailboxError;

    fn try_from(text: String) -> Result<Self, MailboxError> {
        Self::parse(&text)
    }
}

impl From<Mailbox> for String {
    fn from(mailbox: Mailbox) -> Self {
        mailbox.to_string()
    }
}

/// What MAIL FROM names (RFC 5321 §4.1.1.2): a mailbox, or nobody, as for a bounce.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ReversePath {
    /// `<>`.
    #[default]
    Null,
    /// Where a bounce would go.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// Parses a mailbox; nothing and `<>` are nobody.
    pub fn parse(text: &str) -> Result<Self, MailboxError> {
        match text {
            "" | "<>" => Ok(Self::Null),
            text => Mailbox::parse(text).map(Self::Mailbox),
        }
    }
}

impl fmt::Display for ReversePath {
    /// `<>`, or the mailbox without brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}

impl TryFrom<String> for ReversePath {
    type Error = MailboxError;

    fn try_from(text: String) -> Result<Self, MailboxError> {
        Self::parse(&text)
    }
}

impl From<ReversePath> for String {
    fn from(path: ReversePath) -> Self {
        path.to_string()
    }
}

/// What a server is asked to take, and why.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Envelope {
    /// For MAIL.
    pub mail_from: ReversePath,
    /// For RCPT.
    pub recipient: Mailbox,
    /// The recipient is somebody else's, whom the server should refuse.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relay_test: bool,
}

impl Envelope {
    /// `MAIL FROM:<…>` without the end of its line (RFC 5321 §4.1.1.2).
    pub fn mail(&self) -> String {
        match &self.mail_from {
            ReversePath::Null => "MAIL FROM:<>".to_owned(),
            ReversePath::Mailbox(mailbox) => format!("MAIL FROM:<{mailbox}>"),
        }
    }

    /// `RCPT TO:<…>` without the end of its line (RFC 5321 §4.1.1.3).
    pub fn rcpt(&self) -> String {
        format!("RCPT TO:<{}>", self.recipient)
    }
}

/// Why a text is no mailbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MailboxError {
    /// It stands in angle brackets.
    #[error("a mailbox is written without angle brackets, as in \"probe@example.com\"")]
    Brackets,
    /// What follows the @ is no domain.
    #[error("the part behind the @ is no mail domain: {0}")]
    Domain(NameError),
    /// Longer than a path may be (RFC 5321 §4.5.3.1).
    #[error("the part before the @ may have 64 characters and the whole 254")]
    Length,
    /// An address in brackets behind the @.
    #[error("an address literal cannot be asked about; write a domain behind the @")]
    Literal,
    /// The local part is neither a Dot-string nor a Quoted-string.
    #[error(
        "the part before the @ is ASCII letters, digits and !#$%&'*+-/=?^_`{{|}}~, with single dots \
         between them, or stands in double quotes"
    )]
    LocalPart,
    /// A name alone.
    #[error("not a mailbox such as \"probe@example.com\"")]
    NoAt,
}

/// RFC 5321 §4.1.2 `Dot-string`.
fn is_dot_string(text: &str) -> bool {
    let atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

/// RFC 5321 §4.1.2 `Quoted-string`.
fn is_quoted_string(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return false;
    };
    let mut octets = inner.bytes();
    while let Some(octet) = octets.next() {
        let right = match octet {
            b'\\' => octets.next().is_some_and(|quoted| matches!(quoted, b' '..=b'~')),
            b'"' => false,
            octet => matches!(octet, b' '..=b'~'),
        };
        if !right {
            return false;
        }
    }
    true
}

/// RFC 5321 §4.5.3.1.1.
const MAX_LOCAL: usize = 64;

/// RFC 5321 §4.5.3.1.3 without the angle brackets.
const MAX_MAILBOX: usize = 254;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mailbox_keeps_its_local_part_and_normalises_its_domain() {
        for (text, mailbox) in [
            ("Probe@Example.COM", "Probe@example.com"),
            ("o'neil+tag/x=1@example.com.", "o'neil+tag/x=1@example.com"),
            ("a.b@bücher.example", "a.b@xn--bcher-kva.example"),
            ("\"a b@c\"@example.com", "\"a b@c\"@example.com"),
            (r#""a\"b"@example.com"#, r#""a\"b"@example.com"#),
        ] {
            assert_eq!(Mailbox::parse(text).unwrap().to_string(), mailbox);
        }
    }

    #[test]
    fn what_is_no_mailbox_is_told_why() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longest = format!("probe@{}example.com", "b23456789.".repeat(24));
        for (text, error) in [
            ("", MailboxError::NoAt),
            ("example.com", MailboxError::NoAt),
            ("<probe@example.com>", MailboxError::Brackets),
            ("probe@[192.0.2.1]", MailboxError::Literal),
            ("@example.com", MailboxError::LocalPart),
            (".a@example.com", MailboxError::LocalPart),
            ("a..b@example.com", MailboxError::LocalPart),
            ("a b@example.com", MailboxError::LocalPart),
            ("a>b@example.com", MailboxError::LocalPart),
            ("\"a@example.com", MailboxError::LocalPart),
            ("\"a\"b\"@example.com", MailboxError::LocalPart),
            ("\"a\\\"@example.com", MailboxError::LocalPart),
            ("jürgen@example.com", MailboxError::LocalPart),
            ("\"a\r\nDATA\"@example.com", MailboxError::LocalPart),
            ("a\r\n@example.com", MailboxError::LocalPart),
            ("a@example.com\r\nDATA", MailboxError::Domain(NameError::Syntax)),
            ("a@example.com ", MailboxError::Domain(NameError::Syntax)),
            ("a@example", MailboxError::Domain(NameError::NotQualified)),
            (&long, MailboxError::Length),
            (&longest, MailboxError::Length),
        ] {
            assert_eq!(Mailbox::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn nobody_is_a_reverse_path() {
        let envelope = |from| Envelope {
            mail_from: ReversePath::parse(from).unwrap(),
            recipient: Mailbox::parse("probe@example.com").unwrap(),
            relay_test: false,
        };
        assert_eq!(envelope("").mail(), "MAIL FROM:<>");
        assert_eq!(envelope("<>"), envelope(""));
        assert_eq!(envelope("a@example.org").mail(), "MAIL FROM:<a@example.org>");
        assert_eq!(envelope("").rcpt(), "RCPT TO:<probe@example.com>");
        let json = serde_json::to_string(&envelope("")).unwrap();
        assert_eq!(json, r#"{"mail_from":"<>","recipient":"probe@example.com"}"#);
        assert_eq!(serde_json::from_str::<Envelope>(&json).unwrap(), envelope(""));
    }

    proptest! {
        #[test]
        fn no_mailbox_can_end_its_command(text in "[ -~\r\n\t<>\"\\\\@.é]{0,80}(@example\\.com)?") {
            if let Ok(mailbox) = Mailbox::parse(&text) {
                let shown = mailbox.to_string();
                prop_assert!(shown.bytes().all(|b| matches!(b, b' '..=b'~')), "{shown:?}");
                prop_assert!(shown.len() <= MAX_MAILBOX);
                prop_assert_eq!(Mailbox::parse(&shown).unwrap(), mailbox);
            }
        }
    }
}
