//! Unbound as the recursive resolver between mxwatch and BIND.

use std::{fmt::Write, fs, net::SocketAddr, process::Command};

use tempfile::TempDir;

use super::{
    bind::Dig,
    program::{Program, at_free_port, find, has_ipv6, on_loopback, unconfined},
};

/// A running Unbound; dropping it ends it.
pub(crate) struct Unbound {
    _program: Program,
    port: u16,
    _dir: TempDir,
}

impl Unbound {
    /// Resolves each zone at its server, the rest at the first of them, on 127.0.0.1 and ::1. `None` where
    /// Unbound is missing.
    pub(crate) fn start(stubs: &[(&str, SocketAddr)]) -> Option<Self> {
        let (unbound, dig) = (find("unbound", "unbound")?, Dig::find()?);
        Some(at_free_port(|port| {
            let dir = TempDir::new().unwrap();
            let token = format!("unbound-{port}-{}", std::process::id());
            let conf = dir.path().join("unbound.conf");
            fs::write(&conf, configuration(&dir, port, &token, stubs)).unwrap();
            let mut command = Command::new(unconfined(&unbound, dir.path()));
            let mut program = Program::start(command.arg("-c").arg(&conf), dir.path());
            let ready =
                program.wait_until(|| on_loopback(port).all(|at| dig.identity(at) == token));
            ready.then_some(Self { _program: program, port, _dir: dir })
        }))
    }

    /// Where it listens, in each family this host has.
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
