//! Postfix as the exchanger, and `swaks`, which says what it answers.

use std::{
    fmt::Write,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    certificates::{Identity, leaf},
    postfix_master::{Installation, Master},
    program::{at_free_port, find, has_ipv6, on_loopback, output, skip},
};

/// What a `main.cf` needs for an SMTP session.
const MAIN: &str = "\
myhostname = mx1.example.test
mydestination = example.test
local_recipient_maps =
local_transport = discard:
default_transport = error:none
smtpd_peername_lookup = no
notify_classes =
message_size_limit = 7654321
";

/// Lines of `main.cf` that offer STARTTLS with the key and the chain in a file, see
/// [`Identity::write`], and log every handshake.
pub(crate) fn starttls(identity: &Path) -> String {
    format!(
        "smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\nsmtpd_tls_chain_files = {}\n",
        identity.display()
    )
}

/// The same for a server of many names, which shows each to whom asks for it (SNI), and to others
/// one that is nobody's. The files are in `dir`.
pub(crate) fn starttls_by_name<'a>(
    dir: &Path,
    identities: impl Iterator<Item = (String, &'a Identity)>,
) -> String {
    let nobody = dir.join("nobody");
    Identity::self_signed(&leaf(&["nobody.example.test"])).write(&nobody);
    let mut main = starttls(&nobody) + "tls_server_sni_maps = inline:{";
    for (name, identity) in identities {
        let file = dir.join(&name);
        identity.write(&file);
        write!(main, " {name}={},", file.display()).unwrap();
    }
    main + " }\n"
}

/// A running Postfix; dropping it ends all its processes.
pub(crate) struct Postfix {
    master: Master,
    port: u16,
}

impl Postfix {
    /// Listens on 127.0.0.1 and ::1 with these options of `smtpd`, such as
    /// `-o smtpd_banner=hello`. `None` where Postfix is missing or the user is not root, without
    /// whom it does not start.
    pub(crate) fn start(options: &str) -> Option<Self> {
        Self::start_with(options, "")
    }

    /// The same with more lines of `main.cf`.
    pub(crate) fn start_with(options: &str, main: &str) -> Option<Self> {
        let main = MAIN.to_owned() + main;
        let installation = Installation::find()?;
        Some(at_free_port(|port| {
            let mut services = format!("127.0.0.1:{port} inet n - n - - smtpd {options}\n");
            if has_ipv6() {
                writeln!(services, "[::1]:{port} inet n - n - - smtpd {options}").unwrap();
            }
            services += "anvil unix - - n - 1 anvil\n";
            let listens = || on_loopback(port).all(|at| TcpStream::connect(at).is_ok());
            let master = installation.start(&main, &services, listens)?;
            Some(Self { master, port })
        }))
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How its log sums up each session that came as far as EHLO, such as `ehlo=2 starttls=1 quit=1
    /// commands=4`, as soon as there are so many.
    pub(crate) fn sessions(&self, many: usize) -> Vec<String> {
        self.master.wait_for("the ends of sessions", |log| {
            let ends = log.lines().filter_map(|line| {
                let (_, client) = line.split_once(": disconnect from ")?;
                let (_, commands) = client.split_once("] ")?;
                commands.contains("ehlo=").then(|| commands.to_owned())
            });
            let ends: Vec<_> = ends.collect();
            (ends.len() >= many).then_some(ends)
        })
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.master.log()
    }

    /// Where it listens, in each family this host has.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        on_loopback(self.port)
    }
}

/// The `swaks` of this host.
pub(crate) struct Swaks(PathBuf);

impl Swaks {
    /// `None` where it is missing.
    pub(crate) fn find() -> Option<Self> {
        if has_ipv6() {
            let perl = Command::new("perl").args(["-MIO::Socket::INET6", "-e", "1"]).output();
            if !perl.is_ok_and(|perl| perl.status.success()) {
                skip("IO::Socket::INET6 (libio-socket-inet6-perl), which swaks needs, is missing");
                return None;
            }
        }
        find("swaks", "swaks").map(Self)
    }

    /// A session up to EHLO, and QUIT.
    pub(crate) fn session(&self, server: SocketAddr, helo_name: &str) -> Transcript {
        let (ip, port) = (server.ip().to_string(), server.port().to_string());
        let said = output(
            Command::new(&self.0)
                // No ~/.swaksrc.
                .args(["--config", "--server", &ip, "--port", &port])
                .args(["--helo", helo_name, "--quit-after", "EHLO"]),
        );
        Transcript::read(&said)
    }
}

/// What swaks saw.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Transcript {
    /// The replies in their order, each after the command it answers; the banner after none.
    pub(crate) replies: Vec<(String, Reply)>,
    /// Why there was no connection.
    pub(crate) error: String,
}

/// One reply.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// Three digits.
    pub(crate) code: u64,
    /// The text of each line.
    pub(crate) lines: Vec<String>,
}

impl Transcript {
    fn read(said: &str) -> Self {
        let mut transcript = Self::default();
        let (mut command, mut reply) = (String::new(), Reply::default());
        for line in said.lines() {
            if let Some(sent) = line.strip_prefix(" -> ") {
                sent.clone_into(&mut command);
            } else if let Some(received) =
                line.strip_prefix("<-  ").or_else(|| line.strip_prefix("<** "))
            {
                let (code, text) = received.split_at(3);
                reply.code = code.parse().unwrap_or_else(|_| panic!("no reply: {line:?}"));
                let more = text.starts_with('-');
                reply.lines.push(text.get(1..).unwrap_or_default().to_owned());
                if !more {
                    transcript.replies.push((command.clone(), std::mem::take(&mut reply)));
                }
            } else if let Some(error) = line.strip_prefix("*** ") {
                transcript.error.push_str(error);
            }
        }
        transcript
    }
}
