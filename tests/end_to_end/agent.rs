//! What every installation needs: it listens, becomes ready, ends.

use std::time::Duration;

use mxwatch::world::{World, smtp_script::Script};

use crate::harness::Agent;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_domain_is_up_soon() {
    let mx = [127, 90, 0, 1];
    let world = World::builder()
        .zone("$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 127.90.0.1")
        .unwrap()
        .smtp(mx, Script::healthy("mx1.example.test"))
        .start()
        .await
        .unwrap();
    let (dns, port) = (world.dns_addr(), world.smtp_port());
    let mut agent = Agent::start(&format!(
        "helo_name = \"probe.example.org\"\ndomains = [\"example.test\"]\n\
         [probe]\nport = {port}\ninterval = \"1s\"\n\
         [[resolver]]\nname = \"world\"\nservers = [\"{dns}\"]\n"
    ));
    agent.wait_ready();
    let scrape = agent.scrape();
    let ipv4 = [("mx", "mx1.example.test"), ("family", "ipv4")];
    assert_eq!(scrape.value("mx_exchanger_up", &ipv4), Some(1.0));
    let (status, took) = agent.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
}
