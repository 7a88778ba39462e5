//! A client for the HTTP APIs of servers on loopback.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The body of a 200 answer.
pub(crate) fn get(server: SocketAddr, path: &str) -> Option<String> {
    ask(server, &format!("GET {path}"), "")
}

/// Posts JSON; the body of a 200 answer.
pub(crate) fn post(server: SocketAddr, path: &str, json: &str) -> Option<String> {
    ask(server, &format!("POST {path}"), json)
}

/// HTTP/1.0 has no chunks.
fn ask(server: SocketAddr, what: &str, json: &str) -> Option<String> {
    let mut stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", json.len());
    write!(stream, "{what} HTTP/1.0\r\nHost: {server}\r\n{fields}\r\n{json}").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    (head.split(' ').nth(1) == Some("200")).then(|| body.to_owned())
}

/// The text as one value of a query.
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let escape = |byte: u8| {
        if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(escape).collect()
}
