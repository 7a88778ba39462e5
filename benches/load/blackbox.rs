//! The peer: `prometheus-blackbox-exporter` doing the same work through `/probe`, several at a time.
//!
//! Where it is not installed the bench says so and leaves it out. BLACKBOX names another binary.

use std::{
    env,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    agent::{self, World, drain, free_address},
    fail,
    process::{Core, Process},
    world,
};

/// Probes under way at the same time.
const IN_FLIGHT: usize = 16;

pub(crate) struct Blackbox {
    process: Process,
    address: SocketAddr,
    file: PathBuf,
}

impl Blackbox {
    /// Starts it with modules for the domains of a world; `None` where it is not installed.
    pub(crate) fn start(world: &World) -> Option<Self> {
        let program = env::var_os("BLACKBOX").map_or_else(|| NAME.into(), PathBuf::from);
        let there = Command::new(&program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !there.is_ok_and(|status| status.success()) {
            eprintln!("{NAME} is not installed, and left out");
            return None;
        }
        let address = free_address();
        let file = env::temp_dir().join(format!("mxwatch-bench-blackbox-{}.yml", address.port()));
        fs::write(&file, modules(world)).unwrap_or_else(|error| fail(&error.to_string()));
        let process = Process::start(&program, Core::Measured, |command| {
            command.arg(format!("--config.file={}", file.display()));
            command.arg(format!("--web.listen-address={address}"));
            command.arg("--log.level=error").stderr(Stdio::null());
            // One core is what it has; the runtime counts those of the machine.
            command.env("GOMAXPROCS", "1");
        });
        let blackbox = Self { process, address, file };
        let begun = Instant::now();
        while agent::get(address, "/-/healthy").is_err() {
            if begun.elapsed() > Duration::from_secs(20) {
                fail("prometheus-blackbox-exporter does not start");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Some(blackbox)
    }

    /// Processor time of one domain check: 5 lookups and 2 sessions, each a probe.
    pub(crate) fn domain_check(&self, world: &World, times: usize) -> Duration {
        self.each(times, |number| {
            let domain = number % world.domains.min(MODULES);
            let mut paths = vec![Self::lookup("mx", domain, world)];
            for exchanger in [2 * domain, 2 * domain + 1] {
                paths.push(Self::lookup("a", exchanger, world));
                paths.push(Self::lookup("aaaa", exchanger, world));
                paths.push(session("smtp", exchanger, world));
            }
            paths
        })
    }

    /// Processor time of one session with STARTTLS.
    pub(crate) fn starttls(&self, world: &World, times: usize) -> Duration {
        self.each(times, |number| vec![session("starttls", number % world.exchangers(), world)])
    }

    /// Memory in use now.
    pub(crate) fn memory(&self) -> u64 {
        self.process.memory()
    }

    fn lookup(kind: &str, number: usize, world: &World) -> String {
        format!("/probe?module={kind}{number}&target={}:{}", world::LOOPBACK, world.dns)
    }

    fn each(&self, times: usize, paths: impl Fn(usize) -> Vec<String> + Sync) -> Duration {
        let next = Arc::new(AtomicUsize::new(0));
        let cpu = self.process.cost(|| {
            thread::scope(|scope| {
                for _ in 0..IN_FLIGHT {
                    scope.spawn(|| {
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= times {
                                break;
                            }
                            for path in paths(number) {
                                drain(self.address, &path)
                                    .unwrap_or_else(|error| fail(&error.to_string()));
                            }
                        }
                    });
                }
            });
        });
        cpu / u32::try_from(times).unwrap_or(u32::MAX)
    }

    /// Fails unless the probes of the first domain succeed: otherwise failures would be measured.
    pub(crate) fn succeeds(&self, module: &str, world: &World) {
        let path = match module {
            "smtp" | "starttls" => session(module, 0, world),
            kind => Self::lookup(kind, 0, world),
        };
        let answer =
            agent::get(self.address, &path).unwrap_or_else(|error| fail(&error.to_string()));
        if !answer.contains("\nprobe_success 1\n") {
            fail(&format!("prometheus-blackbox-exporter does not succeed with {path}"));
        }
    }
}

impl Drop for Blackbox {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

fn session(module: &str, exchanger: usize, world: &World) -> String {
    format!("/probe?module={module}&target={}:{}", world::address(exchanger), world.smtp)
}

/// A module for each question, because a module holds the question of a DNS probe.
fn modules(world: &World) -> String {
    let mut text = String::from(SMTP);
    text.push_str(
        &STARTTLS.replace("CA", &crate::tls_server::authority_of(world.smtp).display().to_string()),
    );
    let mut question = |kind: &str, number: usize, name: &str| {
        let codes = "valid_rcodes: [NOERROR]";
        let query = format!("query_name: {name}, query_type: {}", kind.to_uppercase());
        let dns = format!("dns: {{{query}, preferred_ip_protocol: ip4, {codes}}}");
        writeln!(text, "  {kind}{number}: {{prober: dns, timeout: 5s, {dns}}}")
            .expect("a string takes all");
    };
    for number in 0..world.domains.min(MODULES) {
        question("mx", number, &world::domain(number));
        for exchanger in [2 * number, 2 * number + 1] {
            question("a", exchanger, &world::exchanger(exchanger));
            question("aaaa", exchanger, &world::exchanger(exchanger));
        }
    }
    text
}

/// Domains that have modules; more would make its configuration the load.
const MODULES: usize = 100;

const NAME: &str = "prometheus-blackbox-exporter";

const SMTP: &str = "modules:
  smtp:
    prober: tcp
    timeout: 5s
    tcp:
      preferred_ip_protocol: ip4
      query_response:
        - expect: '^220 '
        - send: EHLO probe.example.org
        - expect: '^250 '
        - send: QUIT
        - expect: '^221 '
";

const STARTTLS: &str = "  starttls:
    prober: tcp
    timeout: 5s
    tcp:
      preferred_ip_protocol: ip4
      tls_config: {ca_file: CA}
      query_response:
        - expect: '^220 '
        - send: EHLO probe.example.org
        - expect: '^250 STARTTLS'
        - send: STARTTLS
        - expect: '^220 '
        - starttls: true
        - send: EHLO probe.example.org
        - expect: '^250 '
        - send: QUIT
        - expect: '^221 '
";
