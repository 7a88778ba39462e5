//! `mxwatch healthy`: whether a running agent answers `/-/healthy`, for health checks of containers that
//! hold no other HTTP client. What the agent answers there is `web`'s.

use std::{
    fmt,
    io::{self, Write},
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Request, StatusCode, Uri,
    client::conn::http1,
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::ended::Ended;

/// Less than the five seconds after which the image's health check is given up, so that the reason is said.
const PATIENCE: Duration = Duration::from_secs(4);
/// The port of `http` in a URL without one.
const HTTP_PORT: u16 = 80;

/// Where an agent serves HTTP, from a URL such as `http://127.0.0.1:10187`; a path, as behind a reverse
/// proxy, is what `/-/healthy` is put after.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AgentUrl {
    /// A name or an address, an IPv6 one in brackets.
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
    host_field: HeaderValue,
}

impl FromStr for AgentUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a URL such as \"http://127.0.0.1:10187\"";
        let uri: Uri = text.parse().map_err(|_| EXPECTED)?;
        if uri.scheme_str() == Some("https") {
            return Err("only http is spoken here; leave TLS to another client, such as curl");
        }
        let (Some("http"), Some(authority), None) =
            (uri.scheme_str(), uri.authority(), uri.query())
        else {
            return Err(EXPECTED);
        };
        if authority.as_str().contains('@') {
            return Err("a user and a password are not sent; leave them to another client");
        }
        let host_field = HeaderValue::from_str(authority.as_str()).map_err(|_| EXPECTED)?;
        Ok(Self {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(HTTP_PORT),
            path: uri.path().trim_end_matches('/').to_owned(),
            host_field,
        })
    }
}

impl fmt::Display for AgentUrl {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "http://{}:{}{}", self.host, self.port, self.path)
    }
}

/// Asks once, and says what became of it.
pub async fn run(url: &AgentUrl) -> io::Result<Ended> {
    let late = || Err(format!("no answer within {} s", PATIENCE.as_secs()));
    match timeout(PATIENCE, ask(url)).await.unwrap_or_else(|_| late()) {
        Ok(()) => {
            writeln!(io::stdout(), "{url}: healthy")?;
            Ok(Ended::Done)
        }
        Err(why) => {
            writeln!(io::stderr(), "{url}: not healthy: {why}")?;
            Ok(Ended::Unhealthy)
        }
    }
}

/// Why it is not healthy, as a clause.
async fn ask(url: &AgentUrl) -> Result<(), String> {
    let connected = TcpStream::connect(format!("{}:{}", url.host, url.port)).await;
    let stream = connected.map_err(|error| format!("no connection: {error}"))?;
    let said = |error: hyper::Error| format!("no answer: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    let request = Request::get(format!("{}/-/healthy", url.path))
        .header(HOST, &url.host_field)
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let asked = async {
        tokio::select! {
            answer = sender.send_request(request) => answer,
            Err(error) = connection => Err(error),
        }
    };
    match asked.await.map_err(said)?.status() {
        StatusCode::OK => Ok(()),
        status => Err(format!("the answer is {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (text, shown) in [
            ("http://127.0.0.1:10187", "http://127.0.0.1:10187"),
            ("http://[::1]:10187/", "http://[::1]:10187"),
            ("http://localhost", "http://localhost:80"),
            ("http://example.org/mxwatch/", "http://example.org:80/mxwatch"),
        ] {
            assert_eq!(text.parse::<AgentUrl>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_a_reason() {
        for (text, why) in [
            ("https://localhost", "only http"),
            ("127.0.0.1:10187", "expected a URL"),
            ("/-/healthy", "expected a URL"),
            ("http://", "expected a URL"),
            ("http://localhost/?a=b", "expected a URL"),
            ("http://admin:secret@localhost", "a user and a password"),
        ] {
            let refused = text.parse::<AgentUrl>().unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
