//! mxwatch's own `check`, as a user runs it, of exchangers on loopback.

use std::process::Command;

use mxwatch::{facts::Session, world::World};
use serde_json::Value;

/// The name that it gives with EHLO.
pub(crate) const HELO_NAME: &str = "probe.example.test";

/// What came of it.
pub(crate) struct Checked {
    /// The exit status.
    pub(crate) status: Option<i32>,
    /// One for each domain, in the order asked for.
    pub(crate) documents: Vec<Value>,
}

impl Checked {
    /// The sessions with the only exchanger of the domain at this place.
    pub(crate) fn sessions(&self, domain: usize) -> &[Value] {
        let sessions = &self.documents[domain]["facts"]["exchangers"][0]["sessions"];
        sessions.as_array().unwrap_or_else(|| panic!("no session: {:#}", self.documents[domain]))
    }

    /// The only session with the only exchanger of the domain at this place.
    pub(crate) fn session(&self, domain: usize) -> Session {
        let [session] = self.sessions(domain) else { panic!("{:?}", self.sessions(domain)) };
        serde_json::from_value(session.clone()).unwrap()
    }
}

/// Checks domains of this zone, whose exchangers listen at this port. `more` adds the domains, and
/// flags and environment.
pub(crate) async fn check(zone: &str, port: u16, more: impl FnOnce(&mut Command)) -> Checked {
    let world = World::builder().zone(zone).unwrap().start().await.unwrap();
    let mut command = command();
    command.args(["--dns-server", &world.dns_addr().to_string(), "--port", &port.to_string()]);
    more(&mut command);
    let checked = tokio::task::spawn_blocking(move || run(command)).await.unwrap();
    world.stop().await;
    checked
}

/// A check that has yet to be told where to look, and for what.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxwatch"));
    command.args(["check", "--json", "--helo-name", HELO_NAME]);
    command
}

/// Runs it to its end.
pub(crate) fn run(mut command: Command) -> Checked {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let documents = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Checked { status: output.status.code(), documents }
}
