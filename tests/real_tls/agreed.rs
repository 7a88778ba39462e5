//! What is agreed on in the handshake, as the server logs it and OpenSSL and Postfix see it, and what
//! EHLO lists afterwards.

use mxwatch::facts::Stage;
use rcgen::KeyPair;

use super::{
    exchanger::{Exchanger, NAME},
    peers::Peers,
    servers::{
        certificates::{Key, RsaKey},
        check::HELO_NAME,
        dovecot_auth::DovecotAuth,
    },
};

/// The session with an exchanger with this key and these lines of `main.cf`, held against all others
/// and against what is to be agreed on: version, cipher suite, group.
async fn agrees(key: &impl Key, main: &str, version: &str, cipher: &str, group: &str) {
    let (Some(peers), Some(exchanger)) = (Peers::find(), Exchanger::start(key, main)) else {
        return;
    };
    let session = exchanger.session().await;
    assert_eq!((session.failure, session.tls_failure()), (None, None), "{session:?}");
    let tls = session.tls.as_ref().unwrap();
    assert!(tls.pkix.trusted(), "{tls:?}");
    let agreed = (tls.version.unwrap().label(), tls.cipher.as_deref(), tls.key_exchange.as_deref());
    assert_eq!(agreed, (version, Some(cipher), Some(group)));
    assert_eq!(exchanger.postfix.sessions(1), ["ehlo=2 starttls=1 quit=1 commands=4"]);
    let logged = format!(" established from unknown[127.0.0.1]: {}", peers.logged(tls));
    assert!(exchanger.postfix.log().contains(&logged), "{}", exchanger.postfix.log());
    let (openssl, finger) = peers.see(exchanger.address(), NAME, &exchanger.trusted);
    assert_eq!((openssl.verify_code, &*finger.trust), (0, "Verified"));
    peers.compare(tls, &openssl, &finger);
}

#[tokio::test]
async fn tls_1_3() {
    let key = KeyPair::generate().unwrap();
    let (version, cipher) = ("TLSv1.3", "TLS_AES_256_GCM_SHA384");
    // A server may ask for a certificate, too.
    agrees(&key, "smtpd_tls_ask_ccert = yes\n", version, cipher, "X25519").await;
    // The server has to ask for another key share first.
    agrees(&key, "tls_eecdh_auto_curves = secp384r1\n", version, cipher, "secp384r1").await;
}

#[tokio::test]
async fn tls_1_2() {
    let (old, key) = ("smtpd_tls_protocols = TLSv1.2\n", KeyPair::generate().unwrap());
    let cipher = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let main = format!("{old}tls_eecdh_auto_curves = prime256v1\n");
    agrees(&key, &main, "TLSv1.2", cipher, "secp256r1").await;
    let Some(key) = RsaKey::generate(2048) else { return };
    let main = format!("{old}tls_medium_cipherlist = ECDHE-RSA-CHACHA20-POLY1305\n");
    let cipher = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    agrees(&key, &main, "TLSv1.2", cipher, "X25519").await;
}

#[tokio::test]
async fn what_ehlo_lists_over_tls_is_what_counts() {
    let (authentication, key) = (DovecotAuth::start(), KeyPair::generate().unwrap());
    let exchanger = Exchanger::start(&key, &authentication.main());
    let (Some(peers), Some(exchanger)) = (Peers::find(), exchanger) else { return };
    let session = exchanger.session().await;
    let listed = |stage| &session.stage(stage).unwrap().reply().unwrap().lines;
    let before = listed(Stage::Ehlo).join("\n");
    assert!(before.contains("\nSTARTTLS") && !before.contains("\nAUTH"), "{before}");
    let said = format!("EHLO {HELO_NAME}\r\nQUIT\r\n");
    let mut replies = peers.openssl.dialogue(exchanger.address(), &said);
    assert_eq!(replies.pop().as_deref(), Some("221 2.0.0 Bye"));
    let texts: Vec<_> = replies.iter().map(|line| &line[4..]).collect();
    assert!(listed(Stage::EhloTls).iter().eq(texts.iter().copied()), "{session:?}");
    let extensions: Vec<_> = session.extensions().collect();
    assert_eq!(extensions, texts[1..]);
    assert!(extensions.contains(&"AUTH PLAIN LOGIN"), "{extensions:?}");
    // It was offered, though no server offers it over TLS again.
    assert!(session.offers("STARTTLS") && !extensions.contains(&"STARTTLS"), "{extensions:?}");
}
