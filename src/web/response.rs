//! Responses of each kind, with the headers that belong to them.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{
    Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use serde::Serialize;

use super::streamed::Streamed;

/// Whole, or sent while it is made.
pub(super) type Answer = Response<Either<Full<Bytes>, Streamed>>;

/// Nothing runs, nothing is fetched from elsewhere, nobody frames us: pages show text that mail
/// servers of strangers wrote.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub(super) fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    of_body(status, kind, Either::Left(Full::new(body.into())))
}

/// An answer that is not there yet.
pub(super) fn streamed(status: StatusCode, kind: &'static str, body: Streamed) -> Answer {
    of_body(status, kind, Either::Right(body))
}

fn of_body(status: StatusCode, kind: &'static str, body: Either<Full<Bytes>, Streamed>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Every answer is about this moment.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// What is answered in place of a panic.
pub(super) fn failed() -> Answer {
    let why = "500: the answer could not be made; please report what the log says";
    text(StatusCode::INTERNAL_SERVER_ERROR, why)
}

/// A line or two for people and logs.
pub(super) fn text(status: StatusCode, text: impl AsRef<str>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", format!("{}\n", text.as_ref()))
}

pub(super) fn html(status: StatusCode, page: String) -> Answer {
    with_type(status, "text/html; charset=utf-8", page)
}

pub(super) fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(body) => with_type(StatusCode::OK, "application/json", body + "\n"),
        // Only a map with other keys than strings fails, and there is none.
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
