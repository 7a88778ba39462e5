//! The package for Debian and its kin.

use std::{path::Path, process::Command};

use crate::{Files, find, holds_what_it_should, life, newer, packages, project, run};

/// A field of the package's control file.
fn field(dpkg: &Path, deb: &Path, name: &str) -> String {
    run(Command::new(dpkg).arg("-f").arg(deb).arg(name)).trim().to_owned()
}

#[test]
fn it_holds_what_it_should() {
    let Some(dpkg) = find("dpkg-deb", "dpkg") else { return };
    let Some(packages) = packages() else { return };
    // Lines such as: -rw-r--r-- 0/0 207 2026-11-21 17:36 ./etc/default/mxwatch
    let list = run(Command::new(&dpkg).arg("-c").arg(&packages.deb));
    let files: Files = list
        .lines()
        .filter(|line| !line.starts_with('d'))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[1], "0/0", "{line}");
            (words[5].trim_start_matches("./").to_owned(), words[0].to_owned())
        })
        .collect();
    holds_what_it_should(&files);
    for path in [
        "etc/default/mxwatch",
        "usr/share/doc/mxwatch/changelog.Debian.gz",
        "usr/share/doc/mxwatch/copyright",
        "usr/share/zsh/vendor-completions/_mxwatch",
    ] {
        assert!(files.contains_key(path), "{path} is missing");
    }
    let conffiles = run(Command::new(&dpkg).arg("-I").arg(&packages.deb).arg("conffiles"));
    let mut conffiles: Vec<&str> = conffiles.lines().collect();
    conffiles.sort_unstable();
    let wanted =
        ["/etc/default/mxwatch", "/etc/mxwatch/destinations.d/README", "/etc/mxwatch/mxwatch.toml"];
    assert_eq!(conffiles, wanted);
}

#[test]
fn it_depends_on_little() {
    let Some(dpkg) = find("dpkg-deb", "dpkg") else { return };
    let Some(packages) = packages() else { return };
    let field = |name| field(&dpkg, &packages.deb, name);
    assert_eq!(field("Version"), concat!(env!("CARGO_PKG_VERSION"), "-1"));
    assert_eq!(field("Depends"), "libc6 (>= 2.28)");
    assert_eq!(field("Recommends"), "ca-certificates");
    assert_eq!(field("Pre-Depends"), "");
}

#[test]
fn lintian_finds_nothing_to_say() {
    let Some(lintian) = find("lintian", "lintian") else { return };
    let Some(packages) = packages() else { return };
    let mut command = Command::new(lintian);
    command.args(["--pedantic", "--allow-root", "--fail-on", "error,warning,info,pedantic"]);
    let said = run(command.arg(&packages.deb));
    assert_eq!(said, "");
}

#[test]
fn it_is_installed_upgraded_reloaded_removed_and_purged() {
    if find("dpkg", "dpkg").is_none() || find("deb-systemd-helper", "init-system-helpers").is_none()
    {
        return;
    }
    let (Some(packages), Some(newer)) = (packages(), newer()) else { return };
    life::lead(&project("tests/packages/debian.life"), &packages.deb, &newer.deb);
}
