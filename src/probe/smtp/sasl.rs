//! SMTP AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN: which mechanism, and what is sent when. No I/O.
//!
//! What it hands out is secret. What a server makes of it may not be, so replies are
//! [redacted](Redaction) before anybody sees them.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    facts::AuthMechanism,
    secret::{Login, Secret},
    shown::shown,
};

/// The mechanism to use with a server that lists these extensions; `None` where there is none for a
/// password.
pub(super) fn choose<'a>(extensions: impl Iterator<Item = &'a str>) -> Option<AuthMechanism> {
    let mut offered = Vec::new();
    for line in extensions {
        // "AUTH=" is how servers wrote it for clients of the last century.
        let mut words = line.split(|c: char| c.is_ascii_whitespace() || c == '=');
        if words.next().is_some_and(|keyword| keyword.eq_ignore_ascii_case("AUTH")) {
            offered.extend(words.map(str::to_ascii_uppercase));
        }
    }
    [AuthMechanism::Plain, AuthMechanism::Login]
        .into_iter()
        .find(|mechanism| offered.iter().any(|word| word == mechanism.label()))
}

/// One authentication under way.
pub(super) struct Exchange<'l> {
    login: &'l Login,
    mechanism: AuthMechanism,
    sent: usize,
}

impl<'l> Exchange<'l> {
    pub(super) const fn new(login: &'l Login, mechanism: AuthMechanism) -> Self {
        Self { login, mechanism, sent: 0 }
    }

    /// The line to begin with, and then the one to send after each 334; `None` when it was cancelled
    /// (RFC 4954 §4) and asked on all the same.
    pub(super) fn next(&mut self) -> Option<Secret> {
        let place = self.sent;
        self.sent += 1;
        let username = self.login.username.as_bytes();
        let line = match (self.mechanism, place) {
            (AuthMechanism::Plain, 0) => [b"AUTH PLAIN ", &*encoded(&plain(self.login))].concat(),
            (AuthMechanism::Login, 0) => b"AUTH LOGIN".to_vec(),
            (AuthMechanism::Login, 1) => encoded(username),
            (AuthMechanism::Login, 2) => encoded(self.login.password.expose()),
            (AuthMechanism::Plain, 1) | (AuthMechanism::Login, 3) => b"*".to_vec(),
            _ => return None,
        };
        Some(Secret::new([&*line, b"\r\n"].concat()))
    }
}

/// The message of PLAIN (RFC 4616 §2), acting for nobody else.
fn plain(login: &Login) -> Vec<u8> {
    [b"\0", login.username.as_bytes(), b"\0", login.password.expose()].concat()
}

fn encoded(octets: &[u8]) -> Vec<u8> {
    BASE64_STANDARD.encode(octets).into_bytes()
}

/// Keeps a secret out of what a server says, which may be what it was told, cut off or changed.
#[derive(Debug)]
pub(super) struct Redaction {
    /// The forms in which it was sent, and how a form looks once it may be shown.
    forms: Vec<Secret>,
}

impl Redaction {
    pub(super) fn of(login: &Login) -> Self {
        let password = login.password.expose();
        let mut forms = vec![encoded(&plain(login)), encoded(password), password.to_vec()];
        let shown: String = String::from_utf8_lossy(password).chars().map(shown).collect();
        forms.push(shown.into_bytes());
        Self { forms: forms.into_iter().map(Secret::new).collect() }
    }

    /// The text, or nothing of it where a piece of the secret stands in it: what is left of one that was
    /// cut would not be found otherwise.
    pub(super) fn text<'t>(&self, text: &'t str) -> &'t str {
        let tells = self.forms.iter().any(|form| shares_piece(form.expose(), text.as_bytes()));
        if tells { "***" } else { text }
    }
}

/// Whether as much of a form as tells something of it stands in a text.
fn shares_piece(form: &[u8], text: &[u8]) -> bool {
    let piece = form.len().clamp(1, PIECE);
    form.windows(piece).any(|piece| text.windows(piece.len()).any(|part| part == piece))
}

/// Octets of a form that do not stand in a text by chance.
const PIECE: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login { username: "probe".into(), password: Secret::new(b"correct horse".to_vec()) }
    }

    fn lines(mechanism: AuthMechanism) -> Vec<String> {
        let login = login();
        let mut exchange = Exchange::new(&login, mechanism);
        std::iter::from_fn(|| exchange.next())
            .take(10)
            .map(|line| String::from_utf8(line.expose().to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn plain_is_preferred_and_the_old_form_is_read() {
        let chosen = |lines: &[&str]| choose(lines.iter().copied());
        assert_eq!(chosen(&["SIZE 1", "AUTH LOGIN PLAIN"]), Some(AuthMechanism::Plain));
        assert_eq!(chosen(&["auth CRAM-MD5 login"]), Some(AuthMechanism::Login));
        assert_eq!(chosen(&["AUTH=PLAIN"]), Some(AuthMechanism::Plain));
        assert_eq!(chosen(&["AUTH CRAM-MD5", "AUTH=LOGIN"]), Some(AuthMechanism::Login));
        assert_eq!(chosen(&["AUTH SCRAM-SHA-256"]), None);
        assert_eq!(chosen(&["PLAIN LOGIN"]), None);
    }

    #[test]
    fn every_prompt_has_its_line_and_one_too_many_is_cancelled() {
        assert_eq!(
            lines(AuthMechanism::Plain),
            ["AUTH PLAIN AHByb2JlAGNvcnJlY3QgaG9yc2U=\r\n", "*\r\n"]
        );
        assert_eq!(
            lines(AuthMechanism::Login),
            ["AUTH LOGIN\r\n", "cHJvYmU=\r\n", "Y29ycmVjdCBob3JzZQ==\r\n", "*\r\n"]
        );
    }

    #[test]
    fn a_server_that_says_a_secret_again_is_not_quoted() {
        let redaction = Redaction::of(&login());
        for (said, quoted) in [
            ("535 5.7.8 authentication failed", true),
            ("no AHByb2JlAGNvcnJlY3QgaG9yc2U= here", false),
            ("500 unrecognised: 'AUTH PLAIN AHByb2JlAGNvcnJlY3QgaG9", false),
            ("Y29ycmVjdCBob3JzZQ", false),
            ("what is a correct horse?", false),
            ("correc", false),
        ] {
            assert_eq!(redaction.text(said), if quoted { said } else { "***" });
        }
        let odd = Login { username: "probe".into(), password: Secret::new("a\u{200b}b".into()) };
        assert_eq!(Redaction::of(&odd).text("is it a\u{fffd}b"), "***");
    }
}
