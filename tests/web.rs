//! The HTTP server over real sockets on loopback.

use std::{collections::BTreeMap, io::Read, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use mxwatch::{
    agent::state::{Snapshot, Store, Terms},
    config::{self, Config, Detail},
    metrics::{exposition, own::Own},
    shard::Shard,
    web::{self, Access, App, Limits, OnDemand, ReloadRequest},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

#[path = "servers/chunked.rs"]
mod chunked;
#[allow(dead_code, reason = "shared with the test of the exposition, which needs more of it")]
mod sample;
use sample::destination;

/// Longer than anything here takes; only a hang runs into it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    store: Store,
    config: Arc<ArcSwap<Config>>,
    ready: watch::Sender<bool>,
    on_demand: mpsc::Receiver<OnDemand>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    fn start() -> Self {
        Self::start_with("127.0.0.1:0", |_| {})
    }

    fn start_with(address: &str, change: impl FnOnce(&mut App)) -> Self {
        let (ready, is_ready) = watch::channel(false);
        let (ask, on_demand) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let store = Store::default();
        store.update(|state| *state = sample::snapshot());
        let config = Arc::new(ArcSwap::from_pointee(config()));
        let mut app = App {
            store: store.clone(),
            own: Arc::new(Own::new()),
            config: Arc::clone(&config),
            ready: is_ready,
            listed: watch::channel(true).1,
            reload: None,
            on_demand: ask,
            rendering: Arc::new(Semaphore::new(2)),
            access: Access::open(),
            limits: Limits::default(),
        };
        change(&mut app);
        let listener = web::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(web::serve(vec![listener], Arc::new(app), stopped));
        Self { address, store, config, ready, on_demand, stop, task }
    }

    fn set(&self, change: impl FnOnce(&mut Config)) {
        let mut config = Config::clone(&self.config.load());
        change(&mut config);
        self.config.store(Arc::new(config));
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.ask("GET", path, "").await
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> Response {
        let mut stream = self.connect().await;
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Response::read(&mut stream).await
    }
}

fn config() -> Config {
    let settings = sample::settings(&[]);
    Config {
        probe: config::Probe {
            port: 25,
            interval: settings.interval,
            session: settings.session.clone(),
            policy: settings.policy.clone(),
            policy_port: 443,
            mail_from: settings.mail_from.clone(),
            source_ipv4: None,
            source_ipv6: None,
            public_ipv4: None,
            public_ipv6: None,
        },
        dns: config::Dns {
            timeout: Duration::from_secs(5),
            attempts: 2,
            late_window: Duration::from_secs(5),
            health_interval: Duration::from_secs(15),
        },
        politeness: config::Politeness {
            max_sessions: 1,
            max_sessions_per_provider: 1,
            max_backoff: Duration::from_secs(3600),
        },
        web: config::Web { max_connections: 8, probe_any_target: false },
        metrics: config::Metrics { detail: Detail::Full },
        ..Config::with_helo_name("probe.example.org".into())
    }
}

struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    /// Reads until the server closes.
    async fn read(stream: &mut TcpStream) -> Self {
        let mut all = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("an answer").unwrap();
        let end = all.windows(4).position(|w| w == b"\r\n\r\n").expect("a complete head");
        let head = String::from_utf8(all[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Self { status, head, body: all[end + 4..].to_vec() };
        if response.header("transfer-encoding") == Some("chunked") && !response.body.is_empty() {
            response.body = chunked::content(&response.body);
        }
        response
    }

    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[tokio::test]
async fn metrics_are_one_body_of_probe_and_own_series() {
    let server = Server::start();
    let response = server.get("/metrics").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(response.header("vary"), Some("Accept-Encoding"));
    assert_eq!(response.header("content-encoding"), None);
    let golden = include_str!("golden/metrics.prom");
    assert!(response.text().starts_with(golden), "{}", response.text());
    assert!(response.text().contains("\nmxwatch_destinations 4\n"));

    server.set(|config| config.metrics.detail = Detail::Lean);
    let lean = server.get("/metrics").await;
    assert!(!lean.text().contains("mx_connect_duration_seconds"), "a reload changes the detail");
}

#[tokio::test]
async fn gzip_comes_when_it_is_asked_for_and_unpacks_to_the_same() {
    let server = Server::start();
    let response = server.ask("GET", "/metrics", "Accept-Encoding: br, gzip;q=0.8\r\n").await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&response.body[..]).read_to_string(&mut text).unwrap();
    assert!(text.starts_with(include_str!("golden/metrics.prom")));
    let refused = server.ask("GET", "/metrics", "Accept-Encoding: gzip;q=0\r\n").await;
    assert_eq!(refused.header("content-encoding"), None);
}

/// A snapshot with so many exchangers, about 7 KiB of text each.
fn large(exchangers: usize) -> Snapshot {
    let mut snapshot = sample::snapshot();
    let report = Arc::clone(&snapshot.exchangers[&sample::exchanger("mx1.example.com", 25)]);
    let more = (0..exchangers).map(|n| sample::exchanger(&format!("mx{n}.example.net"), 25));
    snapshot.exchangers.extend(more.map(|mx| (mx, Arc::clone(&report))));
    snapshot
}

fn text_of(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    exposition::write(snapshot, Detail::Full, &mut text).unwrap();
    text
}

/// More than the buffers of two sockets hold.
const MANY: usize = 4_000;

/// A server with many series that makes one answer at a time, and a client that has asked for them and
/// read no more than the first byte. Who has a snapshot shares the terms, by which it is known.
async fn stuck(limit: Duration) -> (Server, TcpStream, Arc<Terms>) {
    let server = Server::start_with("127.0.0.1:0", |app| {
        app.rendering = Arc::new(Semaphore::new(1));
        app.limits.response_time = limit;
        app.store.update(|state| *state = large(MANY));
    });
    let mut stream = server.connect().await;
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'H');
    let terms = server.store.snapshot().terms;
    (server, stream, terms)
}

/// Waits until no more than so many answers are being made: store and test have the terms, too.
async fn until_made(answers: usize, terms: &Arc<Terms>) {
    let ended = async {
        while Arc::strong_count(terms) > 2 + answers {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, ended).await.expect("no more answers are being made");
    assert_eq!(Arc::strong_count(terms), 2 + answers, "no fewer either");
}

#[tokio::test]
async fn a_large_scrape_arrives_whole() {
    let server = Server::start();
    let snapshot = large(100);
    let want = text_of(&snapshot);
    server.store.update(|state| *state = snapshot);
    let response = server.get("/metrics").await;
    assert_eq!(response.header("transfer-encoding"), Some("chunked"), "more than one chunk");
    let (probes, own) = response.text().split_at(want.len());
    assert!(probes == want && own.contains("\nmxwatch_destinations 4\n"), "{own}");

    let zipped = server.ask("GET", "/metrics", "Accept-Encoding: gzip\r\n").await;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&zipped.body[..]).read_to_string(&mut text).unwrap();
    let (probes, own) = text.split_at(want.len());
    assert!(probes == want && own.ends_with('\n'), "{own}");

    let head = server.ask("HEAD", "/metrics", "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    until_made(0, &server.store.snapshot().terms).await;
}

#[tokio::test]
async fn who_does_not_read_keeps_nobody_from_a_scrape() {
    let (server, mut stream, terms) = stuck(PATIENCE).await;
    let want = text_of(&server.store.snapshot());
    let other = server.get("/metrics").await;
    assert!(other.text().starts_with(&want));
    drop(other);
    // The rest of what is not read is not made yet.
    until_made(1, &terms).await;
    let rest = Response::read(&mut stream).await;
    assert!(rest.text().starts_with(&want), "nothing of it is lost");
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_rendering() {
    let (_server, stream, terms) = stuck(PATIENCE).await;
    until_made(1, &terms).await;
    drop(stream);
    until_made(0, &terms).await;
}

#[tokio::test]
async fn a_client_that_reads_in_drips_is_given_up() {
    let (server, mut stream, terms) = stuck(Duration::from_millis(200)).await;
    let whole = text_of(&server.store.snapshot()).len();
    let (mut drip, mut read) = (vec![0; 64 * 1024], 0);
    let mut last = Vec::new();
    while let Ok(length @ 1..) = stream.read(&mut drip).await {
        read += length;
        last = drip[..length].to_vec();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(read < whole && !last.ends_with(b"0\r\n\r\n"), "{read} of {whole}");
    until_made(0, &terms).await;
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start();
    for path in ["/style.css", "/", "/domains/example.com", "/-/healthy"] {
        let get = server.get(path).await;
        let head = server.ask("HEAD", path, "").await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let length: usize = head.header("content-length").unwrap().parse().unwrap();
        assert!(length > 0 && length.abs_diff(get.body.len()) < 10, "{path}: {length}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed_are_told_apart() {
    let server = Server::start();
    for path in ["/nothing", "/metrics/", "/domains/", "/-/", "/domains/example.org"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    assert_eq!(server.ask("POST", "/nothing", "Content-Length: 0\r\n").await.status, 404);
    assert_eq!(server.get("/domains/nodot").await.status, 400);
    for (method, path, allow) in [
        ("POST", "/metrics", "GET, HEAD"),
        ("DELETE", "/domains/example.com", "GET, HEAD"),
        ("GET", "/-/reload", "POST"),
    ] {
        let response = server.ask(method, path, "").await;
        assert_eq!((response.status, response.header("allow")), (405, Some(allow)), "{path}");
    }
}

#[tokio::test]
async fn what_belongs_to_another_shard_is_said_to() {
    let server = Server::start();
    let foreign = destination("elsewhere.example");
    let shard = Shard::new(1, 3).unwrap();
    let other = shard.of(&foreign);
    assert_ne!(other, shard);
    server.set(|config| {
        let own = server.store.snapshot().destinations.keys().cloned().collect::<Vec<_>>();
        let settings = config.default_settings();
        let all = own.into_iter().chain([foreign]);
        let settings = Arc::new(settings);
        config.destinations = all.map(|name| (name, Arc::clone(&settings))).collect();
        config.shard = Some(shard);
    });
    for path in [
        "/domains/elsewhere.example",
        "/api/v1/domains/elsewhere.example",
        "/probe?target=elsewhere.example",
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status, 404, "{path}");
        let belongs = format!("elsewhere.example belongs to {other}");
        assert!(response.text().contains(&belongs), "{path}: {}", response.text());
    }
    server.set(|config| config.web.probe_any_target = true);
    let probed = server.get("/probe?target=elsewhere.example").await;
    assert_eq!(probed.status, 404, "it would be probed twice");
    let unknown = server.get("/domains/nowhere.example").await;
    assert!(unknown.text().contains("is not configured"), "{}", unknown.text());

    let page = server.get("/").await;
    assert!(page.text().contains("<h1>shard 1 of 3: 4 of 5 destinations</h1>"), "{}", page.text());
    let metrics = server.get("/metrics").await;
    for line in ["mxwatch_destinations 4", "mxwatch_destinations_configured 5"] {
        assert!(metrics.text().contains(&format!("\n{line}\n")), "{line}");
    }
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused() {
    let server = Server::start();
    let long = format!("X-Long: {}\r\n", "a".repeat(40_000));
    assert_eq!(server.ask("GET", "/metrics", &long).await.status, 431);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up() {
    let limit = Duration::from_millis(200);
    let server = Server::start_with("127.0.0.1:0", |app| app.limits.head_time = limit);
    let mut stream = server.connect().await;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the server hangs up");
    assert!(began.elapsed() >= limit / 2, "not at once: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let limit = Duration::from_millis(200);
    let server = Server::start_with("127.0.0.1:0", |app| app.limits.response_time = limit);
    server.set(|config| config.web.max_connections = 1);
    let mut stream = server.connect().await;
    // Many requests at once, more answer than the sockets' buffers hold, and no read.
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(4_000);
    let (_unread, mut writer) = stream.split();
    let gone =
        timeout(PATIENCE, async { while writer.write_all(request.as_bytes()).await.is_ok() {} });
    gone.await.expect("the server resets the connection");
    assert_eq!(retried(&server).await, 200, "its place is free again");
}

/// The status of the first request that is not turned away.
async fn retried(server: &Server) -> u16 {
    let answered = async {
        loop {
            let mut stream = server.connect().await;
            let mut all = Vec::new();
            let request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let written = stream.write_all(request).await;
            if written.is_ok() && stream.read_to_end(&mut all).await.is_ok() && !all.is_empty() {
                break String::from_utf8(all).unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
    };
    timeout(PATIENCE, answered).await.expect("a place becomes free")
}

#[tokio::test]
async fn connections_above_the_cap_are_closed_at_once() {
    let server = Server::start();
    server.set(|config| config.web.max_connections = 2);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // The answer shows that it is counted.
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        held.push(stream);
    }
    let mut third = server.connect().await;
    let mut rest = Vec::new();
    let closed = timeout(PATIENCE, third.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(closed.is_err() || rest.is_empty());
    held.pop();
    assert_eq!(retried(&server).await, 200);
}

#[tokio::test]
async fn reload_is_off_by_default() {
    let response = Server::start().ask("POST", "/-/reload", "").await;
    assert_eq!(response.status, 403);
    assert!(response.text().starts_with("Lifecycle API is not enabled."));
}

#[tokio::test]
async fn reload_tells_how_it_went() {
    let (ask, mut requests) = mpsc::channel::<ReloadRequest>(1);
    let server = Server::start_with("127.0.0.1:0", |app| app.reload = Some(ask));
    let agent = tokio::spawn(async move {
        requests.recv().await.unwrap().send(Ok(())).unwrap();
        requests.recv().await.unwrap().send(Err("line 3: unknown key".to_owned())).unwrap();
    });
    assert_eq!(server.ask("POST", "/-/reload", "").await.status, 200);
    let failed = server.ask("POST", "/-/reload", "").await;
    assert_eq!(failed.status, 500);
    assert!(failed.text().contains("line 3: unknown key"), "{}", failed.text());
    agent.await.unwrap();
    assert_eq!(server.ask("POST", "/-/reload", "").await.status, 503, "the agent is gone");
}

#[tokio::test]
async fn ready_follows_the_agent_while_healthy_does_not() {
    let server = Server::start();
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert_eq!(server.get("/-/ready").await.status, 503);
    server.ready.send(true).unwrap();
    assert_eq!(server.get("/-/ready").await.status, 200);
}

#[tokio::test]
async fn a_configured_target_is_answered_from_its_last_round() {
    let server = Server::start();
    let response = server.get("/probe?target=Example.COM.").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(response.text().contains("\nprobe_success 1\n"));
    assert!(!response.text().contains("mxwatch_"), "the agent's own series are on /metrics only");
    let smart_host = server.get("/probe?target=192.0.2.99%3A587").await;
    assert!(smart_host.text().contains("\nprobe_success 0\n"));
}

#[tokio::test]
async fn a_first_round_is_waited_for_but_not_for_ever() {
    let server = Server::start();
    let hurried = "X-Prometheus-Scrape-Timeout-Seconds: 0.6\r\n";
    assert_eq!(server.ask("GET", "/probe?target=new.example", hurried).await.status, 503);
    let round = sample::round(
        vec![sample::mx_lookup("new.example", "local", mxwatch::facts::Route::Null)],
        vec![],
    );
    let report = sample::destination_report(&[], Some(round));
    let (response, ()) = tokio::join!(server.get("/probe?target=new.example"), async {
        tokio::task::yield_now().await;
        server.store.update(|state| state.destinations.insert(destination("new.example"), report));
    });
    assert_eq!(response.status, 200);
    assert!(response.text().contains("mx_domain_finding{domain=\"new.example\""));
}

#[tokio::test]
async fn targets_that_are_not_configured_need_the_users_consent() {
    let mut server = Server::start();
    assert_eq!(server.get("/probe").await.status, 400);
    let bad = server.get("/probe?target=nodot").await;
    assert_eq!(bad.status, 400);
    assert!(bad.text().contains("not a fully qualified mail domain"), "{}", bad.text());
    let closed = server.get("/probe?target=example.org").await;
    assert_eq!(closed.status, 403);
    assert!(closed.text().contains("probe_any_target"), "{}", closed.text());

    server.set(|config| config.web.probe_any_target = true);
    let scanner = server.get("/probe?target=192.0.2.1:22").await;
    assert_eq!(scanner.status, 403, "nobody scans ports through us");
    let mut agent = server.on_demand;
    let answering = tokio::spawn(async move {
        let request = agent.recv().await.unwrap();
        assert_eq!(request.destination, destination("example.org"));
        assert!(request.deadline > Instant::now());
        let round = sample::round(vec![], vec![]);
        let report = sample::destination_report(&[], Some(round));
        let destinations = BTreeMap::from([(request.destination, report)]);
        request.answer.send(Snapshot { destinations, ..Snapshot::default() }).unwrap();
    });
    server.on_demand = mpsc::channel(1).1;
    let live = server.get("/probe?target=example.org").await;
    assert_eq!(live.status, 200);
    assert!(live.text().contains("kind=\"domain\",name=\"example.org\""), "{}", live.text());
    answering.await.unwrap();
    assert_eq!(server.get("/probe?target=example.net").await.status, 503, "the agent is gone");
}

#[tokio::test]
async fn pages_show_what_strangers_sent_as_text_only() {
    let server = Server::start();
    let overview = server.get("/").await;
    let policy = overview.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    assert_eq!(overview.header("x-content-type-options"), Some("nosniff"));
    assert!(overview.text().contains("/domains/192.0.2.99:587"));
    let page = server.get("/domains/192.0.2.99:587").await;
    let escaped = "no &lt;b&gt;thanks&lt;/b&gt; &amp; &quot;goodbye&quot;";
    assert!(page.text().contains(escaped), "{}", page.text());
    assert!(!page.text().contains("<b>"));
    for page in [overview, page] {
        for foreign in ["http://", "https://", "//", "<script", "style="] {
            assert!(!page.text().contains(foreign), "{foreign} in {}", page.text());
        }
    }
}

#[tokio::test]
async fn nothing_is_fetched_from_elsewhere_and_every_answer_has_the_policy() {
    let server = Server::start();
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    let paths = ["/", "/style.css", "/metrics", "/probe?target=example.com", "/probe", "/nothing"];
    let more =
        ["/domains/example.com", "/api/v1/domains", "/api/v1/domains/example.com", "/-/ready"];
    for path in paths.into_iter().chain(more) {
        let answer = server.get(path).await;
        assert_eq!(answer.header("content-security-policy"), Some(policy), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
    assert_eq!(server.ask("POST", "/", "").await.header("content-security-policy"), Some(policy));
    for path in ["/", "/style.css", "/domains/example.com", "/domains/192.0.2.99:587"] {
        let text = server.get(path).await.text().to_lowercase();
        for way in ["url(", "@import", "<script", "<img", "<iframe", "<form", "<base", "src="] {
            assert!(!text.contains(way), "{way} in {path}");
        }
    }
}

/// A server that speaks TLS and waits so long for a handshake.
fn with_tls(handshake_time: Duration) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let identity = rcgen::generate_simple_self_signed(["web.test".to_owned()]).unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("s.crt", &identity.cert.pem());
    file("s.key", &identity.signing_key.serialize_pem());
    file("web.yml", "tls_server_config: {cert_file: s.crt, key_file: s.key}");
    // The files are gone afterwards, which changes nothing.
    Server::start_with("127.0.0.1:0", |app| {
        app.access = Access::load(&folder.path().join("web.yml")).unwrap();
        app.limits.handshake_time = handshake_time;
        app.limits.drain_time = 100 * PATIENCE;
    })
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let limit = Duration::from_millis(200);
    let server = with_tls(limit);
    // Nothing at all, and a record that announces more than what comes.
    for begin in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = server.connect().await;
        stream.write_all(begin).await.unwrap();
        let began = Instant::now();
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it hangs up");
        assert!(began.elapsed() >= limit / 2, "not at once: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_does_not_hold_the_end_up() {
    let server = with_tls(100 * PATIENCE);
    let mut hanging = server.connect().await;
    hanging.write_all(b"\x16").await.unwrap();
    // Connections are accepted in their order: once this one is answered, the other is under way.
    let mut last = server.connect().await;
    last.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(Response::read(&mut last).await.status, 400, "it is told of https");
    server.stop.send(true).unwrap();
    timeout(PATIENCE, server.task).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn the_overview_puts_trouble_first_and_names_it() {
    let server = Server::start();
    let page = server.get("/").await;
    let place = |name: &str| page.text().find(&format!("/domains/{name}")).expect(name);
    assert!(place("192.0.2.99:587") < place("null.example"), "bounced and refusing us");
    assert!(place("null.example") < place("example.com"), "bounced before deferred");
    assert!(place("example.com") < place("new.example"), "deferred before not judged");
    let deferred = "deferred</span> by exchange-2010<div class=\"why\">Since ";
    assert!(page.text().contains(deferred), "{}", page.text());
    assert!(page.text().contains(": an address lookup of an exchanger fails<"));
    assert!(page.text().contains("<li>1 <span class=\"badge bad\">deferred</span>"));
    assert!(
        page.text().contains("IPv6 lookup servfail") || page.text().contains("up, lookup servfail")
    );
    assert!(page.text().contains("IPv6 banner timeout"));
}

#[tokio::test]
async fn a_secondary_resolver_that_is_down_makes_no_destination_look_worse() {
    let server = Server::start();
    let (name, other) = ("null.example", "example.com");
    server.store.update(|state| {
        let late = state.destinations[&destination(other)].standings[0].clone();
        let report = state.destinations.get_mut(&destination(name)).unwrap();
        let mut bounced = report.standings[0].clone();
        bounced.resolver = "backup".into();
        *report = sample::judged(report, vec![late, bounced]);
    });
    let row = async || {
        let page = server.get("/").await.text().to_owned();
        let from = page.find(&format!("/domains/{name}")).unwrap();
        page[from..].split("<tr").next().unwrap().to_owned()
    };
    let told = row().await;
    assert!(told.contains("delivered late") && !told.contains("bounced"), "{told}");
    server.store.update(|state| {
        let backup = state.resolvers.get_mut("backup").unwrap();
        Arc::make_mut(backup).primary = true;
    });
    let told = row().await;
    assert!(told.contains("bounced"), "mail goes by it: {told}");
}

#[tokio::test]
async fn the_page_of_a_domain_lists_certificates_a_line_each() {
    let server = Server::start();
    let page = server.get("/domains/example.com").await;
    let listed = "0 s:CN=mx1.example.com\n  i:CN=Example CA\n  EC P-256, ecdsa-with-SHA256, ";
    assert!(page.text().contains(listed), "{}", page.text());
    assert!(page.text().contains("a certificate for another name (mx1.example.com)"));
}

#[tokio::test]
async fn the_page_of_a_domain_begins_with_the_verdicts() {
    let server = Server::start();
    let page = server.get("/domains/example.com").await;
    let text = page.text();
    let exchange =
        text.find("<h2>exchange-2010 <span class=\"badge bad\">deferred</span>").unwrap();
    let postfix =
        text.find("<h2>postfix <span class=\"badge warn\">delivered late</span>").unwrap();
    assert!(exchange < postfix && postfix < text.find("MX lookup").unwrap());
    for part in [
        "by the answers of local",
        "reason host_dns_temp · via mx2.example.com over IPv4 · 0 s lost · 0 usable exchangers",
        ">2023-11-14 22:13 UTC</time>; what was sent then has been returned, and what is sent now \
         will be after 2 days.",
        "<p>Exchange 2010 would hold the message: the AAAA lookup of mx2.example.com fails",
        "<pre>451 4.4.0 DNS query failed</pre>",
        "<strong>For the destination:</strong>",
        "<h3>Last changes</h3>",
        "delivered</span> → <span class=\"badge bad\">deferred</span>",
        "0 s to 5 min lost · 1 usable exchanger ·",
        "<h3>Chance decides; it may also be</h3>",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let waiting = server.get("/domains/new.example").await;
    assert!(!waiting.text().contains("class=\"verdict\""));
}

#[tokio::test]
async fn the_api_gives_states_and_facts() {
    let server = Server::start();
    let list = server.get("/api/v1/domains").await.json();
    let states: BTreeMap<_, _> = list["domains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["domain"].as_str().unwrap(), d["state"].as_str().unwrap()))
        .collect();
    let want = [
        ("192.0.2.99:587", "refuses_us"),
        ("example.com", "degraded"),
        ("new.example", "waiting"),
        ("null.example", "takes_no_mail"),
    ];
    assert_eq!(states, BTreeMap::from(want));

    let verdicts = &list["domains"][0]["verdicts"];
    assert_eq!(list["domains"][0]["domain"], "example.com");
    let exchange = serde_json::json!({
        "sender": "exchange-2010", "resolver": "local", "outcome": "defer",
        "reason": "host_dns_temp", "since": "2023-11-14T22:13:50Z",
    });
    assert_eq!(verdicts.as_array().unwrap().len(), 2);
    assert_eq!(verdicts[1], exchange);
    assert_eq!(list["domains"][1]["verdicts"], serde_json::json!([]), "not judged yet");

    let one = server.get("/api/v1/domains/example.com").await;
    assert_eq!(one.header("content-type"), Some("application/json"));
    let one = one.json();
    assert_eq!((&one["version"], &one["domain"]), (&1.into(), &"example.com".into()));
    assert_eq!(one["checked_at"], "2023-11-14T22:13:30Z");
    let facts: mxwatch::facts::Facts = serde_json::from_value(one["facts"].clone()).unwrap();
    assert_eq!(facts.exchangers.len(), 2);
    let exchange = &one["verdicts"][1];
    assert_eq!(one["verdicts"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&exchange["sender"], &exchange["outcome"]),
        (&"exchange-2010".into(), &"defer".into())
    );
    assert_eq!(exchange["since"], "2023-11-14T22:13:50Z");
    assert_eq!(exchange["last_change"], "2023-11-14T22:13:50Z");
    assert!(one["verdicts"][0]["last_change"].is_null(), "it has been so all the time");
    let waiting = server.get("/api/v1/domains/new.example").await.json();
    assert!(waiting["facts"].is_null() && waiting["checked_at"].is_null());
}

#[tokio::test]
async fn a_request_that_runs_is_answered_after_the_stop_signal() {
    let (ask, mut requests) = mpsc::channel::<ReloadRequest>(1);
    let server = Server::start_with("127.0.0.1:0", |app| app.reload = Some(ask));
    let mut idle = server.connect().await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let running = requests.recv().await.unwrap();
    server.stop.send(true).unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut rest)).await.expect("idle ones are closed").unwrap();
    running.send(Ok(())).unwrap();
    assert_eq!(Response::read(&mut stream).await.status, 200);
    timeout(PATIENCE, server.task).await.expect("then it ends").unwrap();
}

#[tokio::test]
async fn a_request_that_hangs_does_not_hold_the_end_up() {
    let (ask, mut requests) = mpsc::channel::<ReloadRequest>(1);
    let server = Server::start_with("127.0.0.1:0", |app| {
        app.reload = Some(ask);
        app.limits.drain_time = Duration::from_millis(50);
    });
    let mut stream = server.connect().await;
    stream.write_all(b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let _never_answered = requests.recv().await.unwrap();
    server.stop.send(true).unwrap();
    timeout(PATIENCE, server.task).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn addresses_of_both_families_can_be_listened_on() {
    let ipv4 = Server::start();
    assert_eq!(ipv4.get("/-/healthy").await.status, 200);
    assert_eq!(Server::start_with("localhost:0", |_| {}).get("/-/healthy").await.status, 200);
    for bad in ["", "nonsense", ":nonsense", ":99999", "127.0.0.1"] {
        let error = web::bind(bad).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{bad}: {error}");
        assert!(error.to_string().contains("\":10187\""), "{error}");
    }
    let Ok(listener) = web::bind("[::1]:0") else {
        assert!(std::env::var_os("CI").is_none(), "this host has no IPv6");
        eprintln!("SKIPPED: this host has no IPv6");
        return;
    };
    drop(listener);
    assert_eq!(Server::start_with("[::1]:0", |_| {}).get("/-/healthy").await.status, 200);
    let mut both = Server::start_with(":0", |_| {});
    for host in ["127.0.0.1", "::1"] {
        both.address.set_ip(host.parse().unwrap());
        assert_eq!(both.get("/-/healthy").await.status, 200, "{host}");
    }
}
