//! What mxwatch predicts of the sender: its verdicts from the real program, which probes the same
//! world, or is handed facts that no probe sees.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{conditions, verdict::Verdict};

/// The sender of the test, in mxwatch's configuration. The probe has more patience than it.
fn configuration() -> String {
    let (dns, connect, greeting) = (conditions::DNS, conditions::CONNECT, conditions::GREETING);
    format!(
        r#"helo_name = "probe.example.test"
[probe]
connect_timeout = "{}s"
banner_timeout = "{patience}s"
command_timeout = "{patience}s"
[dns]
timeout = "{dns}s"
attempts = 1
late_window = "1s"
[sender.here]
like = "postfix"
dns_timeout = "{dns}s"
connect_timeout = "{connect}s"
banner_timeout = "{greeting}s"
command_timeout = "{greeting}s"
"#,
        connect + 2,
        patience = greeting + 2,
    )
}

/// The line that `check --json` and `judge --json` write for a domain.
#[derive(Deserialize)]
struct Document {
    domain: String,
    verdicts: Vec<Verdict>,
}

/// The verdicts on domains of the world, which are probed for it.
pub(crate) fn by_probing(domains: &[String]) -> BTreeMap<String, Verdict> {
    with_configuration(|_, command| {
        command.args(["check", "--json"]).args(domains);
    })
}

/// The verdicts on facts in shorthand, whose addresses and replies are not those of the world: what
/// is logged about them is different.
pub(crate) fn from_facts(facts: &[Value]) -> BTreeMap<String, Verdict> {
    let mut verdicts = with_configuration(|folder, command| {
        let file = folder.join("facts.json");
        let lines: Vec<String> = facts.iter().map(Value::to_string).collect();
        fs::write(&file, lines.join("\n")).unwrap();
        command.args(["judge", "--json"]).arg(file);
    });
    for verdict in verdicts.values_mut() {
        verdict.log = None;
    }
    verdicts
}

fn with_configuration(arrange: impl FnOnce(&Path, &mut Command)) -> BTreeMap<String, Verdict> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mxwatch.toml");
    fs::write(&file, configuration()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxwatch"));
    arrange(folder.path(), &mut command);
    let Output { stdout, stderr, .. } = command.arg("--config.file").arg(file).output().unwrap();
    let lines = serde_json::Deserializer::from_slice(&stdout).into_iter::<Document>();
    let verdict = |line: Result<Document, _>| {
        let line = line.unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&stderr));
        });
        let [verdict] = <[Verdict; 1]>::try_from(line.verdicts).expect("one sender, one resolver");
        (line.domain, verdict)
    };
    lines.map(verdict).collect()
}
