//! `tls`, `username` and the password of a smart host.
//!
//! A password stands in a file of its own or in a systemd credential, never in the configuration. It
//! is read when the configuration is, so a reload takes a changed one.

use std::{path::Path, sync::Arc};

use super::{
    SessionSettings, Starttls,
    secret_file::PASSWORD,
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
            for key in [PASSWORD.file, PASSWORD.credential] {
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
const KEYS: [&str; 4] = ["tls", "username", PASSWORD.file, PASSWORD.credential];

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

pub(super) fn username(text: &str) -> Result<Arc<str>, &'static str> {
    if text.is_empty() || text.len() > MAX_USERNAME || text.contains(char::is_control) {
        return Err("a name of 1 to 255 octets without control characters is wanted");
    }
    Ok(text.into())
}

/// The password that one of the two keys leads to.
fn password(table: &Table<'_>, credentials: Option<&Path>) -> Option<Secret> {
    if let Some((node, file)) = PASSWORD.find(table, credentials) {
        return file?.read_checked(&node);
    }
    // One that was refused where it stands needs no second word.
    if table.get("password").is_none() {
        table.missing(
            "password_file",
            "missing; a username needs the file with its password, or password_credential",
        );
    }
    None
}

/// As long as a SASL identity gets (RFC 4616 §2).
const MAX_USERNAME: usize = 255;
