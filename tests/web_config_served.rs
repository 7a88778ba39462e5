//! `--web.config.file` in the running agent: what curl and Prometheus see of it, and that its files
//! are followed as they change.

use std::{fs, os::unix::fs::symlink, path::Path};

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use harness::{Agent, CONFIG, PATIENCE, Ran, run, wait_until};
use rcgen::KeyPair;
use servers::{
    certificates::{Authority, Identity, leaf},
    curl::{Curl, Fetched},
    prometheus::{Duties, Prometheus},
};
use tempfile::TempDir;

const WEB: &str = "web.yml";

/// Of the password `right`, by crypt(3) of libxcrypt.
const HASH: &str = "$2y$05$9/j4n.7V2lQNdO5UkxaQ..38CBpgLlKX/rxUcxWDCkG4/am7AH/1S";

/// A TLS section with the certificate `server.crt`.
const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// What TLS clients are held to, as further keys of [`TLS`].
const CLIENTS: &str =
    "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n";

/// An agent with a web configuration, and a curl to ask it with.
struct Scene {
    agent: Agent,
    curl: Curl,
}

impl Scene {
    /// With these files besides, each a name and a text.
    fn start(web: &str, files: &[(&str, &str)]) -> Option<Self> {
        let curl = Curl::find()?;
        let folder = folder(web, files);
        let flag = format!("--web.config.file={}", folder.path().join(WEB).display());
        Some(Self { agent: Agent::start_in(folder, &[&flag]), curl })
    }

    /// Asks for a path by `scheme`; files of the folder are named `@name`.
    fn fetch(&self, scheme: &str, path: &str, args: &[&str]) -> Fetched {
        let file = |arg: &&str| match arg.strip_prefix('@') {
            Some(name) => self.agent.path(name).display().to_string(),
            None => (*arg).to_owned(),
        };
        let mut args: Vec<String> = args.iter().map(file).collect();
        args.push(format!("{scheme}://{}{path}", self.agent.address()));
        self.curl.fetch(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The status of `/-/healthy` by HTTPS; 0 where TLS does not come about.
    fn healthy(&self, args: &[&str]) -> u16 {
        self.fetch("https", "/-/healthy", args).status
    }
}

fn folder(web: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let main = [(CONFIG, "helo_name = 'probe.example.test'\n"), (WEB, web)];
    for (name, text) in main.iter().chain(files) {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A certificate of this authority for the agent, and its key.
fn server(authority: &Authority) -> (String, String) {
    authority.sign(&["127.0.0.1"])
}

#[test]
fn curl_speaks_tls_12_and_13_and_is_told_of_https() {
    let authority = Authority::new("ca");
    let (certificate, key) = server(&authority);
    let files =
        [("ca.crt", authority.pem.as_str()), ("server.crt", &certificate), ("server.key", &key)];
    let Some(scene) = Scene::start(TLS, &files) else { return };
    for version in ["1.2", "1.3"] {
        let only = format!("--tlsv{version}");
        let args = [only.as_str(), "--tls-max", version, "--cacert", "@ca.crt"];
        assert_eq!(scene.healthy(&args), 200, "TLS {version}");
    }
    let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT:@SECLEVEL=0", "--cacert", "@ca.crt"];
    assert_eq!(scene.healthy(&old), 0);
    assert_eq!(scene.healthy(&[]), 0, "the certificate is checked");
    let plain = scene.fetch("http", "/metrics", &[]);
    assert_eq!(plain.status, 400, "{plain:?}");
    assert!(plain.text.contains("HTTPS"), "{plain:?}");

    scene.agent.write(WEB, &format!("{TLS}  min_version: TLS13\n"));
    assert_eq!(scene.healthy(&["--tls-max", "1.2", "--cacert", "@ca.crt"]), 0);
    assert_eq!(scene.healthy(&["--cacert", "@ca.crt"]), 200);
}

#[test]
fn only_clients_with_the_right_certificate_get_in() {
    let (authority, clients, strangers) =
        (Authority::new("ca"), Authority::new("clients"), Authority::new("strangers"));
    let (certificate, key) = server(&authority);
    let (good, good_key) = clients.sign(&["prometheus.test"]);
    let (bad, bad_key) = strangers.sign(&["prometheus.test"]);
    let own = Identity::self_signed(&leaf(&["own.test"]));
    let trusted = clients.pem.clone() + &own.chain.concat();
    let files = [
        ("ca.crt", authority.pem.as_str()),
        ("server.crt", &certificate),
        ("server.key", &key),
        ("clients.crt", &trusted),
        ("good.crt", &good),
        ("good.key", &good_key),
        ("bad.crt", &bad),
        ("bad.key", &bad_key),
        ("own.crt", &own.chain.concat()),
        ("own.key", &own.key),
    ];
    let Some(scene) = Scene::start(&format!("{TLS}{CLIENTS}"), &files) else { return };
    let by = |name: &str, version: &str| {
        let (certificate, key) = (format!("@{name}.crt"), format!("@{name}.key"));
        let args = ["--tls-max", version, "--cacert", "@ca.crt"];
        scene.healthy(&[&args[..], &["--cert", &certificate, "--key", &key]].concat())
    };
    let without = || scene.healthy(&["--cacert", "@ca.crt"]);
    for version in ["1.2", "1.3"] {
        assert_eq!(by("good", version), 200);
        assert_eq!(by("own", version), 200, "it is itself among those trusted");
        assert_eq!(by("bad", version), 0);
    }
    assert_eq!(without(), 0);

    let put = |policy: &str, more: &str| {
        let authority =
            if policy.contains("Verify") { "\n  client_ca_file: clients.crt" } else { "" };
        scene.agent.write(WEB, &format!("{TLS}  client_auth_type: {policy}{authority}\n{more}"));
    };
    put("RequireAndVerifyClientCert", "  client_allowed_sans: [prometheus.test]\n");
    assert_eq!((by("good", "1.3"), by("own", "1.3"), by("bad", "1.3")), (200, 0, 0));
    put("RequireAndVerifyClientCert", "  client_allowed_sans: [own.test, other.test]\n");
    assert_eq!((by("good", "1.3"), by("own", "1.2"), by("bad", "1.2")), (0, 200, 0));
    put("VerifyClientCertIfGiven", "");
    assert_eq!((by("good", "1.3"), by("bad", "1.3"), without()), (200, 0, 200));
    put("RequireAnyClientCert", "");
    assert_eq!((by("good", "1.3"), by("bad", "1.3"), without()), (200, 200, 0));
    put("RequestClientCert", "");
    assert_eq!((by("good", "1.2"), by("bad", "1.3"), without()), (200, 200, 200));
    assert_eq!(scene.agent.log_with(&["not reloaded"]), [""; 0]);

    // As a file that was cut off: clients are held to what held before.
    put("RequireAnyClientCert", "");
    assert_eq!(without(), 0);
    scene.agent.write(WEB, TLS);
    assert_eq!((by("good", "1.3"), without()), (200, 0));
    scene.agent.wait_for_log(&["asks clients for no certificate any more", "by a restart only"]);
}

#[test]
fn every_path_needs_a_login_and_no_password_is_logged() {
    let web = format!(
        "basic_auth_users:\n  alice: {HASH}\nhttp_server_config:\n  headers:\n    \
         Content-Security-Policy: frame-ancestors https://wall.example.com\n    X-Frame-Options: deny\n"
    );
    let Some(scene) = Scene::start(&web, &[]) else { return };
    let status = |path: &str, login: &str| scene.fetch("http", path, &["--user", login]).status;
    for path in ["/", "/metrics", "/probe?target=example.com", "/-/healthy", "/-/ready", "/nothing"]
    {
        let refused = scene.fetch("http", path, &[]);
        assert_eq!(refused.status, 401, "{path}");
        let challenge = "www-authenticate: Basic realm=\"mxwatch\"";
        assert!(refused.text.contains(challenge), "{refused:?}");
        assert!(refused.text.contains("x-frame-options: deny"), "{refused:?}");
    }
    for login in ["alice:wrong-secret", "nobody:right", "nobody:wrong-secret", ":right", "alice:"] {
        assert_eq!(status("/metrics", login), 401, "{login}");
    }
    for _ in 0..2 {
        assert_eq!(status("/metrics", "alice:right"), 200);
    }
    assert_eq!(status("/nothing", "alice:right"), 404);

    let page = scene.fetch("http", "/", &["--user", "alice:right"]);
    let policy = "content-security-policy: frame-ancestors https://wall.example.com\r\n";
    assert!(page.text.contains(policy), "{page:?}");
    assert!(!page.text.contains("default-src"), "theirs stands in place of ours: {page:?}");
    assert!(page.text.contains("x-content-type-options: nosniff\r\n"), "{page:?}");

    let log = scene.agent.log().join("\n");
    for secret in ["right", "wrong-secret", HASH] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }

    scene.agent.write(WEB, &web.replace("alice", "bob"));
    assert_eq!((status("/", "alice:right"), status("/", "bob:right")), (401, 200));
    // As a file that is just being written: nobody gets in by it.
    scene.agent.write(WEB, "");
    assert_eq!(scene.fetch("http", "/metrics", &[]).status, 401);
    assert_eq!(status("/", "bob:right"), 200);
    scene.agent.wait_for_log(&["names no user any more", "by a restart only"]);
}

#[test]
fn requests_beyond_the_limit_are_told_to_come_later() {
    let web = format!("rate_limit: {{interval: 1h, burst: 2}}\nbasic_auth_users: {{a: {HASH}}}\n");
    let Some(scene) = Scene::start(&web, &[]) else { return };
    let fetch = || scene.fetch("http", "/-/healthy", &["--user", "a:right"]);
    assert_eq!((fetch().status, fetch().status), (200, 200));
    let third = fetch();
    assert_eq!(third.status, 429, "{third:?}");
    assert!(third.text.contains("retry-after: 3600\r\n"), "{third:?}");
    let unlimited =
        format!("rate_limit: {{interval: 0, burst: 0}}\nbasic_auth_users: {{a: {HASH}}}\n");
    scene.agent.write(WEB, &unlimited);
    assert_eq!((fetch().status, fetch().status, fetch().status), (200, 200, 200));
}

#[test]
fn a_rotated_certificate_is_shown_at_the_next_handshake_and_a_broken_one_is_not() {
    let authorities = ["first", "second", "third"].map(Authority::new);
    let folder = folder(TLS, &[]);
    let write = |version: &str, name: &str, text: &str| {
        fs::create_dir_all(folder.path().join(version)).unwrap();
        fs::write(folder.path().join(version).join(name), text).unwrap();
    };
    for (authority, version) in authorities.iter().zip(["v1", "v2", "v3"]) {
        let (certificate, key) = server(authority);
        write(version, "server.crt", &certificate);
        write(version, "server.key", &key);
        fs::write(folder.path().join(format!("{version}.crt")), &authority.pem).unwrap();
    }
    // As cert-manager lays secrets out, and much like certbot.
    symlink("v1", folder.path().join("live")).unwrap();
    for name in ["server.crt", "server.key"] {
        symlink(Path::new("live").join(name), folder.path().join(name)).unwrap();
    }
    let Some(curl) = Curl::find() else { return };
    let flag = format!("--web.config.file={}", folder.path().join(WEB).display());
    let scene = Scene { agent: Agent::start_in(folder, &[&flag]), curl };
    let shown = || {
        let trusted =
            |version: &&&str| scene.healthy(&["--cacert", &format!("@{version}.crt")]) == 200;
        let all: Vec<_> = ["v1", "v2", "v3"].iter().filter(trusted).copied().collect();
        all.join(" ")
    };
    let good = || {
        let metrics = scene.fetch("https", "/metrics", &["--insecure"]);
        let line = "mxwatch_web_config_last_reload_successful ";
        metrics.text.lines().find_map(|text| text.strip_prefix(line)).map(str::to_owned)
    };
    let swap = |version: &str| {
        let new = scene.agent.path("new");
        symlink(version, &new).unwrap();
        fs::rename(new, scene.agent.path("live")).unwrap();
    };
    assert_eq!((shown().as_str(), good().as_deref()), ("v1", Some("1")));
    swap("v2");
    assert_eq!((shown().as_str(), good().as_deref()), ("v2", Some("1")));

    // The key of another certificate, then none at all, then half of one.
    let key = fs::read_to_string(scene.agent.path("v3/server.key")).unwrap();
    fs::write(scene.agent.path("v2/server.key"), &key).unwrap();
    for _ in 0..3 {
        assert_eq!((shown().as_str(), good().as_deref()), ("v2", Some("0")));
    }
    let told = scene.agent.wait_for_log(&["level=error", "is not the key of the certificate"]);
    assert!(told.contains("web.yml:3:13: tls_server_config.key_file: "), "{told}");
    assert_eq!(scene.agent.log_with(&["level=error"]).len(), 1, "{:?}", scene.agent.log());
    fs::remove_file(scene.agent.path("v2/server.key")).unwrap();
    assert_eq!((shown().as_str(), good().as_deref()), ("v2", Some("0")));
    fs::write(scene.agent.path("v2/server.key"), &key[..80]).unwrap();
    assert_eq!((shown().as_str(), good().as_deref()), ("v2", Some("0")));
    assert_eq!(scene.agent.log_with(&["level=error"]).len(), 3, "{:?}", scene.agent.log());

    swap("v3");
    assert_eq!((shown().as_str(), good().as_deref()), ("v3", Some("1")));
    scene.agent.wait_for_log(&["web configuration reloaded", "tls=true"]);
}

#[test]
fn tls_can_be_turned_on_while_connections_are_open_and_is_never_lost() {
    use std::io::{Read, Write};
    let authority = Authority::new("ca");
    let (certificate, key) = server(&authority);
    let files =
        [("ca.crt", authority.pem.as_str()), ("server.crt", &certificate), ("server.key", &key)];
    let Some(scene) = Scene::start("", &files) else { return };
    let mut open = std::net::TcpStream::connect(scene.agent.address()).unwrap();
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    open.write_all(request).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"healthy.\n") {
        let mut more = [0; 512];
        let read = open.read(&mut more).unwrap();
        answer.extend_from_slice(&more[..read]);
    }
    assert!(!String::from_utf8(answer).unwrap().contains("connection: close"));

    scene.agent.write(WEB, TLS);
    assert_eq!(scene.healthy(&["--cacert", "@ca.crt"]), 200);
    assert_eq!(scene.fetch("http", "/-/healthy", &[]).status, 400);
    // The connection that was there gets one more answer, and none after it.
    open.write_all(&request.repeat(2)).unwrap();
    let mut last = String::new();
    let _ = open.read_to_string(&mut last);
    assert_eq!(last.matches("HTTP/1.1 200 OK").count(), 1, "{last}");
    assert!(last.contains("connection: close"), "{last}");

    // As a file that is just being written, or was cut off.
    scene.agent.write(WEB, "");
    assert_eq!(scene.fetch("http", "/-/healthy", &[]).status, 400);
    assert_eq!(scene.healthy(&["--cacert", "@ca.crt"]), 200);
    scene.agent.wait_for_log(&["names no certificate any more", "by a restart only"]);
}

#[test]
fn a_web_configuration_with_mistakes_is_no_start_and_no_good_check() {
    let folder = folder("tls_server_config:\n  cert_fil: x\n", &[]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (main, web) = (path(CONFIG), path(WEB));
    let config = format!("--config.file={main}");
    let started = |more: &[&str]| {
        let args = [config.as_str(), "--web.listen-address=127.0.0.1:0"];
        run(&[&args[..], more].concat())
    };
    let flag = format!("--web.config.file={web}");
    let mistake = format!(
        "{web}:2:3: tls_server_config.cert_fil: unknown key `cert_fil`, did you mean `cert_file`?"
    );
    for Ran { code, stderr, .. } in [started(&[&flag]), started(&[&flag, "--config.check"])] {
        assert_eq!(code, Some(78), "{stderr}");
        assert!(stderr.contains(&mistake), "{stderr}");
    }
    let missing = started(&["--web.config.file=/nonexistent/web.yml"]);
    assert_eq!(missing.code, Some(78));
    assert!(missing.stderr.contains("/nonexistent/web.yml: cannot be read: "), "{missing:?}");

    fs::write(
        &web,
        format!("basic_auth_users: {{a: {HASH}}}\nhttp_server_config: {{http2: true}}"),
    )
    .unwrap();
    let Ran { code, stdout, stderr, .. } = started(&[&flag, "--config.check"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.ends_with(&format!("{web}: good, plain HTTP, 1 login\n")), "{stdout}");
    assert!(stderr.contains(&format!("warning: {web}:2:29: ")), "{stderr}");

    fs::write(&main, "helo_nam = 'x'\n").unwrap();
    fs::write(&web, "x: 1\n").unwrap();
    let both = started(&[&flag]);
    assert_eq!(both.code, Some(78));
    assert!(both.stderr.contains("helo_nam") && both.stderr.contains("web.yml:1:1"), "{both:?}");
}

#[test]
fn prometheus_scrapes_with_a_login_and_a_client_certificate() {
    let (authority, clients) = (Authority::new("ca"), Authority::new("clients"));
    let (certificate, key) = server(&authority);
    let Identity { chain, key: client_key } =
        clients.issue(&leaf(&["prometheus.test"]), &KeyPair::generate().unwrap());
    let files = [
        ("ca.crt", authority.pem.as_str()),
        ("server.crt", &certificate),
        ("server.key", &key),
        ("clients.crt", &clients.pem),
        ("prometheus.crt", &chain.concat()),
        ("prometheus.key", &client_key),
    ];
    let web = format!("{TLS}{CLIENTS}basic_auth_users: {{prometheus: {HASH}}}\n");
    let Some(scene) = Scene::start(&web, &files) else { return };
    let file = |name: &str| scene.agent.path(name).display().to_string();
    let (ca, crt, key) = (file("ca.crt"), file("prometheus.crt"), file("prometheus.key"));
    let start = |password: &str| {
        let duties = Duties {
            scrape: vec![
                "scheme: https".to_owned(),
                format!("basic_auth: {{ username: prometheus, password: {password} }}"),
                format!("tls_config: {{ ca_file: '{ca}', cert_file: '{crt}', key_file: '{key}' }}"),
            ],
            ..Duties::default()
        };
        Prometheus::start_with(scene.agent.address(), &duties)
    };
    let Some(prometheus) = start("right") else { return };
    let health = |prometheus: &Prometheus| {
        wait_until("a scrape", || {
            let target = prometheus.target();
            let health = target["health"].as_str()?.to_owned();
            (health != "unknown").then(|| (health, target["lastError"].to_string()))
        })
    };
    assert_eq!(health(&prometheus), ("up".to_owned(), "\"\"".to_owned()));
    let build = "mxwatch_web_config_last_reload_successful{job='mxwatch'}";
    let series = wait_until("a series", || prometheus.query(build).pop());
    assert_eq!(series["value"][1], "1");

    let Some(stranger) = start("wrong") else { return };
    let (state, error) = health(&stranger);
    assert!(state == "down" && error.contains("401"), "{state}: {error}");
}
