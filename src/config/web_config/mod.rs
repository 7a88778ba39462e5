//! `--web.config.file`: TLS, logins, headers and a limit of requests for the HTTP server, in the
//! format that the Prometheus exporters share (web-configuration.md of exporter-toolkit).
//!
//! [`read`] makes a [`WebConfig`] out of the file and the certificates it names, or says everything
//! that is wrong with them. When it is read again is the server's business; [`Files`] tells whether
//! that would find anything new.

mod client;
mod files;
mod http;
mod rate_limit;
mod suites;
mod tls;
mod users;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use figment::{Figment, value::Value};
use hyper::header::{HeaderName, HeaderValue};
use tokio_rustls::rustls::ServerConfig;

pub use self::{files::Files, rate_limit::RateLimit, users::PasswordHash};
use super::{
    Problem, Problems, key,
    leaf::written,
    problem::Place,
    reading::Reading,
    table::{Node, Table},
    yaml::Yaml,
};

/// What the file says. The default is that of an empty one: plain HTTP for everybody.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// How TLS is spoken; `None` for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether clients are asked for a certificate.
    pub asks_clients: bool,
    /// Headers of every response, in place of those that the server sets itself.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who may ask, with the hash of his password; when empty, everybody may.
    pub users: BTreeMap<String, PasswordHash>,
    /// How often requests are taken; `None` for no limit.
    pub rate_limit: Option<RateLimit>,
}

/// What came of reading the file.
#[derive(Debug)]
pub struct Read {
    /// All that was read, whether it was good or not.
    pub files: Files,
    /// What is allowed but has no effect, one sentence each, for the log.
    pub warnings: Vec<String>,
    /// The configuration, or what is wrong with it.
    pub outcome: Result<WebConfig, Problems>,
}

/// Reads the file and what it names; relative paths start at its directory. Blocks meanwhile.
pub fn read(path: &Path) -> Read {
    let mut files = Files::default();
    let path: Arc<Path> = path.into();
    let text = files.read_text(&path);
    let document = text
        .map_err(|error| Problem::at(Place::file(&*path), error.to_string()))
        .and_then(|text| Yaml::parse(Arc::clone(&path), &text));
    let (yaml, value) = match document {
        Ok(document) => document,
        Err(problem) => {
            return Read { files, warnings: Vec::new(), outcome: Err(problem.into()) };
        }
    };
    let figment = Figment::new();
    let reading = Reading::new(&figment, path, Some(&yaml));
    let root = Node::root(&reading, &value).table(key::WEB_CONFIG, "a table with sections");
    let config = root.map(|root| sections(&root, &mut files)).unwrap_or_default();
    let outcome = match Problems::collect(reading.problems.take()) {
        Some(problems) => Err(problems),
        None => Ok(config),
    };
    Read { files, warnings: reading.warnings.take(), outcome }
}

fn sections(root: &Table<'_>, files: &mut Files) -> WebConfig {
    let http = section(root, "http_server_config", key::HTTP_SERVER_CONFIG);
    let rate_limit = section(root, "rate_limit", key::RATE_LIMIT);
    let tls = section(root, "tls_server_config", key::TLS_SERVER_CONFIG);
    let tls = tls.and_then(|table| tls::read(&table, files).ok().flatten());
    let (tls, asks_clients) = tls.unzip();
    WebConfig {
        tls,
        asks_clients: asks_clients.unwrap_or(false),
        headers: http.map(|table| http::read(&table)).unwrap_or_default(),
        users: root.given("basic_auth_users").map(users::read).unwrap_or_default(),
        rate_limit: rate_limit.and_then(|table| rate_limit::read(&table)),
    }
}

fn section<'a>(root: &Table<'a>, name: &str, known: &[&str]) -> Option<Table<'a>> {
    root.given(name)?.table(known, &format!("a table with {}", known.join(", ")))
}

/// A mistake that has been noted where it was found.
#[derive(Clone, Copy)]
struct Noted;

/// A text that says something: a blank one counts as none, and a number without quotes as a text, as
/// they do for Go.
fn text<'a>(table: &Table<'a>, key: &str, expected: &str) -> Option<(Node<'a>, String)> {
    let node = table.given(key)?;
    let text = match node.value {
        Value::Num(_, number) => written(*number),
        _ => node.text(expected)?,
    };
    (!text.is_empty()).then_some((node, text))
}
