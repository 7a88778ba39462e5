//! Prometheus, its HTTP API and `promtool`.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    http::{escaped, get},
    program::{Program, at_free_port, find},
};

/// A running Prometheus; dropping it ends it.
pub(crate) struct Prometheus {
    _program: Program,
    address: SocketAddr,
    _dir: TempDir,
}

/// What a Prometheus does besides scraping.
#[derive(Debug, Default)]
pub(crate) struct Duties {
    /// Files with rules, evaluated every second where they do not say otherwise.
    pub(crate) rules: Vec<PathBuf>,
    /// The Alertmanager that hears of alerts.
    pub(crate) alertmanager: Option<SocketAddr>,
    /// More of the scrape configuration, one key a line, such as `scheme: https`.
    pub(crate) scrape: Vec<String>,
}

impl Prometheus {
    /// Scrapes `target` every second as job `mxwatch`. `None` where Prometheus is missing.
    pub(crate) fn start(target: SocketAddr) -> Option<Self> {
        Self::start_with(target, &Duties::default())
    }

    /// The same with further duties.
    pub(crate) fn start_with(target: SocketAddr, duties: &Duties) -> Option<Self> {
        let prometheus = find("prometheus", "prometheus")?;
        let alertmanagers: Vec<_> = duties.alertmanager.iter().map(ToString::to_string).collect();
        let rules = &duties.rules;
        let more: Vec<_> = duties.scrape.iter().map(|key| format!("    {key}\n")).collect();
        let more = more.concat();
        Some(at_free_port(|port| {
            let dir = TempDir::new().unwrap();
            let (config, data) = (dir.path().join("prometheus.yml"), dir.path().join("data"));
            let text = format!(
                "\
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: {rules:?}
alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: {alertmanagers:?} }}] }}] }}
scrape_configs:
  - job_name: mxwatch
    static_configs: [{{ targets: ['{target}'] }}]
{more}"
            );
            fs::write(&config, text).unwrap();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut command = Command::new(&prometheus);
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--log.level=warn");
            let mut program = Program::start(&mut command, dir.path());
            let ready = program.wait_until(|| get(address, "/-/ready").is_some());
            ready.then_some(Self { _program: program, address, _dir: dir })
        }))
    }

    /// The result of an instant query: every series with its value.
    pub(crate) fn query(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/v1/query?query={}", escaped(query));
        let body = get(self.address, &path).unwrap_or_else(|| panic!("refused: {query}"));
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// The state of its only target: `health` and `lastError` among others.
    pub(crate) fn target(&self) -> Value {
        let body = get(self.address, "/api/v1/targets?state=active").expect("its targets");
        serde_json::from_str::<Value>(&body).unwrap()["data"]["activeTargets"][0].clone()
    }
}

/// What `promtool check metrics` says of a body: whether it passed, and its words. `None` where
/// promtool is missing.
pub(crate) fn check_metrics(body: &str) -> Option<(bool, String)> {
    let promtool = find("promtool", "prometheus")?;
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
