//! Builds the image from its recipe and runs it by an OCI runtime, with a store of its own.
//!
//! The official image of the toolchain is not to be had everywhere: in its place is one with the few
//! programs that the recipe calls, and a `cargo` that hands out the program that is tested here.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    manifests::project,
    servers::program::{Program, find, output, skip},
};

pub(crate) const RECIPE: &str = "packaging/oci/Containerfile";
/// What the recipe calls while it builds.
const TOOLS: [&str; 6] = ["sh", "bash", "cp", "grep", "install", "ldd"];
/// Where the authorities are on Debian, here as there.
pub(crate) const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// What builds and runs images here, with everything it keeps in a folder of its own.
pub(crate) struct Engine {
    buildah: PathBuf,
    runc: PathBuf,
    strip: PathBuf,
    folder: TempDir,
}

impl Engine {
    pub(crate) fn here() -> Option<Self> {
        let buildah = find("buildah", "buildah")?;
        let runc = find("runc", "runc")?;
        let strip = find("strip", "binutils")?;
        let mut own = Command::new(find("unshare", "util-linux")?);
        let refused = output(own.args(["--mount", "--net", "--pid", "--fork", "true"]));
        if !refused.is_empty() {
            skip(&format!("no namespaces of its own: {refused}"));
            return None;
        }
        Some(Self { buildah, runc, strip, folder: tempfile::tempdir().unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What buildah says, run with a store of its own. Nothing is fetched.
    fn buildah(&self, args: &[&str]) -> String {
        let mut command = Command::new(&self.buildah);
        command.arg("--root").arg(self.path("images")).arg("--runroot").arg(self.path("state"));
        command.args(["--storage-driver", "vfs"]).args(args).env("BUILDAH_ISOLATION", "chroot");
        succeeded(&mut command)
    }

    /// The image that the recipe makes.
    pub(crate) fn image(&self) -> Image {
        let base = self.path("base");
        self.stand_in(&base);
        let recipe = self.path("base.recipe");
        fs::write(&recipe, "FROM scratch\nCOPY . /\n").unwrap();
        let build = ["build", "--quiet", "--pull-never", "--format=docker"];
        let of = |more: &[&str]| self.buildah(&[&build[..], more].concat());
        let shown = |path: &Path| path.display().to_string();
        of(&["--tag=stand-in", "--file", &shown(&recipe), &shown(&base)]);
        let (recipe, project) = (shown(&project(RECIPE)), shown(&project("")));
        of(&["--tag=mxwatch", "--from=localhost/stand-in", "--file", &recipe, &project]);

        let about = self.buildah(&["inspect", "--type=image", "mxwatch"]);
        let config = serde_json::from_str::<Value>(&about).unwrap()["Docker"]["config"].take();
        let container = self.buildah(&["from", "--pull-never", "mxwatch"]);
        let root = self.buildah(&["mount", container.trim()]).trim().into();
        Image { config, root }
    }

    /// What the recipe needs of the official image: some programs, the authorities, and a `cargo`.
    fn stand_in(&self, root: &Path) {
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        symlink("usr/bin", root.join("bin")).unwrap();
        let mut linked = vec![PathBuf::from(env!("CARGO_BIN_EXE_mxwatch"))];
        for tool in TOOLS.into_iter().chain(["chroot"]) {
            let program = find(tool, "coreutils, libc-bin, grep, bash, dash").unwrap();
            fs::copy(&program, root.join("usr/bin").join(tool)).unwrap();
            linked.push(program);
        }
        for program in linked {
            // ldd itself is a script.
            for library in output(Command::new("ldd").arg(program)).split_whitespace() {
                if let Some(below) = library.strip_prefix('/') {
                    put(Path::new(library), &root.join(below));
                }
            }
        }
        put(&Path::new("/").join(AUTHORITIES), &root.join(AUTHORITIES));
        // Without what debuggers read, of which there is more than of anything else.
        let built = env!("CARGO_BIN_EXE_mxwatch");
        succeeded(Command::new(&self.strip).arg("-o").arg(root.join("mxwatch")).arg(built));
        let cargo = root.join("usr/bin/cargo");
        let script = "#!/bin/sh\nset -e\n[ \"$*\" = 'build --release --locked' ]\n\
                      [ -f Cargo.toml ] && [ -f Cargo.lock ] && [ -f src/main.rs ]\n\
                      install -D /mxwatch target/release/mxwatch\n";
        fs::write(&cargo, script).unwrap();
        fs::set_permissions(cargo, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Starts a container, and sees that its health check passes and that it ends as engines end it.
    /// Meanwhile another command of the image runs in it; what that says comes back.
    pub(crate) fn runs(&self, image: &Image, run: &Run, beside: &[&str]) -> String {
        let bundle = tempfile::tempdir_in(self.folder.path()).unwrap();
        image.bundle(bundle.path(), run);
        let id = format!("mxwatch-{}", bundle.path().file_name().unwrap().to_string_lossy());
        let mut container = Container::start(self, bundle.path(), &id);

        let check = list(&image.config["Healthcheck"]["Test"]);
        let [kind, check @ ..] = &check[..] else { panic!("no health check") };
        assert_eq!(kind, "CMD", "there is no shell");
        let asked = || self.runc(&["exec", &id]).args(check).output().unwrap();
        assert!(
            container.program.wait_until(|| asked().status.success()),
            "{}",
            container.program.said()
        );
        assert_eq!(said(&asked()), "http://127.0.0.1:10187: healthy\n");
        // Without an nsswitch.conf, too, libc looks into /etc/hosts first; no DNS server is there.
        for (url, status) in [("http://localhost:10187", 0), ("http://127.0.0.1:1", 1)] {
            let asked =
                self.runc(&["exec", &id]).args(check).args(["--url", url]).output().unwrap();
            assert_eq!(asked.status.code(), Some(status), "{}", said(&asked));
        }
        let entry = list(&image.config["Entrypoint"]);
        let beside = succeeded(self.runc(&["exec", &id]).args(entry).args(beside));

        succeeded(&mut self.runc(&["kill", &id, "TERM"]));
        assert!(!container.program.wait_until(|| false), "it has ended");
        beside
    }

    fn runc(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.runc);
        command.arg("--root").arg(self.path("running")).args(args);
        command
    }
}

/// What is told an engine beside the image.
#[derive(Default)]
pub(crate) struct Run {
    /// What stands behind the image's entry point.
    pub(crate) args: Vec<String>,
    /// Folders of this host, and where they are to be seen. None can be written to.
    pub(crate) mounts: Vec<(PathBuf, String)>,
}

/// An image that was built.
pub(crate) struct Image {
    /// What it says of how it wants to be run.
    pub(crate) config: Value,
    /// Its files.
    root: PathBuf,
}

impl Image {
    /// The paths of its files below `/`, sorted.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let found = succeeded(
            Command::new("find").arg(&self.root).args(["!", "-type", "d", "-printf", "%P\n"]),
        );
        found.lines().map(str::to_owned).collect()
    }

    /// Writes what the OCI runtime specification calls a bundle: the image's own command as the image's
    /// user, in namespaces of its own, without any capability, with a root that cannot be written to.
    fn bundle(&self, at: &Path, run: &Run) {
        let (user, group) = self.config["User"].as_str().unwrap().split_once(':').unwrap();
        let [user, group] = [user, group].map(|id| id.parse::<u32>().unwrap());
        let args = [list(&self.config["Entrypoint"]), run.args.clone()].concat();
        let none: [&str; 0] = [];
        let namespaces =
            ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
        let bind = |(source, destination): &(PathBuf, String)| json!({ "source": source, "destination": destination, "type": "bind", "options": ["bind", "ro"] });
        // Every engine puts these in place.
        let usual = ["resolv.conf", "hosts"].map(|name| (at.join(name), format!("/etc/{name}")));
        let mut mounts = vec![
            json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
            json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs" }),
        ];
        mounts.extend(usual.iter().chain(&run.mounts).map(bind));
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": user, "gid": group },
                "args": args,
                "env": self.config["Env"],
                "cwd": "/",
                "capabilities": { "bounding": none, "effective": none, "permitted": none },
                "noNewPrivileges": true,
            },
            "root": { "path": self.root, "readonly": true },
            "mounts": mounts,
            "linux": { "namespaces": namespaces },
        });
        fs::write(at.join("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
        fs::write(at.join("hosts"), "127.0.0.1 localhost\n").unwrap();
        fs::write(at.join("config.json"), config.to_string()).unwrap();
    }
}

/// A running container; dropping it ends it.
struct Container<'a> {
    engine: &'a Engine,
    id: String,
    program: Program,
}

impl<'a> Container<'a> {
    fn start(engine: &'a Engine, bundle: &Path, id: &str) -> Self {
        let mut command = engine.runc(&["run", "--bundle"]);
        let program = Program::start(command.arg(bundle).arg(id), bundle);
        Self { engine, id: id.to_owned(), program }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // One that has ended is gone already.
        let _ = self.engine.runc(&["delete", "--force", &self.id]).output();
    }
}

/// Copies what `from` leads to.
fn put(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

pub(crate) fn list(of: &Value) -> Vec<String> {
    serde_json::from_value(of.clone()).unwrap_or_else(|error| panic!("{of}: {error}"))
}

/// What a command says that has to succeed.
fn succeeded(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
