//! A systemd of the test's own. It boots in namespaces of its own, sees this host's files, and
//! keeps in memory what it changes of them; with the process all of it is gone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use super::program::{Program, find, output, skip};

/// What `unshare` makes its own; nothing that it mounts is seen outside.
const NAMESPACES: [&str; 7] =
    ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--propagation=private"];

/// A system that runs until it is dropped.
pub(crate) struct OwnSystemd {
    /// Its first process, as this host knows it.
    pid: String,
    _unshare: Program,
    _dir: TempDir,
}

impl OwnSystemd {
    /// Boots. `None` where that cannot be: not as root, or without systemd.
    pub(crate) fn boot() -> Option<Self> {
        let unshare = find("unshare", "util-linux")?;
        let _ip = find("ip", "iproute2")?;
        let _systemctl = find("systemctl", "systemd")?;
        if !Path::new("/lib/systemd/systemd").exists() {
            skip("systemd is not installed");
            return None;
        }
        let refused = output(Command::new(&unshare).args(NAMESPACES).arg("true"));
        if !refused.is_empty() {
            skip(&format!("no system of its own: {refused}"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("system");
        fs::create_dir(&root).unwrap();
        let mut command = Command::new(unshare);
        command.args(NAMESPACES).args(["--fork", "--kill-child"]);
        command.args(["sh", "-c", include_str!("own_systemd.sh"), "boot"]).arg(root);
        let mut program = Program::start(&mut command, dir.path());
        let (unshare, mut pid) = (program.id(), None);
        let booted = program.wait_until(|| {
            pid = child_of(unshare);
            let Some(pid) = &pid else { return false };
            let state = inside(pid, &["systemctl", "is-system-running"]);
            // Degraded: some service of the host's basic system does not fit in here.
            ["running", "degraded"].contains(&String::from_utf8_lossy(&state.stdout).trim())
        });
        assert!(booted, "systemd does not boot:\n{}", program.said());
        Some(Self { pid: pid?, _unshare: program, _dir: dir })
    }

    /// A file in there, seen from here.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        assert!(path.starts_with('/'), "{path}");
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// Writes a file in there, and the directories above it.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.file(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    /// Runs a command in there to its end.
    pub(crate) fn run(&self, command: &[&str]) -> Output {
        inside(&self.pid, command)
    }

    /// What a command in there prints, both streams, without the line break at the end.
    pub(crate) fn said(&self, command: &[&str]) -> String {
        let output = self.run(command);
        let [said, error] = [output.stdout, output.stderr]
            .map(|stream| String::from_utf8_lossy(&stream).into_owned());
        (said + &error).trim_end().to_owned()
    }

    /// The same of a command that has to succeed.
    pub(crate) fn done(&self, command: &[&str]) -> String {
        let output = self.run(command);
        let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}\n{error}");
        said
    }
}

fn inside(pid: &str, command: &[&str]) -> Output {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["--target", pid, "--all", "--root", "--wd", "--", "env", "-i"]);
    nsenter.args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]);
    nsenter.args(command).output().unwrap()
}

fn child_of(pid: u32) -> Option<String> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next().map(str::to_owned)
}
