//! Ten thousand names through three resolvers, one of which never answers: what the agent holds
//! open and in memory stays bounded, and the other two do not wait for it.

use std::{fmt::Write, net::UdpSocket, time::Instant};

use mxwatch::world::{World, smtp_script::Script};

#[allow(dead_code, reason = "shared with the other tests of the real binary")]
mod harness;
use harness::Agent;

/// Each has an exchanger of its own, so there are twice as many names.
const DOMAINS: usize = 5_000;

/// Lookups under way may be so many over all resolvers, each with a socket.
const LOOKUPS_AT_ONCE: f64 = 2_000.0;

/// What else is open: files, listeners, scrapes, sessions.
const REST: f64 = 250.0;

/// Of a build without optimisation; a table of names that grew without bound would pass it soon.
const MEMORY: f64 = 250.0 * 1024.0 * 1024.0;

fn zone() -> String {
    let mut zone = "$ORIGIN test.\n$TTL 60\n".to_owned();
    for n in 0..DOMAINS {
        writeln!(zone, "d{n} MX 10 mx{n}\nmx{n} A 127.90.80.1").unwrap();
    }
    zone
}

fn config(world: &World, other: &World, silent: &UdpSocket) -> String {
    let mut text = "helo_name = \"probe.example.org\"\ndomains = [".to_owned();
    for n in 0..DOMAINS {
        write!(text, "\"d{n}.test\", ").unwrap();
    }
    let servers = [
        ("one", world.dns_addr()),
        ("two", other.dns_addr()),
        ("silent", silent.local_addr().unwrap()),
    ];
    writeln!(text, "]\n[probe]\nport = {}\ninterval = \"30s\"", world.smtp_port()).unwrap();
    for (name, server) in servers {
        writeln!(text, "[[resolver]]\nname = \"{name}\"\nservers = [\"{server}\"]").unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_and_memory_stay_bounded() {
    let builder = World::builder().zone(&zone()).unwrap();
    let world = builder.smtp([127, 90, 80, 1], Script::healthy("mx.test")).start().await.unwrap();
    let other = World::builder().zone(&zone()).unwrap().start().await.unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let agent = Agent::start(&config(&world, &other, &silent));
    let (mut sockets, mut memory) = (0.0_f64, 0.0_f64);
    let begun = Instant::now();
    loop {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let scrape = agent.scrape();
        let seen = |name| scrape.value(name, &[]).unwrap();
        sockets = sockets.max(seen("process_open_fds"));
        memory = memory.max(seen("process_resident_memory_bytes"));
        let known = |resolver: &str| scrape.matching("mx_dns_lookup_success", &[("resolver", resolver)]).len();
        println!("{:?} fds {} mem {} MiB one {} two {} silent {} q {} {}", begun.elapsed(), seen("process_open_fds"), seen("process_resident_memory_bytes")/1048576.0, known("one"), known("two"), known("silent"), world.dns().all_queries(), other.dns().all_queries());
        if begun.elapsed().as_secs() > 100 { break; }
    }
    assert!(sockets <= LOOKUPS_AT_ONCE + REST, "{sockets} open");
    assert!(memory <= MEMORY, "{memory} bytes");
}
