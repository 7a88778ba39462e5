//! Where a secret comes from: a file of its own or a systemd credential, never the configuration, whose
//! readers are many.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    Problem,
    source::{ReadError, read_text},
    table::{Node, Table},
};
use crate::secret::Secret;

/// The two keys that lead to a secret of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// The key of a path.
    pub(super) file: &'static str,
    /// The key of the name of a systemd credential.
    pub(super) credential: &'static str,
    kind: Kind,
}

/// What is kept in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Kind {
    /// What it is called in messages.
    word: &'static str,
    /// The octets of the longest.
    longest: u64,
}

/// Those of a password. What one AUTH exchange can carry is more than enough (RFC 4954 §4).
pub(super) const PASSWORD: Keys = Keys {
    file: "password_file",
    credential: "password_credential",
    kind: Kind { word: "password", longest: 4096 },
};

/// Those of a token that is sent as it stands (RFC 6750); signed ones are long.
pub(super) const BEARER_TOKEN: Keys = Keys {
    file: "bearer_token_file",
    credential: "bearer_token_credential",
    kind: Kind { word: "token", longest: 16 << 10 },
};

/// The file that holds a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretFile {
    path: PathBuf,
    kind: Kind,
}

/// How the sentence begins about a credential where systemd has given none.
const NO_CREDENTIALS: &str = "systemd has handed over no credentials";

/// Whether this is about a credential that is not to be seen here, and else about no mistake. It is
/// there for the processes of the service, and of those not for `ExecReload=` (systemd issue 35227).
pub fn is_unseen_credential(problem: &Problem) -> bool {
    let unseen =
        problem.reason.starts_with(NO_CREDENTIALS) || problem.reason.contains(" cannot be read: ");
    unseen && [PASSWORD, BEARER_TOKEN].iter().any(|keys| problem.key.ends_with(keys.credential))
}

impl Keys {
    /// The file that one of the two keys leads to, and that key; the file is missing where what
    /// stands there has been refused. `credentials` is where systemd puts its own.
    pub(super) fn find<'a>(
        self,
        table: &Table<'a>,
        credentials: Option<&Path>,
    ) -> Option<(Node<'a>, Option<SecretFile>)> {
        let (node, path) = match (table.get(self.file), table.get(self.credential)) {
            (None, None) => return None,
            (Some(node), None) => {
                let expected = format!("a path such as \"relay.{}\"", self.kind.word);
                let path = node.text(&expected).map(|name| node.directory().join(name));
                (node, path)
            }
            (None, Some(node)) => {
                let path = self.credential_path(&node, credentials);
                (node, path)
            }
            (Some(_), Some(node)) => {
                node.refuse(format!("stands beside `{}`; leave one of them out", self.file));
                (node, None)
            }
        };
        Some((node, path.map(|path| SecretFile { path, kind: self.kind })))
    }

    /// Where systemd has put the credential that a key names (systemd.exec(5), `LoadCredential=`).
    fn credential_path(self, node: &Node<'_>, credentials: Option<&Path>) -> Option<PathBuf> {
        let expected = format!("a name such as \"relay-{}\"", self.kind.word);
        let name = node.parse(&expected, |name| {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
                let file = self.file;
                return Err(format!("not the name of a credential; for a path there is {file}"));
            }
            Ok(name.to_owned())
        })?;
        let Some(directory) = credentials else {
            node.refuse(format!(
                "{NO_CREDENTIALS}: CREDENTIALS_DIRECTORY is not set; add \
                 LoadCredential= to the unit, or use {}",
                self.file
            ));
            return None;
        };
        Some(directory.join(name))
    }
}

impl SecretFile {
    /// The secret as it is in the file now: its one line. A line break at its end belongs to the editor.
    ///
    /// Blocks meanwhile; the error is a clause about the file.
    pub fn read(&self) -> Result<Secret, String> {
        let told = |why: &str| format!("{} {why}", self.path.display());
        let text = read_text(&self.path, self.kind.longest).map_err(|error| match error {
            ReadError::TooLarge(_) => told(&format!("is too large for a {}", self.kind.word)),
            other => told(&other.to_string()),
        })?;
        let length = text.trim_end_matches(['\r', '\n']).len();
        let mut octets = text.into_bytes();
        octets[length..].fill(0);
        octets.truncate(length);
        let secret = Secret::new(octets);
        if secret.expose().is_empty() {
            return Err(told(&format!("holds no {}", self.kind.word)));
        }
        if secret.expose().iter().any(u8::is_ascii_control) {
            return Err(told(&format!("must hold the {} alone, on one line", self.kind.word)));
        }
        Ok(secret)
    }

    /// The same where the key that leads to it is read, with a note where it cannot be, or where
    /// everybody could.
    pub(super) fn read_checked(&self, node: &Node<'_>) -> Option<Secret> {
        match self.read() {
            Ok(secret) => {
                if readable_by_all(&self.path) {
                    node.warn(&format!(
                        "{} can be read by everybody; take that right away with chmod o-rwx",
                        self.path.display()
                    ));
                }
                Some(secret)
            }
            Err(why) => {
                node.refuse(why);
                None
            }
        }
    }
}

fn readable_by_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
