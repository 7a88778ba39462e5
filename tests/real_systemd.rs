//! The shipped units under a real systemd: start, reload, watchdog, sandbox, socket activation,
//! credentials, stop.

use std::{fs, path::Path, process::Command};

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use harness::wait_until;
use servers::{
    own_systemd::OwnSystemd,
    program::{find, note, output},
};

const CONFIG: &str = "/etc/mxwatch/mxwatch.toml";
const SHIPPED: &str = include_str!("../config/mxwatch.toml");
const URL: &str = "http://127.0.0.1:10187";

/// A system with the program, its units and the shipped configuration, as a package leaves them;
/// nothing is started.
fn installed() -> Option<OwnSystemd> {
    let system = OwnSystemd::boot()?;
    system.write("/usr/bin/mxwatch", fs::read(env!("CARGO_BIN_EXE_mxwatch")).unwrap());
    system.done(&["chmod", "755", "/usr/bin/mxwatch"]);
    for unit in ["mxwatch.service", "mxwatch.socket"] {
        system.write(&format!("/usr/lib/systemd/system/{unit}"), fs::read(path(unit)).unwrap());
    }
    system.write(CONFIG, SHIPPED);
    system.done(&["systemctl", "daemon-reload"]);
    Some(system)
}

fn path(unit: &str) -> String {
    format!("{}/packaging/systemd/{unit}", env!("CARGO_MANIFEST_DIR"))
}

/// What the administrator adds to the unit.
fn drop_in(system: &OwnSystemd, text: &str) {
    system.write("/etc/systemd/system/mxwatch.service.d/test.conf", format!("[Service]\n{text}\n"));
    system.done(&["systemctl", "daemon-reload"]);
}

/// Starts it, which returns when it is ready.
fn start(system: &OwnSystemd) {
    let started = system.run(&["systemctl", "start", "mxwatch.service"]);
    let status = ["systemctl", "status", "--no-pager", "--lines=30", "mxwatch.service"];
    assert!(started.status.success(), "{}", system.said(&status));
}

fn property(system: &OwnSystemd, name: &str) -> String {
    system.done(&["systemctl", "show", "--value", "-p", name, "mxwatch.service"])
}

fn journal(system: &OwnSystemd) -> String {
    system.done(&["journalctl", "-u", "mxwatch.service", "-o", "cat", "--no-pager"])
}

fn page(system: &OwnSystemd, path: &str) -> String {
    system.done(&["curl", "-sS", "--fail", "--max-time", "20", &format!("{URL}{path}")])
}

/// A line of /proc/PID/status.
fn status(system: &OwnSystemd, field: &str) -> String {
    let status = system.file(&format!("/proc/{}/status", property(system, "MainPID")));
    let status = fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap().trim().to_owned()
}

#[test]
fn a_fresh_install_starts_and_serves_in_its_sandbox() {
    let Some(system) = installed() else { return };
    start(&system);
    assert_eq!(property(&system, "StatusText"), "watching 0 destinations");
    let metrics = page(&system, "/metrics");
    // The last three come from /proc, of which it sees a part.
    for name in [
        "mxwatch_build_info{",
        "process_start_time_seconds ",
        "process_open_fds ",
        "process_resident_memory_bytes ",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name}: {metrics}");
    }
    // Neither root nor able to become it, and behind a filter.
    assert!(status(&system, "Uid").split_whitespace().all(|uid| uid != "0"));
    assert_eq!(status(&system, "CapBnd"), "0000000000000000");
    assert_eq!(status(&system, "NoNewPrivs"), "1");
    assert_eq!(status(&system, "Seccomp"), "2");
    let log = journal(&system);
    assert!(!log.contains("level=error"), "{log}");

    system.done(&["systemctl", "stop", "mxwatch.service"]);
    assert_eq!(property(&system, "Result"), "success");
    assert!(journal(&system).contains("message=stopped"), "{}", journal(&system));
}

#[test]
fn a_reload_that_fails_says_why_and_changes_nothing() {
    let Some(system) = installed() else { return };
    start(&system);
    let with = |domains: &str| SHIPPED.replace("domains = []", domains);
    system.write(CONFIG, with("domains = [\"a.test\"]"));
    system.done(&["systemctl", "reload", "mxwatch.service"]);
    let one = "watching 1 destination";
    wait_until("the reload", || (property(&system, "StatusText") == one).then_some(()));
    assert_eq!(property(&system, "ActiveState"), "active");

    system.write(CONFIG, with("domain = [\"b.test\"]"));
    let refused = system.run(&["systemctl", "reload", "mxwatch.service"]);
    assert!(!refused.status.success());
    // As the check before the reload says it.
    let log = journal(&system);
    assert!(log.contains("unknown key `domain`, did you mean `domains`"), "{log}");
    assert_eq!(property(&system, "ActiveState"), "active");
    assert_eq!(property(&system, "StatusText"), one);
    // Whoever sends the signal himself sees it in the status.
    system.done(&["kill", "-s", "HUP", &property(&system, "MainPID")]);
    let still = "configuration not reloaded, see the log; watching 1 destination as before";
    wait_until("the status", || (property(&system, "StatusText") == still).then_some(()));
    assert_eq!(property(&system, "ActiveState"), "active");

    // A start with it fails once and for all.
    system.run(&["systemctl", "restart", "mxwatch.service"]);
    assert_eq!(property(&system, "ExecMainStatus"), "78");
    assert_eq!(property(&system, "ActiveState"), "failed");
    assert_eq!(property(&system, "NRestarts"), "0");
}

#[test]
fn an_agent_that_hangs_is_started_anew() {
    let Some(system) = installed() else { return };
    drop_in(&system, "WatchdogSec=2s\nTimeoutAbortSec=1s\nRestartSec=100ms");
    start(&system);
    let first = property(&system, "MainPID");
    // Fed, it lives for longer than the watchdog is patient.
    let fed = || property(&system, "WatchdogTimestampMonotonic").parse::<u64>().unwrap();
    let begun = fed();
    wait_until("three times the patience", || (fed() > begun + 6_000_000).then_some(()));
    assert_eq!(property(&system, "MainPID"), first);
    system.done(&["kill", "-s", "STOP", &first]);
    wait_until("another start", || (property(&system, "NRestarts") == "1").then_some(()));
    wait_until("it serves", || {
        (property(&system, "ActiveState") == "active").then(|| page(&system, "/-/healthy"))
    });
    assert_ne!(property(&system, "MainPID"), first);
}

#[test]
fn systemd_can_hold_its_port() {
    let Some(system) = installed() else { return };
    system.write("/etc/default/mxwatch", "ARGS=\"--web.systemd-socket\"\n");
    system.done(&["systemctl", "start", "mxwatch.socket"]);
    assert_eq!(property(&system, "ActiveState"), "inactive");
    // The first request starts it.
    page(&system, "/-/healthy");
    assert_eq!(property(&system, "ActiveState"), "active");
    // The check before a reload is handed no socket.
    system.done(&["systemctl", "reload", "mxwatch.service"]);
    // Over both families.
    let ipv6 = ["curl", "-sS", "--fail", "http://[::1]:10187/-/healthy"];
    assert_eq!(system.done(&ipv6), "mxwatch is healthy.");
    // And the next one waits while it starts anew.
    system.done(&["systemctl", "restart", "--no-block", "mxwatch.service"]);
    page(&system, "/-/healthy");
}

#[test]
fn a_key_of_its_own_can_belong_to_a_group() {
    let Some(system) = installed() else { return };
    let make = "cd /etc/mxwatch && groupadd mxwatch-key && \
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                -keyout web.key -out web.crt -subj /CN=localhost \
                -addext subjectAltName=DNS:localhost && \
                chown root:mxwatch-key web.key && chmod 640 web.key";
    system.done(&["sh", "-c", make]);
    let web = "tls_server_config:\n  cert_file: web.crt\n  key_file: web.key\n";
    system.write("/etc/mxwatch/web-config.yml", web);
    let args = "ARGS=\"--web.config.file=/etc/mxwatch/web-config.yml\"\n";
    system.write("/etc/default/mxwatch", args);
    system.run(&["systemctl", "start", "mxwatch.service"]);
    assert_eq!(property(&system, "ExecMainStatus"), "78", "{}", journal(&system));
    drop_in(&system, "SupplementaryGroups=mxwatch-key");
    start(&system);
    let healthy = "https://localhost:10187/-/healthy";
    let curl = ["curl", "-sS", "--fail", "--cacert", "/etc/mxwatch/web.crt", healthy];
    assert_eq!(system.done(&curl), "mxwatch is healthy.");
    // The check before it reads the key as well.
    system.done(&["systemctl", "reload", "mxwatch.service"]);
}

#[test]
fn what_it_may_write_and_read_is_named_in_the_unit() {
    let Some(system) = installed() else { return };
    let connectivity = "/var/log/mxwatch/connectivity.log";
    system.write("/etc/mxwatch/relay.password", "correct horse\n");
    system.done(&["chmod", "600", "/etc/mxwatch/relay.password"]);
    let config = |password: &str| {
        let smart_host =
            "[[destination]]\nsmarthost = \"relay.example.net:587\"\nusername = \"probe\"";
        format!("connectivity_log = \"{connectivity}\"\n{SHIPPED}\n{smart_host}\n{password}\n")
    };
    // A file of root it cannot read.
    system.write(CONFIG, config("password_file = \"/etc/mxwatch/relay.password\""));
    system.run(&["systemctl", "start", "mxwatch.service"]);
    assert_eq!(property(&system, "ExecMainStatus"), "78");
    assert!(journal(&system).contains("relay.password cannot be read"), "{}", journal(&system));

    let credential = "LoadCredential=relay:/etc/mxwatch/relay.password";
    if hands_over(&system, credential) {
        system.write(CONFIG, config("password_credential = \"relay\""));
        drop_in(&system, credential);
    } else {
        note("not tried: systemd hands over no credential here");
        system.write(CONFIG, config("").replace("username = \"probe\"", ""));
    }
    start(&system);
    // The check before a reload reads it as well.
    system.done(&["systemctl", "reload", "mxwatch.service"]);
    let log = system.file(connectivity);
    wait_until("a line of the connectivity log", || {
        fs::read_to_string(&log).is_ok_and(|log| log.ends_with('\n')).then_some(())
    });
}

/// Whether a service without rights can read this credential, for which the kernel needs access
/// lists in memory.
fn hands_over(system: &OwnSystemd, credential: &str) -> bool {
    let credential = format!("--property={credential}");
    let run = ["systemd-run", "--wait", "--pipe", "--property=DynamicUser=yes", &credential];
    let show = ["sh", "-c", "cat $CREDENTIALS_DIRECTORY/relay"];
    system.said(&[&run[..], &show].concat()).contains("correct horse")
}

#[test]
fn the_units_are_sound_and_expose_little() {
    let Some(analyze) = find("systemd-analyze", "systemd") else { return };
    let unit = path("mxwatch.service");
    let mut security = Command::new(&analyze);
    security.args(["security", "--offline=true", "--no-pager", "--threshold=15", &unit]);
    let status = security.output().unwrap();
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(said.contains("Overall exposure level for mxwatch.service: "), "{said}");
    assert!(status.status.success(), "more than 1.5: {said}");

    // It wants the program where the package puts it.
    let dir = tempfile::tempdir().unwrap();
    for name in ["mxwatch.service", "mxwatch.socket"] {
        let text = fs::read_to_string(path(name)).unwrap();
        let here = text.replace("/usr/bin/mxwatch", env!("CARGO_BIN_EXE_mxwatch"));
        fs::write(dir.path().join(name), here).unwrap();
    }
    let units = ["mxwatch.service", "mxwatch.socket"].map(|name| dir.path().join(name));
    let verified = output(Command::new(&analyze).args(["verify", "--man=no"]).args(units));
    let ours: Vec<&str> = verified.lines().filter(|line| line.contains("mxwatch")).collect();
    assert_eq!(ours, [] as [&str; 0]);
    assert!(Path::new(env!("CARGO_BIN_EXE_mxwatch")).exists());
}
