//! Servers with which TLS does not come about. OpenSSL, which is what Postfix sends with, shakes hands
//! with most of them: rustls knows nothing from before TLS 1.2, and no key and no key exchange that
//! is not thought to be safe.

use mxwatch::facts::{Failure, Reason, Session, Stage};
use rcgen::KeyPair;

use super::{
    exchanger::{Exchanger, NAME},
    peers::Peers,
    servers::{
        certificates::{Key, RsaKey},
        openssl::Handshake,
        posttls_finger::Finger,
    },
};

/// Lets Postfix speak what OpenSSL has put away since.
const OLD: &str = "tls_medium_cipherlist = DEFAULT:@SECLEVEL=0\n";

/// What mxwatch, OpenSSL and Postfix see of an exchanger where mxwatch's handshake fails, which is no
/// failure of the session, for mail may still go in plain text.
async fn fails(key: &impl Key, main: &str, reason: Reason) -> Option<Seen> {
    let (peers, exchanger) = (Peers::find()?, Exchanger::start(key, main)?);
    let session = exchanger.session().await;
    assert_eq!(session.failure, None, "{session:?}");
    let failure = Failure { stage: Stage::TlsHandshake, reason };
    assert_eq!(session.tls_failure(), Some(failure), "{session:?}");
    assert_eq!(exchanger.postfix.sessions(1), ["ehlo=1 starttls=0/1 commands=1/2"]);
    let (openssl, finger) = peers.see_leniently(exchanger.address(), NAME, &exchanger.trusted);
    Some(Seen { peers, exchanger, session, openssl, finger })
}

struct Seen {
    peers: Peers,
    exchanger: Exchanger,
    session: Session,
    openssl: Handshake,
    finger: Finger,
}

impl Seen {
    /// Holds what OpenSSL and Postfix agree on with this server against what it is told to.
    fn others_agree_on(&self, version: &str, cipher: &str) {
        let (openssl, finger) = (&self.openssl, &self.finger);
        assert_eq!((&*openssl.version, &*openssl.cipher), (version, cipher), "{openssl:?}");
        assert_eq!((&*finger.version, &*finger.cipher), (version, cipher), "{finger:?}");
    }
}

#[tokio::test]
async fn a_server_that_knows_tls_1_1_only() {
    let Some(key) = RsaKey::generate(2048) else { return };
    let main = format!("{OLD}smtpd_tls_protocols = TLSv1.1\n");
    let Some(seen) = fails(&key, &main, Reason::TlsVersion).await else { return };
    seen.others_agree_on("TLSv1.1", "ECDHE-RSA-AES256-SHA");
    assert_eq!(seen.session.tls, None, "it came to no certificate");
}

#[tokio::test]
async fn a_server_that_knows_one_cipher_suite_of_old() {
    let Some(key) = RsaKey::generate(2048) else { return };
    // RSA and Diffie-Hellman as key exchange; CBC.
    for cipher in ["AES256-GCM-SHA384", "DHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-SHA384"] {
        let main = format!("smtpd_tls_protocols = TLSv1.2\ntls_medium_cipherlist = {cipher}\n");
        let Some(seen) = fails(&key, &main, Reason::TlsCipher).await else { return };
        seen.others_agree_on("TLSv1.2", cipher);
        assert_eq!(seen.session.tls, None, "it came to no certificate");
    }
}

#[tokio::test]
async fn a_server_without_a_certificate() {
    let main = "smtpd_tls_chain_files =\nsmtpd_tls_cert_file = none\n";
    let key = KeyPair::generate().unwrap();
    let Some(seen) = fails(&key, main, Reason::TlsCipher).await else { return };
    assert_eq!(seen.openssl.version, "", "it asks for a certificate, too: {:?}", seen.openssl);
    assert_eq!(seen.finger.trust, "Anonymous", "{:?}", seen.finger);
}

#[tokio::test]
async fn a_server_with_a_short_key() {
    let Some(key) = RsaKey::generate(1024) else { return };
    for (protocol, version, cipher) in [
        ("TLSv1.2", "TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"),
        (">=TLSv1.2", "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    ] {
        let main = format!("{OLD}smtpd_tls_protocols = {protocol}\n");
        let Some(seen) = fails(&key, &main, Reason::TlsKey).await else { return };
        seen.others_agree_on(version, cipher);
        let tls = seen.session.tls.as_ref().unwrap();
        assert_eq!((tls.version, &tls.cipher, &tls.key_exchange), (None, &None, &None));
        assert_eq!(tls.chain[0].key, "RSA 1024");
        seen.peers.compare_chain(&tls.chain, &seen.openssl);
        let server = seen.exchanger.address();
        let (strictly, _) = seen.peers.see(server, NAME, &seen.exchanger.trusted);
        assert_eq!(strictly.verify_code, 66, "EE certificate key too weak: {strictly:?}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_starttls() {
    let key = KeyPair::generate().unwrap();
    let main = "smtpd_tls_chain_files =\nsmtpd_tls_cert_file = /nowhere\n";
    let (Some(peers), Some(exchanger)) = (Peers::find(), Exchanger::start(&key, main)) else {
        return;
    };
    let session = exchanger.session().await;
    assert_eq!((session.failure, &session.tls), (None, &None), "{session:?}");
    let failure = Failure { stage: Stage::Starttls, reason: Reason::Reply4xx };
    assert_eq!(session.tls_failure(), Some(failure));
    let reply = session.stage(Stage::Starttls).unwrap().reply().unwrap();
    let told = "4.7.0 TLS not available due to local problem";
    assert_eq!((reply.code, reply.lines.join("").as_str()), (454, told));
    assert_eq!(reply.enhanced.unwrap().to_string(), "4.7.0");
    assert_eq!(exchanger.postfix.sessions(1), ["ehlo=1 starttls=0/1 quit=1 commands=2/3"]);
    let (_, finger) = peers.see(exchanger.address(), NAME, &exchanger.trusted);
    assert!(finger.said.contains(&format!("STARTTLS rejected: 454 {told}")), "{finger:?}");
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_of_its_clients() {
    let key = KeyPair::generate().unwrap();
    let main = "smtpd_tls_security_level = encrypt\nsmtpd_tls_req_ccert = yes\n";
    let (Some(peers), Some(exchanger)) = (Peers::find(), Exchanger::start(&key, main)) else {
        return;
    };
    let session = exchanger.session().await;
    assert_eq!(session.tls_failure(), None, "{session:?}");
    let failure = Failure { stage: Stage::EhloTls, reason: Reason::Reply4xx };
    assert_eq!(session.failure, Some(failure));
    assert_eq!(session.stage(Stage::EhloTls).unwrap().reply().unwrap().code, 421);
    let (openssl, finger) = peers.see(exchanger.address(), NAME, &exchanger.trusted);
    peers.compare(session.tls.as_ref().unwrap(), &openssl, &finger);
}
