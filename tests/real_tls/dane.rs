//! Which TLSA records a chain matches: those that OpenSSL matches it with. The records are in a zone
//! that BIND serves, signed, and Unbound validates; one Postfix has all the chains.

use std::fmt::Write;

use rcgen::{KeyPair, date_time_ymd};

use super::servers::{
    bind::Bind,
    certificates::{Authority, Identity, leaf},
    check::{HELO_NAME, command, run},
    openssl::OpenSsl,
    postfix::{Postfix, starttls_by_name},
    signing::Signer,
    unbound::{Abilities, Unbound},
};

/// A server.
struct Case {
    /// The domain below signed.test whose exchanger it is, as [`mx`] names it.
    label: &'static str,
    identity: Identity,
    /// Its TLSA records.
    records: Vec<String>,
    /// Those that its chain is to match.
    matched: Vec<String>,
    /// What OpenSSL finds wrong first with these records, see `openssl verify`; 0 for nothing.
    error: u32,
}

fn mx(label: &str) -> String {
    format!("mx.{label}.signed.test")
}

fn cases(openssl: &OpenSsl) -> Vec<Case> {
    let root = Authority::new("Root");
    let issuing = root.subordinate(Authority::params("Issuing"));
    let key = || KeyPair::generate().unwrap();
    let named = |label| leaf(&[&mx(label)]);
    let spki = |pem: &str| openssl.certificate(pem).spki_sha256;
    let other = || format!("3 1 1 {}", "0".repeat(64));
    let mut cases = Vec::new();
    let mut case = |label, identity, records: &[String], matched: &[usize], error| {
        let matched = matched.iter().map(|&place| records[place].clone()).collect();
        cases.push(Case { label, identity, records: records.to_vec(), matched, error });
    };

    let own = Identity::self_signed(&named("key"));
    let record = format!("3 1 1 {}", spki(&own.chain[0]));
    case("key", own, &[record], &[0], 0);
    let own = Identity::self_signed(&named("certificate"));
    let record = format!("3 0 1 {}", openssl.certificate(&own.chain[0]).sha256);
    case("certificate", own, &[record], &[0], 0);
    // The server's own key is all that counts (RFC 7671 §5.1).
    let mut stale = leaf(&["mx.example.org"]);
    stale.not_after = date_time_ymd(2021, 2, 3);
    let own = Identity::self_signed(&stale);
    let record = format!("3 1 1 {}", spki(&own.chain[0]));
    case("stale", own, &[record], &[0], 0);

    let rollover = Identity::self_signed(&named("rollover"));
    let record = format!("3 1 1 {}", spki(&rollover.chain[0]));
    case("rollover", rollover, &[other(), record], &[1], 0);
    case("mismatch", Identity::self_signed(&named("mismatch")), &[other()], &[], 65);

    let below = issuing.issue(&named("authority"), &key());
    let record = format!("2 1 1 {}", spki(&below.chain[1]));
    case("authority", below, &[record], &[0], 0);
    let mut to_root = issuing.issue(&named("root"), &key());
    to_root.chain.push(root.pem.clone());
    let record = format!("2 0 1 {}", openssl.certificate(&root.pem).sha256);
    case("root", to_root, std::slice::from_ref(&record), &[0], 0);
    // A digest is no certificate, which nobody sent.
    case("no-root", issuing.issue(&named("no-root"), &key()), &[record], &[], 65);
    // An authority vouches for a name, and until a day.
    let elsewhere = issuing.issue(&leaf(&["mx.example.org"]), &key());
    let record = format!("2 1 1 {}", spki(&elsewhere.chain[1]));
    case("elsewhere", elsewhere, std::slice::from_ref(&record), &[], 62);
    let mut expired = named("expired");
    expired.not_after = date_time_ymd(2021, 2, 3);
    case("expired", issuing.issue(&expired, &key()), &[record], &[], 10);
    cases
}

#[test]
fn records_are_matched_as_openssl_matches_them() {
    let (Some(openssl), Some(signer)) = (OpenSsl::find(), Signer::find()) else { return };
    let (cases, dir) = (cases(&openssl), tempfile::tempdir().unwrap());
    let identities = cases.iter().map(|case| (mx(case.label), &case.identity));
    let main = starttls_by_name(dir.path(), identities);
    let Some(postfix) = Postfix::start_with("", &main) else { return };
    let port = postfix.port();

    let mut zone =
        "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n".to_owned();
    for Case { label, records, .. } in &cases {
        writeln!(zone, "{label} MX 10 mx.{label}\nmx.{label} A 127.0.0.1").unwrap();
        for record in records {
            writeln!(zone, "_{port}._tcp.mx.{label} TLSA {record}").unwrap();
        }
    }
    let served = signer.sign("signed.test", &zone);
    let Some(bind) = Bind::start(&[("signed.test", Some(&served.zone))]) else { return };
    let abilities = Abilities { anchors: &[&served.anchor], ..Abilities::default() };
    let unbound = Unbound::start_with(&[("signed.test", bind.ipv4())], &abilities);
    let Some(unbound) = unbound else { return };

    let (config, none) = (dir.path().join("mxwatch.toml"), dir.path().join("none.pem"));
    let resolver = unbound.addresses().next().unwrap();
    let text = format!(
        "helo_name = \"{HELO_NAME}\"\nprobe.port = {port}\n[[resolver]]\nname = \"unbound\"\nservers = [\"{resolver}\"]\n\
         trust_ad = true\n"
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(&none, Authority::new("Nobody's").pem).unwrap();
    let mut check = command();
    check.env("SSL_CERT_FILE", &none).arg("--config.file").arg(config);
    check.args(cases.iter().map(|case| format!("{}.signed.test", case.label)));
    let checked = run(check);
    let exchanger = postfix.addresses().next().unwrap();
    for (place, Case { label, records, matched, error, .. }) in cases.iter().enumerate() {
        println!("{label}");
        let (name, session) = (mx(label), checked.session(place));
        let dane = session.tls.as_ref().unwrap().dane.as_ref().unwrap();
        let dane: Vec<_> = dane.iter().map(ToString::to_string).collect();
        assert_eq!(dane, *matched);
        // A DANE-EE record asks for no name (RFC 7672 §3.1.1).
        let mut flags = vec!["-dane_ee_no_namechecks", "-dane_tlsa_domain", &name];
        flags.extend(records.iter().flat_map(|record| ["-dane_tlsa_rrdata", record]));
        let seen = openssl.session(exchanger, &name, &none, &flags);
        assert_eq!(seen.errors.first().unwrap_or(&0), error, "{seen:?}");
    }
}
