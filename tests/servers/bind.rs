//! BIND (`named`) as authoritative server, and `dig`, which says what it answers.

use std::{
    fmt::Write,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::program::{Program, at_free_port, find, on_loopback, output, unconfined};

/// A running BIND; dropping it ends it.
pub(crate) struct Bind {
    program: Program,
    port: u16,
    _dir: TempDir,
}

impl Bind {
    /// Serves the zones by name and text on 127.0.0.1 and ::1. A zone without text has no file, so
    /// that BIND answers SERVFAIL for everything in it. `None` where BIND is missing.
    pub(crate) fn start(zones: &[(&str, Option<&str>)]) -> Option<Self> {
        let (named, dig) = (find("named", "bind9")?, Dig::find()?);
        Some(at_free_port(|port| {
            let listen: Vec<SocketAddr> = on_loopback(port).collect();
            Self::launch(&named, &dig, &listen, zones)
        }))
    }

    /// Serves the zones at port 53 of these addresses, as only a network of the test's own allows.
    pub(crate) fn at(addresses: &[IpAddr], zones: &[(&str, Option<&str>)]) -> Option<Self> {
        let (named, dig) = (find("named", "bind9")?, Dig::find()?);
        let listen: Vec<SocketAddr> = addresses.iter().map(|ip| (*ip, 53).into()).collect();
        Some(Self::launch(&named, &dig, &listen, zones).expect("port 53 is free"))
    }

    fn launch(
        named: &Path,
        dig: &Dig,
        listen: &[SocketAddr],
        zones: &[(&str, Option<&str>)],
    ) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let port = listen[0].port();
        let token = format!("bind-{}-{port}-{}", listen[0].ip(), std::process::id());
        let conf = dir.path().join("named.conf");
        fs::write(&conf, configuration(&dir, listen, &token, zones)).unwrap();
        for (name, text) in zones {
            if let Some(text) = text {
                fs::write(dir.path().join(file(name)), text).unwrap();
            }
        }
        // -g: in the foreground, with its log on standard error.
        let mut command = Command::new(unconfined(named, dir.path()));
        let mut program = Program::start(command.arg("-c").arg(&conf).arg("-g"), dir.path());
        let ready = program.wait_until(|| listen.iter().all(|at| dig.identity(*at) == token));
        ready.then_some(Self { program, port, _dir: dir })
    }

    /// Where it listens in IPv4.
    pub(crate) fn ipv4(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where it listens, in each family this host has.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        on_loopback(self.port)
    }

    /// Stops it where it is (`STOP`) or lets it go on (`CONT`).
    pub(crate) fn signal(&self, signal: &str) {
        self.program.signal(signal);
    }
}

/// The file of a zone; that of the root has a name, too.
fn file(zone: &str) -> String {
    if zone == "." { "root.zone".to_owned() } else { format!("{zone}.zone") }
}

fn configuration(
    dir: &TempDir,
    listen: &[SocketAddr],
    token: &str,
    zones: &[(&str, Option<&str>)],
) -> String {
    let dir = dir.path().display();
    let port = listen[0].port();
    let family = |ipv4: bool| {
        let own = listen.iter().filter(|at| at.is_ipv4() == ipv4);
        let all: Vec<String> = own.map(|at| format!("{};", at.ip())).collect();
        if all.is_empty() { "none;".to_owned() } else { all.join(" ") }
    };
    let (ipv4, ipv6) = (family(true), family(false));
    let mut text = format!(
        r#"options {{
    directory "{dir}";
    managed-keys-directory "{dir}";
    key-directory "{dir}";
    pid-file "named.pid";
    session-keyfile "session.key";
    lock-file none;
    listen-on port {port} {{ {ipv4} }};
    listen-on-v6 port {port} {{ {ipv6} }};
    recursion no;
    allow-query {{ any; }};
    dnssec-validation no;
    empty-zones-enable no;
    server-id "{token}";
}};
controls {{ }};
"#
    );
    for (name, _) in zones {
        writeln!(text, "zone \"{name}\" {{ type primary; file \"{}\"; }};", file(name)).unwrap();
    }
    text
}

/// The `dig` of this host.
pub(crate) struct Dig(PathBuf);

impl Dig {
    /// `None` where it is missing.
    pub(crate) fn find() -> Option<Self> {
        find("dig", "bind9-dnsutils").map(Self)
    }

    /// What the server at this address calls itself, over UDP and TCP; tells it from a stranger.
    pub(crate) fn identity(&self, server: SocketAddr) -> String {
        let ask = |transport: &str| {
            let said = self.run(server, &[transport, "+short", "CH", "TXT", "id.server"]);
            said.trim().trim_matches('"').to_owned()
        };
        let (udp, tcp) = (ask("+notcp"), ask("+tcp"));
        if udp == tcp { udp } else { String::new() }
    }

    /// Asks a question and reads the answer.
    pub(crate) fn ask(&self, server: SocketAddr, name: &str, rtype: &str) -> Answer {
        self.ask_with(&[], server, name, rtype)
    }

    /// The same without recursion.
    pub(crate) fn norecurse(&self, server: SocketAddr, name: &str, rtype: &str) -> Answer {
        self.ask_with(&["+norecurse"], server, name, rtype)
    }

    /// The same with options such as `+cd`.
    pub(crate) fn ask_with(
        &self,
        options: &[&str],
        server: SocketAddr,
        name: &str,
        rtype: &str,
    ) -> Answer {
        let show = ["+noall", "+comments", "+answer", "+authority"];
        // The size that mxwatch announces, so that truncation comes at the same answer.
        let asked = [&show[..], &["+bufsize=1232"], options, &[name, rtype]].concat();
        Answer::read(&self.run(server, &asked), rtype)
    }

    fn run(&self, server: SocketAddr, args: &[&str]) -> String {
        let (at, port) = (format!("@{}", server.ip()), server.port().to_string());
        // No ~/.digrc, no second try.
        let fixed = ["-r", &at, "-p", &port, "+time=1", "+tries=1"];
        output(Command::new(&self.0).args(fixed).args(args))
    }
}

/// What dig said about a question.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    /// The response code in lower case, `nodata` when there is nothing of that type; without any
    /// response `timeout` or `network_error`.
    pub(crate) status: String,
    /// The data of the records of the asked type, sorted.
    pub(crate) records: Vec<String>,
    /// The targets of the aliases on the way, without final dots.
    pub(crate) aliases: Vec<String>,
    /// The lowest TTL, of a negative answer that of RFC 2308 §5.
    pub(crate) ttl: Option<u32>,
    /// The answer came over TCP because that over UDP was truncated.
    pub(crate) truncated: bool,
    /// The AA bit.
    pub(crate) authoritative: bool,
    /// The AD bit.
    pub(crate) authentic: bool,
    /// The codes of the extended errors.
    pub(crate) extended_errors: Vec<u16>,
}

impl Answer {
    fn read(text: &str, rtype: &str) -> Self {
        let mut answer = Self { truncated: text.contains("retrying in TCP"), ..Self::default() };
        let (mut ttls, mut negative, mut code) = (Vec::new(), None, None);
        for line in text.lines() {
            if let Some((_, rest)) = line.split_once("status: ") {
                code = rest.split_once(',').map(|(code, _)| code.to_ascii_lowercase());
            }
            if let Some(flags) = line.strip_prefix(";; flags: ") {
                let flags: Vec<_> = flags.split(';').next().unwrap().split(' ').collect();
                answer.authoritative = flags.contains(&"aa");
                answer.authentic = flags.contains(&"ad");
            }
            if let Some(error) = line.strip_prefix("; EDE: ") {
                let code = error.split(' ').next().unwrap();
                answer.extended_errors.push(code.parse().unwrap());
            }
            let words: Vec<_> = line.split_whitespace().collect();
            if line.starts_with(';') || words.len() < 5 {
                continue;
            }
            let ttl: u32 = words[1].parse().unwrap_or_else(|_| panic!("no TTL in {line:?}"));
            match words[3] {
                "SOA" => negative = Some(ttl.min(words[10].parse().unwrap())),
                "NS" if rtype != "NS" => {}
                "CNAME" => {
                    ttls.push(ttl);
                    answer.aliases.push(words[4].trim_end_matches('.').to_owned());
                }
                _ => {
                    ttls.push(ttl);
                    answer.records.push(words[4..].join(" "));
                }
            }
        }
        answer.records.sort();
        answer.status = match code.as_deref() {
            Some("noerror") if answer.records.is_empty() => "nodata".to_owned(),
            Some(code) => code.to_owned(),
            None if text.contains("connection refused") => "network_error".to_owned(),
            None if text.contains("timed out") => "timeout".to_owned(),
            None => panic!("dig said neither an answer nor why there is none:\n{text}"),
        };
        answer.ttl = match answer.status.as_str() {
            "noerror" => ttls.into_iter().min(),
            "nodata" | "nxdomain" => negative,
            _ => None,
        };
        answer
    }
}
