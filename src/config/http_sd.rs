//! `[[http_sd]]`: servers that give lists of further destinations, as Prometheus' own `http_sd` does.
//!
//! How they are asked is `crate::http_sd`'s business, what they answer that of `target_list`.

use std::{path::Path, sync::Arc, time::Duration};

use hyper::Uri;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{
    key, resolver_transport,
    secret_file::{BEARER_TOKEN, Keys, PASSWORD, SecretFile},
    smart_host,
    table::{Node, Table},
};

/// One server and how it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSd {
    /// What it is called in metrics and in the log; no two are called the same.
    pub name: Arc<str>,
    /// Where the list is, without user name.
    pub url: Uri,
    /// From one request to the next.
    pub refresh_interval: Duration,
    /// What is sent so that the server knows whom it talks to; only in TLS.
    pub authorization: Option<Authorization>,
    /// Trust anchors beside those of the system, DER.
    pub anchors: Vec<CertificateDer<'static>>,
}

/// How a request shows who sends it. The secrets are read each time: tokens are short-lived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authorization {
    /// A name and a password (RFC 7617).
    Basic(Arc<str>, SecretFile),
    /// A token (RFC 6750).
    Bearer(SecretFile),
}

/// Reads all of them.
pub(super) fn read(root: &Table<'_>, credentials: Option<&Path>) -> Vec<HttpSd> {
    let Some(sections) = root.get("http_sd") else { return Vec::new() };
    let mut lists: Vec<HttpSd> = Vec::new();
    for item in sections.list("tables, each headed [[http_sd]]") {
        let Some(table) = item.table(key::HTTP_SD, "a table with url") else { continue };
        let Some(list) = one(&table, credentials) else { continue };
        if lists.iter().any(|known| known.name == list.name) {
            table.node.refuse(format!(
                "another one is called {:?} too; give each a `name` of its own",
                list.name
            ));
        } else {
            lists.push(list);
        }
    }
    lists
}

fn one(table: &Table<'_>, credentials: Option<&Path>) -> Option<HttpSd> {
    let node = table.get("url");
    if node.is_none() {
        table.missing(
            "url",
            "missing; write where the list is, as in url = \"https://sd.example.net/mail\"",
        );
    }
    let url = node.and_then(|node| url(&node));
    let name = table.get("name").map(|node| node.parse("a name such as \"netbox\"", name));
    let mut refresh_interval = REFRESH_INTERVAL;
    table.set(&mut refresh_interval, "refresh_interval", |node| {
        node.duration(SHORTEST_INTERVAL..=LONGEST_INTERVAL)
    });
    let anchors = match table.get("ca_file") {
        Some(node) => resolver_transport::anchors(&node, node.directory()),
        None => Some(Vec::new()),
    };
    let authorization = authorization(table, credentials);
    let url = url?;
    if url.scheme_str() == Some("http") {
        let needing = ["username", PASSWORD.file, PASSWORD.credential];
        let needing =
            needing.into_iter().chain([BEARER_TOKEN.file, BEARER_TOKEN.credential, "ca_file"]);
        for node in needing.filter_map(|key| table.get(key)) {
            node.refuse("goes with TLS only; write the url with https://");
        }
    }
    let name = match name {
        Some(name) => name?,
        None => shown(&url).into(),
    };
    Some(HttpSd { name, url, refresh_interval, authorization, anchors: anchors? })
}

/// Where the list is. It is never quoted: what is wrong with it may be a password in it.
fn url(node: &Node<'_>) -> Option<Uri> {
    let text = node.text("a URL such as \"https://sd.example.net/mail\"")?;
    let refused = |why: &str| {
        node.refuse(why);
        None
    };
    let Ok(url) = text.parse::<Uri>() else {
        return refused("not a URL such as \"https://sd.example.net/mail\"");
    };
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return refused("not the URL of a web server; write https://, the host and the path");
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return refused(
            "a user name and a password do not stand in a URL, which many may read; write \
             `username` and `password_file` beside it",
        );
    }
    Some(url)
}

/// The URL as it may be seen by everybody: without the query, which may hold a key.
fn shown(url: &Uri) -> String {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}{}", url.scheme_str().unwrap_or_default(), url.path())
}

fn name(text: &str) -> Result<Arc<str>, &'static str> {
    if text.is_empty() || text.len() > LONGEST_NAME || text.contains(char::is_control) {
        return Err("a name of 1 to 255 octets without control characters is wanted");
    }
    Ok(text.into())
}

fn authorization(table: &Table<'_>, credentials: Option<&Path>) -> Option<Authorization> {
    let found = |keys: Keys| {
        let (node, file) = keys.find(table, credentials)?;
        // What cannot be read at the start is a mistake; later it is a request that fails.
        let read = file.and_then(|file| file.read_checked(&node).map(|_| file));
        Some((node, read))
    };
    let (token, password) = (found(BEARER_TOKEN), found(PASSWORD));
    match (table.get("username"), password, token) {
        (None, None, None) => None,
        (None, None, Some((_, file))) => file.map(Authorization::Bearer),
        (_, _, Some((node, _))) => {
            node.refuse("stands beside a user name or password; leave one of them out");
            None
        }
        (None, Some((node, _)), None) => {
            node.refuse("needs `username` beside it");
            None
        }
        (Some(_), None, None) => {
            // One that was refused where it stands needs no second word.
            if table.get("password").is_none() {
                table.missing(
                    PASSWORD.file,
                    "missing; a username needs the file with its password, or password_credential",
                );
            }
            None
        }
        (Some(node), Some((_, file)), None) => {
            let username = node.parse("a name such as \"mxwatch\"", |text| {
                // RFC 7617 §2.
                if text.contains(':') {
                    return Err("a user name holds no colon here");
                }
                smart_host::username(text)
            });
            Some(Authorization::Basic(username?, file?))
        }
    }
}

/// As often as Prometheus asks.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// More often would only keep the server busy.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Less often than once a day nobody would notice that it fails.
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// A label of a metric has to stay readable.
const LONGEST_NAME: usize = 255;
