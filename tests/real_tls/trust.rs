//! What is thought of certificates: as OpenSSL and Postfix think of them. One Postfix has them all,
//! and shows each to whom asks for its name (SNI).

use std::{fmt::Write, process::Command};

use mxwatch::facts::Pkix;
use rcgen::{
    BasicConstraints, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, NameConstraints, PKCS_ECDSA_P384_SHA384, SerialNumber, date_time_ymd,
};

use super::{
    peers::Peers,
    servers::{
        certificates::{Authority, Identity, RsaKey, ed25519, leaf},
        check::check,
        postfix::{Postfix, starttls_by_name},
    },
};

/// A server.
struct Case {
    /// The domain below example.test whose exchanger it is, as [`mx`] names it.
    label: &'static str,
    identity: Identity,
    /// What mxwatch is to think of it.
    pkix: Pkix,
    /// The verify return code of OpenSSL.
    code: u32,
}

fn mx(label: &str) -> String {
    format!("mx.{label}.example.test")
}

/// The authorities to be trusted, and servers with certificates of every kind.
fn cases() -> Option<(String, Vec<Case>)> {
    let (root, rsa) = (Authority::new("Root"), Authority::rsa("RSA Root")?);
    let issuing = root.subordinate(Authority::params("Issuing"));
    let mut past = Authority::params("Past");
    past.not_after = date_time_ymd(2021, 2, 3);
    let past = root.subordinate(past);
    let mut elsewhere = Authority::params("Elsewhere");
    elsewhere.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
        excluded_subtrees: Vec::new(),
    });
    let elsewhere = root.subordinate(elsewhere);
    let key = || KeyPair::generate().unwrap();
    let named = |label| leaf(&[&mx(label)]);
    let mut cases = Vec::new();
    let mut case = |label, identity, pkix, code| {
        cases.push(Case { label, identity, pkix, code });
    };

    case("p256", root.issue(&named("p256"), &key()), Pkix::Trusted, 0);
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    case("p384", root.issue(&named("p384"), &p384), Pkix::Trusted, 0);
    case("rsa", rsa.issue(&named("rsa"), &RsaKey::generate(2048)?), Pkix::Trusted, 0);
    case("ed25519", root.issue(&named("ed25519"), &ed25519()?), Pkix::Trusted, 0);
    case("wildcard", root.issue(&leaf(&["*.wildcard.example.test"]), &key()), Pkix::Trusted, 0);
    let mut many = leaf(&[&mx("many"), "192.0.2.1", "other.example.test", "*.example.net"]);
    many.distinguished_name.push(DnType::OrganizationName, "Example Söhne");
    many.distinguished_name.push(DnType::CountryName, "DE");
    many.serial_number = Some(SerialNumber::from(vec![0xf1, 0x02, 0x03]));
    case("many", root.issue(&many, &key()), Pkix::Trusted, 0);
    case("chain", issuing.issue(&named("chain"), &key()), Pkix::Trusted, 0);

    let mut incomplete = issuing.issue(&named("incomplete"), &key());
    incomplete.chain.truncate(1);
    case("incomplete", incomplete, Pkix::UnknownIssuer, 21);
    let stranger = Authority::new("Stranger");
    case("foreign", stranger.issue(&named("foreign"), &key()), Pkix::UnknownIssuer, 21);
    let mut with_root = stranger.issue(&named("with-root"), &key());
    with_root.chain.push(stranger.pem);
    case("with-root", with_root, Pkix::UnknownIssuer, 19);
    let forged = Authority::new("Root").issue(&named("forged"), &key());
    case("forged", forged, Pkix::BadSignature, 7);

    let mut expired = named("expired");
    expired.not_after = date_time_ymd(2021, 2, 3);
    case("expired", root.issue(&expired, &key()), Pkix::Expired, 10);
    case("expired-above", past.issue(&named("expired-above"), &key()), Pkix::Expired, 10);
    let mut early = named("early");
    early.not_before = date_time_ymd(2921, 2, 3);
    case("early", root.issue(&early, &key()), Pkix::NotYetValid, 9);

    let other = leaf(&["mx.example.org"]);
    case("other-name", root.issue(&other, &key()), Pkix::NameMismatch, 62);
    let mut nameless = leaf(&["mx.example.org"]);
    nameless.subject_alt_names.clear();
    nameless.distinguished_name.push(DnType::CommonName, mx("common-name"));
    // OpenSSL takes the common name where there is no other; RFC 9525 §6.3 has done away with it.
    case("common-name", root.issue(&nameless, &key()), Pkix::NameMismatch, 0);

    let own = Identity::self_signed(&named("self-signed"));
    case("self-signed", own, Pkix::SelfSigned, 18);
    let mut authority = named("own-authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    case("own-authority", Identity::self_signed(&authority), Pkix::SelfSigned, 18);

    let mut client = named("client");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    case("client", root.issue(&client, &key()), Pkix::NotForServers, 26);
    let mut odd = named("odd");
    let mut demand = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 1], vec![5, 0]);
    demand.set_criticality(true);
    odd.custom_extensions = vec![demand];
    case("odd", root.issue(&odd, &key()), Pkix::Other, 34);
    case("version-1", Identity::of_version_1(&mx("version-1"))?, Pkix::SelfSigned, 18);
    case("elsewhere", elsewhere.issue(&named("elsewhere"), &key()), Pkix::Other, 47);
    Some((root.pem + &rsa.pem, cases))
}

#[tokio::test]
async fn certificates_are_judged_as_openssl_and_postfix_judge_them() {
    let (Some(peers), Some((anchors, cases))) = (Peers::find(), cases()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let trusted = dir.path().join("anchors.pem");
    std::fs::write(&trusted, anchors).unwrap();
    let mut zone = "$ORIGIN example.test.\n".to_owned();
    for Case { label, .. } in &cases {
        writeln!(zone, "{label} MX 10 mx.{label}\nmx.{label} A 127.0.0.1").unwrap();
    }
    let identities = cases.iter().map(|case| (mx(case.label), &case.identity));
    let main = starttls_by_name(dir.path(), identities);
    let Some(postfix) = Postfix::start_with("", &main) else { return };

    let domains = cases.iter().map(|case| format!("{}.example.test", case.label));
    let more = |command: &mut Command| {
        command.env("SSL_CERT_FILE", &trusted).args(domains);
    };
    let checked = check(&zone, postfix.port(), more).await;
    for session in postfix.sessions(cases.len()) {
        assert_eq!(session, "ehlo=2 starttls=1 quit=1 commands=4");
    }
    let log = postfix.log();
    let server = postfix.addresses().next().unwrap();
    for (place, Case { label, pkix, code, .. }) in cases.iter().enumerate() {
        println!("{label}");
        let (name, session) = (mx(label), checked.session(place));
        assert_eq!(session.failure, None, "{session:?}");
        let tls = session.tls.as_ref().unwrap();
        assert_eq!(tls.server_name.as_deref(), Some(&*name));
        let logged = format!(" established from unknown[127.0.0.1] to {name}: ");
        assert!(log.contains(&(logged + &peers.logged(tls))), "{log}");
        assert_eq!(tls.pkix, *pkix);
        let (openssl, finger) = peers.see(server, &name, &trusted);
        assert_eq!(openssl.verify_code, *code, "{openssl:?}");
        assert_eq!(finger.trust, if *code == 0 { "Verified" } else { "Untrusted" }, "{finger:?}");
        peers.compare(tls, &openssl, &finger);
    }
}
