//! Bodies of HTTP/1.1 that come in chunks.

/// What the chunks of a body hold (RFC 9112 §7.1).
///
/// # Panics
///
/// When one of them, or the last, is missing.
pub(crate) fn content(mut rest: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").expect("the size of a chunk");
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return all;
        }
        all.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}
