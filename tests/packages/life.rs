//! The life of a package on a machine: this one's, as it would be with it.
//!
//! A script runs with the file system of this machine under a layer that takes all changes and is gone
//! with the script, as are its processes; of networks it has a loopback of its own.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::servers::program::{find, skip};

/// Mounts the layer, then runs in it what follows.
const ENTER: &str = r#"set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/run"
mount -t tmpfs tmpfs "$1/root/tmp"
ip link set lo up
mkdir "$1/root/tmp/life"
cp "$2" "$3" "$4" "$5" "$1/root/tmp/life"
exec chroot "$1/root" bash "/tmp/life/${2##*/}" "/tmp/life/${4##*/}" "/tmp/life/${5##*/}"
"#;

/// Runs `script` with the two packages as its arguments, beside tests/packages/steps.
///
/// # Panics
///
/// When it ends badly; what it did is shown.
pub(crate) fn lead(script: &Path, package: &Path, newer: &Path) {
    if ["unshare", "chroot"].iter().any(|program| find(program, "util-linux").is_none()) {
        return;
    }
    let unshared = ["--mount", "--pid", "--fork", "--kill-child", "--net"];
    let possible = Command::new("unshare").args(unshared).arg("true").output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return skip("not root: there can be no file system of its own");
    }
    let place = tempfile::tempdir().unwrap();
    let steps = script.with_file_name("steps");
    let mut command = Command::new("unshare");
    command.args(unshared).args(["bash", "-c", ENTER, "life"]).arg(place.path());
    command.arg(script).arg(steps).arg(package).arg(newer);
    // Whatever would ask a question must not.
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{}: {}\n{said}", script.display(), output.status);
    assert!(said.ends_with("lived\n") || said.contains("\nlived\n"), "{said}");
    assert!(fs::read_dir(place.path()).unwrap().next().is_none(), "nothing of it is left");
}
