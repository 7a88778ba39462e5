//! What a user keeps to himself, and with whom it is used: a password and the name that goes with it.
//!
//! A [`Secret`] has no way into a log, a page or JSON: it shows itself as `***` and cannot be
//! serialised. Who needs it says so with [`Secret::expose`].

use std::{fmt, hint::black_box, sync::Arc};

/// A secret text. Clones share it; when the last is gone, its octets are overwritten.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Arc<Octets>);

#[derive(Eq, PartialEq)]
struct Octets(Vec<u8>);

impl Secret {
    /// Takes the octets over, without a copy that would stay behind.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Arc::new(Octets(octets)))
    }

    /// The octets, for the one who sends them.
    pub fn expose(&self) -> &[u8] {
        &self.0.0
    }
}

impl Drop for Octets {
    fn drop(&mut self) {
        self.0.fill(0);
        // What nobody reads need not be written; here it shall be.
        black_box(&self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whom a smart host knows this host as (RFC 4954).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// The authentication identity.
    pub username: Arc<str>,
    /// What proves it.
    pub password: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself_and_can_be_compared() {
        let secret = Secret::new(b"correct horse".to_vec());
        let login = Login { username: "probe".into(), password: secret.clone() };
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
        assert_eq!(format!("{login:?}"), "Login { username: \"probe\", password: *** }");
        assert_eq!(secret.expose(), b"correct horse");
        assert_eq!(secret, Secret::new(b"correct horse".to_vec()));
        assert_ne!(secret, Secret::new(b"battery staple".to_vec()));
    }
}
