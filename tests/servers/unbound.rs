//! Unbound as the recursive resolver between mxwatch and BIND.

use std::{
    fmt::Write,
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
};

use tempfile::TempDir;

use super::{
    bind::Dig,
    program::{Program, at_free_port, find, free_port, has_ipv6, on_loopback, unconfined},
};

/// A running Unbound; dropping it ends it.
pub(crate) struct Unbound {
    _program: Program,
    port: u16,
    tls: u16,
    https: u16,
    _dir: TempDir,
}

/// What it can do beyond looking up.
#[derive(Default)]
pub(crate) struct Abilities<'a> {
    /// Validates, trusting these DNSKEY records.
    pub(crate) anchors: &'a [&'a str],
    /// Speaks TLS and HTTPS with this certificate chain and key, both PEM.
    pub(crate) certificate: Option<(&'a str, &'a str)>,
}

impl Abilities<'_> {
    fn configuration(&self, dir: &TempDir, tls: u16, https: u16) -> String {
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let mut text = "server:\n".to_owned();
        if !self.anchors.is_empty() {
            let anchors = file("anchors", &self.anchors.join("\n"));
            writeln!(text, "    module-config: \"validator iterator\"\n    ede: yes").unwrap();
            writeln!(text, "    trust-anchor-file: \"{anchors}\"").unwrap();
        }
        if let Some((chain, key)) = self.certificate {
            let (chain, key) = (file("chain.pem", chain), file("key.pem", key));
            writeln!(text, "    tls-service-pem: \"{chain}\"\n    tls-service-key: \"{key}\"")
                .unwrap();
            writeln!(text, "    tls-port: {tls}\n    https-port: {https}").unwrap();
            for port in [tls, https] {
                writeln!(text, "    interface: 127.0.0.1@{port}").unwrap();
            }
        }
        text
    }
}

impl Unbound {
    /// Resolves each zone at its server, the rest at the first of them, on 127.0.0.1 and ::1. `None` where
    /// Unbound is missing.
    pub(crate) fn start(stubs: &[(&str, SocketAddr)]) -> Option<Self> {
        Self::start_with(stubs, &Abilities::default())
    }

    /// The same with more that it can.
    pub(crate) fn start_with(
        stubs: &[(&str, SocketAddr)],
        abilities: &Abilities<'_>,
    ) -> Option<Self> {
        let (unbound, dig) = (find("unbound", "unbound")?, Dig::find()?);
        Some(at_free_port(|port| {
            let dir = TempDir::new().unwrap();
            let [tls, https] = [free_port(), free_port()];
            let more = abilities.configuration(&dir, tls, https);
            let token = format!("unbound-{port}-{}", std::process::id());
            let conf = dir.path().join("unbound.conf");
            fs::write(&conf, configuration(&dir, port, &token, stubs) + &more).unwrap();
            let mut command = Command::new(unconfined(&unbound, dir.path()));
            let mut program = Program::start(command.arg("-c").arg(&conf), dir.path());
            let ready =
                program.wait_until(|| on_loopback(port).all(|at| dig.identity(at) == token));
            ready.then_some(Self { _program: program, port, tls, https, _dir: dir })
        }))
    }

    /// Where it speaks TLS.
    pub(crate) fn tls(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.tls).into()
    }

    /// Where it speaks HTTPS.
    pub(crate) fn https(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.https).into()
    }

    /// Where it listens in the clear, in each family this host has.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        on_loopback(self.port)
    }
}

fn configuration(dir: &TempDir, port: u16, token: &str, stubs: &[(&str, SocketAddr)]) -> String {
    let ipv6 = if has_ipv6() { format!("interface: ::1@{port}") } else { String::new() };
    let dir = dir.path().display();
    let mut text = format!(
        r#"server:
    interface: 127.0.0.1@{port}
    {ipv6}
    num-threads: 1
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{dir}"
    pidfile: "{dir}/unbound.pid"
    use-syslog: no
    do-not-query-localhost: no
    module-config: "iterator"
    # One try at an upstream that is gone; minimised names would need another of their own.
    outbound-msg-retry: 1
    qname-minimisation: no
    identity: "{token}"
    # RFC 6761 has resolvers answer NXDOMAIN for test. by themselves.
    local-zone: "test." nodefault
remote-control:
    control-enable: no
"#
    );
    // Never the root servers of the Internet.
    let rest = stubs.first().map(|(_, server)| (".", *server));
    for (zone, server) in stubs.iter().copied().chain(rest) {
        let (ip, port) = (server.ip(), server.port());
        writeln!(text, "stub-zone:\n    name: \"{zone}\"\n    stub-addr: {ip}@{port}").unwrap();
    }
    text
}
