//! Postfix as the exchanger, and `swaks`, which says what it answers.

use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::program::{Program, at_free_port, find, has_ipv6, on_loopback, output, skip};

/// Where distributions put the daemons.
const DAEMONS: [&str; 3] =
    ["/usr/lib/postfix/sbin", "/usr/libexec/postfix", "/usr/lib/postfix/bin"];

/// The rest of a `master.cf`: what an SMTP session needs.
const SERVICES: &str = "\
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
";

/// A running Postfix; dropping it ends all its processes.
pub(crate) struct Postfix {
    _program: Program,
    port: u16,
    _dir: TempDir,
}

impl Postfix {
    /// Listens on 127.0.0.1 and ::1 with these options of `smtpd`, such as
    /// `-o smtpd_banner=hello`. `None` where Postfix is missing or the user is not root, without
    /// whom it does not start.
    pub(crate) fn start(options: &str) -> Option<Self> {
        let postfix = find("postfix", "postfix")?;
        let Some(daemons) = DAEMONS.iter().map(Path::new).find(|dir| dir.join("master").is_file())
        else {
            skip("master (postfix) is in no directory known");
            return None;
        };
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            skip("Postfix starts as root only");
            return None;
        }
        Some(at_free_port(|port| {
            let dir = TempDir::new().unwrap();
            // Its daemons run as another user.
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            let conf = configure(dir.path(), daemons, port, options);
            let said = output(Command::new(&postfix).arg("-c").arg(&conf).arg("check"));
            assert!(!said.contains("fatal"), "{said}");
            let mut master = Command::new(daemons.join("master"));
            let mut program = Program::start(master.arg("-c").arg(&conf).arg("-d"), dir.path());
            let log = dir.path().join("maillog");
            let ready = program.wait_until(|| {
                let started = fs::read_to_string(&log).is_ok_and(|l| l.contains("daemon started"));
                started && on_loopback(port).all(|at| std::net::TcpStream::connect(at).is_ok())
            });
            ready.then_some(Self { _program: program, port, _dir: dir })
        }))
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, in each family this host has.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        on_loopback(self.port)
    }
}

/// Writes the configuration; the directory it is in.
fn configure(dir: &Path, daemons: &Path, port: u16, options: &str) -> PathBuf {
    let conf = dir.join("conf");
    for sub in ["conf", "spool", "data"] {
        fs::create_dir(dir.join(sub)).unwrap();
    }
    let said = output(Command::new("chown").arg("postfix").arg(dir.join("data")));
    assert_eq!(said, "", "the user postfix must exist");
    let (dir, daemons) = (dir.display(), daemons.display());
    let main = format!(
        "\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = mx1.example.test
mydestination = example.test
inet_interfaces = 127.0.0.1
inet_protocols = all
alias_maps =
alias_database =
local_recipient_maps =
local_transport = discard:
default_transport = error:none
smtpd_peername_lookup = no
message_size_limit = 7654321
maillog_file = {dir}/maillog
maillog_file_prefixes = {dir}
"
    );
    let mut master = format!("127.0.0.1:{port} inet n - n - - smtpd {options}\n");
    if has_ipv6() {
        writeln!(master, "[::1]:{port} inet n - n - - smtpd {options}").unwrap();
    }
    fs::write(conf.join("main.cf"), main).unwrap();
    fs::write(conf.join("master.cf"), master + SERVICES).unwrap();
    conf
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
