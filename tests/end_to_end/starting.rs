//! An agent that cannot start says why and ends with a status of sysexits.h, which unit files and
//! scripts go by.

use std::net::TcpListener;

use crate::harness::{CONFIG, run};

/// Runs the agent on a configuration with this line more than it must have.
fn started(line: &str, flags: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mxwatch.toml");
    std::fs::write(&file, format!("helo_name = \"probe.example.org\"\n{line}\n")).unwrap();
    let config = format!("--config.file={}", file.display());
    let ran = run(&[&[config.as_str()], flags].concat());
    (ran.code, ran.stderr)
}

#[test]
fn a_wrong_flag_or_address_is_64() {
    let (code, said) = started("", &["--web.listen-adress=127.0.0.1:0"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("--web.listen-address"), "{said}");
    let (code, said) = started("", &["--web.listen-address=nowhere"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("cannot listen on nowhere: "), "{said}");
}

#[test]
fn an_address_that_is_taken_is_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = started("", &[&format!("--web.listen-address={address}")]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains(&format!("cannot listen on {address}: ")), "{said}");
}

#[test]
fn a_connectivity_log_that_cannot_be_opened_is_69() {
    let line = "connectivity_log = \"missing/connectivity.jsonl\"";
    let (code, said) = started(line, &["--web.listen-address=127.0.0.1:0"]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("missing/connectivity.jsonl: No such file"), "{said}");
}

#[test]
fn a_wrong_configuration_is_78() {
    let (code, said) = started("intervall = \"1m\"", &["--web.listen-address=127.0.0.1:0"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("mxwatch.toml:2:1: intervall: unknown key"), "{said}");
}

#[test]
fn a_check_passes_over_credentials_that_only_the_service_sees_and_over_no_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(CONFIG);
    let config = format!("--config.file={}", file.display());
    let smart_host = "helo_name = \"mx.test\"\n[[destination]]\nsmarthost = \"relay.test:587\"\n\
                      username = \"probe\"\npassword_credential = ";
    for (name, code) in [("\"relay\"", 0), ("\"../relay\"", 78)] {
        std::fs::write(&file, format!("{smart_host}{name}\n")).unwrap();
        let checked = run(&[&config, "--config.check"]);
        assert_eq!(checked.code, Some(code), "{checked:?}");
        // The service itself needs it.
        let started = run(&[&config, "--web.listen-address=127.0.0.1:0"]);
        assert_eq!(started.code, Some(78), "{started:?}");
    }
}
