//! `basic_auth_users`: who may ask, with bcrypt hashes of their passwords.

use std::{collections::BTreeMap, fmt};

use bcrypt::HashParts;
use figment::value::Value;

use crate::config::table::Node;

/// A bcrypt hash that is well formed; shows nothing of itself.
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordHash(String);

impl PasswordHash {
    fn parse(text: &str) -> Option<Self> {
        let parts: HashParts = text.parse().ok()?;
        COSTS.contains(&parts.get_cost()).then(|| Self(text.to_owned()))
    }

    /// Whether it is the hash of this password, of which bcrypt takes the first 72 octets. Keeps a
    /// processor busy for about 50 ms at a cost of 10, twice as long with each one more.
    pub fn is_of(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, &self.0).unwrap_or(false)
    }

    fn cost(&self) -> u32 {
        self.0.parse().map_or(0, |parts: HashParts| parts.get_cost())
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads the section. No message repeats a value: it may be a password.
pub(super) fn read(node: Node<'_>) -> BTreeMap<String, PasswordHash> {
    let mut users = BTreeMap::new();
    if matches!(node.value, Value::String(..) | Value::Num(..) | Value::Bool(..)) {
        node.refuse("expected a table of names and bcrypt hashes of passwords");
        return users;
    }
    let Some(table) = node.open_table("a table of names and bcrypt hashes of passwords") else {
        return users;
    };
    for (name, node) in table.entries() {
        if name.contains(':') {
            // RFC 7617 §2: what follows the first colon is the password.
            node.refuse("a name with a colon cannot log in; take another one");
        }
        match node.value.as_str().and_then(PasswordHash::parse) {
            Some(hash) => {
                if hash.cost() > HIGHEST_USUAL {
                    node.warn(
                        "has a cost so high that a login takes seconds, and others wait for it; 10 to \
                         12 is usual",
                    );
                }
                users.insert(name.to_owned(), hash);
            }
            None => node.refuse(
                "not a bcrypt hash, which begins with $2y$, $2b$ or $2a$ and has 60 characters; make \
                 one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'",
            ),
        }
    }
    if table.entries().next().is_none() {
        table.node.warn("names nobody, so everybody may ask");
    }
    users
}

/// From about three seconds on.
const HIGHEST_USUAL: u32 = 15;

/// What bcrypt knows.
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;

#[cfg(test)]
mod tests {
    use super::*;

    /// What crypt(3) of libxcrypt makes of "correct horse".
    const HASH: &str = "$2y$04$9/j4n.7V2lQNdO5UkxaQ..xw87knljUHJ7KYmN5CAZHUyDCnek6q.";

    #[test]
    fn a_hash_knows_its_password_and_shows_nothing() {
        let parsed = PasswordHash::parse(HASH).unwrap();
        assert!(parsed.is_of(b"correct horse"));
        for wrong in [&b""[..], b"correct", b"correct horse ", &[b'x'; 100]] {
            assert!(!parsed.is_of(wrong));
        }
        assert_eq!(format!("{parsed:?}"), "***");
    }

    #[test]
    fn each_prefix_of_the_field_is_taken_and_nonsense_is_not() {
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let hash = PasswordHash::parse(&HASH.replacen("$2y$", prefix, 1));
            assert!(hash.is_some_and(|hash| hash.is_of(b"correct horse")), "{prefix}");
        }
        let costs = ["$03$", "$32$", "$99$"].map(|cost| HASH.replacen("$04$", cost, 1));
        let others = ["", "x", "$2y$10$", &HASH[1..], &"ü".repeat(30)].map(str::to_owned);
        for text in costs.iter().chain(&others) {
            assert_eq!(PasswordHash::parse(text), None, "{text}");
        }
    }
}
