//! The media type of an HTTP response (RFC 9110 §8.3).

use hyper::{
    HeaderMap,
    header::{CONTENT_TYPE, HeaderValue},
};

/// Whether the content is of this type, whatever its parameters; else a clause that quotes what is
/// said instead.
pub(super) fn expect(headers: &HeaderMap, wanted: &str) -> Result<(), String> {
    let said = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = said.split(|&byte| byte == b';').next().unwrap_or_default();
    if essence.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(said);
    Err(format!("it answers with content of type {said:?}, not {wanted}"))
}
