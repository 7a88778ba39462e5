//! The reader of `--web.config.file` from outside: what is taken, and each mistake with its exact
//! message.

use std::{fs, path::PathBuf, time::Duration};

use mxwatch::config::web_config::{self, RateLimit, Read, WebConfig};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

/// A directory with a certificate `s.crt`, its key `s.key`, and the key `other.key`.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["web.test".to_owned()]).unwrap();
        files.write("s.crt", &params.self_signed(&key).unwrap().pem());
        files.write("s.key", &key.serialize_pem());
        files.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, text: &str) -> Read {
        self.write("web.yml", text);
        web_config::read(&self.path("web.yml"))
    }

    fn good(&self, text: &str) -> WebConfig {
        let read = self.read(text);
        assert_eq!(read.warnings, [""; 0], "{text}");
        read.outcome.unwrap_or_else(|problems| panic!("{text}\n{problems}"))
    }

    /// Warnings or mistakes without the directory, one per line.
    fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }

    fn wrong(&self, text: &str) -> String {
        let problems = self.read(text).outcome.expect_err(text).to_string();
        self.shown(&problems)
    }

    fn warned(&self, text: &str) -> String {
        let read = self.read(text);
        read.outcome.unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        self.shown(&read.warnings.join("\n"))
    }

    /// The keys of `tls_server_config` after a good certificate.
    fn tls(more: &str) -> String {
        let more: Vec<_> = more.lines().map(|line| format!("  {line}\n")).collect();
        let more = more.concat();
        format!("tls_server_config:\n  cert_file: s.crt\n  key_file: s.key\n{more}")
    }
}

#[test]
fn nothing_said_is_plain_http_for_everybody() {
    let files = Files::new();
    for text in ["", "# nothing\n", "tls_server_config:\nbasic_auth_users:\n", "rate_limit: {}\n"] {
        let config = files.good(text);
        assert!(config.tls.is_none() && config.users.is_empty(), "{text}");
        assert!(config.headers.is_empty() && config.rate_limit.is_none(), "{text}");
    }
}

#[test]
fn the_example_is_taken_as_it_is() {
    let files = Files::new();
    let example = include_str!("../config/examples/web-config.yml");
    for (name, copy) in [("s.crt", "web.crt"), ("s.key", "web.key"), ("s.crt", "prometheus-ca.crt")]
    {
        fs::copy(files.path(name), files.path(copy)).unwrap();
    }
    let config = files.good(example);
    assert!(config.tls.is_some());
    assert!(config.users["prometheus"].is_of(b"example"));
    let interval = Duration::from_millis(500);
    assert_eq!(config.rate_limit, Some(RateLimit { interval, burst: 20 }));
    assert_eq!(config.headers.len(), 1);
}

#[test]
fn everything_the_format_has_is_taken() {
    let files = Files::new();
    let text = Files::tls(
        "\
client_auth_type: RequireAndVerifyClientCert
client_ca_file: s.crt
client_allowed_sans: [web.test, 192.0.2.1, 'mail@example.com', 'spiffe://example.com/a']
min_version: TLS12
max_version: TLS13
cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256]
prefer_server_cipher_suites: false
curve_preferences: [CurveP384, X25519, CurveP256]",
    ) + "\
http_server_config:
  http2: false
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: sameorigin
    X-Content-Type-Options: nosniff
    X-XSS-Protection: 0
    Strict-Transport-Security: ''
rate_limit: {interval: 0, burst: 3}
";
    let config = files.good(&text);
    let tls = config.tls.unwrap();
    assert!(!tls.ignore_client_order);
    let groups: Vec<_> = tls.crypto_provider().kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(format!("{groups:?}"), "[secp384r1, X25519, secp256r1]");
    let suites = &tls.crypto_provider().cipher_suites;
    assert_eq!(suites.iter().filter(|suite| suite.tls13().is_none()).count(), 2);
    assert_eq!(suites.iter().filter(|suite| suite.tls13().is_some()).count(), 3);
    let headers: Vec<_> = config
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let want = [
        ("content-security-policy", "default-src 'self'"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "sameorigin"),
        ("x-xss-protection", "0"),
    ];
    assert_eq!(headers, want, "a blank one is none");
    assert_eq!(config.rate_limit, None);
}

#[test]
fn certificates_may_stand_in_the_file_itself() {
    let files = Files::new();
    let inline = |name: &str| {
        let pem = fs::read_to_string(files.path(name)).unwrap();
        pem.lines().map(|line| format!("\n    {line}")).collect::<Vec<_>>().concat()
    };
    let (certificate, key) = (inline("s.crt"), inline("s.key"));
    let text = format!(
        "tls_server_config:\n  cert: |{certificate}\n  key: |{key}\n  client_ca: |{certificate}\n  \
         client_auth_type: VerifyClientCertIfGiven\n"
    );
    assert!(files.good(&text).tls.is_some());
    let both = format!("{text}  cert_file: s.crt\n");
    assert!(
        files
            .warned(&both)
            .ends_with("tls_server_config.cert: has no effect, for there is cert_file")
    );
}

#[test]
fn every_way_to_ask_clients_is_known() {
    let files = Files::new();
    for (word, authority) in [
        ("NoClientCert", false),
        ("RequestClientCert", false),
        ("RequireAnyClientCert", false),
        ("RequireClientCert", false),
        ("VerifyClientCertIfGiven", true),
        ("RequireAndVerifyClientCert", true),
    ] {
        let ca = if authority { "\nclient_ca_file: s.crt" } else { "" };
        files.good(&Files::tls(&format!("client_auth_type: {word}{ca}")));
    }
    let wrong = files.wrong(&Files::tls("client_auth_type: RequireAndVerifyClientCert"));
    assert!(wrong.contains("tls_server_config.client_ca_file: missing; "), "{wrong}");
}

#[test]
fn each_mistake_names_its_place_key_and_cure() {
    let files = Files::new();
    files.write("junk.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (text, want) in [
        (
            "tls_config:\n",
            "web.yml:1:1: tls_config: unknown key `tls_config`, did you mean `tls_server_config`?",
        ),
        ("burst: 1\n", "web.yml:1:1: burst: unknown key `burst` here; it belongs into rate_limit"),
        ("- a\n", "web.yml:1:1: expected a table with sections, found a list"),
        ("a: [1\n", "web.yml:1:4: unclosed bracket '['"),
        (
            "tls_server_config:\n  min_version: TLS13\n",
            "web.yml:2:3: tls_server_config.cert_file: missing; TLS needs cert_file and key_file. For plain HTTP remove the whole section\n\
             web.yml:2:3: tls_server_config.key_file: missing; TLS needs cert_file and key_file. For plain HTTP remove the whole section",
        ),
        (
            "tls_server_config:\n  cert_file: no.crt\n  key_file: s.crt\n",
            "web.yml:2:14: tls_server_config.cert_file: no.crt cannot be read: No such file or directory (os error 2)\n\
             web.yml:3:13: tls_server_config.key_file: s.crt holds no private key in PEM, or one that is encrypted; decrypt that with: openssl pkey -in FILE -out NEW",
        ),
        (
            "tls_server_config:\n  cert_file: s.key\n  key_file: s.key\n",
            "web.yml:2:14: tls_server_config.cert_file: s.key holds no certificate; name the PEM chain, the own certificate first",
        ),
        (
            "tls_server_config:\n  cert_file: s.crt\n  key_file: other.key\n",
            "web.yml:3:13: tls_server_config.key_file: other.key is not the key of the certificate",
        ),
        (
            "tls_server_config:\n  cert_file: junk.crt\n  key_file: s.key\n",
            "web.yml:2:14: tls_server_config.cert_file: junk.crt cannot be used: BadEncoding",
        ),
        (
            "http_server_config:\n  headers:\n    Server: x\n",
            "web.yml:3:5: http_server_config.headers.Server: unknown key `Server`; known here are Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection",
        ),
        (
            "http_server_config:\n  headers:\n    X-Frame-Options: DENY\n",
            "web.yml:3:22: http_server_config.headers.X-Frame-Options: must be deny or sameorigin",
        ),
        (
            "http_server_config:\n  headers:\n    X-XSS-Protection: \"1\\n2\"\n",
            "web.yml:3:23: http_server_config.headers.X-XSS-Protection: holds a character that no header may have, such as the end of a line",
        ),
        (
            "rate_limit:\n  interval: 1\n  burst: 2\n",
            "web.yml:2:13: rate_limit.interval: expected a duration such as \"30s\", found integer 1; write \"1s\"",
        ),
        (
            "rate_limit:\n  interval: 1s\n",
            "web.yml:2:3: rate_limit.burst: missing; without it every request would be refused; write burst: 20",
        ),
        (
            "rate_limit:\n  interval: 1s\n  burst: 0\n",
            "web.yml:3:10: rate_limit.burst: must be from 1 to 1000000, found 0",
        ),
    ] {
        assert_eq!(files.wrong(text), want, "{text}");
    }
    let missing = web_config::read(&files.path("none.yml")).outcome.unwrap_err();
    let missing = files.shown(&missing.to_string());
    assert_eq!(missing, "none.yml: cannot be read: No such file or directory (os error 2)");
}

#[test]
fn each_mistake_about_tls_names_its_place_key_and_cure() {
    let files = Files::new();
    files.write("junk.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (more, want) in [
        (
            "client_auth_type: RequireAndVerify",
            "web.yml:4:21: tls_server_config.client_auth_type: \"RequireAndVerify\": unknown, did you mean RequireAndVerifyClientCert?",
        ),
        (
            "client_ca_file: s.crt",
            "web.yml:4:19: tls_server_config.client_ca_file: nobody is asked for a certificate; add client_auth_type: RequireAndVerifyClientCert, or remove this",
        ),
        (
            "client_auth_type: RequireAndVerifyClientCert\nclient_ca_file: junk.crt",
            "web.yml:5:19: tls_server_config.client_ca_file: junk.crt holds something that is no certificate of an authority; name the PEM certificate of the authority that signs for your clients",
        ),
        (
            "client_auth_type: RequestClientCert\nclient_allowed_sans: [a.test]",
            "web.yml:5:24: tls_server_config.client_allowed_sans: a client without a certificate would not be held to it; add client_auth_type: RequireAndVerifyClientCert",
        ),
        (
            "client_auth_type: RequireAnyClientCert\nclient_allowed_sans: []",
            "web.yml:5:24: tls_server_config.client_allowed_sans: names nobody, so no client could connect; leave the key out to take any name",
        ),
        (
            "max_version: TLS11",
            "web.yml:4:16: tls_server_config.max_version: TLS below 1.2 is not safe and not spoken here; write TLS12 or TLS13, or remove the key",
        ),
        (
            "min_version: TLS13\nmax_version: TLS12",
            "web.yml:5:16: tls_server_config.max_version: is below min_version, so no version is left",
        ),
        (
            "min_version: 1.2",
            "web.yml:4:16: tls_server_config.min_version: expected a version such as \"TLS12\", found float 1.2",
        ),
        (
            "max_version: TLS12\ncipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
            "web.yml:5:18: tls_server_config.cipher_suites: none of them is left for TLS 1.2, and max_version allows no other; add one, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA25]",
            "web.yml:4:19: tls_server_config.cipher_suites[0]: \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA25\": unknown, did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256?",
        ),
        (
            "curve_preferences: [CurveP521]",
            "web.yml:4:22: tls_server_config.curve_preferences: none of them is left; add X25519, CurveP256 or CurveP384",
        ),
    ] {
        assert_eq!(files.wrong(&Files::tls(more)), want, "{more}");
    }
}

#[test]
fn a_password_in_place_of_its_hash_is_told_without_being_repeated() {
    let files = Files::new();
    let want = "not a bcrypt hash, which begins with $2y$, $2b$ or $2a$ and has 60 characters; make \
                one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'";
    for value in ["hunter22", "12345", "''", "[hunter22]", "yes", "", "{hunter22: x}"] {
        let wrong = files.wrong(&format!("basic_auth_users:\n  alice: {value}\n"));
        let (place, why) = wrong.split_once(": basic_auth_users.alice: ").expect(&wrong);
        assert!(place.starts_with("web.yml:2:"), "{wrong}");
        assert_eq!(why, want, "{value}");
    }
    for whole in ["hunter22", "[hunter22]", "[alice: hunter22]"] {
        let wrong = files.wrong(&format!("basic_auth_users: {whole}\n"));
        assert!(wrong.contains("basic_auth_users: expected a table of names"), "{wrong}");
        assert!(!wrong.contains("hunter22"), "{wrong}");
    }
    let hash = "$2y$04$9/j4n.7V2lQNdO5UkxaQ..";
    let wrong = files.wrong(&format!("basic_auth_users:\n  'a:b': {hash}\n"));
    assert!(wrong.contains("a name with a colon cannot log in"), "{wrong}");
    assert!(!wrong.contains(hash), "{wrong}");
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let files = Files::new();
    for (text, want) in [
        (
            "http_server_config:\n  http2: true\n".to_owned(),
            "web.yml:2:10: http_server_config.http2: has no effect: mxwatch speaks HTTP/1.1, as every client of HTTP/2 does too",
        ),
        (
            Files::tls("client_auth_type: VerifyClientCertIfGiven"),
            "web.yml:4:21: tls_server_config.client_auth_type: has no effect without client_ca_file: nobody is asked for a certificate",
        ),
        (
            Files::tls("min_version: TLS10"),
            "web.yml:4:16: tls_server_config.min_version: TLS below 1.2 is not spoken here; clients need TLS 1.2 or 1.3",
        ),
        (
            Files::tls(
                "cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
            ),
            "web.yml:4:19: tls_server_config.cipher_suites[0]: has no effect: TLS 1.3 always has all its suites",
        ),
        (
            Files::tls("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]"),
            "web.yml:4:19: tls_server_config.cipher_suites[0]: has no effect: it is not spoken here\n\
             web.yml:4:18: tls_server_config.cipher_suites: none of them is left for TLS 1.2, so only TLS 1.3 is spoken",
        ),
        (
            Files::tls("curve_preferences: [CurveP521, X25519]"),
            "web.yml:4:23: tls_server_config.curve_preferences[0]: has no effect: it is not spoken here",
        ),
        (
            Files::tls("client_auth_type: RequireAnyClientCert\nclient_ca_file: s.crt"),
            "web.yml:5:19: tls_server_config.client_ca_file: has no effect: by client_auth_type, certificates of clients are not verified",
        ),
        (
            "basic_auth_users:\n  a: $2y$16$9/j4n.7V2lQNdO5UkxaQ..xw87knljUHJ7KYmN5CAZHUyDCnek6q."
                .to_owned(),
            "web.yml:2:6: basic_auth_users.a: has a cost so high that a login takes seconds, and others wait for it; 10 to 12 is usual",
        ),
        (
            "basic_auth_users: {}\n".to_owned(),
            "web.yml:1:19: basic_auth_users: names nobody, so everybody may ask",
        ),
    ] {
        assert_eq!(files.warned(&text), want, "{text}");
    }
}

#[test]
fn only_tls_13_is_left_where_no_suite_of_tls_12_is() {
    let files = Files::new();
    let read = files.read(&Files::tls("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]"));
    let tls = read.outcome.unwrap().tls.unwrap();
    assert!(tls.crypto_provider().cipher_suites.iter().all(|suite| suite.tls13().is_some()));
}
