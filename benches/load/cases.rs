//! What is measured, each case by itself.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    agent::{Agent, Watch, World, binary, drain, quantile, stripped_size, this_program},
    blackbox::Blackbox,
    fail,
    process::{Core, Process},
    report::Figure,
    scale,
    world::{Exchangers, Manners},
};

/// One thing to measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Case {
    DomainCheck,
    Starttls,
    Memory,
    Silent,
    Scrape,
    Contention,
    Idle,
    Scale,
}

impl Case {
    pub(crate) const ALL: [Self; 8] = [
        Self::DomainCheck,
        Self::Starttls,
        Self::Memory,
        Self::Silent,
        Self::Scrape,
        Self::Contention,
        Self::Idle,
        Self::Scale,
    ];

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|case| case.word() == word)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::DomainCheck => "domain-check",
            Self::Starttls => "starttls",
            Self::Memory => "memory",
            Self::Silent => "silent",
            Self::Scrape => "scrape",
            Self::Contention => "contention",
            Self::Idle => "idle",
            Self::Scale => "scale",
        }
    }

    pub(crate) fn measure(self, extent: &Extent) -> Vec<Figure> {
        match self {
            Self::DomainCheck => domain_check(extent),
            Self::Starttls => starttls(extent),
            Self::Memory => memory(extent),
            Self::Silent => silent(extent),
            Self::Scrape => scrape(extent),
            Self::Contention => contention(extent),
            Self::Idle => idle(),
            Self::Scale => scale::measure(extent),
        }
    }
}

/// How much of it.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub(crate) repeat: usize,
    /// Domain checks and TLS sessions a second.
    pace: usize,
    tls_pace: usize,
    /// How long each repetition is looked at.
    window: Duration,
    /// Domains of a large provider.
    pub(crate) many: usize,
    /// How long lag and processor time of many domains are looked at.
    pub(crate) long: Duration,
    /// How long after that memory is looked at again.
    longer: Duration,
    silent: usize,
    /// Domains whose series are scraped; with 71 each, a million.
    scraped: usize,
    pub(crate) sizes: &'static [usize],
}

impl Extent {
    pub(crate) const fn full() -> Self {
        Self {
            repeat: 5,
            pace: 2000,
            tls_pace: 500,
            window: Duration::from_secs(10),
            many: 10_000,
            long: Duration::from_secs(60),
            longer: Duration::from_secs(300),
            silent: 4_000,
            scraped: 7_500,
            sizes: &[100, 1_000, 10_000, 100_000],
        }
    }

    /// So little that every part runs once.
    pub(crate) const fn smoke() -> Self {
        Self {
            repeat: 1,
            pace: 20,
            tls_pace: 5,
            window: Duration::from_secs(2),
            many: 20,
            long: Duration::from_secs(2),
            longer: Duration::from_secs(2),
            silent: 20,
            scraped: 20,
            sizes: &[10],
        }
    }
}

/// What this was measured with.
pub(crate) fn circumstances() -> String {
    let version = Command::new(binary()).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = version.unwrap_or_else(|error| fail(&error.to_string()));
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}; {cores} cores of {}; Linux {}",
        version.lines().next().unwrap_or_default(),
        model.map_or("an unknown kind", |(_, model)| model),
        kernel.trim(),
    )
}

/// Sessions of any number of domains must not wait for each other on one machine.
const IMPATIENT: Option<usize> = Some(64);

fn domain_check(extent: &Extent) -> Vec<Figure> {
    let world = World::start(extent.pace, Exchangers::Distinct, Manners::Healthy);
    let mut agent = Agent::start(&Watch { sessions: IMPATIENT, ..Watch::domains(&world, 1) });
    agent.until_observed(world.exchangers());
    let peer = Blackbox::start(&world);
    if let Some(peer) = &peer {
        for module in ["mx", "a", "aaaa", "smtp"] {
            peer.succeeds(module, &world);
        }
    }
    let (mut own, mut paced, mut floor, mut by_peer) = (vec![], vec![], vec![], vec![]);
    let mut lookups = vec![];
    let checks = extent.pace * usize::try_from(extent.window.as_secs()).unwrap_or(1);
    for _ in 0..extent.repeat {
        let stretch = agent.over(extent.window);
        let done = stretch.grown("mx_sessions_total{") / 2.0;
        own.push(micros(stretch.cpu) / done);
        lookups.push(stretch.grown("mx_dns_lookups_total{") / done);
    }
    drop(agent);
    for _ in 0..extent.repeat {
        floor.push(barest("check", &world, checks, 0));
        paced.push(barest("check", &world, checks, extent.pace));
        by_peer
            .extend(peer.as_ref().map(|peer| micros(peer.domain_check(&world, checks / 20 + 1))));
    }
    vec![
        Figure::new("CPU per domain check, two senders", "µs", own.clone())
            .budget(175.0)
            .floor(&floor)
            .peer(&by_peer),
        Figure::new("  the same beside a floor that begins as many a second", "µs", own)
            .floor(&paced),
        Figure::new("  lookups per check, policies included", "", lookups),
    ]
}

fn starttls(extent: &Extent) -> Vec<Figure> {
    let world = World::start(extent.tls_pace.div_ceil(2), Exchangers::Distinct, Manners::Starttls);
    let mut agent = Agent::start(&Watch {
        smart_hosts: true,
        sessions: IMPATIENT,
        ..Watch::domains(&world, 1)
    });
    agent.until_observed(world.exchangers());
    let trusted = agent.scrape().count("mx_tls_verified{");
    if trusted < world.exchangers() {
        fail(&format!("of {} certificates {trusted} were checked", world.exchangers()));
    }
    let peer = Blackbox::start(&world);
    if let Some(peer) = &peer {
        peer.succeeds("starttls", &world);
    }
    let (mut own, mut floor, mut by_peer) = (vec![], vec![], vec![]);
    let sessions = extent.tls_pace * usize::try_from(extent.window.as_secs()).unwrap_or(1);
    for _ in 0..extent.repeat {
        let stretch = agent.over(extent.window);
        own.push(micros(stretch.cpu) / stretch.grown("mx_sessions_total{"));
    }
    drop(agent);
    for _ in 0..extent.repeat {
        floor.push(barest("starttls", &world, sessions, 0));
        by_peer.extend(peer.as_ref().map(|peer| micros(peer.starttls(&world, sessions / 4 + 1))));
    }
    let figure = Figure::new("CPU per session with STARTTLS, chain checked", "µs", own);
    vec![figure.budget(240.0).floor(&floor).peer(&by_peer)]
}

fn memory(extent: &Extent) -> Vec<Figure> {
    let world = World::start(extent.many, Exchangers::Distinct, Manners::Healthy);
    let mut agent = Agent::start(&Watch::domains(&world, 60));
    agent.until_observed(world.exchangers());
    let stretch = agent.over(extent.long);
    let many = extent.many;
    let soon = mebi(agent.process.memory());
    // As reports are replaced, what is free ends up between them.
    agent.scraped_for(extent.longer);
    let later = mebi(agent.process.memory());
    let peer: Vec<f64> = peer_memory(&world).into_iter().collect();
    vec![
        Figure::of(format!("memory, {many} domains with two exchangers"), "MiB", soon)
            .budget(80.0)
            .peer(&peer),
        Figure::of(format!("  the same, scraped for {:?} more", extent.longer), "MiB", later)
            .budget(80.0),
        #[expect(clippy::cast_precision_loss, reason = "it is not that many")]
        Figure::of(
            "  series of a domain with its exchangers",
            "",
            stretch.after.series() as f64 / many as f64,
        ),
        Figure::of("  the most it ever used, scrapes included", "MiB", mebi(agent.process.peak())),
        Figure::of("  share of one core", "%", stretch.share_of_core()),
        Figure::of(format!("lag of rounds, p50, {many} domains at 60 s"), "ms", stretch.lag(0.5)),
        Figure::of(format!("lag of rounds, p99, {many} domains at 60 s"), "ms", stretch.lag(0.99))
            .budget(50.0),
    ]
}

/// What the peer has after so many probes; it keeps the last results.
fn peer_memory(world: &World) -> Option<f64> {
    let peer = Blackbox::start(world)?;
    let _ = peer.domain_check(world, world.domains / 2);
    Some(mebi(peer.memory()))
}

fn silent(extent: &Extent) -> Vec<Figure> {
    let sessions = extent.silent;
    let world = World::start(sessions.div_ceil(2), Exchangers::Distinct, Manners::Silent);
    let watch =
        |probe, sessions| Agent::start(&Watch { probe, sessions, ..Watch::domains(&world, 3600) });
    let mut runs = vec![];
    for _ in 0..extent.repeat {
        // The same names and addresses, and nobody calls.
        let mut idle = watch("families = [\"ipv6\"]", None);
        idle.until("all addresses are known", |agent| {
            agent.scrape().count("mx_exchanger_addresses{") >= 2 * world.exchangers()
        });
        let before = idle.process.memory();
        drop(idle);
        let mut agent = watch("", Some(65_535));
        #[expect(clippy::cast_precision_loss, reason = "it is not that many")]
        let all = world.exchangers() as f64;
        agent.until("all wait", |agent| agent.scrape().sum("mxwatch_sessions_in_flight ") >= all);
        #[expect(clippy::cast_precision_loss, reason = "it is not that much")]
        let more = agent.process.memory() as f64 - before as f64;
        runs.push(more / all / 1024.0);
    }
    let floor = waiting(&world);
    let figure = Figure::new(format!("memory per session, {sessions} silent servers"), "KiB", runs);
    vec![figure.budget(6.0).floor(&[floor])]
}

/// Memory per session of the barest client.
fn waiting(world: &World) -> f64 {
    let sessions = world.exchangers();
    let mut waiting = Process::start(&this_program(), Core::Measured, |command| {
        command.args(["--role", "floor", "wait", &world.smtp.to_string(), &sessions.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
    });
    waiting.first_line();
    let (before, open) = (waiting.memory(), waiting.descriptors());
    waiting.tell("go\n");
    while waiting.descriptors() < open + sessions {
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_millis(500));
    #[expect(clippy::cast_precision_loss, reason = "it is not that much")]
    let each = (waiting.memory() - before) as f64 / sessions as f64;
    each / 1024.0
}

fn scrape(extent: &Extent) -> Vec<Figure> {
    let world = World::start(extent.scraped, Exchangers::Distinct, Manners::Healthy);
    // One round, and then nothing that could be taken for the scrape.
    let mut agent = Agent::start(&Watch { sessions: IMPATIENT, ..Watch::domains(&world, 7200) });
    agent.until_observed(world.exchangers());
    let samples = agent.scrape();
    let series = samples.series();
    let file = std::env::temp_dir().join(format!("mxwatch-bench-body-{}", agent.address().port()));
    let written =
        fs::File::create(&file).and_then(|mut file| file.write_all(samples.text().as_bytes()));
    written.unwrap_or_else(|error| fail(&error.to_string()));
    drop(samples);
    let ready_made = ReadyMade::start(&file);
    let (mut own, mut floor, mut extra, mut took) = (vec![], vec![], vec![], vec![]);
    for _ in 0..extent.repeat.max(3) {
        let before = agent.process.memory();
        agent.process.forget_peak();
        let mut last = Duration::ZERO;
        let cpu =
            agent.process.cost(|| (0..SCRAPES).for_each(|_| last = last.max(agent.drain().2)));
        extra.push(mebi(agent.process.peak().saturating_sub(before)));
        own.push(millis(cpu / SCRAPES));
        took.push(millis(last));
        floor.push(millis(ready_made.scrape()));
    }
    let _ = fs::remove_file(&file);
    let budget = 2.0 * crate::report::median(&floor);
    let mut figure = Figure::new(format!("CPU of one scrape, {series} series"), "ms", own);
    // A small one is less than the kernel accounts.
    if budget > 0.0 {
        figure = figure.budget(budget);
    }
    vec![
        figure.floor(&floor),
        Figure::new("  time until its last byte, the longest of ten", "ms", took),
        Figure::new("  extra memory", "MiB", extra).budget(16.0),
    ]
}

/// Scrapes of one repetition: the kernel accounts in hundredths of a second.
const SCRAPES: u32 = 10;

/// The same bytes, sent by a server that has them ready.
struct ReadyMade {
    process: Process,
    address: std::net::SocketAddr,
}

impl ReadyMade {
    fn start(file: &std::path::Path) -> Self {
        let mut process = Process::start(&this_program(), Core::Measured, |command| {
            command.args(["--role", "floor", "serve"]).arg(file).stdout(Stdio::piped());
        });
        let port = process.first_line().parse().unwrap_or_else(|_| fail("the floor said no port"));
        Self { process, address: (crate::world::LOOPBACK, port).into() }
    }

    fn scrape(&self) -> Duration {
        let cost = self.process.cost(|| {
            for _ in 0..SCRAPES {
                drain(self.address, "/").unwrap_or_else(|error| fail(&error.to_string()));
            }
        });
        cost / SCRAPES
    }
}

fn contention(extent: &Extent) -> Vec<Figure> {
    let world = World::start(extent.many, Exchangers::Distinct, Manners::Healthy);
    let mut agent = Agent::start(&Watch::domains(&world, 60));
    // While the first rounds of all go on.
    thread::sleep(Duration::from_secs(1));
    let (mut during, mut bytes) = (vec![], vec![]);
    for _ in 0..extent.repeat {
        let (length, first, _) = agent.drain();
        during.push(millis(first));
        bytes.push(length);
    }
    agent.until_observed(world.exchangers());
    let delays = |agent: &Agent| agent.scrape().buckets(DELAY);
    let before = delays(&agent);
    thread::sleep(extent.window);
    let quiet = delays(&agent);
    let mut ten = vec![];
    let begun = std::time::Instant::now();
    while begun.elapsed() < extent.window {
        thread::scope(|scope| {
            let scrapers: Vec<_> = (0..10).map(|_| scope.spawn(|| agent.drain())).collect();
            ten.extend(scrapers.into_iter().map(|scraper| {
                let (_, _, last) = scraper.join().unwrap_or_else(|_| fail("a scraper panicked"));
                millis(last)
            }));
        });
    }
    let busy = delays(&agent);
    let many = extent.many;
    vec![
        Figure::new(
            format!("first byte of a scrape while {many} first rounds go on"),
            "ms",
            during,
        )
        .budget(100.0),
        Figure::new("last byte of each of ten scrapes at once", "ms", ten),
        Figure::of(
            "lateness of timers without a scrape, p99",
            "ms",
            1e3 * quantile(0.99, &before, &quiet),
        ),
        Figure::of(
            "lateness of timers during ten at once, p99",
            "ms",
            1e3 * quantile(0.99, &quiet, &busy),
        )
        .budget(100.0),
    ]
}

fn idle() -> Vec<Figure> {
    let world = World::start(10, Exchangers::Distinct, Manners::Healthy);
    let mut agent = Agent::start(&Watch::domains(&world, 60));
    agent.until_observed(world.exchangers());
    thread::sleep(Duration::from_secs(2));
    let peer: Vec<f64> =
        Blackbox::start(&world).map(|peer| mebi(peer.memory())).into_iter().collect();
    let size = stripped_size(&binary()).map(mebi);
    let mut figures = vec![
        Figure::of("memory, 10 domains", "MiB", mebi(agent.process.memory()))
            .budget(12.0)
            .peer(&peer),
    ];
    figures.extend(size.map(|size| Figure::of("binary without symbols", "MiB", size).budget(12.0)));
    figures
}

/// Processor time of one unit of the barest client.
fn barest(what: &str, world: &World, times: usize, pace: usize) -> f64 {
    let [dns, smtp] = [world.dns, world.smtp].map(|port| port.to_string());
    let domains = if what == "check" { world.domains } else { world.exchangers() };
    let [domains, count, pace] = [domains, times, pace].map(|number| number.to_string());
    let floor = Process::start(&this_program(), Core::Measured, |command| {
        command.args(["--role", "floor", what, &dns, &smtp, &domains, &count, &pace]);
        command.stdout(Stdio::piped());
    });
    let cpu = floor.done();
    #[expect(clippy::cast_precision_loss, reason = "it is not that many")]
    let each = micros(cpu) / times as f64;
    each
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "it is not that much")]
pub(crate) fn mebi(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// How late timers fire.
const DELAY: &str = "mxwatch_runtime_delay_seconds";
