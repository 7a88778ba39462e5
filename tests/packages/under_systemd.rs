//! The package for Debian where systemd runs: what is started, restarted and stopped by whom.

use std::{fs, path::Path};

use crate::{
    newer, packages,
    servers::{own_systemd::OwnSystemd, program::find},
};

const CONFIG: &str = "/etc/mxwatch/mxwatch.toml";

fn install(system: &OwnSystemd, deb: &Path) {
    system.write("/tmp/mxwatch.deb", fs::read(deb).unwrap());
    let keep = ["--force-confdef", "--force-confold"];
    system.done(&[&["dpkg"][..], &keep, &["-i", "/tmp/mxwatch.deb"]].concat());
}

fn property(system: &OwnSystemd, name: &str) -> String {
    system.done(&["systemctl", "show", "--value", "-p", name, "mxwatch.service"])
}

/// Whether the service is active and enabled.
fn state(system: &OwnSystemd) -> (String, String) {
    (property(system, "ActiveState"), property(system, "UnitFileState"))
}

#[test]
fn it_runs_from_the_installation_to_the_removal() {
    if find("dpkg", "dpkg").is_none() || find("curl", "curl").is_none() {
        return;
    }
    let (Some(packages), Some(newer)) = (packages(), newer()) else { return };
    let Some(system) = OwnSystemd::boot() else { return };
    let running = ("active".to_owned(), "enabled".to_owned());

    install(&system, &packages.deb);
    assert_eq!(state(&system), running);
    assert_eq!(property(&system, "StatusText"), "watching 0 destinations");
    let metrics = system.done(&["curl", "-sS", "--fail", "http://127.0.0.1:10187/metrics"]);
    assert!(metrics.contains("\nmxwatch_build_info{"), "{metrics}");
    let log = system.done(&["journalctl", "-u", "mxwatch.service", "-o", "cat", "--no-pager"]);
    assert!(log.contains(&format!("{CONFIG}: no destinations: ")), "{log}");

    let shipped = fs::read_to_string(system.file(CONFIG)).unwrap();
    system.write(CONFIG, shipped.replace("domains = []", "domains = [\"a.test\", \"b.test\"]"));
    let first = property(&system, "MainPID");
    install(&system, &newer.deb);
    assert_eq!(state(&system), running);
    assert_ne!(property(&system, "MainPID"), first, "the newer one runs");
    assert_eq!(property(&system, "StatusText"), "watching 2 destinations");

    // What the administrator stopped for good an upgrade does not start.
    system.done(&["systemctl", "disable", "--now", "mxwatch.service"]);
    install(&system, &newer.deb);
    assert_eq!(property(&system, "UnitFileState"), "disabled");
    system.done(&["systemctl", "enable", "--now", "mxwatch.service"]);

    let logs = system.said(&["find", "/var/log", "-name", "mxwatch*"]);
    assert!(logs.contains("/var/log/mxwatch"), "{logs}");
    system.done(&["dpkg", "-r", "mxwatch"]);
    assert_eq!(property(&system, "ActiveState"), "inactive");
    system.done(&["dpkg", "-P", "mxwatch"]);
    assert_eq!(property(&system, "LoadState"), "not-found");
    assert!(!system.file(CONFIG).exists());
    assert_eq!(system.said(&["find", "/var/log", "-name", "mxwatch*"]), "");
}
