//! The configuration loader from outside: each mistake with its exact message.

use std::{fs, path::Path};

use mxwatch::config::{self, Loaded};

/// The messages for a main file of this text, its directory left out.
fn problems_of(text: &str, environment: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mxwatch.toml");
    fs::write(&path, text).unwrap();
    let outcome = config::load(&path, environment.iter().copied());
    let problems = outcome.map(|loaded| loaded.config).expect_err(text).to_string();
    problems.replace(&format!("{}/", directory.path().display()), "")
}

fn load(path: &Path) -> Loaded {
    config::load(path, [("HOME", "/root")]).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn try_it() {
    println!(
        "{}",
        problems_of(
            r#"
helo_name = "localhost"
domains = ["example.com", "nodot", 5, "example.com", "relay.example.net:25", "a b.example"]
intervall = 3
connectivity_log = ""
[probe]
intervall = "5s"
interval = 30
port = 70000
families = ["ipv5"]
connect_timeout = "30"
banner_timeout = "5 parsecs"
command_timeout = "0s"
helo_name = "x"
source_ipv4 = "::1"
[[resolver]]
servers = ["ns.example.org"]
[[resolver]]
name = "a b"
servers = []
[[destination]]
[[destination]]
domain = "example.com"
smarthost = "relay"
[[destination]]
smarthost = "relay"
interval = true
[web]
probe_any_target = "yes"
max_connections = 0
[metrics]
detail = 1979-05-27
"#,
            &[
                ("MXWATCH_DNS__TIMEOUT", "5"),
                ("MXWATCH_DNS__TIMEOOUT", "5"),
                ("MXWATCH_SERVICE_HOST", "5")
            ]
        )
    );
}
