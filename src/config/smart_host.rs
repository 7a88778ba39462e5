//! `tls`, `username` and the password of a smart host.
//!
//! A password stands in a file of its own or in a systemd credential, never in the configuration. It
//! is read when the configuration is, so a reload takes a changed one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    SessionSettings, Starttls,
    source::{ReadError, read_text},
    table::{Node, Table},
};
use crate::{
    name::{Destination, Exchanger},
    secret::{Login, Secret},
};

/// Reads the keys into the settings of the sessions with it; `credentials` is where systemd puts its
/// own.
pub(super) fn read(
    table: &Table<'_>,
    destination: &Destination,
    credentials: Option<&Path>,
    session: &mut SessionSettings,
) {
    let Destination::SmartHost(exchanger) = destination else {
        for key in KEYS {
            if let Some(node) = table.get(key) {
                node.refuse("belongs to a destination with smarthost");
            }
        }
        return;
    };
    let tls = table.get("tls").and_then(|node| tls(&node));
    if let Some(tls) = tls {
        session.implicit_tls = Some(tls == Tls::Implicit);
    }
    if let Some(tls) = tls.filter(|&tls| tls != Tls::Starttls)
        && let Some(node) = table.get("starttls")
    {
        node.refuse(format!("stands beside tls = \"{}\"; leave one of them out", tls.label()));
    }
    if tls == Some(Tls::None) {
        session.starttls = Starttls::Never;
    }
    match table.get("username") {
        None => {
            for key in SOURCES {
                if let Some(node) = table.get(key) {
                    node.refuse("needs `username` beside it");
                }
            }
        }
        Some(node) => {
            let password = password(table, credentials);
            if require_tls(&node, exchanger, tls, session)
                && let Some(username) = node.parse("a name such as \"probe\"", username)
            {
                session.login = password.map(|password| Login { username, password });
            }
        }
    }
}

/// What [`read`] reads.
const KEYS: [&str; 4] = ["tls", "username", SOURCES[0], SOURCES[1]];

/// Where a password may come from.
const SOURCES: [&str; 2] = ["password_file", "password_credential"];

/// How a smart host is encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tls {
    /// From the first octet on (RFC 8314 §3.3).
    Implicit,
    None,
    /// After STARTTLS, as `starttls` says.
    Starttls,
}

impl Tls {
    const ALL: [Self; 3] = [Self::Starttls, Self::Implicit, Self::None];

    const fn label(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::None => "none",
            Self::Starttls => "starttls",
        }
    }
}

fn tls(node: &Node<'_>) -> Option<Tls> {
    node.parse("\"starttls\", \"implicit\" or \"none\"", |text| {
        Tls::ALL
            .into_iter()
            .find(|tls| tls.label() == text)
            .ok_or("not \"starttls\", \"implicit\" or \"none\"")
    })
}

/// A password goes over TLS or nowhere (RFC 4954 §4); false and a note where that cannot be.
fn require_tls(
    username: &Node<'_>,
    exchanger: &Exchanger,
    tls: Option<Tls>,
    session: &mut SessionSettings,
) -> bool {
    if session.is_tls_implicit(exchanger.port) {
        return true;
    }
    if session.starttls == Starttls::Never {
        let plain = if tls == Some(Tls::None) { "tls = \"none\"" } else { "starttls = \"never\"" };
        username.refuse(format!(
            "a password goes over TLS only, and this smart host has {plain}; set \
             starttls = \"always\" or tls = \"implicit\" for it instead"
        ));
        return false;
    }
    session.starttls = Starttls::Always;
    true
}

fn username(text: &str) -> Result<Arc<str>, &'static str> {
    if text.is_empty() || text.len() > MAX_USERNAME || text.contains(char::is_control) {
        return Err("a name of 1 to 255 octets without control characters is wanted");
    }
    Ok(text.into())
}

/// The password that one of the two keys leads to.
fn password(table: &Table<'_>, credentials: Option<&Path>) -> Option<Secret> {
    let [file, credential] = SOURCES.map(|key| table.get(key));
    let (node, path) = match (file, credential) {
        (Some(node), None) => {
            let name = node.text("a path such as \"relay.password\"")?;
            let path = node.directory().join(name);
            (node, path)
        }
        (None, Some(node)) => {
            let path = credential_path(&node, credentials)?;
            (node, path)
        }
        (Some(_), Some(node)) => {
            node.refuse("stands beside `password_file`; leave one of them out");
            return None;
        }
        // One that was refused where it stands needs no second word.
        (None, None) if table.get("password").is_some() => return None,
        (None, None) => {
            table.missing(
                "password_file",
                "missing; a username needs the file with its password, or password_credential",
            );
            return None;
        }
    };
    match secret(&path) {
        Ok(secret) => {
            if readable_by_all(&path) {
                node.warn(&format!(
                    "{} can be read by everybody; take that right away with chmod o-rwx",
                    path.display()
                ));
            }
            Some(secret)
        }
        Err(why) => {
            node.refuse(format!("{} {why}", path.display()));
            None
        }
    }
}

/// Where systemd has put the credential that a key names (systemd.exec(5), `LoadCredential=`).
fn credential_path(node: &Node<'_>, credentials: Option<&Path>) -> Option<PathBuf> {
    let name = node.parse("a name such as \"relay-password\"", |name| {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err("not the name of a credential; for a path there is password_file");
        }
        Ok(name.to_owned())
    })?;
    let Some(directory) = credentials else {
        node.refuse(
            "systemd has handed over no credentials: CREDENTIALS_DIRECTORY is not set; add \
             LoadCredential= to the unit, or use password_file",
        );
        return None;
    };
    Some(directory.join(name))
}

/// The one line of a file. A line break at its end belongs to the editor.
fn secret(path: &Path) -> Result<Secret, String> {
    let text = read_text(path, MAX_SECRET).map_err(|error| match error {
        ReadError::TooLarge(_) => "is too large for a password".to_owned(),
        other => other.to_string(),
    })?;
    let length = text.trim_end_matches(['\r', '\n']).len();
    let mut octets = text.into_bytes();
    octets[length..].fill(0);
    octets.truncate(length);
    let secret = Secret::new(octets);
    if secret.expose().is_empty() {
        return Err("holds no password".to_owned());
    }
    if secret.expose().iter().any(u8::is_ascii_control) {
        return Err("must hold the password alone, on one line".to_owned());
    }
    Ok(secret)
}

fn readable_by_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// What one AUTH exchange can carry is more than enough (RFC 4954 §4).
const MAX_SECRET: u64 = 4096;

/// As long as a SASL identity gets (RFC 4616 §2).
const MAX_USERNAME: usize = 255;
