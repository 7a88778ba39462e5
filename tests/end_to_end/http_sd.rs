//! Destinations that a server names: lists that change, fail, drip, are huge or nonsense.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use mxwatch::world::{World, smtp_script::Script};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::AbortHandle,
    time::sleep,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer},
};

use crate::{
    config::Config,
    harness::{Agent, CONFIG, Scrape, run},
};

/// What the server does with a request.
#[derive(Clone, Debug)]
enum Manner {
    /// Answers with this text as JSON.
    Serves(String),
    /// Answers with this status line and header fields.
    Says(&'static str),
    /// Begins an answer that never ends, a piece now and then.
    Drips,
    /// Answers with more than anybody wants.
    Floods,
    /// Repeats the request as a list.
    Echoes,
}

/// A server of lists on loopback; dropping it closes its port.
struct Lists {
    url: String,
    manner: Arc<Mutex<Manner>>,
    /// The heads of all requests.
    asked: Arc<Mutex<Vec<String>>>,
    serving: AbortHandle,
}

impl Lists {
    async fn start(ip: Ipv4Addr, tls: Option<TlsAcceptor>, manner: Manner) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/mail", listener.local_addr().unwrap());
        let (manner, asked) = (Arc::new(Mutex::new(manner)), Arc::default());
        let (now, heads) = (Arc::clone(&manner), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (now, heads, tls) = (Arc::clone(&now), Arc::clone(&heads), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, &now, &heads).await,
                        Some(tls) => {
                            // Who does not trust us goes away.
                            let Ok(stream) = tls.accept(stream).await else { return };
                            answer(stream, &now, &heads).await;
                        }
                    }
                });
            }
        });
        Self { url, manner, asked, serving: serving.abort_handle() }
    }

    fn set(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Lists {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    manner: &Mutex<Manner>,
    asked: &Mutex<Vec<String>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    asked.lock().unwrap().push(head.clone());
    let json = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n";
    let manner = manner.lock().unwrap().clone();
    let body = match manner {
        Manner::Serves(list) => list,
        Manner::Echoes => format!("{:?}", head.lines().collect::<Vec<_>>()),
        Manner::Floods => " ".repeat((16 << 20) + 1),
        Manner::Says(status) => {
            let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(text.as_bytes()).await;
            return;
        }
        Manner::Drips => {
            let _ = stream.write_all(format!("{json}\r\n[").as_bytes()).await;
            while stream.write_all(b" ").await.is_ok() {
                let _ = stream.flush().await;
                sleep(Duration::from_millis(20)).await;
            }
            return;
        }
    };
    let text = format!("{json}Content-Length: {}\r\n\r\n{body}", body.len());
    // The client may have gone.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A list of these domains.
fn list(domains: &[&str]) -> Manner {
    Manner::Serves(format!("[{{\"targets\": {domains:?}, \"labels\": {{\"team\": \"mail\"}}}}]"))
}

/// An authority and a server of the given address that it vouches for.
fn tls(ip: Ipv4Addr) -> (String, TlsAcceptor) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![ip.to_string()]).unwrap();
    let chain = vec![params.signed_by(&key, &issuer).unwrap().der().clone()];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    (authority, TlsAcceptor::from(Arc::new(config)))
}

/// Four domains with an exchanger each, at 127.90.NET.1.
async fn world(net: u8) -> World {
    let records = ["a", "b", "c", "own"]
        .map(|name| format!("{name} MX 10 mx.{name}\nmx.{name} A 127.90.{net}.1\n"));
    let builder = World::builder().zone(&format!("$ORIGIN test.\n{}", records.concat())).unwrap();
    builder.smtp([127, 90, net, 1], Script::healthy("mx.test")).start().await.unwrap()
}

fn section(name: &str, lists: &Lists, more: &str) -> String {
    let url = &lists.url;
    format!(
        "[[http_sd]]\nname = \"{name}\"\nurl = \"{url}?key=hush\"\nrefresh_interval = \"1s\"\n{more}"
    )
}

fn watched(scrape: &Scrape) -> Vec<&str> {
    let destinations = scrape.matching("mx_destination_info", &[]);
    destinations.into_iter().map(|sample| sample.label("domain")).collect()
}

fn failures(scrape: &Scrape, list: &str) -> Option<f64> {
    scrape.value("mxwatch_http_sd_failures_total", &[("list", list)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_names_is_watched_and_a_failure_changes_nothing() {
    let world = world(95).await;
    let server = Lists::start([127, 90, 95, 2].into(), None, list(&["a.test", "b.test"])).await;
    let config = Config::of(&world).domains(&["own.test"]).section(&section("cmdb", &server, ""));
    let agent = Agent::start(&config.text());
    // As soon as it answers it knows them all.
    let scrape = agent.scrape();
    assert_eq!(watched(&scrape), ["a.test", "b.test", "own.test"]);
    let labels = [("domain", "a.test"), ("team", "mail")];
    assert!(scrape.value("mx_destination_info", &labels).is_some());
    assert_eq!(failures(&scrape, "cmdb"), Some(0.0));
    let last_success = "mxwatch_http_sd_last_success_timestamp_seconds";
    let begun = scrape.value(last_success, &[("list", "cmdb")]).unwrap();
    assert!(begun > 1e9, "{begun}");
    let head = server.asked().remove(0);
    for field in [
        "GET /mail?key=hush HTTP/1.1\r\n",
        "accept: application/json\r\n",
        "x-prometheus-refresh-interval-seconds: 1\r\n",
    ] {
        assert!(head.contains(field), "{head}");
    }
    assert!(!head.contains("authorization"), "{head}");

    server.set(list(&["b.test", "c.test", "own.test"]));
    agent.wait_for_log(&["destinations changed", "why=http_sd", "destinations=3"]);
    let scrape = agent.scrape_until("the new one", |scrape| scrape.mentions("mx.c.test"));
    assert_eq!(watched(&scrape), ["b.test", "c.test", "own.test"]);
    let labels = [("domain", "own.test"), ("team", "mail")];
    assert_eq!(scrape.value("mx_destination_info", &labels), None, "the file goes before a list");
    agent.wait_for_log(&["already elsewhere with other settings", "own.test"]);

    for (manner, why) in [
        (Manner::Says("503 No"), "HTTP 503"),
        (Manner::Says("302 Found\r\nLocation: /elsewhere"), "HTTP 302"),
        (Manner::Says("200 OK\r\nContent-Type: text/html"), "text/html"),
        (Manner::Floods, "its answer is longer than 16 MiB"),
        (Manner::Serves("<html>".to_owned()), "cmdb:1:1: expected value"),
        (list(&["b.test", "no domain"]), "no domain"),
        (list(&["\u{1b}[2Jb"]), "labels are letters"),
        (Manner::Drips, "does not answer completely in time"),
    ] {
        let before = failures(&agent.scrape(), "cmdb");
        server.set(manner);
        agent.wait_for_log(&["http_sd list cannot be had", "the last one stays", why]);
        let scrape = agent.scrape_until("a failure", |scrape| failures(scrape, "cmdb") > before);
        assert_eq!(watched(&scrape), ["b.test", "c.test", "own.test"]);
    }
    server.set(list(&[]));
    agent.wait_for_log(&["http_sd list is there again"]);
    let scrape = agent.scrape_until("nothing but its own", |scrape| watched(scrape).len() == 1);
    assert!(scrape.value(last_success, &[("list", "cmdb")]).unwrap() > begun);
    assert_eq!(scrape.value("mxwatch_config_last_reload_successful", &[]), Some(1.0));

    let log = agent.log().join("\n");
    assert!(!log.contains("hush") && !log.contains('\u{1b}'), "{log}");
    assert!(!server.asked().iter().any(|head| head.contains("elsewhere")), "redirects");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_at_the_start_is_asked_again() {
    let world = world(96).await;
    let server = Lists::start([127, 90, 96, 2].into(), None, Manner::Says("500 No")).await;
    let config = Config::of(&world).section(&section("cmdb", &server, ""));
    let agent = Agent::start(&config.text());
    agent.wait_for_log(&["http_sd list cannot be had", "there is none yet", "HTTP 500"]);
    assert!(agent.log_with(&["no destinations"]).is_empty(), "they are to come");
    let scrape = agent.scrape();
    assert_eq!(scrape.value("mxwatch_destinations", &[]), Some(0.0));
    let last_success = [("list", "cmdb")];
    let last_success =
        scrape.value("mxwatch_http_sd_last_success_timestamp_seconds", &last_success);
    assert_eq!(last_success, Some(0.0));
    // It may name everything, so that nobody shall rely on this agent yet.
    let ready = agent.get("/-/ready");
    assert!(ready.status == 503 && ready.body.contains("http_sd"), "{ready:?}");
    server.set(list(&["a.test"]));
    agent.scrape_until("what the list names", |scrape| scrape.mentions("mx.a.test"));
    assert_eq!(agent.get("/-/ready").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_asks_other_servers_and_what_is_not_asked_for_is_gone() {
    let world = world(97).await;
    let first = Lists::start([127, 90, 97, 2].into(), None, list(&["a.test", "b.test"])).await;
    let second = Lists::start([127, 90, 97, 3].into(), None, list(&["b.test", "c.test"])).await;
    let config = Config::of(&world);
    let both = config.clone().section(&section("one", &first, ""));
    let both = both.section(&section("two", &second, ""));
    let agent = Agent::start_with(&both.text(), &["--web.enable-lifecycle"]);
    let scrape = agent.scrape();
    assert_eq!(watched(&scrape), ["a.test", "b.test", "c.test"], "each once");
    agent.write(CONFIG, &config.clone().section(&section("two", &second, "")).text());
    assert_eq!(agent.post("/-/reload").status, 200);
    let scrape = agent.scrape();
    assert_eq!(watched(&scrape), ["b.test", "c.test"]);
    assert!(scrape.matching("mxwatch_http_sd_failures_total", &[("list", "one")]).is_empty());
    let asked = first.asked().len();
    agent.scrape_until("more requests", |_| second.asked().len() > 4);
    assert!(first.asked().len() <= asked + 1, "it is asked no more");
    agent.write(CONFIG, &config.section(&section("one", &first, "")).text());
    assert_eq!(agent.post("/-/reload").status, 200);
    assert_eq!(watched(&agent.scrape()), ["a.test", "b.test"], "at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_take_their_own_of_a_list() {
    let world = world(98).await;
    let all = ["a.test", "b.test", "c.test"];
    let server = Lists::start([127, 90, 98, 2].into(), None, list(&all)).await;
    let config = Config::of(&world).section(&section("cmdb", &server, "")).text();
    let start = |shard: &str| Agent::start_with(&config, &[shard]);
    let scrapes = ["--shard=0/2", "--shard=1/2"].map(|shard| start(shard).scrape());
    let mut together: Vec<_> = scrapes.iter().flat_map(watched).collect();
    together.sort_unstable();
    assert_eq!(together, all);
    for scrape in &scrapes {
        assert_eq!(scrape.value("mxwatch_destinations_configured", &[]), Some(3.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_goes_to_a_server_that_is_trusted_and_shows_nowhere() {
    const TOKEN: &str = "correct-horse-battery-staple";
    let ip = Ipv4Addr::from([127, 90, 99, 2]);
    let world = world(99).await;
    let (authority, acceptor) = tls(ip);
    let server = Lists::start(ip, Some(acceptor), list(&["a.test"])).await;
    let (strangers, _) = tls(ip);
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("ca.pem", &*authority),
        ("other.pem", &*strangers),
        ("token", "first-token\n"),
        ("pass", TOKEN),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let bearer = "ca_file = \"ca.pem\"\nbearer_token_file = \"token\"\n";
    let basic = "ca_file = \"ca.pem\"\nusername = \"probe\"\npassword_file = \"pass\"\n";
    let config = Config::of(&world).section(&section("token", &server, bearer));
    let config = config.section(&section("basic", &server, basic));
    let config = config.section(&section("none", &server, "ca_file = \"other.pem\"\n"));
    std::fs::write(folder.path().join(CONFIG), config.text()).unwrap();
    let agent = Agent::start_in(folder, &["--log.level=debug"]);
    assert_eq!(watched(&agent.scrape()), ["a.test"]);
    agent.wait_for_log(&["list=none", "its certificate"]);
    let sent = |field: &str| server.asked().iter().any(|head| head.contains(field));
    assert!(sent("authorization: Bearer first-token\r\n"), "{:?}", server.asked());
    // printf probe:correct-horse-battery-staple | base64
    let pair = "cHJvYmU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==";
    assert!(sent(&format!("authorization: Basic {pair}\r\n")), "{:?}", server.asked());
    // Tokens are short-lived: the new one is sent without a reload.
    agent.write("token", TOKEN);
    agent.scrape_until("the new token", |_| sent(&format!("Bearer {TOKEN}\r\n")));
    server.set(Manner::Echoes);
    agent.wait_for_log(&["list=token", "repeats the secret"]);
    agent.wait_for_log(&["list=basic", "repeats the secret"]);
    let pages = ["/", "/metrics", "/domains/a.test"].map(|page| agent.get(page).body).concat();
    for text in [agent.log().join("\n"), pages] {
        for secret in [TOKEN, pair, "hush"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn a_check_asks_nobody_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(CONFIG);
    let text = "helo_name = \"mx.test\"\n[[http_sd]]\nurl = \"http://192.0.2.1/mail?key=hush\"";
    std::fs::write(&file, text).unwrap();
    let ran = run(&[&format!("--config.file={}", file.display()), "--config.check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let asked = "http://192.0.2.1/mail: not asked; its destinations come when the agent runs\n";
    assert!(ran.stdout.ends_with(asked), "{ran:?}");
    assert!(ran.stderr.is_empty(), "{ran:?}");
}
