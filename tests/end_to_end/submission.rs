//! Smart hosts that want a password, served with TLS by a script of this file. A real submission server
//! would need a whole SASL service beside Postfix; what counts here is what goes over the wire, and
//! what a server may do with it.

use std::{
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
};

use mxwatch::world::World;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::{
    config::Config,
    harness::{ANCHORS, Agent, CONFIG, program, run_command, wait_until},
};

/// The password, and each form of it that may go over the wire.
const PASSWORD: &str = "correct-horse-7";
const FORMS: [&str; 3] =
    [PASSWORD, "Y29ycmVjdC1ob3JzZS03", "AHByb2JlQGV4YW1wbGUubmV0AGNvcnJlY3QtaG9yc2UtNw=="];
const USERNAME: &str = "probe@example.net";

/// How a submission server behaves.
#[derive(Clone, Copy, Default)]
struct Manners {
    /// TLS from the first octet on.
    implicit: bool,
    /// What it offers after AUTH over TLS.
    mechanisms: &'static str,
    /// Never offers STARTTLS.
    plain_only: bool,
    /// Refuses every password, and says it again.
    refuses: bool,
}

/// A running one; dropping it ends it.
struct Submission {
    addr: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
    /// Its certificate, PEM.
    certificate: String,
    task: JoinHandle<()>,
}

impl Submission {
    async fn start(last: u8, manners: Manners) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 90, 61, last], 0))).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, certificate) = acceptor(&addr.ip().to_string());
        let heard = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, heard) = (acceptor.clone(), Arc::clone(&heard));
                tokio::spawn(async move {
                    if manners.implicit {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            talk(stream, manners, true, true, &heard).await;
                        }
                    } else if let Some(stream) = talk(stream, manners, false, true, &heard).await
                        && let Ok(stream) = acceptor.accept(stream).await
                    {
                        talk(stream, manners, true, false, &heard).await;
                    }
                });
            }
        });
        Self { addr, received, certificate, task }
    }

    /// Every line that came, after a `tls ` where it came encrypted.
    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What serves with a certificate for this address, and the certificate in PEM.
fn acceptor(address: &str) -> (TlsAcceptor, String) {
    let key = rcgen::generate_simple_self_signed(vec![address.to_owned()]).unwrap();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), key.cert.pem())
}

/// Talks until the client leaves, or wants TLS: then gives the stream back.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    manners: Manners,
    encrypted: bool,
    greets: bool,
    received: &Mutex<Vec<String>>,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.write_all(b"220 relay.test ESMTP\r\n").await.ok()?;
    }
    let mut prompts: Vec<&str> = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        let mark = if encrypted { "tls " } else { "" };
        received.lock().unwrap().push(format!("{mark}{line}"));
        let clear = if line.contains(FORMS[2]) { PASSWORD } else { "another one" };
        let refusal = format!("535 5.7.8 wrong: {line}, which is {clear}");
        let done = if manners.refuses { &*refusal } else { "235 2.7.0 welcome" };
        let reply = if let Some(next) = prompts.pop() {
            if next.is_empty() { done } else { next }.to_owned()
        } else {
            match line.split(' ').next().unwrap_or_default() {
                "EHLO" if encrypted && manners.mechanisms.is_empty() => "250 relay.test".to_owned(),
                "EHLO" if encrypted => {
                    format!("250-relay.test\r\n250 AUTH {}", manners.mechanisms)
                }
                "EHLO" if manners.plain_only => "250-relay.test\r\n250 AUTH PLAIN".to_owned(),
                "EHLO" => "250-relay.test\r\n250 STARTTLS".to_owned(),
                "STARTTLS" => {
                    stream.write_all(b"220 go ahead\r\n").await.ok()?;
                    return Some(stream.into_inner());
                }
                "AUTH" if line.starts_with("AUTH LOGIN") => {
                    prompts = vec!["", "334 UGFzc3dvcmQ6"];
                    "334 VXNlcm5hbWU6".to_owned()
                }
                "AUTH" => done.to_owned(),
                "QUIT" => {
                    let _ = stream.write_all(b"221 2.0.0 bye\r\n").await;
                    return None;
                }
                _ => "250 2.1.5 ok".to_owned(),
            }
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
}

/// A configuration with this smart host, its password and its certificate beside it in the folder.
fn config(world: &World, server: &Submission, folder: &Path, keys: &str) -> String {
    let addr = server.addr;
    fs::write(folder.join(ANCHORS), &server.certificate).unwrap();
    let password = folder.join("relay.password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
    let destination = format!(
        "[[destination]]\nsmarthost = \"{addr}\"\nusername = \"{USERNAME}\"\n\
         password_file = {:?}\n{keys}",
        password.display().to_string()
    );
    let log = format!("connectivity_log = {:?}", folder.join("log.jsonl").display().to_string());
    Config::of(world).top(&log).section(&destination).text()
}

/// What `check` gives for the smart host: output, errors and the exit status in one.
async fn check(folder: &Path, config: &str, addr: SocketAddr, flag: &str) -> String {
    let file = folder.join("check.toml");
    fs::write(&file, config).unwrap();
    let mut command = program();
    command.env("SSL_CERT_FILE", folder.join(ANCHORS));
    command.args(["check", flag, &format!("--config.file={}", file.display()), &addr.to_string()]);
    let ran = tokio::task::spawn_blocking(move || run_command(command)).await.unwrap();
    format!("{}\n{}", ran.stdout, ran.stderr)
}

fn assert_no_secret(what: &str, text: &str) {
    for form in FORMS {
        assert!(!text.contains(form), "{form} in {what}:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_goes_over_tls_by_the_best_mechanism() {
    let world = World::builder().zone("$ORIGIN test.\n").unwrap().start().await.unwrap();
    let plain = ["tls AUTH PLAIN AHByb2JlQGV4YW1wbGUubmV0AGNvcnJlY3QtaG9yc2UtNw=="];
    let login = ["tls AUTH LOGIN", "tls cHJvYmVAZXhhbXBsZS5uZXQ=", "tls Y29ycmVjdC1ob3JzZS03"];
    let cases: [(bool, &str, &str, &[&str]); 3] = [
        (false, "LOGIN PLAIN", "", &plain),
        (false, "LOGIN XOAUTH2", "", &login),
        (true, "PLAIN", "tls = \"implicit\"", &plain),
    ];
    for (implicit, mechanisms, keys, auth) in cases {
        let manners = Manners { implicit, mechanisms, ..Manners::default() };
        let server = Submission::start(1, manners).await;
        let folder = tempfile::tempdir().unwrap();
        let keys = format!("{keys}\nrecipient = \"someone@example.com\"");
        let config = config(&world, &server, folder.path(), &keys);
        let told = check(folder.path(), &config, server.addr, "--transcript").await;
        let mut wanted = vec!["EHLO probe.example.org", "STARTTLS", "tls EHLO probe.example.org"];
        if implicit {
            wanted.drain(..2);
        }
        wanted.extend(auth);
        wanted.extend([
            "tls MAIL FROM:<>",
            "tls RCPT TO:<someone@example.com>",
            "tls RSET",
            "tls QUIT",
        ]);
        assert_eq!(server.received(), wanted, "{told}");
        assert!(
            told.contains(&format!(
                "> {} ***",
                if auth.len() == 1 { "AUTH PLAIN" } else { "AUTH LOGIN" }
            )),
            "{told}"
        );
        assert!(told.contains("235 2.7.0 welcome") && told.contains("up "), "{told}");
        assert_no_secret("the transcript", &told);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_never_goes_in_plain_text() {
    let world = World::builder().zone("$ORIGIN test.\n").unwrap().start().await.unwrap();
    let plain_only = Manners { plain_only: true, ..Manners::default() };
    let without_auth = Manners::default();
    for (manners, stage) in [(plain_only, "starttls"), (without_auth, "auth")] {
        let server = Submission::start(2, manners).await;
        let folder = tempfile::tempdir().unwrap();
        let config = config(&world, &server, folder.path(), "");
        let json = check(folder.path(), &config, server.addr, "--json").await;
        let document: serde_json::Value =
            serde_json::from_str(json.lines().next().unwrap()).unwrap();
        let failure = &document["facts"]["exchangers"][0]["sessions"][0]["failure"];
        assert_eq!(failure["stage"], stage, "{json}");
        assert_eq!(failure["reason"], "not_offered", "{json}");
        assert!(!server.received().iter().any(|line| line.contains("AUTH")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_not_given_to_a_server_that_nobody_vouches_for() {
    let world = World::builder().zone("$ORIGIN test.\n").unwrap().start().await.unwrap();
    let server = Submission::start(4, Manners { mechanisms: "PLAIN", ..Manners::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let config = config(&world, &server, folder.path(), "recipient = \"a@example.com\"");
    // Another one's certificate is trusted, and this server's is not.
    fs::write(folder.path().join(ANCHORS), acceptor("127.90.61.4").1).unwrap();
    let told = check(folder.path(), &config, server.addr, "--transcript").await;
    let wanted = ["EHLO probe.example.org", "STARTTLS", "tls EHLO probe.example.org", "tls QUIT"];
    assert_eq!(server.received(), wanted, "{told}");
    assert!(told.contains("auth untrusted"), "{told}");
    assert!(told.contains("was not given the password"), "{told}");
    assert!(told.contains("postfix        delivers"), "most senders do not look: {told}");
}

/// The worst there is: the password is refused, and the server says it to us again in every form.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_ever_shown() {
    let world = World::builder().zone("$ORIGIN test.\n").unwrap().start().await.unwrap();
    let manners = Manners { mechanisms: "PLAIN LOGIN", refuses: true, ..Manners::default() };
    let server = Submission::start(3, manners).await;
    for format in ["logfmt", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&world, &server, folder.path(), "recipient = \"a@example.com\"");
        for flag in ["--transcript", "--json", "--color=always"] {
            let told = check(folder.path(), &config, server.addr, flag).await;
            assert!(told.contains("535"), "{told}");
            assert_no_secret(flag, &told);
        }
        let flag = format!("--log.format={format}");
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(CONFIG), &config).unwrap();
        fs::write(home.path().join(ANCHORS), &server.certificate).unwrap();
        let mut agent = Agent::start_in(home, &[&flag, "--log.level=debug"]);
        let name = server.addr.to_string();
        agent.scrape_until("a login that is refused", |scrape| {
            let of = [("mx", &*name), ("stage", "auth"), ("reason", "reply_5xx")];
            scrape.value("mx_exchanger_failure", &of) == Some(1.0)
        });
        // A reload reads the password again, and another one is tried at once.
        fs::write(folder.path().join("relay.password"), "battery-staple-9\n").unwrap();
        agent.signal("HUP");
        wait_until("the new password", || {
            let other = "tls AUTH PLAIN AHByb2JlQGV4YW1wbGUubmV0AGJhdHRlcnktc3RhcGxlLTk=";
            server.received().iter().any(|line| line == other).then_some(())
        });
        let cmdline = fs::read_to_string(format!("/proc/{}/cmdline", agent.pid())).unwrap();
        let environ = fs::read_to_string(format!("/proc/{}/environ", agent.pid())).unwrap();
        let mut shown = vec![("cmdline", cmdline), ("environ", environ)];
        for path in [
            "/metrics",
            "/",
            &format!("/domains/{name}"),
            "/api/v1/domains",
            &format!("/api/v1/domains/{name}"),
            &format!("/probe?target={name}"),
        ] {
            let reply = agent.get(path);
            assert_eq!(reply.status, 200, "{path}");
            shown.push(("a page", reply.body));
        }
        let (status, _) = agent.terminate();
        assert_eq!(status.code(), Some(0));
        shown.push(("the log", agent.log().join("\n")));
        shown.push(("the output", agent.output().join("\n")));
        shown.push((
            "the connectivity log",
            fs::read_to_string(folder.path().join("log.jsonl")).unwrap(),
        ));
        for (what, text) in &shown {
            assert_no_secret(what, text);
            assert!(!text.contains("battery-staple"), "{what}: {text}");
        }
        let connectivity = &shown.last().unwrap().1;
        assert!(connectivity.contains("535") && connectivity.contains("***"), "{connectivity}");
    }
}
