//! A real program beside the tests: found, started, waited for, ended.

use std::{
    env, fs,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longer than any server takes to start or end; only a hang runs into it.
const PATIENCE: Duration = Duration::from_secs(30);
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(20);

/// Where a program is. Without it the test is skipped and `None` comes back, except under
/// `CI=true`, where a missing program is a failure.
pub(crate) fn find(program: &str, package: &str) -> Option<PathBuf> {
    find_one_of(&[program], package)
}

/// The same for a program that goes by several names.
pub(crate) fn find_one_of(programs: &[&str], package: &str) -> Option<PathBuf> {
    // Servers live in sbin, which is not in everybody's PATH.
    let path = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let dirs = env::split_paths(&path).chain(sbin);
    let found = dirs.flat_map(|dir| programs.iter().map(move |program| dir.join(program)));
    let found = found.into_iter().find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{} ({package}) is not installed", programs.join(" or ")));
    }
    found
}

/// A copy of a program in `dir`. Ubuntu's AppArmor profiles bind BIND and Unbound, by their paths,
/// to the directories of the system service, of which the tests use none.
pub(crate) fn unconfined(program: &Path, dir: &Path) -> PathBuf {
    let copy = dir.join(program.file_name().unwrap());
    fs::copy(program, &copy).unwrap();
    copy
}

/// Says why a test does not run; under `CI=true` that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "CI=true, but {why}");
    note(&format!("skipped: {why}"));
}

/// Says something that is seen of a test that passes, too: only the print macros are captured.
pub(crate) fn note(what: &str) {
    let mut stderr = io::stderr();
    writeln!(stderr, "{what}").unwrap();
}

/// A port that nothing used a moment ago, over UDP and TCP and in both families.
pub(crate) fn free_port() -> u16 {
    let common = || {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let port = first.local_addr().ok()?.port();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        if has_ipv6() {
            TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok()?;
            UdpSocket::bind((Ipv6Addr::LOCALHOST, port)).ok()?;
        }
        Some(port)
    };
    (0..100).find_map(|_| common()).expect("no port is free over UDP and TCP in both families")
}

/// Whether this host has an IPv6 loopback.
pub(crate) fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// This port in each family that this host has.
pub(crate) fn on_loopback(port: u16) -> impl Iterator<Item = SocketAddr> {
    let ipv6 = has_ipv6().then_some(IpAddr::from(Ipv6Addr::LOCALHOST));
    let all = [Some(IpAddr::from(Ipv4Addr::LOCALHOST)), ipv6];
    all.into_iter().flatten().map(move |ip| (ip, port).into())
}

/// A running program; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    name: String,
    output: PathBuf,
}

impl Program {
    /// Starts `command` with its output in a file of `dir`, as leader of a process group.
    pub(crate) fn start(command: &mut Command, dir: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = dir.join("output");
        let file = fs::File::create(&output).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        command.process_group(0);
        let until = Instant::now() + PATIENCE;
        let child = loop {
            match command.spawn() {
                Ok(child) => break child,
                // A program that was copied just now is still open for writing in whatever another
                // thread is starting at this moment.
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy
                        && Instant::now() < until =>
                {
                    thread::sleep(PAUSE);
                }
                Err(error) => panic!("{name}: {error}"),
            }
        };
        Self { child, name, output }
    }

    /// Waits until `ready`. `false` when the program ended before that, as one does that found its
    /// port taken.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> bool {
        let until = Instant::now() + PATIENCE;
        while !ready() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < until, "{} is not ready:\n{}", self.name, self.said());
            thread::sleep(PAUSE);
        }
        true
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Sends it and all it started a signal, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let status = Command::new("kill").args(["-s", signal, "--", &group]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -s {signal} -- {group}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What ended by itself is no group to be killed any more.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("KILL");
        }
        let _ = self.child.wait();
    }
}

/// Starts a server at a free port, anew when somebody was faster at that port.
pub(crate) fn at_free_port<T>(mut start: impl FnMut(u16) -> Option<T>) -> T {
    (0..5).find_map(|_| start(free_port())).expect("a server that keeps running at a free port")
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
