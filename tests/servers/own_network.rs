//! A network of the test's own, for what needs fixed ports, addresses that the host lacks, and
//! programs that resolve through libc: the test runs itself anew in it.
//!
//! The namespaces end with the process; nothing of the host changes.

use std::{
    env, fs,
    net::{IpAddr, Ipv6Addr},
    process::Command,
};

use super::program::{find, has_ipv6, output, skip};

/// Tells the process inside which network is not its own. What begins with MXWATCH_ is read by
/// mxwatch.
const OUTSIDE: &str = "TEST_OUTSIDE_NETWORK";
/// What libc and whatever else resolves as the system does reads.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Runs the test of this name again in network and mount namespaces of its own, where
/// [`entered`] is true, and passes on what it says and whether it fails.
pub(crate) fn rerun(test: &str) {
    let (Some(unshare), Some(_)) = (find("unshare", "util-linux"), find("ip", "iproute2")) else {
        return;
    };
    if !has_ipv6() {
        return skip("this host has no IPv6");
    }
    let own = || {
        let mut command = Command::new(&unshare);
        command.args(["--net", "--mount", "--"]);
        command
    };
    let refused = output(own().arg("true"));
    if !refused.is_empty() {
        return skip(&format!("no network of its own: {refused}"));
    }
    let mut inside = own();
    inside.arg(env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let inside = inside.env(OUTSIDE, network()).output().unwrap();
    let (said, error) =
        (String::from_utf8_lossy(&inside.stdout), String::from_utf8_lossy(&inside.stderr));
    assert!(inside.status.success(), "in a network of its own:\n{said}\n{error}");
    print!("{said}");
}

/// Whether this process is in a network of its own.
pub(crate) fn entered() -> bool {
    env::var(OUTSIDE).is_ok_and(|outside| outside != network())
}

/// The network namespace of this process.
fn network() -> String {
    fs::read_link("/proc/self/ns/net").unwrap().display().to_string()
}

/// Brings up loopback with more addresses, and lets the system resolve at port 53 of `dns`, each
/// query waiting this many seconds for its only answer.
pub(crate) fn set_up(addresses: &[Ipv6Addr], dns: IpAddr, seconds: u64) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| (*address).into()).collect();
    bring_up(&addresses);
    let text = format!("nameserver {dns}\nsearch .\noptions timeout:{seconds} attempts:1\n");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resolv.conf");
    fs::write(&file, text).unwrap();
    run(Command::new("mount").arg("--bind").arg(file).arg(RESOLV_CONF));
}

/// Brings up loopback with more addresses.
pub(crate) fn bring_up(addresses: &[IpAddr]) {
    assert!(entered(), "the host's own network stays as it is");
    let ip = find("ip", "iproute2").unwrap();
    run(Command::new(&ip).args(["link", "set", "lo", "up"]));
    for address in addresses {
        // All bits are the host's own, so that no neighbour is looked for.
        let address = format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 });
        run(Command::new(&ip).args(["address", "add", &address, "dev", "lo"]));
    }
}

fn run(command: &mut Command) {
    let said = output(command);
    assert_eq!(said, "", "{command:?}");
}
