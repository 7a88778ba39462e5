//! DNS over TLS and over HTTPS with Unbound: the answers are those of `dig`, the server is who it
//! says, and its connections are kept.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use mxwatch::{
    config::{self, Resolver},
    facts::{Lookup, LookupStatus, RecordType, Transport},
    name::Domain,
    probe::dns::Resolvers,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{
    LazyConfigAcceptor, TlsAcceptor,
    rustls::{
        self,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use servers::{
    bind::{Bind, Dig},
    certificates::Authority,
    program::free_port,
    unbound::{Abilities, Unbound},
};

/// Whom the certificate of the server is for.
const NAME: &str = "dns.example.net";

const ZONE: &str = "$TTL 300
@    SOA ns hostmaster 1 3600 600 86400 60
@    NS  ns
@    MX  10 mx
ns   A   127.0.0.1
mx   A   127.83.9.1
";

/// Unbound before BIND, with the authority that signed for it.
struct Servers {
    _bind: Bind,
    unbound: Unbound,
    dig: Dig,
    dir: TempDir,
}

impl Servers {
    fn start(names: &[&str]) -> Option<Self> {
        let bind = Bind::start(&[("example.test", Some(ZONE)), ("broken.test", None)])?;
        let (dir, authority) = (TempDir::new().unwrap(), Authority::new("ours"));
        fs::write(dir.path().join("ca.pem"), &authority.pem).unwrap();
        fs::write(dir.path().join("other.pem"), Authority::new("another").pem).unwrap();
        fs::write(dir.path().join("false.pem"), Authority::new("ours").pem).unwrap();
        let (chain, key) = authority.sign(names);
        let abilities = Abilities { certificate: Some((&chain, &key)), ..Abilities::default() };
        let zones = ["example.test", "broken.test"].map(|zone| (zone, bind.ipv4()));
        let unbound = Unbound::start_with(&zones, &abilities)?;
        Some(Self { _bind: bind, unbound, dig: Dig::find()?, dir })
    }

    fn ports(&self) -> [(&'static str, SocketAddr); 2] {
        [("tls", self.unbound.tls()), ("https", self.unbound.https())]
    }

    /// A resolver as a user writes it.
    fn resolver(&self, transport: &str, server: SocketAddr, more: &str) -> Resolver {
        let file = self.dir.path().join("mxwatch.toml");
        let text = format!(
            "helo_name = \"probe.example.test\"\n[[resolver]]\nname = \"test\"\n\
             servers = [\"{server}\"]\ntransport = \"{transport}\"\nattempts = 1\n{more}\n"
        );
        fs::write(&file, text).unwrap();
        let none: [(&str, &str); 0] = [];
        let loaded = config::load(&file, none).unwrap_or_else(|problems| panic!("{problems}"));
        loaded.config.resolvers[0].clone()
    }

    fn resolvers(&self, transport: &str, server: SocketAddr, more: &str) -> Resolvers {
        Resolvers::new(&[self.resolver(transport, server, more)], None)
    }
}

const TRUSTED: &str = "ca_file = \"ca.pem\"\ntls_name = \"dns.example.net\"";

async fn look_up(resolvers: &Resolvers, name: &str, rtype: RecordType) -> Lookup {
    let name = Domain::parse(name).unwrap().query_name();
    resolvers.lookup(&name, rtype, None).await.remove(0)
}

#[tokio::test]
async fn the_answers_are_those_of_dig() {
    let Some(servers) = Servers::start(&[NAME]) else { return };
    for (transport, server) in servers.ports() {
        let resolvers = servers.resolvers(transport, server, TRUSTED);
        for (name, status) in [
            ("mx.example.test", "noerror"),
            ("nowhere.example.test", "nxdomain"),
            ("example.test", "nodata"),
            ("mx.broken.test", "servfail"),
        ] {
            let said = servers.dig.ask_with(&[&format!("+{transport}")], server, name, "A");
            assert_eq!(said.status, status, "dig on {name} over {transport}");
            let lookup = look_up(&resolvers, name, RecordType::A).await;
            let exchange = lookup.deciding().unwrap();
            assert_eq!(
                (exchange.status.label(), &exchange.further.error),
                (status, &None),
                "{lookup:?}"
            );
            assert_eq!(usize::from(exchange.answers), said.records.len());
            let label = serde_json::to_value(exchange.transport).unwrap();
            assert_eq!(label, transport);
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_who_it_should_be_is_not_asked() {
    let Some(servers) = Servers::start(&[NAME]) else { return };
    for (transport, server) in servers.ports() {
        for (more, why) in [
            (
                "ca_file = \"ca.pem\"\ntls_name = \"other.example.net\"",
                "its certificate is not valid for other.example.net, but for dns.example.net",
            ),
            (
                "ca_file = \"ca.pem\"",
                "its certificate is not valid for 127.0.0.1, but for dns.example.net",
            ),
            (
                "ca_file = \"other.pem\"\ntls_name = \"dns.example.net\"",
                "its certificate comes from nobody that is trusted here",
            ),
            (
                "ca_file = \"false.pem\"\ntls_name = \"dns.example.net\"",
                "its certificate is not signed by the authority that it names",
            ),
        ] {
            let resolvers = servers.resolvers(transport, server, more);
            let lookup = look_up(&resolvers, "mx.example.test", RecordType::A).await;
            let [exchange] = &*lookup.exchanges else { panic!("{lookup:?}") };
            assert_eq!(exchange.status, LookupStatus::NetworkError, "{more}");
            assert_eq!(exchange.further.error.as_deref(), Some(why), "{transport} {more}");
        }
    }
}

#[tokio::test]
async fn without_a_name_the_certificate_must_be_for_the_address() {
    let Some(servers) = Servers::start(&["127.0.0.1"]) else { return };
    for (transport, server) in servers.ports() {
        let resolvers = servers.resolvers(transport, server, "ca_file = \"ca.pem\"");
        let lookup = look_up(&resolvers, "mx.example.test", RecordType::A).await;
        assert_eq!(lookup.status(), LookupStatus::Noerror, "{lookup:?}");
    }
}

#[tokio::test]
async fn what_speaks_something_else_is_a_network_error_that_says_so() {
    let Some(servers) = Servers::start(&[NAME]) else { return };
    let [_, (_, https)] = servers.ports();
    let mail = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let clear = mail.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = mail.accept().await.unwrap();
        stream.write_all(b"220 mx.example.test ESMTP\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let nobody = (Ipv4Addr::LOCALHOST, free_port()).into();
    let path = format!("{TRUSTED}\npath = \"/elsewhere\"");
    for (transport, server, more, why) in [
        ("https", https, &*path, "it answers with HTTP status 404 Not Found"),
        ("tls", nobody, TRUSTED, "the connection is refused"),
        ("https", nobody, TRUSTED, "the connection is refused"),
        ("tls", clear, TRUSTED, "what it speaks is not TLS"),
    ] {
        let resolvers = servers.resolvers(transport, server, more);
        let lookup = look_up(&resolvers, "mx.example.test", RecordType::A).await;
        let exchange = &lookup.exchanges[0];
        let seen = (exchange.status, exchange.further.error.as_deref());
        assert_eq!(seen, (LookupStatus::NetworkError, Some(why)), "{transport} {server}");
    }
}

/// Stands between and counts the connections; closes all of them when told.
struct Between {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
    cut: watch::Sender<()>,
}

impl Between {
    async fn new(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (taken, (cut, told)) = (Arc::new(AtomicUsize::new(0)), watch::channel(()));
        let count = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut told = told.clone();
                told.mark_unchanged();
                tokio::spawn(async move {
                    let mut there = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
                        _ = told.changed() => {}
                    }
                });
            }
        });
        Self { address, taken, cut }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn all_lookups_share_a_connection_and_its_end_costs_none_of_them() {
    let Some(servers) = Servers::start(&[NAME]) else { return };
    for (transport, server) in servers.ports() {
        let between = Between::new(server).await;
        let resolvers = servers.resolvers(transport, between.address, TRUSTED);
        let mut at_once = tokio::task::JoinSet::new();
        for place in 0..200 {
            let resolvers = resolvers.clone();
            at_once.spawn(async move {
                look_up(&resolvers, &format!("h{place}.example.test"), RecordType::A).await
            });
        }
        for lookup in at_once.join_all().await {
            assert_eq!(lookup.status(), LookupStatus::Nxdomain, "{lookup:?}");
        }
        assert_eq!(between.taken(), 1, "{transport}: 200 lookups at once");
        look_up(&resolvers, "mx.example.test", RecordType::A).await;
        assert_eq!(between.taken(), 1, "{transport}: it is kept");
        for _ in 0..3 {
            let before = between.taken();
            between.cut.send(()).unwrap();
            let lookup = look_up(&resolvers, "mx.example.test", RecordType::A).await;
            let [exchange] = &*lookup.exchanges else { panic!("{lookup:?}") };
            assert_eq!(exchange.status, LookupStatus::Noerror, "{exchange:?}");
            assert_eq!(between.taken(), before + 1, "{transport}: a new one");
        }
    }
}

#[tokio::test]
async fn a_server_without_udp_is_reached_over_tcp_alone() {
    let Some(servers) = Servers::start(&[NAME]) else { return };
    // Only its TCP half is passed on.
    let between = Between::new(servers.unbound.addresses().next().unwrap()).await;
    for (transport, status, via) in [
        ("udp", LookupStatus::NetworkError, Transport::Udp),
        ("tcp", LookupStatus::Noerror, Transport::Tcp),
    ] {
        let resolvers = servers.resolvers(transport, between.address, "");
        let lookup = look_up(&resolvers, "mx.example.test", RecordType::A).await;
        let exchange = lookup.deciding().unwrap();
        assert_eq!((exchange.status, exchange.transport), (status, via), "{lookup:?}");
        assert!(!exchange.truncated);
    }
}

#[tokio::test]
async fn a_web_server_without_http_2_is_said_to_be_one() {
    let Some(servers) = Servers::start(&[NAME]) else { return };
    let authority = Authority::new("ours");
    fs::write(servers.dir.path().join("ca.pem"), &authority.pem).unwrap();
    let (chain, key) = authority.sign(&[NAME]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = listener.local_addr().unwrap();
    let serve = async { acceptor.accept(listener.accept().await.unwrap().0).await };
    let resolvers = servers.resolvers("https", server, TRUSTED);
    let (_, lookup) = tokio::join!(serve, look_up(&resolvers, "mx.example.test", RecordType::A));
    let why = lookup.exchanges[0].further.error.as_deref();
    assert_eq!(why, Some("the server does not speak HTTP/2"), "{lookup:?}");
}

#[tokio::test]
async fn the_name_is_sent_along_and_an_address_is_not() {
    let authority = Authority::new("ours");
    let Some(servers) = Servers::start(&[NAME]) else { return };
    fs::write(servers.dir.path().join("ca.pem"), &authority.pem).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = listener.local_addr().unwrap();
    for (more, want) in [(TRUSTED, Some(NAME)), ("ca_file = \"ca.pem\"", None)] {
        let resolvers = servers.resolvers("tls", server, more);
        let hello = async {
            let (stream, _) = listener.accept().await.unwrap();
            let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
            hello.await.unwrap().client_hello().server_name().map(str::to_owned)
        };
        let (name, lookup) =
            tokio::join!(hello, look_up(&resolvers, "mx.example.test", RecordType::A));
        assert_eq!(name.as_deref(), want);
        assert_eq!(lookup.status(), LookupStatus::NetworkError, "it hung up: {lookup:?}");
    }
}

#[test]
fn check_asks_over_tls_and_says_how_to_ask_by_hand() {
    let Some(servers) = Servers::start(&[NAME]) else { return };
    for (transport, server) in servers.ports() {
        servers.resolver(transport, server, TRUSTED);
        let output = Command::new(env!("CARGO_BIN_EXE_mxwatch"))
            .args(["check", "--config.file"])
            .arg(servers.dir.path().join("mxwatch.toml"))
            .args(["--port", &free_port().to_string(), "example.test", "broken.test"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("MX    10 mx.example.test"), "{said}");
        let (ip, port) = (server.ip(), server.port());
        let by_hand = format!("$ dig @{ip} -p {port} +{transport} broken.test MX");
        assert!(said.contains(&by_hand), "{by_hand}\n{said}");
    }
}
