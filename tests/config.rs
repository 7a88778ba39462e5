//! The configuration loader from outside: each mistake with its exact message, layers, files.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use mxwatch::{
    config::{
        self, Config, Detail, Dns, Loaded, Metrics, Politeness, Probe, Resolver, ResolverKind,
        ResolverTls, ResolverTransport, Starttls, Web,
    },
    delivery::{Confidence, Parameter, builtin},
    facts::Family,
    name::Destination,
};
use proptest::prelude::*;
use tempfile::TempDir;

#[test]
fn two_lines_are_a_complete_configuration() {
    let loaded =
        Files::main("helo_name = 'mail.test'\ndomains = ['Example.COM', 'bücher.example']")
            .load(&[]);
    assert_eq!(loaded.warnings, [""; 0]);
    let Config { helo_name, destinations, probe, dns, resolvers, politeness, web, metrics, .. } =
        loaded.config;
    assert_eq!(&*helo_name, "mail.test");
    let names: Vec<_> = destinations.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["example.com", "xn--bcher-kva.example"]);
    assert!(destinations.values().all(|d| d.interval == probe.interval));
    assert_eq!((probe, &dns), (Probe::default(), &Dns::default()));
    assert_eq!(resolvers, [Resolver::system(dns)]);
    assert_eq!((politeness, web), (Politeness::default(), Web::default()));
    assert_eq!(metrics, Metrics::default());
}

#[test]
fn every_key_is_taken() {
    let text = r#"
        helo_name = "[ipv6:2001:DB8:0::1]"
        connectivity_log = "log/connectivity.jsonl"
        [[destination]]
        domain = "example.org"
        interval = "5m"
        families = ["ipv4"]
        addresses_per_family = 2
        session_timeout = "1m 30s"
        policy_timeout = "5s"
        [[destination]]
        smarthost = "[2001:db8::25]:25"
        [probe]
        port = 2525
        interval = "500ms 1s"
        families = ["ipv6", "ipv4"]
        addresses_per_family = 1
        connect_timeout = "1s"
        banner_timeout = "2s"
        command_timeout = "3s"
        session_timeout = "4s"
        policy_interval = "1h"
        policy_timeout = "10s"
        policy_port = 8443
        source_ipv4 = "192.0.2.1"
        source_ipv6 = "2001:db8::1"
        public_ipv4 = "198.51.100.1"
        public_ipv6 = "2001:db8:1::1"
        [dns]
        timeout = "1s"
        attempts = 3
        late_window = "0s"
        health_interval = "20s"
        [politeness]
        max_sessions = 10
        max_sessions_per_provider = 2
        max_backoff = "1h"
        [web]
        max_connections = 5
        probe_any_target = true
        [metrics]
        detail = "lean"
    "#;
    let files = Files::main(text);
    let config = files.load(&[]).config;
    assert_eq!(&*config.helo_name, "[IPv6:2001:db8::1]");
    assert_eq!(config.connectivity_log, Some(files.path("log/connectivity.jsonl")));
    let own = &config.destinations[&Destination::parse("example.org").unwrap()];
    assert_eq!(own.interval, Duration::from_secs(300));
    assert_eq!(own.session.families, [Family::Ipv4]);
    assert_eq!(own.session.addresses_per_family, 2);
    assert_eq!(own.session.session_timeout, Duration::from_secs(90));
    assert_eq!(own.session.banner_timeout, Duration::from_secs(2));
    let hour = Duration::from_secs(3600);
    assert_eq!((own.policy.interval, own.policy.timeout), (hour, Duration::from_secs(5)));
    let relay = &config.destinations[&Destination::parse("[2001:db8::25]:25").unwrap()];
    assert_eq!((relay.interval, &relay.session), (config.probe.interval, &config.probe.session));
    assert_eq!((config.probe.port, config.probe.interval), (2525, Duration::from_millis(1500)));
    let (policy, port) = (&config.probe.policy, config.probe.policy_port);
    assert_eq!((policy.interval, policy.timeout, port), (hour, Duration::from_secs(10), 8443));
    assert_eq!(config.probe.session.families, [Family::Ipv6, Family::Ipv4]);
    assert_eq!(config.probe.session.command_timeout, Duration::from_secs(3));
    assert_eq!(config.probe.source_ipv4, Some([192, 0, 2, 1].into()));
    assert_eq!(config.probe.source_ipv6, "2001:db8::1".parse().ok());
    assert_eq!(config.probe.public_ipv4, Some([198, 51, 100, 1].into()));
    assert_eq!(config.probe.public_ipv6, "2001:db8:1::1".parse().ok());
    assert_eq!((config.dns.attempts, config.dns.late_window), (3, Duration::ZERO));
    assert_eq!(config.politeness.max_backoff, Duration::from_secs(3600));
    assert_eq!((config.politeness.max_sessions, config.web.max_connections), (10, 5));
    assert_eq!((config.web.probe_any_target, config.metrics.detail), (true, Detail::Lean));
}

#[test]
fn every_key_about_recipients_and_tls_is_taken() {
    let files = Files::main(
        "helo_name = 'mail.test'
        [probe]
        mail_from = 'probe@mail.test'
        starttls = 'never'
        [[destination]]
        domain = 'example.org'
        [[destination]]
        domain = 'example.com'
        recipient = 'Probe@EXAMPLE.com'
        mail_from = ''
        starttls = 'always'
        expect_relay_denied = true
        [[destination]]
        smarthost = 'relay.example.net:25'
        expect_relay_denied = true
        relay_recipient = 'someone@example.org'
        ",
    );
    let config = files.load(&[]).config;
    let of = |name: &str| &config.destinations[&Destination::parse(name).unwrap()];
    let asked = |name: &str| -> Vec<(String, String, bool)> {
        let envelopes = of(name).envelopes();
        envelopes
            .map(|e| (e.mail_from.to_string(), e.recipient.to_string(), e.relay_test))
            .collect()
    };
    assert_eq!(asked("example.org"), []);
    let (own, foreign) = ("Probe@example.com".to_owned(), "relay-test@example.net".to_owned());
    let nobody = "<>".to_owned();
    assert_eq!(asked("example.com"), [(nobody.clone(), own, false), (nobody, foreign, true)]);
    let (from, to) = ("probe@mail.test".to_owned(), "someone@example.org".to_owned());
    assert_eq!(asked("relay.example.net:25"), [(from, to, true)]);
    assert_eq!(of("example.org").session.starttls, Starttls::Never);
    assert_eq!(of("example.com").session.starttls, Starttls::Always);
    assert_eq!(Probe::default().session.starttls, Starttls::Opportunistic);
}

#[test]
fn a_smart_host_is_encrypted_as_its_port_and_keys_say() {
    let smart_host = |port: u16, keys: &str| {
        let text = format!(
            "helo_name = 'mail.test'\n[[destination]]\nsmarthost = 'relay.example.net:{port}'\n{keys}"
        );
        let files = Files::main(&text);
        files.write("secret", "x");
        files.restrict("secret");
        let loaded = files.load(&[]);
        let settings = loaded.config.destinations.into_values().next().unwrap();
        let session = &settings.session;
        (session.is_tls_implicit(port), session.starttls)
    };
    let login = "username = 'probe'\npassword_file = 'secret'";
    assert_eq!(smart_host(587, ""), (false, Starttls::Opportunistic));
    assert_eq!(smart_host(587, login), (false, Starttls::Always));
    assert!(smart_host(587, "tls = 'implicit'").0);
    assert_eq!(smart_host(587, "tls = 'none'"), (false, Starttls::Never));
    assert!(smart_host(465, login).0);
    assert_eq!(smart_host(465, "tls = 'starttls'\nstarttls = 'always'"), (false, Starttls::Always));
    for (keys, plain) in
        [("tls = 'none'", "tls = \"none\""), ("starttls = 'never'", "starttls = \"never\"")]
    {
        let files = Files::main(&format!(
            "helo_name = 'mail.test'\n[[destination]]\nsmarthost = 'relay.example.net:587'\n{login}\n{keys}"
        ));
        files.write("secret", "x");
        files.restrict("secret");
        assert_eq!(
            files.problems(&[]),
            format!(
                "mxwatch.toml:4:12: destination[0].username: a password goes over TLS only, and this smart host has {plain}; set starttls = \"always\" or tls = \"implicit\" for it instead"
            )
        );
    }
}

#[test]
fn a_password_comes_from_a_file_or_a_credential_and_is_never_shown() {
    let files = Files::main(
        "helo_name = 'mail.test'
        destination_files = ['d/*.toml']
        [[destination]]
        smarthost = 'relay.example.net:587'
        username = 'probe'
        password_credential = 'relay'
        ",
    );
    // Relative to the file that names it.
    files.write(
        "d/more.toml",
        "[[destination]]\nsmarthost = 'other.example.net:587'\nusername = 'other'\npassword_file = 'other.password'",
    );
    files.write("d/other.password", "correct horse\r\n");
    files.restrict("d/other.password");
    files.write("credentials/relay", "battery staple");
    let credentials = files.path("credentials");
    let environment = [("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())];
    let loaded = files.load(&environment);
    let password = |config: &Config, name: &str| {
        let session = &config.destinations[&Destination::parse(name).unwrap()].session;
        session.login.as_ref().unwrap().password.expose().to_vec()
    };
    assert_eq!(password(&loaded.config, "other.example.net:587"), b"correct horse");
    assert_eq!(password(&loaded.config, "relay.example.net:587"), b"battery staple");
    let shown = format!("{loaded:?}");
    assert!(!shown.contains("correct horse") && !shown.contains("battery staple"), "{shown}");
    let warning =
        "credentials/relay can be read by everybody; take that right away with chmod o-rwx";
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].ends_with(warning), "{:?}", loaded.warnings);

    // A changed password is another configuration.
    files.write("d/other.password", "battery horse");
    assert_ne!(files.load(&environment).config, loaded.config);
    files.write("d/other.password", "correct horse");
    assert_eq!(files.load(&environment).config, loaded.config);

    let large = "x".repeat(5000);
    for (text, why) in [
        ("\n", "holds no password"),
        ("one\ntwo\n", "must hold the password alone, on one line"),
        (&*large, "is too large for a password"),
    ] {
        files.write("d/other.password", text);
        let problems = files.problems(&environment);
        let begin = "d/more.toml:4:17: destination[0].password_file: d/other.password";
        assert_eq!(problems, format!("{begin} {why}"));
    }
}

/// A certificate of an authority, self-signed.
fn authority() -> String {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn without_a_resolver_that_of_the_system_is_asked() {
    for none in ["", "resolver = []\n"] {
        let config = Files::main(&format!("helo_name = 'mail.test'\n{none}")).load(&[]).config;
        assert_eq!(config.resolvers, [Resolver::system(config.dns.clone())], "{none:?}");
    }
}

#[test]
fn every_key_of_a_resolver_is_taken() {
    let text = r#"
        helo_name = "mail.test"
        [[destination]]
        domain = "example.org"
        resolvers = ["strict", "lan"]
        [[destination]]
        domain = "example.net"
        [dns]
        health_interval = "20s"
        [[resolver]]
        name = "lan"
        servers = ["192.0.2.53", "192.0.2.54:5353", "[2001:db8::53]:5353", "2001:db8::53", "[2001:db8::54]"]
        [[resolver]]
        name = "own"
        kind = "system"
        resolv_conf = "upstream.conf"
        each_server = true
        timeout = "9s"
        attempts = 1
        late_window = "1s"
        control_name = "example.org"
        health_interval = "1m"
        trust_ad = false
        [[resolver]]
        kind = "servers"
        name = "strict"
        servers = ["192.0.2.55"]
        transport = "tcp"
        [[resolver]]
        name = "here"
        servers = ["127.0.0.1", "[::1]:5353"]
        trust_ad = true
    "#;
    let files = Files::main(text);
    let loaded = files.load(&[]);
    assert_eq!(loaded.warnings, [""; 0]);
    let config = loaded.config;
    let trusted: Vec<_> = config.resolvers.iter().map(|resolver| resolver.trust_ad).collect();
    assert_eq!(trusted, [None, Some(false), None, Some(true)]);
    let own = &config.destinations[&Destination::parse("example.org").unwrap()];
    let other = &config.destinations[&Destination::parse("example.net").unwrap()];
    let health = |place: usize| {
        let resolver = &config.resolvers[place];
        (resolver.control_name.to_string(), resolver.patience.health_interval.as_secs())
    };
    assert_eq!(health(0), (".".to_owned(), 20));
    assert_eq!(health(1), ("example.org.".to_owned(), 60));
    let servers: Vec<SocketAddr> = [
        "192.0.2.53:53",
        "192.0.2.54:5353",
        "[2001:db8::53]:5353",
        "[2001:db8::53]:53",
        "[2001:db8::54]:53",
    ]
    .map(|text| text.parse().unwrap())
    .to_vec();
    assert_eq!(config.resolvers[0], Resolver::of_servers("lan", servers, config.dns.clone()));
    let file = files.path("upstream.conf");
    let (timeout, late_window) = (Duration::from_secs(9), Duration::from_secs(1));
    let system = Resolver {
        name: "own".into(),
        kind: ResolverKind::System { file, each_server: true },
        patience: Dns {
            timeout,
            attempts: 1,
            late_window,
            health_interval: Duration::from_secs(60),
        },
        control_name: config.resolvers[1].control_name.clone(),
        trust_ad: Some(false),
    };
    assert_eq!(config.resolvers[1], system);
    let (addresses, transport) = (vec!["192.0.2.55:53".parse().unwrap()], ResolverTransport::Tcp);
    assert_eq!(config.resolvers[2].kind, ResolverKind::Servers { addresses, transport });
    let chosen: Vec<&str> = own.resolvers.iter().map(AsRef::as_ref).collect();
    assert_eq!(chosen, ["strict", "lan"]);
    assert!(other.resolvers.is_empty(), "all of them");
}

#[test]
fn resolvers_over_tls_have_ports_names_and_authorities_of_their_own() {
    let files = Files::main(
        "helo_name = 'mail.test'
        [[resolver]]
        name = 'tls'
        servers = ['192.0.2.53', '[2001:db8::53]:8853']
        transport = 'tls'
        trust_ad = true
        tls_name = 'dns.example.net'
        ca_file = 'ca/dns.pem'
        [[resolver]]
        name = 'https'
        servers = ['192.0.2.53']
        transport = 'https'
        [[resolver]]
        name = 'tcp'
        servers = ['192.0.2.53']
        transport = 'tcp'
        ",
    );
    files.write("ca/dns.pem", &format!("Two of them\n{}{}", authority(), authority()));
    let mut resolvers = files.load(&[]).config.resolvers.into_iter().map(|resolver| {
        let ResolverKind::Servers { addresses, transport } = resolver.kind else {
            panic!("{resolver:?}")
        };
        let ports: Vec<_> = addresses.iter().map(SocketAddr::port).collect();
        (ports, transport)
    });
    let (ports, ResolverTransport::Tls(tls)) = resolvers.next().unwrap() else { panic!() };
    assert_eq!((ports, tls.anchors.len()), (vec![853, 8853], 2));
    assert_eq!(tls.name.unwrap().as_ref(), "dns.example.net");
    let (ports, ResolverTransport::Https { tls, path }) = resolvers.next().unwrap() else {
        panic!()
    };
    assert_eq!((ports, path.as_str()), (vec![443], "/dns-query"));
    assert_eq!(tls, ResolverTls::default());
    assert_eq!(resolvers.next().unwrap(), (vec![53], ResolverTransport::Tcp));
}

#[test]
fn a_file_of_authorities_must_hold_some() {
    let files = Files::main(
        "helo_name = 'mail.test'\n[[resolver]]\nname = 'tls'\nservers = ['192.0.2.53']\n\
         transport = 'tls'\nca_file = 'dns.pem'",
    );
    let begin = "mxwatch.toml:6:11: resolver[0].ca_file: dns.pem ";
    let cure = "; name a file with the PEM certificate of the authority that signs for the server";
    let missing = "cannot be read: No such file or directory (os error 2)";
    assert_eq!(files.problems(&[]), format!("{begin}{missing}{cure}"));
    let cut_off = authority().replace("-----END", "");
    let of_nobody = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    for (text, why) in [
        ("", "holds no certificate"),
        ("-----BEGIN NOTHING-----\nMAA=\n-----END NOTHING-----\n", "holds no certificate"),
        (&*cut_off, "holds PEM that is broken"),
        (of_nobody, "holds something that is no certificate of an authority"),
    ] {
        files.write("dns.pem", text);
        assert_eq!(files.problems(&[]), format!("{begin}{why}{cure}"), "{text}");
    }
}

#[test]
fn each_mistake_has_its_message() {
    for (text, message) in mistakes() {
        // Right without the mistake: the name stands in front unless the case is about it.
        let text = if text.contains("helo_name") || text.is_empty() {
            text.to_owned()
        } else {
            format!("helo_name = 'mail.test'\n{text}")
        };
        assert_eq!(Files::main(&text).problems(&[]), message, "for {text}");
    }
}

/// A text, and the one message it gets. Line 1 is `helo_name` where the text has none.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn mistakes() -> Vec<(&'static str, &'static str)> {
    vec![
        // The name.
        (
            "",
            "mxwatch.toml: helo_name: missing; write the full name with which this machine sends mail, as in helo_name = \"mail.example.org\"",
        ),
        (
            "helo_name = 'localhost.localdomain'",
            "mxwatch.toml:1:13: helo_name: \"localhost.localdomain\": servers refuse clients that call themselves localhost; write the name with which this machine sends mail",
        ),
        (
            "helo_name = 'mx1'",
            "mxwatch.toml:1:13: helo_name: \"mx1\": a single label; servers want the full name, as in \"mail.example.org\"",
        ),
        (
            "helo_name = '192.0.2.1'",
            "mxwatch.toml:1:13: helo_name: \"192.0.2.1\": an address stands in brackets here, as in \"[192.0.2.1]\" or \"[IPv6:2001:db8::1]\"",
        ),
        (
            "helo_name = '[2001:db8::1]'",
            "mxwatch.toml:1:13: helo_name: \"[2001:db8::1]\": not an address literal, such as \"[192.0.2.1]\" or \"[IPv6:2001:db8::1]\"",
        ),
        (
            "helo_name = \"mail.test\\r\\nRSET\"",
            "mxwatch.toml:1:13: helo_name: \"mail.test\\r\\nRSET\": labels are letters, digits and inner hyphens, separated by single dots",
        ),
        // Keys.
        (
            "domainz = []",
            "mxwatch.toml:2:1: domainz: unknown key `domainz`, did you mean `domains`?",
        ),
        (
            "[probe]\nintervall = '5s'",
            "mxwatch.toml:3:1: probe.intervall: unknown key `intervall`, did you mean `interval`?",
        ),
        (
            "[probe]\ndomains = []",
            "mxwatch.toml:3:1: probe.domains: unknown key `domains` here; it belongs above the first [section]",
        ),
        (
            "interval = '5s'",
            "mxwatch.toml:2:1: interval: unknown key `interval` here; it belongs into [probe]",
        ),
        (
            "conect_timeout = '5s'",
            "mxwatch.toml:2:1: conect_timeout: unknown key `conect_timeout`, did you mean `connect_timeout` in [probe]?",
        ),
        (
            "[metrics]\n\"a\\nb\" = 1",
            "mxwatch.toml:3:1: metrics.\"a\\nb\": unknown key \"a\\nb\"; known here are detail",
        ),
        ("probe = 3", "mxwatch.toml:2:9: probe: expected a table, [probe], found integer 3"),
        // Syntax.
        ("domains = ['a.example'", "mxwatch.toml:2:23: unclosed array, expected `]`"),
        ("port = 1\nport = 2", "mxwatch.toml:3:1: duplicate key"),
        // Types and bounds.
        (
            "[probe]\ninterval = 30",
            "mxwatch.toml:3:12: probe.interval: expected a duration such as \"30s\", found integer 30; write \"30s\"",
        ),
        (
            "[probe]\ninterval = '30'",
            "mxwatch.toml:3:12: probe.interval: \"30\" has no unit; write \"30s\"",
        ),
        (
            "[probe]\ninterval = '30 parsecs'",
            "mxwatch.toml:3:12: probe.interval: expected a duration such as \"30s\" or \"1m 30s\", found \"30 parsecs\"",
        ),
        (
            "[probe]\ninterval = '500ms'",
            "mxwatch.toml:3:12: probe.interval: must be from 1s to 7days, found \"500ms\"",
        ),
        (
            "probe.connect_timeout = '0s'",
            "mxwatch.toml:2:25: probe.connect_timeout: must be from 1ms to 1h, found \"0s\"",
        ),
        (
            "dns = { timeout = true }",
            "mxwatch.toml:2:19: dns.timeout: expected a duration such as \"30s\", found boolean true",
        ),
        ("[dns]\nattempts = 0", "mxwatch.toml:3:12: dns.attempts: must be from 1 to 10, found 0"),
        (
            "[probe]\nport = 65536",
            "mxwatch.toml:3:8: probe.port: must be from 1 to 65535, found 65536",
        ),
        (
            "[probe]\nport = 25.5",
            "mxwatch.toml:3:8: probe.port: expected a whole number, found float 25.5",
        ),
        (
            "[probe]\nfamilies = ['ipv4', 'ip6']",
            "mxwatch.toml:3:21: probe.families[1]: \"ip6\": not a family, did you mean \"ipv6\"?",
        ),
        (
            "[probe]\nfamilies = []",
            "mxwatch.toml:3:12: probe.families: is empty; name \"ipv4\", \"ipv6\" or both",
        ),
        (
            "[probe]\nfamilies = ['ipv4', 'ipv4']",
            "mxwatch.toml:3:21: probe.families[1]: stands here twice",
        ),
        (
            "[probe]\nsource_ipv6 = '192.0.2.1'",
            "mxwatch.toml:3:15: probe.source_ipv6: \"192.0.2.1\": not an IPv6 address",
        ),
        (
            "[probe]\npublic_ipv4 = 'mail.test'",
            "mxwatch.toml:3:15: probe.public_ipv4: \"mail.test\": not an IPv4 address",
        ),
        (
            "[dns]\nhealth_interval = '100ms'",
            "mxwatch.toml:3:19: dns.health_interval: must be from 1s to 7days, found \"100ms\"",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\ncontrol_name = 'a..b'",
            "mxwatch.toml:5:16: resolver[0].control_name: \"a..b\": labels are letters, digits and inner hyphens, separated by single dots",
        ),
        (
            "[politeness]\nmax_sessions = -1",
            "mxwatch.toml:3:16: politeness.max_sessions: must be from 1 to 65535, found -1",
        ),
        (
            "[web]\nprobe_any_target = 'yes'",
            "mxwatch.toml:3:20: web.probe_any_target: expected true or false, found string \"yes\"",
        ),
        (
            "[metrics]\ndetail = 'most'",
            "mxwatch.toml:3:10: metrics.detail: \"most\": not \"full\" or \"lean\"",
        ),
        (
            "connectivity_log = ''",
            "mxwatch.toml:2:20: connectivity_log: is empty; leave the key out for no log",
        ),
        // Destinations.
        (
            "domains = 'example.com'",
            "mxwatch.toml:2:11: domains: expected a list such as [\"example.com\"], found string \"example.com\"",
        ),
        (
            "domains = [\n  'example.com',\n  'münchen',\n]",
            "mxwatch.toml:4:3: domains[1]: \"münchen\": not a fully qualified mail domain, such as \"example.com\"",
        ),
        (
            "domains = ['relay.example.net:25']",
            "mxwatch.toml:2:12: domains[0]: \"relay.example.net:25\": not a mail domain; a smart host is configured by [[destination]] with smarthost = \"relay.example.net:25\"",
        ),
        (
            "domains = ['example.com', 'EXAMPLE.com.']",
            "mxwatch.toml:2:27: domains[1]: example.com already stands at mxwatch.toml:2:12, domains[0]",
        ),
        (
            "domains = ['example.com']\n[[destination]]\ndomain = 'example.com'",
            "mxwatch.toml:4:10: destination[0].domain: example.com already stands at mxwatch.toml:2:12, domains[0]",
        ),
        (
            "[[destination]]\ninterval = '5m'",
            "mxwatch.toml:2:1: destination[0]: needs `domain` or `smarthost`",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nsmarthost = 'relay.example.net:25'",
            "mxwatch.toml:4:13: destination[0].smarthost: stands beside `domain`; give each its own [[destination]]",
        ),
        (
            "[[destination]]\nsmarthost = 'relay'",
            "mxwatch.toml:3:13: destination[0].smarthost: \"relay\": a smart host needs its port, as in \"relay:587\"",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:0'",
            "mxwatch.toml:3:13: destination[0].smarthost: \"relay.example.net:0\": the port must be a number from 1 to 65535",
        ),
        (
            "[[destination]]\nsmarthost = '192.0.2.1'",
            "mxwatch.toml:3:13: destination[0].smarthost: \"192.0.2.1\": an IP address is not a mail domain; a smart host is written with its port, as in \"192.0.2.1:25\" or \"[2001:db8::1]:25\"",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nport = 26",
            "mxwatch.toml:4:1: destination[0].port: unknown key `port` here; it belongs into [probe]",
        ),
        // Recipients.
        (
            "[[destination]]\ndomain = 'example.com'\nrecipient = 'probe'",
            "mxwatch.toml:4:13: destination[0].recipient: \"probe\": not a mailbox such as \"probe@example.com\"",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nrecipient = '<probe@example.com>'",
            "mxwatch.toml:4:13: destination[0].recipient: \"<probe@example.com>\": a mailbox is written without angle brackets, as in \"probe@example.com\"",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nrecipient = \"a\\r\\nDATA@example.com\"",
            "mxwatch.toml:4:13: destination[0].recipient: \"a\\r\\nDATA@example.com\": the part before the @ is ASCII letters, digits and !#$%&'*+-/=?^_`{|}~, with single dots between them, or stands in double quotes",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nrecipient = 'probe@mail.example.com'",
            "mxwatch.toml:4:13: destination[0].recipient: is at mail.example.com, and this destination is example.com; name a mailbox of example.com, or test with expect_relay_denied = true that it takes none of others",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nrecipient = 'probe@example.com'\nmail_from = 'me@mail'",
            "mxwatch.toml:5:13: destination[0].mail_from: \"me@mail\": the part behind the @ is no mail domain: not a fully qualified mail domain, such as \"example.com\"",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nrelay_recipient = 'someone@example.org'",
            "mxwatch.toml:4:19: destination[0].relay_recipient: belongs to a destination with expect_relay_denied = true",
        ),
        (
            "[[destination]]\ndomain = 'example.net'\nexpect_relay_denied = true",
            "mxwatch.toml:4:23: destination[0].expect_relay_denied: asks for relay-test@example.net, which is no foreign recipient for example.net; name a mailbox of another domain with relay_recipient",
        ),
        // TLS and smart hosts.
        (
            "[probe]\nstarttls = 'yes'",
            "mxwatch.toml:3:12: probe.starttls: \"yes\": not \"never\", \"opportunistic\" or \"always\"",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\ntls = 'none'",
            "mxwatch.toml:4:7: destination[0].tls: belongs to a destination with smarthost",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:587'\ntls = 'ssl'",
            "mxwatch.toml:4:7: destination[0].tls: \"ssl\": not \"starttls\", \"implicit\" or \"none\"",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:465'\ntls = 'implicit'\nstarttls = 'always'",
            "mxwatch.toml:5:12: destination[0].starttls: stands beside tls = \"implicit\"; leave one of them out",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:587'\nusername = 'probe'",
            "mxwatch.toml:2:1: destination[0].password_file: missing; a username needs the file with its password, or password_credential",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:587'\npassword_file = 'relay.password'",
            "mxwatch.toml:4:17: destination[0].password_file: needs `username` beside it",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:587'\nusername = 'probe'\npassword_file = 'none.password'",
            "mxwatch.toml:5:17: destination[0].password_file: none.password cannot be read: No such file or directory (os error 2)",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:587'\nusername = 'probe'\npassword_credential = 'relay'",
            "mxwatch.toml:5:23: destination[0].password_credential: systemd has handed over no credentials: CREDENTIALS_DIRECTORY is not set; add LoadCredential= to the unit, or use password_file",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:587'\nusername = 'probe'\npassword_credential = '../relay'",
            "mxwatch.toml:5:23: destination[0].password_credential: \"../relay\": not the name of a credential; for a path there is password_file",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:587'\nusername = 'probe'\npassword_file = 'a'\npassword_credential = 'b'",
            "mxwatch.toml:6:23: destination[0].password_credential: stands beside `password_file`; leave one of them out",
        ),
        (
            "[[destination]]\nsmarthost = 'relay.example.net:587'\nusername = 'probe'\npassword = 'correct horse'",
            "mxwatch.toml:5:1: destination[0].password: a password does not stand in the configuration, which many may read; write it to a file of its own and name that with `password_file`, or name a systemd credential with `password_credential`",
        ),
        // Lists from servers.
        (
            "[[http_sd]]\nname = 'cmdb'",
            "mxwatch.toml:2:1: http_sd[0].url: missing; write where the list is, as in url = \"https://sd.example.net/mail\"",
        ),
        (
            "[[http_sd]]\nurl = 'ftp://sd.example.net/'",
            "mxwatch.toml:3:7: http_sd[0].url: not the URL of a web server; write https://, the host and the path",
        ),
        (
            "[[http_sd]]\nurl = 'https://probe:battery staple@sd.example.net/'",
            "mxwatch.toml:3:7: http_sd[0].url: not a URL such as \"https://sd.example.net/mail\"",
        ),
        (
            "[[http_sd]]\nurl = 'https://probe:battery@sd.example.net/'",
            "mxwatch.toml:3:7: http_sd[0].url: a user name and a password do not stand in a URL, which many may read; write `username` and `password_file` beside it",
        ),
        (
            "[[http_sd]]\nurl = 'https://sd.example.net/?a'\n[[http_sd]]\nurl = 'https://sd.example.net/?b'",
            "mxwatch.toml:4:1: http_sd[1]: another one is called \"https://sd.example.net/\" too; give each a `name` of its own",
        ),
        (
            "[[http_sd]]\nurl = 'https://sd.example.net/'\nname = ''",
            "mxwatch.toml:4:8: http_sd[0].name: \"\": a name of 1 to 255 octets without control characters is wanted",
        ),
        (
            "[[http_sd]]\nurl = 'https://sd.example.net/'\nrefresh_interval = '2days'",
            "mxwatch.toml:4:20: http_sd[0].refresh_interval: must be from 1s to 1day, found \"2days\"",
        ),
        (
            "[[http_sd]]\nurl = 'https://sd.example.net/'\nusername = 'probe'",
            "mxwatch.toml:2:1: http_sd[0].password_file: missing; a username needs the file with its password, or password_credential",
        ),
        (
            "[[http_sd]]\nurl = 'https://sd.example.net/'\nbearer_token_file = 'none.token'",
            "mxwatch.toml:4:21: http_sd[0].bearer_token_file: none.token cannot be read: No such file or directory (os error 2)",
        ),
        (
            "[[http_sd]]\nurl = 'https://sd.example.net/'\nbearer_token = 'battery'",
            "mxwatch.toml:4:1: http_sd[0].bearer_token: unknown key `bearer_token`, did you mean `bearer_token_file`?",
        ),
        (
            "[[http_sd]]\nurl = 'http://sd.example.net/'\nca_file = 'none.pem'",
            "mxwatch.toml:4:11: http_sd[0].ca_file: none.pem cannot be read: No such file or directory (os error 2); name a file with the PEM certificate of the authority that signs for the server\nmxwatch.toml:4:11: http_sd[0].ca_file: goes with TLS only; write the url with https://",
        ),
        // Resolvers.
        (
            "[[resolver]]\nservers = ['192.0.2.53']",
            "mxwatch.toml:2:1: resolver[0].name: missing; a resolver needs one, as in name = \"lan\"",
        ),
        (
            "[[resolver]]\nname = 'lan'",
            "mxwatch.toml:2:1: resolver[0].servers: missing; a resolver needs one, as in servers = [\"192.0.2.53\"]",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = []",
            "mxwatch.toml:4:11: resolver[0].servers: is empty; a resolver needs a server",
        ),
        (
            "[[resolver]]\nname = 'the lan'\nservers = ['192.0.2.53']",
            "mxwatch.toml:3:8: resolver[0].name: \"the lan\": not 1 to 63 letters, digits, hyphens or underscores that begin with a letter or digit",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['ns.example.net']",
            "mxwatch.toml:4:12: resolver[0].servers[0]: \"ns.example.net\": not the address of a name server, such as \"192.0.2.53\", \"192.0.2.53:5353\" or \"[2001:db8::53]:53\"",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\ntransport = 'quic'",
            "mxwatch.toml:5:13: resolver[0].transport: \"quic\": no transport for DNS; there are \"udp\", \"tcp\", \"tls\" and \"https\"",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\ntls_name = 'dns.example.net'",
            "mxwatch.toml:5:12: resolver[0].tls_name: belongs to a resolver with transport = \"tls\" or transport = \"https\", and this one has transport = \"udp\"",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\ntransport = 'tls'\npath = '/dns-query'",
            "mxwatch.toml:6:8: resolver[0].path: belongs to a resolver with transport = \"https\", and this one has transport = \"tls\"",
        ),
        (
            "[[resolver]]\nkind = 'system'\nca_file = 'ca.pem'",
            "mxwatch.toml:4:11: resolver[0].ca_file: belongs to a resolver with kind = \"servers\", and this one is of kind \"system\"",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\ntransport = 'tls'\ntls_name = 'dns example'",
            "mxwatch.toml:6:12: resolver[0].tls_name: \"dns example\": not a host name such as \"dns.example.net\"; leave the key out for a certificate that is valid for the server's address",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\ntransport = 'https'\npath = 'https://dns.example.net/dns-query'",
            "mxwatch.toml:6:8: resolver[0].path: \"https://dns.example.net/dns-query\": not the path of a URL, such as \"/dns-query\"; the host stands in servers and tls_name",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\n[[resolver]]\nname = 'lan'\nservers = ['192.0.2.54']",
            "mxwatch.toml:6:8: resolver[1].name: \"lan\" is already the name of the resolver at mxwatch.toml:3:8",
        ),
        (
            "[[resolver]]\nname = 'lan'\nkind = 'stub'",
            "mxwatch.toml:4:8: resolver[0].kind: \"stub\": no kind of resolver; there are \"authoritative\", \"servers\" and \"system\"",
        ),
        (
            "[[resolver]]\nkind = 'system'\nservers = ['192.0.2.53']",
            "mxwatch.toml:4:11: resolver[0].servers: belongs to a resolver with kind = \"servers\", and this one is of kind \"system\"",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\neach_server = true",
            "mxwatch.toml:5:15: resolver[0].each_server: belongs to a resolver with kind = \"system\", and this one is of kind \"servers\"",
        ),
        (
            "[[resolver]]\nkind = 'authoritative'\ntrust_ad = true",
            "mxwatch.toml:4:12: resolver[0].trust_ad: means nothing here: servers that have authority do not validate what they answer, so there is no AD bit to trust; set it at a resolver that validates",
        ),
        (
            "[[resolver]]\nkind = 'system'\ntrust_ad = 'yes'",
            "mxwatch.toml:4:12: resolver[0].trust_ad: expected true or false, found string \"yes\"",
        ),
        (
            "[[resolver]]\nkind = 'system'\n[[resolver]]\nkind = 'system'",
            "mxwatch.toml:4:1: resolver[1].name: missing; a resolver needs one, as in name = \"lan\"",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\ntransport = 'quic'",
            "mxwatch.toml:5:13: resolver[0].transport: \"quic\": no transport for DNS; there are \"udp\", \"tcp\", \"tls\" and \"https\"",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nresolvers = ['sytem']",
            "mxwatch.toml:4:14: destination[0].resolvers[0]: \"sytem\": no such resolver; did you mean \"system\"?",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nresolvers = ['lan']\n[[resolver]]\nname = 'provider'\nservers = ['192.0.2.53']",
            "mxwatch.toml:4:14: destination[0].resolvers[0]: \"lan\": no such resolver; there are provider",
        ),
        // What is wrong with a resolver is said once.
        (
            "[[destination]]\ndomain = 'example.com'\nresolvers = ['lan']\n[[resolver]]\nname = 'lan'\nservers = []",
            "mxwatch.toml:7:11: resolver[0].servers: is empty; a resolver needs a server",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nresolvers = ['system', 'system']",
            "mxwatch.toml:4:24: destination[0].resolvers[1]: is named twice",
        ),
        (
            "[[destination]]\ndomain = 'example.com'\nresolvers = []",
            "mxwatch.toml:4:13: destination[0].resolvers: is empty; leave the key out to ask all resolvers",
        ),
        (
            "[[resolver]]\nkind = 'recursive'",
            "mxwatch.toml:2:1: resolver[0].name: missing; a resolver needs one, as in name = \"lan\"\n\
             mxwatch.toml:3:8: resolver[0].kind: \"recursive\": no kind of resolver; there are \"authoritative\", \"servers\" and \"system\"",
        ),
        (
            "[[resolver]]\nkind = 'authoritative'\nservers = ['192.0.2.53']",
            "mxwatch.toml:4:11: resolver[0].servers: belongs to a resolver with kind = \"servers\", and this one is of kind \"authoritative\"",
        ),
        (
            "[[resolver]]\nname = 'lan'\nservers = ['192.0.2.53']\nroot_servers = ['192.0.2.1']",
            "mxwatch.toml:5:16: resolver[0].root_servers: belongs to a resolver with kind = \"authoritative\", and this one is of kind \"servers\"",
        ),
        (
            "[[resolver]]\nkind = 'authoritative'\nroot_servers = []\ninterval = '100ms'\nport = 0",
            "mxwatch.toml:4:16: resolver[0].root_servers: is empty; leave the key out for the root of the Internet\n\
             mxwatch.toml:5:12: resolver[0].interval: must be from 1s to 1day, found \"100ms\"\n\
             mxwatch.toml:6:8: resolver[0].port: must be from 1 to 65535, found 0",
        ),
        (
            "[[resolver]]\nkind = 'authoritative'\nroot_servers = ['192.0.2.1', '192.0.2.1:53']",
            "mxwatch.toml:4:30: resolver[0].root_servers[1]: is named twice",
        ),
        (
            "[[resolver]]\nkind = 'authoritative'\nroot_servers = ['a.example.net']",
            "mxwatch.toml:4:17: resolver[0].root_servers[0]: \"a.example.net\": not the address of a name server, such as \"192.0.2.53\", \"192.0.2.53:5353\" or \"[2001:db8::53]:53\"",
        ),
        (
            "[[resolver]]\nkind = 'authoritative'\n[[resolver]]\nkind = 'authoritative'",
            "mxwatch.toml:4:1: resolver[1].name: missing; a resolver needs one, as in name = \"lan\"",
        ),
        // Senders.
        (
            "senders = 'postfix'",
            "mxwatch.toml:2:11: senders: expected a list such as [\"postfix\"]; an own sender is written as [sender.NAME], found string \"postfix\"",
        ),
        (
            "[senders.ours]\nlike = 'postfix'",
            "mxwatch.toml:2:2: senders: expected a list such as [\"postfix\"]; an own sender is written as [sender.NAME], found a table",
        ),
        (
            "sender = ['postfix']",
            "mxwatch.toml:2:10: sender: expected tables, each headed [sender.NAME], found a list; the key for those to be judged is `senders`",
        ),
        (
            "senders = []",
            "mxwatch.toml:2:11: senders: is empty; name a sender such as \"postfix\", or leave the key out for postfix and exchange-2010",
        ),
        (
            "senders = ['postfix', 'exchnge-2010']",
            "mxwatch.toml:2:23: senders[1]: \"exchnge-2010\": no such sender, did you mean \"exchange-2010\"?",
        ),
        (
            "senders = ['qmail']",
            "mxwatch.toml:2:12: senders[0]: \"qmail\": no such sender; `mxwatch senders` lists them",
        ),
        ("senders = ['exim', 'exim']", "mxwatch.toml:2:20: senders[1]: stands here twice"),
        (
            "senders = ['rfc5321', 'postfix', 'postfix-dane', 'exim', 'sendmail', 'sendmail-debian', 'opensmtpd', 'exchange-2010', 'ims-5.5']",
            "mxwatch.toml:2:11: senders: holds 9 senders; at most 8 are judged",
        ),
        (
            "sender.ours.banner_timeout = '1m'",
            "mxwatch.toml:2:8: sender.ours.like: missing; an own sender begins as another one, as in like = \"postfix\"",
        ),
        (
            "[sender.ours]\nlike = 'Postfix'",
            "mxwatch.toml:3:8: sender.ours.like: \"Postfix\": no such sender, did you mean \"postfix\"?",
        ),
        (
            "[sender.ours]\nlike = 'ours'",
            "mxwatch.toml:3:8: sender.ours.like: goes round in a circle: ours is like ours",
        ),
        (
            "[sender.a]\nlike = 'b'\n[sender.b]\nlike = 'c'\n[sender.c]\nlike = 'b'",
            "mxwatch.toml:5:8: sender.b.like: goes round in a circle: b is like c is like b\nmxwatch.toml:7:8: sender.c.like: goes round in a circle: c is like b is like c",
        ),
        (
            "[sender.postfix]\nlike = 'exim'",
            "mxwatch.toml:2:1: sender.postfix: \"postfix\" is a built-in sender; choose another name, as in [sender.our-postfix]",
        ),
        (
            "[sender.\"our mta\"]\nlike = 'exim'",
            "mxwatch.toml:2:1: sender.\"our mta\": the name of a sender is 1 to 63 letters, digits, hyphens, underscores or dots that begin with a letter or digit",
        ),
        (
            "[sender.ours-5.5]\nlike = 'exim'",
            "mxwatch.toml:2:9: sender.ours-5: a name with a dot stands in quotes, as in [sender.\"ours-5.5\"]",
        ),
        (
            "[sender.ours]\nlike = 'exim'\nbanner_timout = '1m'",
            "mxwatch.toml:4:1: sender.ours.banner_timout: unknown key `banner_timout`, did you mean `banner_timeout`?",
        ),
        (
            "[sender.ours]\nlike = 'exim'\nxyzzy = '1m'",
            "mxwatch.toml:4:1: sender.ours.xyzzy: unknown key `xyzzy`; `mxwatch senders NAME` lists what is known here",
        ),
        (
            "[sender.ours]\nlike = 'exim'\nbanner_timeout = 60",
            "mxwatch.toml:4:18: sender.ours.banner_timeout: expected a duration such as \"5m\", found 60 (Patience for the banner)",
        ),
        (
            "[sender.ours]\nlike = 'exim'\nmx_self = 'thaw'",
            "mxwatch.toml:4:11: sender.ours.mx_self: unknown variant `thaw`, expected one of `bounce`, `defer`, `freeze` (The sender is the best exchanger itself: `bounce`, `defer` or `freeze`)",
        ),
        (
            "[sender.ours]\nlike = 'exim'\ndane = 'no'",
            "mxwatch.toml:4:8: sender.ours.dane: expected true or false, found \"no\" (DANE (RFC 7672) is asked for)",
        ),
        (
            "[sender.ours]\nlike = 'exim'\nfamilies = []",
            "mxwatch.toml:4:12: sender.ours.families: is empty; a sender needs a family (Families it uses, such as `[\"ipv6\", \"ipv4\"]`)",
        ),
        (
            "[sender.ours]\nlike = 'exim'\nretry_last = '0s'",
            "mxwatch.toml:4:14: sender.ours.retry_last: must be at least 1s (The pause after those, for ever)",
        ),
        (
            "[sender.ours]\nlike = 'exim'\nbanner_timeout = '0s'",
            "mxwatch.toml:4:18: sender.ours.banner_timeout: must be at least 1s (Patience for the banner)",
        ),
        (
            "[sender.ours]\nlike = 'exim'\nbanner_timeout = '1500ms'",
            "mxwatch.toml:4:18: sender.ours.banner_timeout: must be whole seconds (Patience for the banner)",
        ),
        (
            "[sender.ours]\nlike = 'exim'\nos_connect_timeout = '0s'",
            "mxwatch.toml:4:22: sender.ours.os_connect_timeout: must be at least 1s (Time after which the operating system gives up a connection)",
        ),
        (
            "[sender.ours]\nlike = 'exim'\naddr_dns_factor = 0",
            "mxwatch.toml:4:19: sender.ours.addr_dns_factor: must be from 1 to 100 (How often an address lookup without answer is repeated, the first time counted)",
        ),
        // Destination files.
        (
            "destination_files = ['more.toml']",
            "mxwatch.toml:2:22: destination_files[0]: more.toml: no such file",
        ),
        (
            "destination_files = ['a***b']",
            "mxwatch.toml:2:22: destination_files[0]: \"a***b\": Pattern syntax error near position 3: wildcards are either regular `*` or recursive `**`",
        ),
    ]
}

#[test]
fn all_mistakes_are_told_at_once() {
    let files = Files::main(
        "domains = ['example.com', 'one', 'two']\nhello = 1\n[dns]\nattempts = 'x'\n[web]\nmax_connections = 0\n",
    );
    let environment = [("MXWATCH_HELO_NAME", "localhost"), ("MXWATCH_DNS__TIMEOUT", "5")];
    let problems = config::load(&files.path("mxwatch.toml"), environment).unwrap_err();
    assert_eq!(problems.count(), 7);
    assert_eq!(problems.iter().count(), 7);
    assert_eq!(
        files.problems(&environment),
        "mxwatch.toml:1:27: domains[1]: \"one\": not a fully qualified mail domain, such as \"example.com\"\n\
         mxwatch.toml:1:34: domains[2]: \"two\": not a fully qualified mail domain, such as \"example.com\"\n\
         mxwatch.toml:2:1: hello: unknown key `hello`; known here are connectivity_log, destination, destination_files, dns, domains, helo_name, http_sd, metrics, politeness, probe, resolver, sender, senders, web\n\
         mxwatch.toml:4:12: dns.attempts: expected a whole number, found string \"x\"\n\
         mxwatch.toml:6:19: web.max_connections: must be from 1 to 65535, found 0\n\
         environment variable MXWATCH_DNS__TIMEOUT: expected a duration such as \"30s\", found integer 5; write \"5s\"\n\
         environment variable MXWATCH_HELO_NAME: \"localhost\": servers refuse clients that call themselves localhost; write the name with which this machine sends mail"
    );
}

#[test]
fn a_missing_file_is_a_mistake_and_no_parent_is_searched() {
    let files = Files::main("helo_name = 'mail.test'");
    fs::create_dir(files.path("below")).unwrap();
    let problems = config::load(&files.path("below/mxwatch.toml"), NO_VARIABLES).unwrap_err();
    assert_eq!(
        files.relative(&problems),
        "below/mxwatch.toml: cannot be read: No such file or directory (os error 2)"
    );
    fs::write(files.path("latin1.toml"), b"helo_name = '\xe9'").unwrap();
    let problems = config::load(&files.path("latin1.toml"), NO_VARIABLES).unwrap_err();
    assert_eq!(files.relative(&problems), "latin1.toml: is not UTF-8 text");
}

#[test]
fn the_environment_overrides_the_file() {
    let files = Files::main("domains = ['example.com']\n[probe]\nport = 26\ninterval = '5m'");
    let config = files
        .load(&[
            ("MXWATCH_HELO_NAME", "[192.0.2.1]"),
            ("MXWATCH_PROBE__INTERVAL", "30s"),
            ("MXWATCH_PROBE__FAMILIES", "ipv6"),
            ("MXWATCH_CONNECTIVITY_LOG", "/x"),
            ("MXWATCH_WEB", "{probe_any_target = true}"),
            ("MXWATCH_DOMAINS", r#"["a.example", "b.example"]"#),
            ("MXWATCH_RESOLVER", r#"[{name = "lan", servers = ["192.0.2.53"]}]"#),
            // What Kubernetes sets next to a service called mxwatch.
            ("MXWATCH_SERVICE_HOST", "192.0.2.7"),
            ("MXWATCH_PORT", "tcp://192.0.2.7:10187"),
            ("MXWATCH_PORT_10187_TCP_PROTO", "tcp"),
            ("OTHER", "x"),
        ])
        .config;
    assert_eq!(&*config.helo_name, "[192.0.2.1]");
    assert_eq!((config.probe.port, config.probe.interval), (26, Duration::from_secs(30)));
    assert_eq!(config.probe.session.families, [Family::Ipv6]);
    assert!(config.web.probe_any_target);
    assert_eq!(names(&config), ["a.example", "b.example"]);
    assert_eq!(&*config.resolvers[0].name, "lan");
    let commas =
        files.load(&[("MXWATCH_HELO_NAME", "m.test"), ("MXWATCH_DOMAINS", "c.example, d.example")]);
    assert_eq!(names(&commas.config), ["c.example", "d.example"]);
}

#[test]
fn senders_are_built_in_or_own() {
    let judged = |config: &Config| -> Vec<String> {
        config.senders.iter().map(|sender| sender.name.to_string()).collect()
    };
    let none = Files::main("helo_name = 'mail.test'").load(&[]).config;
    assert_eq!(judged(&none), ["postfix", "exchange-2010"]);
    let named = Files::main("helo_name = 'mail.test'\nsenders = ['ims-5.5', 'exim']").load(&[]);
    assert_eq!(judged(&named.config), ["ims-5.5", "exim"]);

    // Own ones take the place of the usual two, in the order of the file.
    let own = "helo_name = 'mail.test'\n[sender.\"relay.b\"]\nlike = 'edge'\nexpire = '1day'\n\
               [sender.edge]\nlike = 'exchange-2010'\naaaa_temp_fatal = false\nretry = ['5m', '1h']\n";
    let files = Files::main(own);
    let config = files.load(&[]).config;
    assert_eq!(judged(&config), ["relay.b", "edge"]);
    let relay = config.sender("relay.b").unwrap();
    let exchange = builtin::get("exchange-2010").unwrap();
    assert_eq!(
        relay.differences(exchange).collect::<Vec<_>>(),
        [Parameter::AaaaTempFatal, Parameter::Retry, Parameter::Expire]
    );
    assert_eq!((&*relay.kind, relay.behaviour.aaaa_temp_fatal), ("exchange-2010", false));
    assert_eq!(relay.confidence(Parameter::AaaaTempFatal), Confidence::High);

    // What is not judged can still be asked for.
    let few = files.load(&[("MXWATCH_SENDERS", "edge, postfix")]).config;
    assert_eq!(judged(&few), ["edge", "postfix"]);
    assert_eq!(few.sender("relay.b").unwrap(), relay);
    assert_eq!(&*few.sender("sendmail").unwrap().name, "sendmail");
    assert_eq!(few.sender("relayb").unwrap_err(), "no such sender, did you mean \"relay.b\"?");
    let variable = r#"{ours = {like = "postfix", connect_timeout = "10s"}}"#;
    let config = none_but(&[("MXWATCH_SENDER", variable)]);
    assert_eq!(judged(&config), ["ours"]);
}

/// What the name and these variables make.
fn none_but(environment: &[(&str, &str)]) -> Config {
    Files::main("helo_name = 'mail.test'").load(environment).config
}

#[test]
fn more_own_senders_than_are_judged_must_be_chosen_from() {
    let mut text = String::from("helo_name = 'mail.test'\n");
    for n in 0..9 {
        text.extend(["[sender.s", &n.to_string(), "]\nlike = 'postfix'\n"]);
    }
    assert_eq!(
        Files::main(&text).problems(&[]),
        "mxwatch.toml:2:2: sender: defines 9 senders, and at most 8 are judged; name those with senders = [\"s0\"] above the first [section]"
    );
    let chosen = Files::main(&text).load(&[("MXWATCH_SENDERS", "s1")]).config;
    assert_eq!((chosen.senders.len(), chosen.own_senders.len()), (1, 9));
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let files = Files::main("helo_name = 'mail.test'");
    for (name, value, message) in [
        ("MXWATCH_PROBE__INTERVALL", "30s", "unknown, did you mean MXWATCH_PROBE__INTERVAL?"),
        ("MXWATCH_XYZZY", "1", "unknown: it names no key of the configuration"),
        ("MXWATCH_PROBE__PORT", "smtp", "expected a whole number, found string \"smtp\""),
        (
            "MXWATCH_DOMAINS",
            "[a.example, nodot]",
            "domains[1]: \"nodot\": not a fully qualified mail domain, such as \"example.com\"",
        ),
        (
            "MXWATCH_WEB",
            "{max = 1}",
            "web.max: unknown key `max`; known here are max_connections, probe_any_target",
        ),
    ] {
        let expected = format!("environment variable {name}: {message}");
        assert_eq!(files.problems(&[(name, value)]), expected);
    }
}

#[test]
fn doubtful_settings_are_warned_of() {
    for (text, warning) in [
        (
            "helo_name = 'mail.test'",
            "mxwatch.toml: no destinations: name some with domains = [\"example.com\"] there or in a file that destination_files names, then reload",
        ),
        (
            "helo_name = 'mail.example.org'\ndomains = ['a.example']",
            "mxwatch.toml:1:13: helo_name: is a name for examples (RFC 2606), and servers may refuse it; write the name with which this machine sends mail",
        ),
        (
            "helo_name = 'mail.test'\ndomains = ['a.example']\n[probe]\nsession_timeout = '45s'",
            "mxwatch.toml:4:19: probe.session_timeout: session_timeout 45s ends a session before banner_timeout 1m can",
        ),
        (
            "helo_name = 'mail.test'\ndomains = ['a.example']\n[[resolver]]\nname = 'far'\nservers = ['127.0.0.1', '192.0.2.53']\ntrust_ad = true",
            "mxwatch.toml:6:12: resolver[0].trust_ad: anybody on the way to 192.0.2.53:53 can set the AD bit that is trusted here; ask a validating resolver on this host, or over transport = \"tls\" or \"https\"",
        ),
    ] {
        let files = Files::main(text);
        let warnings = files.load(&[]).warnings;
        assert_eq!(warnings.iter().map(|w| files.relative(w)).collect::<Vec<_>>(), [warning]);
    }
}

#[test]
fn destinations_come_from_files() {
    let files = Files::main(
        "helo_name = 'mail.test'\ndomains = ['main.example']\ndestination_files = ['d/*.toml', 'sd/*', 'none/*.toml', 'd/*.toml']",
    );
    files.write("d/b.toml", "domains = ['b.example']");
    files.write("d/a.toml", "[[destination]]\ndomain = 'a.example'\ninterval = '5m'");
    files.write("d/.#a.toml", "an editor's copy");
    files.write(
        "sd/list.json",
        r#"[{"targets": ["c.example", "relay.test:587"], "labels": {"team": "x", "__meta": "y"}},
            {"targets": ["b.example"]}, {"targets": ["main.example"]}, {"targets": []}]"#,
    );
    files.write("sd/list.yml", "- targets: [y.example]\n  labels:\n    site: north\n");
    files.write("sd/empty.yaml", "");
    let loaded = files.load(&[]);
    assert_eq!(loaded.warnings, [""; 0]);
    let config = &loaded.config;
    let expected =
        ["a.example", "b.example", "c.example", "main.example", "y.example", "relay.test:587"];
    assert_eq!(names(config), expected);
    let settings = |name| &config.destinations[&Destination::parse(name).unwrap()];
    assert_eq!(settings("a.example").interval, Duration::from_secs(300));
    let labels = [("team".to_owned(), "x".to_owned())].into();
    assert_eq!(settings("relay.test:587").labels, labels);
    assert_eq!(settings("y.example").labels["site"], "north");
    assert_eq!(loaded.watched.patterns.len(), 4);
}

#[test]
fn the_first_of_two_settings_from_files_holds() {
    let files = Files::main(
        "helo_name = 'mail.test'\ndomains = ['a.example']\ndestination_files = ['*.json']",
    );
    files.write("x.json", r#"[{"targets": ["a.example"], "labels": {"team": "x"}}]"#);
    let loaded = files.load(&[]);
    assert_eq!(
        files.relative(&loaded.warnings[0]),
        "x.json: [0].targets[0]: a.example already stands at mxwatch.toml:2:12, domains[0], with other settings; those hold"
    );
    assert!(loaded.config.destinations.values().all(|d| d.labels.is_empty()));
}

#[test]
fn mistakes_in_destination_files_have_their_place() {
    for (name, text, message) in [
        (
            "d/a.toml",
            "domains = ['b.example']\nhelo_name = 'x'",
            "d/a.toml:2:1: helo_name: unknown key `helo_name`; known here are destination, domains",
        ),
        (
            "d/a.toml",
            "domains = ['b.example', 'b.example', 'nodot']",
            "d/a.toml:1:25: domains[1]: b.example already stands at d/a.toml:1:12, domains[0]\n\
             d/a.toml:1:38: domains[2]: \"nodot\": not a fully qualified mail domain, such as \"example.com\"",
        ),
        ("d/a.toml", "domains = [", "d/a.toml:1:12: unclosed array, expected `]`"),
        (
            "d/README",
            "",
            "d/README: is no destination file: its name must end in .toml, .json, .yaml or .yml",
        ),
        ("d/a.json", "[{]", "d/a.json:1:3: key must be a string"),
        (
            "d/a.json",
            r#"{"targets": []}"#,
            "d/a.json: expected a list of groups, each with targets, found a table",
        ),
        (
            "d/a.json",
            r#"[{"targets": ["nodot", 5], "lables": {}}, {"labels": {"domain": "x", "a-b": "x", "n": 1}}]"#,
            "d/a.json: [0].lables: unknown key `lables`, did you mean `labels`?\n\
             d/a.json: [0].targets[0]: \"nodot\": not a fully qualified mail domain, such as \"example.com\"\n\
             d/a.json: [0].targets[1]: expected a target such as \"example.org\", found integer 5\n\
             d/a.json: [1].labels.a-b: not a label name: letters, digits and underscores, no digit first\n\
             d/a.json: [1].labels.domain: mxwatch sets this label itself; choose another name\n\
             d/a.json: [1].labels.n: expected a text, found integer 1\n\
             d/a.json: [1].targets: missing; a group needs it, as in [\"example.org\"]",
        ),
        ("d/a.yaml", "- targets: [a.example\n", "d/a.yaml:1:12: unclosed bracket '['"),
        (
            "d/a.yml",
            "- targets: [a.example]\n  targets: [b.example]\n",
            "d/a.yml:2:3: duplicate mapping key: targets",
        ),
    ] {
        let files = Files::main("helo_name = 'mail.test'\ndestination_files = ['d/*']");
        files.write(name, text);
        assert_eq!(files.problems(&[]), message);
    }
}

#[test]
fn an_authoritative_resolver_has_a_name_and_the_internet_unless_told_otherwise() {
    let config = |keys: &str| {
        let text = format!("helo_name = 'mail.test'\n[[resolver]]\nkind = 'authoritative'\n{keys}");
        Files::main(&text).load(&[]).config.resolvers.remove(0)
    };
    assert_eq!(config(""), Resolver::authoritative("authoritative", Dns::default()));
    let private = config(
        "name = 'ours'\nport = 5353\ninterval = '1h'\nroot_servers = ['192.0.2.1', '192.0.2.2:53']",
    );
    let root_servers =
        ["192.0.2.1:5353", "192.0.2.2:53"].map(|server| server.parse().unwrap()).to_vec();
    let interval = Duration::from_secs(3600);
    assert_eq!(&*private.name, "ours");
    assert_eq!(private.kind, ResolverKind::Authoritative { root_servers, port: 5353, interval });
}

#[test]
fn a_directory_name_is_no_pattern() {
    let files = Files::main("");
    let text = "helo_name = 'mail.test'\ndestination_files = ['*.json', 'x.json']";
    files.write("a[b]*/mxwatch.toml", text);
    files.write("a[b]*/x.json", r#"[{"targets": ["a.example"]}]"#);
    let loaded = config::load(&files.path("a[b]*/mxwatch.toml"), NO_VARIABLES).unwrap();
    assert_eq!(names(&loaded.config), ["a.example"]);
}

#[test]
fn a_huge_list_is_refused() {
    let files = Files::main("helo_name = 'mail.test'\ndestination_files = ['*.json']");
    let huge = fs::File::create(files.path("x.json")).unwrap();
    huge.set_len(17 << 20).unwrap();
    assert_eq!(files.problems(&[]), "x.json: is larger than 16 MiB");
}

#[test]
fn every_shipped_file_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut count = 0;
    for directory in [root.clone(), root.join("examples")] {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                config::load(&path, NO_VARIABLES).unwrap_or_else(|problems| panic!("{problems}"));
                count += 1;
            }
        }
    }
    assert!(count >= 5, "{count} files");
    let from_files = config::load(&root.join("examples/destination_files.toml"), NO_VARIABLES);
    assert_eq!(from_files.unwrap().config.destinations.len(), 8);
    // The default file says what holds without it.
    let shipped = config::load(&root.join("mxwatch.toml"), NO_VARIABLES).unwrap();
    let bare = Files::main("helo_name = 'mail.example.org'").load(&[]);
    assert_eq!(shipped.config, bare.config);
    assert_eq!(shipped.warnings.len(), 1);
}

/// Ends of words that the loader knows, so that arbitrary text gets beyond the first line.
fn fragments() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "helo_name",
        "domains",
        "destination",
        "[[destination]]",
        "[probe]",
        "resolver",
        "[[resolver]]",
        "senders",
        "[sender.a]",
        "like",
        "servers",
        "name",
        "interval",
        "families",
        "targets",
        "labels",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "=",
        ":",
        "\"",
        "'",
        ",",
        ".",
        "\n",
        "  ",
        "30",
        "1e400",
        "-1",
        "30s",
        "true",
        "1979-05-27",
        "a.example",
        "[",
        "\\u0000",
        "&a",
        "*a",
        "é",
        "null",
        "~",
        "#",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_text_panics_the_loader(text in prop_oneof![any::<String>(), fragments()], value in any::<String>()) {
        let files = Files::main(&text);
        let _ = config::load(&files.path("mxwatch.toml"), [("MXWATCH_DOMAINS", &value), ("MXWATCH_DNS__TIMEOUT", &value)]);
        files.write("mxwatch.toml", "destination_files = ['d.*']");
        for name in ["d.toml", "d.json", "d.yaml"] {
            files.write(name, &text);
        }
        let _ = config::load(&files.path("mxwatch.toml"), NO_VARIABLES);
    }
}

#[test]
fn deep_nesting_is_survived() {
    let deep = "[".repeat(100_000);
    let files = Files::main(&format!("domains = {deep}"));
    assert!(files.problems(&[]).starts_with("mxwatch.toml:1:"));
    files.write("mxwatch.toml", "destination_files = ['d.*']");
    for name in ["d.toml", "d.json", "d.yaml"] {
        files.write(name, &deep);
    }
    assert!(files.problems(&[]).contains("d.yaml:"));
}

const NO_VARIABLES: [(&str, &str); 0] = [];

fn names(config: &Config) -> Vec<String> {
    config.destinations.keys().map(ToString::to_string).collect()
}

/// A directory with an `mxwatch.toml` and what else a test puts there.
struct Files(TempDir);

impl Files {
    fn main(text: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("mxwatch.toml", text);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Takes the right to read it from all others.
    fn restrict(&self, name: &str) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn load(&self, environment: &[(&str, &str)]) -> Loaded {
        config::load(&self.path("mxwatch.toml"), environment.iter().copied())
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The messages, with paths from this directory.
    fn problems(&self, environment: &[(&str, &str)]) -> String {
        match config::load(&self.path("mxwatch.toml"), environment.iter().copied()) {
            Ok(loaded) => panic!("loaded {loaded:?}"),
            Err(problems) => self.relative(&problems),
        }
    }

    fn relative(&self, text: &impl ToString) -> String {
        text.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}
