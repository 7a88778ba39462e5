//! What comes after the 220 to STARTTLS where no handshake does. In plain text mail may still go, so
//! nothing of it is a failure of the session.

use std::path::Path;

use mxwatch::facts::{Failure, Reason, Stage};

use super::{
    exchanger::session,
    servers::{
        check::HELO_NAME,
        starttls::{After, Server},
    },
};

/// The session with a server that does this, which fails at this stage for this reason.
async fn fails(after: After, stage: Stage, reason: Reason) {
    let server = Server::start(after);
    let port = server.address().port();
    let session = session(port, Path::new("/nowhere"), &["--timeout", "2s"]).await;
    assert_eq!((session.failure, &session.tls), (None, &None), "{after:?}: {session:?}");
    assert_eq!(session.tls_failure(), Some(Failure { stage, reason }), "{after:?}");
    assert_eq!(session.stages.last().unwrap().stage, stage, "{after:?}: that is the end");
    assert_eq!(server.commands(), [format!("EHLO {HELO_NAME}"), "STARTTLS".to_owned()]);
    let extensions: Vec<_> = session.extensions().collect();
    assert_eq!(extensions, ["SIZE 1000", "STARTTLS"], "{after:?}: what counts in plain text");
}

#[tokio::test]
async fn plain_text_after_the_220_is_refused() {
    for text in ["250 2.0.0 Ok\r\n", "x"] {
        fails(After::Text(text), Stage::Starttls, Reason::Injected).await;
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_told_as_such() {
    for bytes in [&b"500 5.5.2 Error: bad syntax\r\n"[..], &[0x16, 3, 3, 0, 4, 0xff, 0, 0, 0]] {
        fails(After::Bytes(bytes), Stage::TlsHandshake, Reason::TlsError).await;
    }
}

#[tokio::test]
async fn silence_is_not_waited_for_forever() {
    fails(After::Silence, Stage::TlsHandshake, Reason::Timeout).await;
}

#[tokio::test]
async fn the_end_of_the_connection_is_told_as_such() {
    fails(After::Close, Stage::TlsHandshake, Reason::Closed).await;
}
