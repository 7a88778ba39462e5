//! Dashboards stay readable however many domains there are: what a panel shows is bounded.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use mxwatch::world::{World, scenes};

use crate::{
    answers::configuration,
    dashboard::{all, rules, substitute, text},
    harness::{Agent, wait_until},
    servers::prometheus::{Duties, Prometheus},
    variables::values,
};

/// How often each domain of the demo's world is there.
const COPIES: usize = 20;

/// What a table may have in rows, and what can be told apart in a picture.
const ROWS: usize = 200;
const LINES: usize = 30;

#[test]
fn no_panel_grows_with_the_number_of_domains() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ipv6 = World::ipv6_available();
    let world = runtime.block_on(scenes::world(ipv6).unwrap().start()).unwrap();
    let external = runtime.block_on(scenes::external(ipv6)).unwrap();
    let domains: Vec<_> = scenes::scenes().iter().map(|scene| scene.domain).collect();
    let agent = Agent::start(&configuration(&world, &external, &domains));
    agent.wait_ready();
    agent.scrape_until("a domain that fails", |scrape| {
        !scrape.matching("mx_delivery_deliverable", &[("domain", "drip.test")]).is_empty()
    });
    let large = serve(&multiplied(&agent.get("/metrics").body));
    let duties = Duties { rules: rules(), ..Duties::default() };
    let Some(prometheus) = Prometheus::start_with(large, &duties) else { return };
    let seconds = "instance_domain_sender:mx_delivery_failing:seconds";
    wait_until("rules over all domains", || {
        let failing = prometheus.query(&format!("count({seconds}) > {}", COPIES * 10));
        (!failing.is_empty()).then_some(())
    });

    for dashboard in all() {
        let mx = "mx1.silent-banner-1.test";
        let values = values(&dashboard, &prometheus, "silent-banner-1.test", mx);
        for panel in dashboard.panels() {
            let most = if panel["type"] == "table" { ROWS } else { LINES };
            for query in dashboard.queries(panel) {
                let shown = prometheus.query(&substitute(&query.expr, &values)).len();
                assert!(shown <= most, "{}: {shown} of a {}", query.place, text(&panel["type"]));
            }
        }
    }
}

/// The same exposition with every domain and exchanger several times, under names of their own.
fn multiplied(exposition: &str) -> String {
    let copies = |line: &str| {
        let own = line.starts_with('#') || !line.contains(".test");
        let several = (0..if own { 0 } else { COPIES })
            .map(|copy| line.replace(".test", &format!("-{copy}.test")));
        own.then(|| line.to_owned()).into_iter().chain(several).collect::<Vec<_>>()
    };
    let lines: Vec<_> = exposition.lines().flat_map(copies).collect();
    lines.join("\n") + "\n"
}

/// Answers every request with this text, until the process ends.
fn serve(body: &str) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
    let reply = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A request of Prometheus is smaller than that; one that breaks off is asked anew.
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).and_then(|_| stream.write_all(reply.as_bytes()));
        }
    });
    address
}
