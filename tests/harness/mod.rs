//! Drives the real binary: starts it with a configuration, reads its log and its pages, ends it.
//!
//! [`Agent::start`] runs the agent (or [`Agent::demo`] the demo) on a free port of 127.0.0.1;
//! dropping it kills the process. [`run`] runs a command that ends by itself. Whatever a test
//! waits for is an event with a generous limit; when it does not come, and whenever a test fails
//! while an [`Agent`] lives, command, configuration, log and last scrape are printed.

#[path = "../servers/chunked.rs"]
mod chunked;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longer than anything here takes on a busy machine; only what never happens runs into it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often is looked whether something has happened.
const GLANCE: Duration = Duration::from_millis(20);

/// The name of the configuration in the folder of an [`Agent`].
pub(crate) const CONFIG: &str = "mxwatch.toml";

/// The name of the authorities that an [`Agent`] trusts, PEM, where they are in its folder.
pub(crate) const ANCHORS: &str = "anchors.pem";

/// The program under test, with nothing of this process's environment but the search path.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxwatch"));
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

/// Waits until `happened` gives something, and returns it.
pub(crate) fn wait_until<T>(what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = happened() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for: {what}");
        thread::sleep(GLANCE);
    }
}

/// A running agent or demo.
pub(crate) struct Agent {
    child: Child,
    command: String,
    folder: TempDir,
    log: Lines,
    output: Lines,
    addresses: Vec<SocketAddr>,
    last_scrape: Mutex<String>,
}

/// Lines that a thread collects.
type Lines = Arc<Mutex<Vec<String>>>;

impl Agent {
    /// Starts the agent with this configuration and waits until it listens.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with further flags; a `--web.listen-address` among them replaces the usual one.
    pub(crate) fn start_with(config: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CONFIG), config).unwrap();
        Self::start_in(folder, flags)
    }

    /// The same in a folder that holds [`CONFIG`] and whatever else is needed.
    pub(crate) fn start_in(folder: TempDir, flags: &[&str]) -> Self {
        let mut args = vec![format!("--config.file={}", folder.path().join(CONFIG).display())];
        if !flags.iter().any(|flag| flag.starts_with("--web.listen-address")) {
            args.push("--web.listen-address=127.0.0.1:0".to_owned());
        }
        args.extend(flags.iter().map(|&flag| flag.to_owned()));
        Self::spawn(folder, &args)
    }

    /// Starts the demo and waits until it listens.
    pub(crate) fn demo(flags: &[&str]) -> Self {
        let mut args = vec!["demo".to_owned(), "--log.level=info".to_owned()];
        args.extend(flags.iter().map(|&flag| flag.to_owned()));
        Self::spawn(tempfile::tempdir().unwrap(), &args)
    }

    fn spawn(folder: TempDir, args: &[String]) -> Self {
        let mut command = program();
        command.args(args).current_dir(folder.path());
        if folder.path().join(ANCHORS).exists() {
            command.env("SSL_CERT_FILE", folder.path().join(ANCHORS));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = format!("{command:?}");
        let mut child = command.spawn().unwrap();
        let log = collect(child.stderr.take().unwrap());
        let output = collect(child.stdout.take().unwrap());
        let (addresses, last_scrape) = (Vec::new(), Mutex::default());
        let mut agent = Self { child, command: shown, folder, log, output, addresses, last_scrape };
        let wanted = args.iter().filter(|arg| arg.starts_with("--web.listen-address")).count();
        let wanted = wanted.max(1);
        let begun = Instant::now();
        loop {
            agent.addresses = lock(&agent.log).iter().filter_map(|line| listening(line)).collect();
            if agent.addresses.len() >= wanted {
                return agent;
            }
            let ended = agent.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended before it listened: {ended:?}");
            assert!(begun.elapsed() < PATIENCE, "it does not listen");
            thread::sleep(GLANCE);
        }
    }

    /// Where it serves HTTP, the first address first.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it serves HTTP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder it runs in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into its folder by renaming, so that no half of it is ever seen.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let (path, new) = (self.path(name), self.path(".being-written"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// The lines of its log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        lock(&self.log).clone()
    }

    /// The lines of its log so far that hold all these parts.
    pub(crate) fn log_with(&self, parts: &[&str]) -> Vec<String> {
        let mut lines = self.log();
        lines.retain(|line| parts.iter().all(|part| line.contains(part)));
        lines
    }

    /// The lines of its standard output so far.
    pub(crate) fn output(&self) -> Vec<String> {
        lock(&self.output).clone()
    }

    /// GET.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[])
    }

    /// POST without a body.
    pub(crate) fn post(&self, path: &str) -> Reply {
        self.request("POST", path, &[("Content-Length", "0")])
    }

    /// Any request, at the first address.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let reply = request(self.address(), method, path, headers);
        reply.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// What Prometheus would scrape now.
    ///
    /// # Panics
    ///
    /// When a sample appears twice or a line is none.
    pub(crate) fn scrape(&self) -> Scrape {
        let reply = self.get("/metrics");
        assert_eq!(reply.status, 200, "{}", reply.body);
        lock(&self.last_scrape).clone_from(&reply.body);
        Scrape::parse(&reply.body)
    }

    /// Scrapes until a scrape is as wanted, and returns it.
    pub(crate) fn scrape_until(&self, what: &str, wanted: impl Fn(&Scrape) -> bool) -> Scrape {
        wait_until(what, || Some(self.scrape()).filter(&wanted))
    }

    /// Waits for a line of the log that holds all these parts.
    pub(crate) fn wait_for_log(&self, parts: &[&str]) -> String {
        wait_until(&format!("a log line with {parts:?}"), || {
            self.log_with(parts).into_iter().next()
        })
    }

    /// Waits until every destination had its first round.
    pub(crate) fn wait_ready(&self) {
        wait_until("ready", || (self.get("/-/ready").status == 200).then_some(()));
    }

    /// Sends a signal, such as "HUP".
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.unwrap().success(), "kill -s {name}");
    }

    /// Sends SIGTERM and waits for the end: how it ended and after how long.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.end_with("TERM")
    }

    /// The same with another signal.
    pub(crate) fn end_with(&mut self, signal: &str) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.signal(signal);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, begun.elapsed());
            }
            assert!(begun.elapsed() < PATIENCE, "it lives on after SIG{signal}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if thread::panicking() {
            let config = std::fs::read_to_string(self.path(CONFIG)).unwrap_or_default();
            let (log, output) = (self.log().join("\n"), self.output().join("\n"));
            let scrape = lock(&self.last_scrape).clone();
            eprintln!(
                "--- command\n{}\n--- configuration\n{}\n--- last scrape\n{}\n--- output\n{}\n--- log\n{}",
                self.command,
                shortened(&config),
                shortened(&scrape),
                shortened(&output),
                shortened(&log),
            );
        }
        // It may have ended already; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Begin and end of a long text.
fn shortened(text: &str) -> String {
    const KEPT: usize = 200;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= 2 * KEPT {
        return text.to_owned();
    }
    let (first, last) = (&lines[..KEPT], &lines[lines.len() - KEPT..]);
    format!("{}\n[{} lines]\n{}", first.join("\n"), lines.len() - 2 * KEPT, last.join("\n"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Collects lines until the other side closes.
fn collect(from: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let collected = Arc::clone(&lines);
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            lock(&collected).push(text.trim_end_matches('\n').to_owned());
            line.clear();
        }
    });
    lines
}

/// The address in a log line that tells of one, in either format.
fn listening(line: &str) -> Option<SocketAddr> {
    let (start, end) = if line.contains("message=listening") {
        ("address=", ' ')
    } else if line.contains(r#""message":"listening""#) {
        (r#""address":""#, '"')
    } else {
        return None;
    };
    let (_, rest) = line.split_once(start)?;
    rest.trim_start_matches('"').split([end, '"']).next()?.parse().ok()
}

/// What an HTTP server answered.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The header fields as they came.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

/// One HTTP request over a connection of its own.
pub(crate) fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for field in headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]) {
        text.push_str(field);
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(all.len());
    let (head, body) = all.split_at(end);
    let (head, body) = (String::from_utf8_lossy(head), body.get(4..).unwrap_or_default());
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let in_chunks = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    let body = if in_chunks { chunked::content(body) } else { body.to_vec() };
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Reply { status, head: head.into_owned(), body })
}

/// The samples of one scrape.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    samples: Vec<Sample>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The name, with the suffix of a histogram's series.
    pub(crate) name: String,
    /// The labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// The value.
    pub(crate) value: f64,
}

impl Sample {
    /// Whether it carries all these labels; it may have others besides.
    pub(crate) fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.labels.get(*name).is_some_and(|v| v == value))
    }

    /// The value of a label, empty when it has none.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<_> = self.labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
        write!(f, "{}{{{}}} {}", self.name, labels.join(","), self.value)
    }
}

impl Scrape {
    /// Reads the text format.
    ///
    /// # Panics
    ///
    /// When a sample appears twice or a line is none.
    pub(crate) fn parse(text: &str) -> Self {
        let mut seen = BTreeSet::new();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let samples = lines.map(|line| {
            let sample = sample(line).unwrap_or_else(|| panic!("no sample: {line}"));
            let new = seen.insert((sample.name.clone(), sample.labels.clone()));
            assert!(new, "the sample appears twice: {line}");
            sample
        });
        Self { samples: samples.collect() }
    }

    /// Every sample.
    pub(crate) fn all(&self) -> &[Sample] {
        &self.samples
    }

    /// The samples of this name with at least these labels.
    pub(crate) fn matching(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.name == name && sample.has(labels)).collect()
    }

    /// The only sample of this name with at least these labels, if there is one.
    ///
    /// # Panics
    ///
    /// When several are meant.
    pub(crate) fn sample(&self, name: &str, labels: &[(&str, &str)]) -> Option<&Sample> {
        let found = self.matching(name, labels);
        assert!(found.len() <= 1, "several samples {name} {labels:?}: {found:?}");
        found.first().copied()
    }

    /// Its value.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.sample(name, labels).map(|sample| sample.value)
    }

    /// The sum of the values of all samples of this name with at least these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).iter().map(|sample| sample.value).sum()
    }

    /// Whether any sample has this value in any label.
    pub(crate) fn mentions(&self, value: &str) -> bool {
        self.samples.iter().any(|sample| sample.labels.values().any(|v| v == value))
    }
}

/// Reads `name{label="value",…} number`.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, value) = rest.trim_start_matches(',').split_once("=\"")?;
            let mut text = String::new();
            let mut characters = value.char_indices();
            let length = loop {
                match characters.next()? {
                    (at, '"') => break at + 1,
                    (_, '\\') => match characters.next()?.1 {
                        'n' => text.push('\n'),
                        other => text.push(other),
                    },
                    (_, other) => text.push(other),
                }
            };
            if labels.insert(label.to_owned(), text).is_some() {
                return None;
            }
            rest = &value[length..];
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// What a command that ended left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit status, `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Runs the program to its end; kills it when it takes too long.
pub(crate) fn run(args: &[&str]) -> Ran {
    let mut command = program();
    command.args(args);
    run_command(command)
}

/// The same with a command prepared elsewhere.
pub(crate) fn run_command(mut command: Command) -> Ran {
    let shown = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let took = begun.elapsed();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let Some(status) = status else {
        panic!("{shown} does not end\n--- output\n{stdout}\n--- errors\n{stderr}");
    };
    Ran { code: status.code(), stdout, stderr, took }
}

fn read_all(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    })
}
