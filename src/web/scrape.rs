//! `/metrics`, and the form in which `/probe` answers too: text 0.0.4, gzipped when asked for, sent
//! while it is made.

use std::{io::Write, mem, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    HeaderMap, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY},
};
use jiff::Timestamp;

use super::{
    App,
    response::{self, Answer},
    streamed::{self, Body, Feed},
};
use crate::metrics::{
    exposition,
    sink::{CHUNK, Gone, Sink},
};

pub(super) async fn metrics(app: Arc<App>, headers: &HeaderMap) -> Answer {
    exposed(app, takes_gzip(headers), |app, sink| {
        let snapshot = app.store.snapshot();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let config = app.config.load_full();
        app.own.destinations_configured.set(count(config.destinations.len()));
        app.own.destinations.set(count(snapshot.destinations.len()));
        let now = Timestamp::now();
        let overdue = snapshot.destinations.values().filter(|report| report.overdue(now)).count();
        app.own.destinations_overdue.set(count(overdue));
        let good = app.access.last_reload_successful();
        app.own.web_config_last_reload_successful.set(i64::from(good));
        let mut own = String::new();
        app.own.encode(&mut own);
        exposition::write(&snapshot, config.metrics.detail, sink)?;
        sink.take(&mut own)
    })
    .await
}

/// Answers with the samples that `write` gives.
pub(super) async fn exposed(
    app: Arc<App>,
    gzip: bool,
    write: impl FnOnce(&App, &mut dyn Sink) -> Result<(), Gone> + Send + 'static,
) -> Answer {
    let body = streamed::made(app, move |app, feed| {
        let mut coded = Coded::new(feed, gzip);
        write(app, &mut coded)?;
        coded.finish()
    });
    let kind = exposition::CONTENT_TYPE;
    let mut answer = match body.await {
        Some(Body::Whole(body)) => response::with_type(StatusCode::OK, kind, body),
        Some(Body::Streamed(body)) => response::streamed(StatusCode::OK, kind, body),
        None => return response::failed(),
    };
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if gzip {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// Text on its way to the client, and what is not a full chunk yet.
struct Coded<'f> {
    feed: &'f mut Feed,
    coding: Coding,
}

enum Coding {
    Identity(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl<'f> Coded<'f> {
    fn new(feed: &'f mut Feed, gzip: bool) -> Self {
        let coding = if gzip {
            // The fastest level makes a tenth of it already.
            Coding::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast())))
        } else {
            Coding::Identity(Vec::new())
        };
        Self { feed, coding }
    }

    fn finish(self) -> Result<(), Gone> {
        let rest = match self.coding {
            Coding::Identity(rest) => rest,
            Coding::Gzip(encoder) => encoder.finish().expect(TAKES_ALL),
        };
        self.feed.end(rest.into())
    }
}

impl Sink for Coded<'_> {
    fn take(&mut self, chunk: &mut String) -> Result<(), Gone> {
        let full = match &mut self.coding {
            Coding::Identity(before) if before.len() + chunk.len() <= CHUNK => {
                before.extend_from_slice(chunk.as_bytes());
                chunk.clear();
                return Ok(());
            }
            Coding::Identity(before) => mem::replace(before, mem::take(chunk).into_bytes()),
            Coding::Gzip(encoder) => {
                encoder.write_all(chunk.as_bytes()).expect(TAKES_ALL);
                chunk.clear();
                if encoder.get_ref().len() < CHUNK {
                    return Ok(());
                }
                mem::take(encoder.get_mut())
            }
        };
        if full.is_empty() { Ok(()) } else { self.feed.send(Bytes::from(full)) }
    }
}

const TAKES_ALL: &str = "a vector takes every byte";

/// Whether the client takes gzip, and not less gladly than plain text (RFC 9110 §12.5.3).
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut rest) = (None, None, None);
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    for item in lines.flat_map(|line| line.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
        // A weight that cannot be read is taken for a refusal: plain text is always right.
        let weight = weight.map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
        match coding.as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "identity" => identity = Some(weight),
            "*" => rest = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(rest).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_when_it_is_welcome() {
        for (accepted, want) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("x-gzip", true),
            ("", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip; q=0.0, *", false),
            ("*;q=0", false),
            ("identity;q=1, gzip;q=0.5", false),
            ("gzip;q=nonsense", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(takes_gzip(&headers), want, "{accepted:?}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
