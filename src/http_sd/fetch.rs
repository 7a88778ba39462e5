//! One request for a list, as Prometheus sends it, and what is wrong with the answer in one line.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
    http::uri::Authority,
};
use tokio::{
    net::lookup_host,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};
use tokio_rustls::rustls::RootCertStore;

use crate::{
    config::{Authorization, HttpSd, Problems, TargetList},
    probe::{anchors, https::Get},
    shown::one_line,
};

/// Fetches a list; the error may be shown to everybody.
pub(super) async fn fetch(source: &HttpSd, until: Instant) -> Result<TargetList, String> {
    let secrets = secrets(source).await?;
    let fetched = listed(source, &secrets, until).await;
    // The server may repeat what it was told, where it was wrong.
    fetched.map_err(|why| one_line(&secrets.hidden(why), LONGEST_WHY))
}

async fn listed(source: &HttpSd, secrets: &Secrets, until: Instant) -> Result<TargetList, String> {
    let (url, secure) = (&source.url, source.url.scheme_str() == Some("https"));
    let authority = url.authority().map(Authority::as_str).unwrap_or_default();
    let host = url.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let peers = peers(host, port, until).await?;
    let anchors = if secure { Some(anchors(source).await) } else { None };
    let get = Get {
        host,
        authority,
        path: url.path_and_query().map_or("/", |path| path.as_str()),
        media_type: "application/json",
        headers: headers(source, secrets),
        longest: LONGEST,
        anchors,
    };
    let body = get.fetch(&peers, until).await.map_err(|failed| failed.why)?;
    let text = String::from_utf8(body.into()).map_err(|_| "its answer is not UTF-8 text")?;
    if secrets.repeated_in(&text) {
        return Err("its answer repeats the secret that it was sent".to_owned());
    }
    if text.bytes().filter(|octet| matches!(octet, b',' | b'[' | b'{')).count() > MOST_VALUES {
        return Err(format!("its answer holds more than {MOST_VALUES} values"));
    }
    let name = Arc::clone(&source.name);
    let parsed = spawn_blocking(move || TargetList::parse(&name, &text)).await;
    parsed.map_err(|error| error.to_string())?.map_err(|problems| first_of(&problems))
}

/// The addresses of the host, by the system's own means: /etc/hosts, search domains.
async fn peers(host: &str, port: u16, until: Instant) -> Result<Vec<SocketAddr>, String> {
    match timeout_at(until, lookup_host((host, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(format!("{host} has no address: {error}")),
        Err(_) => Err(format!("the address of {host} cannot be looked up in time")),
    }
}

async fn anchors(source: &HttpSd) -> Arc<RootCertStore> {
    let system = anchors::of_system().await;
    if source.anchors.is_empty() {
        return system;
    }
    let mut all = RootCertStore::clone(&system);
    all.add_parsable_certificates(source.anchors.iter().cloned());
    all.into()
}

fn headers(source: &HttpSd, secrets: &Secrets) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let seconds = HeaderValue::from(source.refresh_interval.as_secs());
    headers.insert(REFRESH_INTERVAL, seconds);
    headers.extend(secrets.header.clone().map(|value| (AUTHORIZATION, value)));
    headers
}

/// What a request carries that nobody else may see.
#[derive(Default)]
struct Secrets {
    header: Option<HeaderValue>,
    /// Every form in which it could come back.
    texts: Vec<String>,
}

impl Secrets {
    fn hidden(&self, text: String) -> String {
        self.texts.iter().fold(text, |text, secret| text.replace(secret, "***"))
    }

    /// Short ones may well be part of a name.
    fn repeated_in(&self, text: &str) -> bool {
        self.texts.iter().any(|secret| secret.len() >= 8 && text.contains(secret))
    }
}

/// Reads the secret of a source as it is now.
async fn secrets(source: &HttpSd) -> Result<Secrets, String> {
    let Some(authorization) = source.authorization.clone() else { return Ok(Secrets::default()) };
    let read = spawn_blocking(move || {
        let (file, username) = match &authorization {
            Authorization::Basic(username, file) => (file, Some(username)),
            Authorization::Bearer(file) => (file, None),
        };
        let secret = file.read()?;
        let plain = String::from_utf8_lossy(secret.expose()).into_owned();
        let (sent, texts) = match username {
            Some(username) => {
                let pair = BASE64_STANDARD.encode(format!("{username}:{plain}"));
                (format!("Basic {pair}"), vec![pair, plain])
            }
            None => (format!("Bearer {plain}"), vec![plain]),
        };
        let mut header = HeaderValue::try_from(sent)
            .map_err(|_| "the secret holds what no HTTP header can".to_owned())?;
        header.set_sensitive(true);
        Ok(Secrets { header: Some(header), texts })
    });
    read.await.map_err(|error| error.to_string())?
}

fn first_of(problems: &Problems) -> String {
    let first = problems.iter().next().map(ToString::to_string).unwrap_or_default();
    match problems.count() {
        0 | 1 => first,
        count => format!("{first}; and {} mistakes more", count - 1),
    }
}

/// What Prometheus tells about its patience.
const REFRESH_INTERVAL: HeaderName =
    HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// As with a destination file, no list is longer.
const LONGEST: usize = 16 << 20;

/// Values in it, however small they are: each takes some hundred octets while it is read.
const MOST_VALUES: usize = 250_000;

/// Characters of a message.
const LONGEST_WHY: usize = 300;
