//! Alertmanager, its HTTP API (version 2) and `amtool`.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    http::{get, post},
    program::{Program, at_free_port, find, find_one_of},
};

/// A running Alertmanager; dropping it ends it.
pub(crate) struct Alertmanager {
    program: Program,
    address: SocketAddr,
    _dir: TempDir,
}

impl Alertmanager {
    /// Starts it alone, without a cluster. `None` where it is missing.
    pub(crate) fn start(config: &str) -> Option<Self> {
        // As upstream calls it, and as Debian does.
        let names = ["alertmanager", "prometheus-alertmanager"];
        let alertmanager = find_one_of(&names, "prometheus-alertmanager")?;
        Some(at_free_port(|port| {
            let dir = TempDir::new().unwrap();
            let (file, data) = (dir.path().join("alertmanager.yml"), dir.path().join("data"));
            fs::write(&file, config).unwrap();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut command = Command::new(&alertmanager);
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.path={}", data.display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--cluster.listen-address=");
            let mut program = Program::start(&mut command, dir.path());
            let ready = program.wait_until(|| get(address, "/-/ready").is_some());
            ready.then_some(Self { program, address, _dir: dir })
        }))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes alerts as a Prometheus sends them: objects with `labels` and what else they have.
    pub(crate) fn post(&self, alerts: &[Value]) {
        let json = serde_json::to_string(alerts).unwrap();
        assert!(post(self.address, "/api/v2/alerts", &json).is_some(), "refused: {json}");
    }

    /// The alerts of now, each with `labels` and `status`; none that is resolved.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.list("/api/v2/alerts")
    }

    /// The groups of now, each with `labels`, `receiver` and `alerts`.
    pub(crate) fn groups(&self) -> Vec<Value> {
        self.list("/api/v2/alerts/groups")
    }

    /// What it logged so far.
    pub(crate) fn said(&self) -> String {
        self.program.said()
    }

    fn list(&self, path: &str) -> Vec<Value> {
        let body = get(self.address, path).unwrap_or_else(|| panic!("{path}: {}", self.said()));
        serde_json::from_str(&body).unwrap()
    }
}

/// Runs `amtool`: whether it ended well, and what it printed. `None` where it is missing.
pub(crate) fn amtool(arguments: &[&str]) -> Option<(bool, String)> {
    let amtool = find("amtool", "prometheus-alertmanager")?;
    let output = Command::new(amtool).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
