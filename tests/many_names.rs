//! Ten thousand names through three resolvers, one of which never answers: what the agent holds
//! open and in memory stays bounded, and the other two do not wait for it.

use std::{
    fmt::Write,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use mxwatch::world::{World, smtp_script::Script};

#[allow(dead_code, reason = "shared with the other tests of the real binary")]
mod harness;
use harness::{Agent, CONFIG, Scrape};

/// Names asked about, half of them domains with an exchanger each. `MANY_NAMES=10000` asks about more,
/// and `--nocapture` shows what that takes.
fn names() -> usize {
    let wanted = std::env::var("MANY_NAMES").ok();
    wanted.map_or(2_000, |wanted| wanted.parse().expect("MANY_NAMES is a number"))
}

/// Lookups may be under way so many at once over all resolvers, each with a socket.
const LOOKUPS_AT_ONCE: f64 = 2_000.0;

/// What else is open: files, listeners, scrapes, sessions.
const REST: f64 = 250.0;

fn zone(domains: usize) -> String {
    let mut zone = "$ORIGIN test.\n$TTL 60\n".to_owned();
    for n in 0..domains {
        writeln!(zone, "d{n} MX 10 mx{n}\nmx{n} A 127.90.80.1").unwrap();
    }
    zone
}

/// Starts the agent; the names have a file of their own, so that a failure does not print them all.
fn start(domains: usize, servers: [(&str, SocketAddr); 3], port: u16) -> Agent {
    let mut text = format!(
        "helo_name = \"probe.example.org\"\ndestination_files = [\"names.toml\"]\n\
         [probe]\nport = {port}\ninterval = \"20s\"\n\
         [dns]\ntimeout = \"2s\"\nhealth_interval = \"2s\"\n"
    );
    for (name, server) in servers {
        writeln!(text, "[[resolver]]\nname = \"{name}\"\nservers = [\"{server}\"]").unwrap();
    }
    let names: Vec<String> = (0..domains).map(|n| format!("\"d{n}.test\"")).collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(CONFIG), text).unwrap();
    let names = format!("domains = [{}]\n", names.join(", "));
    std::fs::write(folder.path().join("names.toml"), names).unwrap();
    Agent::start_in(folder, &[])
}

/// The largest values seen.
#[derive(Debug, Default)]
struct Peak {
    sockets: f64,
    memory: f64,
}

impl Peak {
    fn see(&mut self, scrape: &Scrape) {
        let seen = |name| scrape.value(name, &[]).unwrap();
        self.sockets = self.sockets.max(seen("process_open_fds"));
        self.memory = self.memory.max(seen("process_resident_memory_bytes"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_and_memory_stay_bounded() {
    let (domains, zone) = (names() / 2, zone(names() / 2));
    let builder = World::builder().zone(&zone).unwrap();
    let world = builder.smtp([127, 90, 80, 1], Script::healthy("mx.test")).start().await.unwrap();
    let other = World::builder().zone(&zone).unwrap().start().await.unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let servers = [
        ("one", world.dns_addr()),
        ("two", other.dns_addr()),
        ("silent", silent.local_addr().unwrap()),
    ];
    let agent = start(domains, servers, world.smtp_port());
    let begun = Instant::now();
    // Counted since start: how often everything was asked of each of the two that answer.
    let asked = |scrape: &Scrape| {
        let of = |resolver| scrape.sum("mx_dns_lookups_total", &[("resolver", resolver)]);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let lookups = (3 * domains) as f64;
        of("one").min(of("two")) / lookups
    };
    let mut peaks = Vec::new();
    for rounds in [1.0, 3.0] {
        let mut peak = Peak::default();
        loop {
            let scrape = agent.scrape();
            peak.see(&scrape);
            if asked(&scrape) >= rounds {
                break;
            }
            assert!(begun.elapsed() < LONGEST, "{} rounds of {rounds}", asked(&scrape));
            std::thread::sleep(PAUSE);
        }
        println!("{} names, {rounds} rounds, {:?}: {peak:?}", 2 * domains, begun.elapsed());
        peaks.push(peak);
    }
    let last = agent.scrape();
    assert_eq!(last.value("mx_resolver_up", &[("resolver", "silent")]), Some(0.0));
    for Peak { sockets, .. } in &peaks {
        assert!(*sockets <= LOOKUPS_AT_ONCE + REST, "{sockets} open");
    }
    assert!(peaks[1].memory < 1.5 * peaks[0].memory, "it grows: {peaks:?}");
}

/// From one scrape to the next.
const PAUSE: Duration = Duration::from_millis(500);

/// Long after every round was due.
const LONGEST: Duration = Duration::from_secs(300);
