//! `/metrics`, and the form in which `/probe` answers too: text 0.0.4, gzipped when asked for.

use std::{io::Write, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use hyper::{
    HeaderMap, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY},
};
use jiff::Timestamp;

use super::{
    App,
    response::{self, Answer},
    routes,
};
use crate::metrics::exposition;

pub(super) async fn metrics(app: Arc<App>, headers: &HeaderMap) -> Answer {
    let gzip = takes_gzip(headers);
    routes::blocking(app, move |app| {
        let snapshot = app.store.snapshot();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let config = app.config.load();
        app.own.destinations_configured.set(count(config.destinations.len()));
        app.own.destinations.set(count(snapshot.destinations.len()));
        let now = Timestamp::now();
        let overdue = snapshot.destinations.values().filter(|report| report.overdue(now)).count();
        app.own.destinations_overdue.set(count(overdue));
        let good = app.access.last_reload_successful();
        app.own.web_config_last_reload_successful.set(i64::from(good));
        let mut body = String::new();
        exposition::write(&snapshot, config.metrics.detail, &mut body);
        app.own.encode(&mut body);
        exposed(body, gzip)
    })
    .await
}

/// Wraps a body of samples.
pub(super) fn exposed(body: String, gzip: bool) -> Answer {
    let compressed = gzip.then(|| compress(&body));
    let encoded = compressed.is_some();
    let body = compressed.unwrap_or_else(|| body.into_bytes());
    let mut answer = response::with_type(StatusCode::OK, exposition::CONTENT_TYPE, body);
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if encoded {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

fn compress(body: &str) -> Vec<u8> {
    // The fastest level makes a tenth of it already.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_bytes()).expect("a vector takes every byte");
    encoder.finish().expect("a vector takes every byte")
}

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
