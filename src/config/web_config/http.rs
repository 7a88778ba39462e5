//! `http_server_config`: headers that the user wants in every response.

use hyper::header::{HeaderName, HeaderValue};

use super::text;
use crate::config::{key, table::Table};

/// Reads the section.
pub(super) fn read(table: &Table<'_>) -> Vec<(HeaderName, HeaderValue)> {
    if let Some(node) = table.given("http2").filter(|node| node.boolean() == Some(true)) {
        node.warn("has no effect: mxwatch speaks HTTP/1.1, as every client of HTTP/2 does too");
    }
    let expected = format!("a table with {}", key::HTTP_HEADERS.join(", "));
    let Some(headers) = table.given("headers").and_then(|n| n.table(key::HTTP_HEADERS, &expected))
    else {
        return Vec::new();
    };
    key::HTTP_HEADERS.iter().filter_map(|name| header(&headers, name)).collect()
}

fn header(headers: &Table<'_>, name: &str) -> Option<(HeaderName, HeaderValue)> {
    let (node, value) = text(headers, name, "a text")?;
    let fixed: &[&str] = match name {
        "X-Content-Type-Options" => &["nosniff"],
        "X-Frame-Options" => &["deny", "sameorigin"],
        _ => &[],
    };
    if !fixed.is_empty() && !fixed.contains(&value.as_str()) {
        node.refuse(format!("must be {}", fixed.join(" or ")));
        return None;
    }
    let (Ok(name), Ok(value)) = (name.parse(), HeaderValue::try_from(value)) else {
        node.refuse("holds a character that no header may have, such as the end of a line");
        return None;
    };
    Some((name, value))
}
