//! The program under test: given a configuration, started on its core, asked over HTTP.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{BufRead, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    fail,
    process::{Core, Process},
    tls_server,
    world::{self, Exchangers, LOOPBACK, Manners},
};

/// A world in a process of its own.
pub(crate) struct World {
    _process: Process,
    pub(crate) dns: u16,
    pub(crate) smtp: u16,
    pub(crate) domains: usize,
    which: Exchangers,
}

impl World {
    pub(crate) fn start(domains: usize, which: Exchangers, manners: Manners) -> Self {
        let mut process = Process::start(&this_program(), Core::World, |command| {
            let domains = domains.to_string();
            command.args(["--role", "world", &domains, which.word(), manners.word()]);
            command.stdout(std::process::Stdio::piped());
        });
        let line = process.first_line();
        let ports = line
            .split_once(' ')
            .and_then(|(dns, smtp)| Some((dns.parse().ok()?, smtp.parse().ok()?)));
        let (dns, smtp) = ports.unwrap_or_else(|| fail(&format!("the world said {line:?}")));
        Self { _process: process, dns, smtp, domains, which }
    }

    /// How many exchangers it has.
    pub(crate) fn exchangers(&self) -> usize {
        self.which.of(self.domains)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // There is one only where it speaks TLS.
        let _ = fs::remove_file(tls_server::authority_of(self.smtp));
    }
}

/// This program, for its other roles.
pub(crate) fn this_program() -> PathBuf {
    env::current_exe().unwrap_or_else(|error| fail(&error.to_string()))
}

/// The binary that is measured: MXWATCH, or the one that cargo has built beside this.
pub(crate) fn binary() -> PathBuf {
    env::var_os("MXWATCH").map_or_else(|| env!("CARGO_BIN_EXE_mxwatch").into(), PathBuf::from)
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) process: Process,
    address: SocketAddr,
    directory: PathBuf,
}

/// What an agent watches.
pub(crate) struct Watch<'w> {
    pub(crate) world: &'w World,
    pub(crate) interval: Duration,
    /// The exchangers as smart hosts by address, rather than the domains.
    pub(crate) smart_hosts: bool,
    /// More lines of `[probe]`.
    pub(crate) probe: &'w str,
    /// Sessions at the same time, over all and of one provider; `None` for the default.
    pub(crate) sessions: Option<usize>,
}

impl<'w> Watch<'w> {
    /// All domains of a world once in so many seconds, with the defaults.
    pub(crate) const fn domains(world: &'w World, seconds: u64) -> Self {
        let interval = Duration::from_secs(seconds);
        Self { world, interval, smart_hosts: false, probe: "", sessions: None }
    }
}

impl Agent {
    /// Starts it; returns when it answers.
    pub(crate) fn start(watch: &Watch<'_>) -> Self {
        let address = free_address();
        let directory = env::temp_dir().join(format!("mxwatch-bench-agent-{}", address.port()));
        fs::create_dir_all(&directory).unwrap_or_else(|error| fail(&error.to_string()));
        let file = directory.join("mxwatch.toml");
        fs::write(&file, configuration(watch)).unwrap_or_else(|error| fail(&error.to_string()));
        let process = Process::start(&binary(), Core::Measured, |command| {
            command.arg("--config.file").arg(&file);
            command.arg(format!("--web.listen-address={address}"));
            command.arg("--log.level=error");
            command.env("SSL_CERT_FILE", tls_server::authority_of(watch.world.smtp));
        });
        let mut agent = Self { process, address, directory };
        agent.until("it answers", |agent| agent.try_get("/-/healthy").is_some());
        agent
    }

    /// Waits for something that comes to pass.
    pub(crate) fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !reached(self) {
            if self.process.has_ended() {
                fail("mxwatch ended, with the words above");
            }
            if begun.elapsed() > LONGEST_WAIT {
                fail(&format!("mxwatch: not within {LONGEST_WAIT:?}: {what}"));
            }
            sleep(GLANCE);
        }
    }

    /// Waits until every destination has had its first round, and every exchanger of the world.
    pub(crate) fn until_observed(&mut self, exchangers: usize) {
        self.until("it is ready", |agent| agent.try_get("/-/ready").is_some());
        // Seldom: a scrape of everything, again and again, would be a load of its own.
        let mut up = 0;
        while up < exchangers {
            sleep(BETWEEN_SCRAPES);
            up = self.scrape().count("mx_exchanger_addresses_up{");
        }
    }

    /// All series.
    pub(crate) fn scrape(&self) -> Samples {
        Samples(self.try_get("/metrics").unwrap_or_else(|| fail("mxwatch does not answer")))
    }

    /// What it did and cost in so much time, during which nobody asks it for anything.
    pub(crate) fn over(&self, time: Duration) -> Stretch {
        let before = self.scrape();
        let (begun, cpu) = (Instant::now(), self.process.cpu());
        sleep(time);
        let (cpu, wall) = (self.process.cpu().saturating_sub(cpu), begun.elapsed());
        Stretch { cpu, wall, before, after: self.scrape() }
    }

    /// Scrapes it for so long, as Prometheus does.
    pub(crate) fn scraped_for(&self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.drain();
            sleep(SCRAPE_INTERVAL.min(time));
        }
    }

    /// The bytes of all series, thrown away; how many, how long until the first, and until the last.
    pub(crate) fn drain(&self) -> (usize, Duration, Duration) {
        drain(self.address, "/metrics").unwrap_or_else(|error| fail(&error.to_string()))
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    fn try_get(&self, path: &str) -> Option<String> {
        get(self.address, path).ok()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn configuration(watch: &Watch<'_>) -> String {
    let Watch { world, interval, smart_hosts, probe, sessions } = watch;
    let mut text = String::from("helo_name = \"probe.example.org\"\n");
    let mut say = |args: std::fmt::Arguments<'_>| text.write_fmt(args).expect("a string takes all");
    if let Some(sessions) = sessions {
        let both = format!("max_sessions = {sessions}\nmax_sessions_per_provider = {sessions}\n");
        say(format_args!("[politeness]\n{both}"));
    }
    say(format_args!("[[resolver]]\nname = \"bench\"\nservers = [\"{LOOPBACK}:{}\"]\n", world.dns));
    say(format_args!(
        "[probe]\nport = {}\ninterval = \"{}s\"\n{probe}\n",
        world.smtp,
        interval.as_secs()
    ));
    if *smart_hosts {
        for number in 0..world.exchangers() {
            let address = world::address(number);
            say(format_args!("[[destination]]\nsmarthost = \"{address}:{}\"\n", world.smtp));
        }
    } else {
        for number in 0..world.domains {
            say(format_args!("[[destination]]\ndomain = \"{}\"\n", world::domain(number)));
        }
    }
    text
}

/// Some time of an agent.
pub(crate) struct Stretch {
    pub(crate) cpu: Duration,
    wall: Duration,
    before: Samples,
    pub(crate) after: Samples,
}

impl Stretch {
    /// By how much the samples that begin so have grown, taken together.
    pub(crate) fn grown(&self, head: &str) -> f64 {
        self.after.sum(head) - self.before.sum(head)
    }

    /// Of the rounds that began, how late this share of them was at most, in milliseconds.
    pub(crate) fn lag(&self, share: f64) -> f64 {
        let name = "mxwatch_round_lag_seconds";
        1e3 * quantile(share, &self.before.buckets(name), &self.after.buckets(name))
    }

    /// Processor time in percent of one core.
    pub(crate) fn share_of_core(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// Processor time of a minute.
    pub(crate) fn cpu_of_a_minute(&self) -> Duration {
        self.cpu.mul_f64(60.0 / self.wall.as_secs_f64())
    }
}

/// Samples of the text format.
pub(crate) struct Samples(String);

impl Samples {
    /// How many begin so.
    pub(crate) fn count(&self, head: &str) -> usize {
        self.0.lines().filter(|line| line.starts_with(head)).count()
    }

    /// How many there are.
    pub(crate) fn series(&self) -> usize {
        self.0.lines().filter(|line| !line.starts_with('#')).count()
    }

    /// The sum of those that begin so.
    pub(crate) fn sum(&self, head: &str) -> f64 {
        let lines = self.0.lines().filter(|line| line.starts_with(head));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Buckets of a histogram without labels of its own: upper bound and cumulative count.
    pub(crate) fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let head = format!("{name}_bucket{{le=\"");
        let lines = self.0.lines().filter_map(|line| line.strip_prefix(&head)?.split_once("\"} "));
        lines.filter_map(|(le, count)| Some((le.parse().ok()?, count.parse().ok()?))).collect()
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// The value that this share of the observations between two scrapes does not exceed, as
/// `histogram_quantile` of Prometheus has it.
pub(crate) fn quantile(share: f64, before: &[(f64, f64)], after: &[(f64, f64)]) -> f64 {
    let grown: Vec<(f64, f64)> = after.iter().zip(before).map(|(a, b)| (a.0, a.1 - b.1)).collect();
    let wanted = share * grown.last().map_or(0.0, |last| last.1);
    let (mut low, mut below) = (0.0, 0.0);
    if wanted <= 0.0 {
        return 0.0;
    }
    for (bound, count) in grown {
        if count >= wanted && count > below {
            return if bound.is_finite() {
                low + (bound - low) * (wanted - below) / (count - below)
            } else {
                low
            };
        }
        (low, below) = (bound, count);
    }
    low
}

/// The body of an answer with status 200.
pub(crate) fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = ask(address, path)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if !head.contains(" 200 ") {
        return Err(std::io::Error::other(head.lines().next().unwrap_or_default().to_owned()));
    }
    // HTTP/1.0 has no chunks.
    Ok(body.to_owned())
}

/// Reads an answer and throws it away; its bytes, the time until its first and until its last.
pub(crate) fn drain(
    address: SocketAddr,
    path: &str,
) -> std::io::Result<(usize, Duration, Duration)> {
    let begun = Instant::now();
    let mut stream = std::io::BufReader::with_capacity(1 << 18, ask(address, path)?);
    let (mut bytes, mut first) = (0, None);
    loop {
        let length = stream.fill_buf()?.len();
        first.get_or_insert_with(|| begun.elapsed());
        if length == 0 {
            return Ok((bytes, first.unwrap_or_default(), begun.elapsed()));
        }
        bytes += length;
        stream.consume(length);
    }
}

fn ask(address: SocketAddr, path: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LONGEST_WAIT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    Ok(stream)
}

/// An address that nobody listens at.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.unwrap_or_else(|error| fail(&error.to_string()))
}

/// The size of the binary as it is shipped, without symbols.
pub(crate) fn stripped_size(binary: &Path) -> Option<u64> {
    let copy = env::temp_dir().join(format!("mxwatch-bench-stripped-{}", std::process::id()));
    let mut strip = std::process::Command::new("strip");
    let stripped = strip.arg("-o").arg(&copy).arg(binary).status().ok()?;
    let size = fs::metadata(&copy).ok().map(|metadata| metadata.len());
    let _ = fs::remove_file(copy);
    size.filter(|_| stripped.success())
}

const BETWEEN_SCRAPES: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(200);
/// A usual one; Prometheus itself has a minute by default.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
