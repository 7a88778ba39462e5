//! STARTTLS with Postfix, and with servers that do what none may: what mxwatch says of handshakes and
//! certificates, held against what `openssl s_client` and `posttls-finger` see there, and against
//! what Postfix logs.

#[allow(dead_code, reason = "shared with the other tests against real servers")]
#[path = "../servers/mod.rs"]
mod servers;

#[allow(dead_code, reason = "shared with the tests of the agent")]
#[path = "../harness/mod.rs"]
mod harness;

mod agreed;
mod dane;
mod exchanger;
mod failed;
mod hostile;
mod peers;
mod rounds;
mod trust;
