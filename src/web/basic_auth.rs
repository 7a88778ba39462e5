//! Logins by Basic authentication (RFC 7617) against bcrypt hashes.
//!
//! bcrypt is slow by design. A password that was right is known again by a keyed digest, so that
//! scrapes cost nothing; a wrong one costs its sender the full time, and so does a name that does not
//! exist. The comparing happens one at a time and away from the threads that drive probes: whoever
//! sends wrong passwords can keep one processor busy, and wait.

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    sync::{Arc, OnceLock},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{HeaderMap, header::AUTHORIZATION};
use ring::{
    hmac::{self, HMAC_SHA256, Key, Tag},
    rand::{SecureRandom, SystemRandom},
};
use tokio::sync::Semaphore;

use crate::{config::web_config::PasswordHash, secret::Secret};

/// The users, and what is known of their passwords by now.
pub(super) struct BasicAuth {
    users: BTreeMap<String, User>,
    /// The same hashes in a row, for names that do not exist.
    hashes: Vec<PasswordHash>,
    /// Which of them is for which name; nobody outside can foresee it.
    decoys: RandomState,
    /// For the digests of passwords.
    key: Key,
}

struct User {
    hash: PasswordHash,
    /// The digest of a password that was right.
    known: OnceLock<Tag>,
}

/// What came with a request.
struct Claim {
    name: Vec<u8>,
    password: Secret,
}

impl BasicAuth {
    /// `None` where nobody is named, and so everybody may ask. Passwords that `before` knows of the
    /// same users with the same hashes stay known: a renewed certificate must not send every scrape
    /// to where wrong passwords wait.
    pub(super) fn new(
        users: &BTreeMap<String, PasswordHash>,
        before: Option<&Self>,
    ) -> Option<Self> {
        let hashes: Vec<_> = users.values().cloned().collect();
        let user = |(name, hash): (&String, &PasswordHash)| {
            let same = before.and_then(|before| before.users.get(name));
            let same = same.filter(|user| user.hash == *hash).map(|user| user.known.clone());
            (name.clone(), User { hash: hash.clone(), known: same.unwrap_or_default() })
        };
        let users: BTreeMap<_, _> = users.iter().map(user).collect();
        let key = before.map_or_else(random_key, |before| before.key.clone());
        (!users.is_empty()).then(|| Self { users, hashes, decoys: RandomState::new(), key })
    }

    /// Whether a request comes from one of the users.
    pub(super) async fn admits(
        self: &Arc<Self>,
        headers: &HeaderMap,
        one: &Arc<Semaphore>,
    ) -> bool {
        let Some(claim) = Claim::read(headers) else { return false };
        if self.knows(&claim) {
            return true;
        }
        let permit = Arc::clone(one).acquire_owned().await;
        let this = Arc::clone(self);
        // The permit goes along: the work goes on when the client has hung up.
        let compare = move || {
            let _permit = permit;
            // Somebody who waited before us may have shown the same.
            this.knows(&claim) || this.compare(&claim)
        };
        tokio::task::spawn_blocking(compare).await.unwrap_or(false)
    }

    fn user(&self, claim: &Claim) -> Option<&User> {
        self.users.get(std::str::from_utf8(&claim.name).ok()?)
    }

    /// Whether the password is the one that was right before.
    fn knows(&self, claim: &Claim) -> bool {
        let known = self.user(claim).and_then(|user| user.known.get());
        let same = |tag: &Tag| hmac::verify(&self.key, claim.password.expose(), tag.as_ref());
        known.is_some_and(|tag| same(tag).is_ok())
    }

    /// Compares by bcrypt, whether there is such a user or not.
    fn compare(&self, claim: &Claim) -> bool {
        let password = claim.password.expose();
        let Some(user) = self.user(claim) else {
            // Always the same one for a name, as if it were its own.
            let place = self.decoys.hash_one(&claim.name);
            let place =
                usize::try_from(place % self.hashes.len().max(1) as u64).unwrap_or_default();
            self.hashes.get(place).map(|decoy| decoy.is_of(password));
            return false;
        };
        let right = user.hash.is_of(password);
        if right {
            // Where there is one already, it is of the same first 72 octets, and stays.
            let _ = user.known.set(hmac::sign(&self.key, password));
        }
        right
    }
}

fn random_key() -> Key {
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).expect("the system gives random octets");
    Key::new(HMAC_SHA256, &key)
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.users.keys()).finish()
    }
}

impl Claim {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let mut name = STANDARD.decode(rest.trim()).ok()?;
        let colon = name.iter().position(|&octet| octet == b':')?;
        let password = Secret::new(name.split_off(colon).split_off(1));
        Some(Self { name, password })
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::config::web_config;

    fn users(users: &[(&str, &str)]) -> BTreeMap<String, PasswordHash> {
        let line = |(name, password): &(&str, &str)| {
            format!("  {name}: {}\n", bcrypt::hash(password, 4).unwrap())
        };
        let users: String = users.iter().map(line).collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yml");
        std::fs::write(&path, format!("basic_auth_users:\n{users}")).unwrap();
        web_config::read(&path).outcome.unwrap().users
    }

    fn auth(named: &[(&str, &str)]) -> Arc<BasicAuth> {
        Arc::new(BasicAuth::new(&users(named), None).unwrap())
    }

    #[tokio::test]
    async fn what_is_known_stays_known_of_the_same_hash_only() {
        let named = users(&[("alice", "a"), ("bob", "b")]);
        let first = Arc::new(BasicAuth::new(&named, None).unwrap());
        let one = Arc::new(Semaphore::new(1));
        for login in ["alice:a", "bob:b"] {
            assert!(first.admits(&basic(login), &one).await);
        }
        let mut changed = named.clone();
        changed.extend(users(&[("bob", "other")]));
        let next = BasicAuth::new(&changed, Some(&first)).unwrap();
        let knows = |login| next.knows(&Claim::read(&basic(login)).unwrap());
        assert_eq!((knows("alice:a"), knows("alice:b"), knows("bob:b")), (true, false, false));
    }

    fn header(value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    fn basic(login: &str) -> HeaderMap {
        header(&format!("Basic {}", STANDARD.encode(login)))
    }

    #[tokio::test]
    async fn only_a_user_with_his_own_password_is_admitted() {
        let auth = auth(&[("alice", "a:b"), ("bob", "")]);
        let one = Arc::new(Semaphore::new(1));
        for (login, want) in [
            ("alice:a:b", true),
            ("alice:a:b", true),
            ("bob:", true),
            ("alice:a", false),
            ("alice:", false),
            ("bob:a:b", false),
            ("carol:a:b", false),
            ("Alice:a:b", false),
            (":", false),
            ("alice", false),
        ] {
            assert_eq!(auth.admits(&basic(login), &one).await, want, "{login}");
        }
        let right = STANDARD.encode("alice:a:b");
        for (value, want) in [
            (format!("bAsIc {right}"), true),
            (format!("Bearer {right}"), false),
            (format!("Basic {right}%"), false),
            ("Basic".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(auth.admits(&header(&value), &one).await, want, "{value}");
        }
        assert!(!auth.admits(&HeaderMap::new(), &one).await);
    }

    #[tokio::test]
    async fn a_password_that_was_right_needs_no_turn_and_others_wait_for_theirs() {
        let auth = auth(&[("alice", "right")]);
        let one = Arc::new(Semaphore::new(1));
        assert!(auth.admits(&basic("alice:right"), &one).await);
        let turn = one.acquire().await.unwrap();
        for (login, want) in
            [("alice:right", Ok(true)), ("alice:wrong", Err(())), ("nobody:right", Err(()))]
        {
            let (headers, wait) = (basic(login), std::time::Duration::from_millis(50));
            let outcome = tokio::time::timeout(wait, auth.admits(&headers, &one)).await;
            assert_eq!(outcome.map_err(drop), want, "{login}");
        }
        drop(turn);
        assert!(!auth.admits(&basic("alice:wrong"), &one).await);
    }

    proptest! {
        #[test]
        fn what_follows_the_first_colon_is_the_password(octets: Vec<u8>) {
            let value = format!("Basic {}", STANDARD.encode(&octets));
            let read = Claim::read(&header(&value));
            let read = read.map(|claim| (claim.name, claim.password.expose().to_vec()));
            let mut parts = octets.splitn(2, |octet| *octet == b':').map(<[u8]>::to_vec);
            prop_assert_eq!(read, parts.next().zip(parts.next()));
        }
    }

    #[test]
    fn nothing_is_shown_but_names() {
        assert_eq!(format!("{:?}", auth(&[("alice", "secret")])), "{\"alice\"}");
    }
}
