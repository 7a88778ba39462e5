//! The package for Red Hat's Enterprise Linux, Fedora and their kin.

use std::process::Command;

use crate::{Files, find, holds_what_it_should, life, newer, packages, project, run};

#[test]
fn it_holds_what_it_should() {
    let Some(rpm) = find("rpm", "rpm") else { return };
    let Some(packages) = packages() else { return };
    let format = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]";
    let list = run(Command::new(&rpm).args(["-qp", "--queryformat", format]).arg(&packages.rpm));
    let files: Files = list
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[1], "root:root", "{line}");
            (words[2].trim_start_matches('/').to_owned(), words[0].to_owned())
        })
        .collect();
    holds_what_it_should(&files);
    for path in [
        "etc/sysconfig/mxwatch",
        "usr/share/doc/mxwatch/CHANGELOG.md.gz",
        "usr/share/licenses/mxwatch/LICENSE",
        "usr/share/zsh/site-functions/_mxwatch",
    ] {
        assert!(files.contains_key(path), "{path} is missing");
    }
    let flagged = "[%{FILEFLAGS:fflags} %{FILENAMES}\n]";
    let list = run(Command::new(&rpm).args(["-qp", "--queryformat", flagged]).arg(&packages.rpm));
    // c for configuration, n for noreplace.
    let config: Vec<&str> = list.lines().filter_map(|line| line.strip_prefix("cn ")).collect();
    let wanted = [
        "/etc/mxwatch/destinations.d/README",
        "/etc/mxwatch/mxwatch.toml",
        "/etc/sysconfig/mxwatch",
    ];
    assert_eq!(config, wanted);
}

#[test]
fn it_depends_on_little() {
    let Some(rpm) = find("rpm", "rpm") else { return };
    let Some(packages) = packages() else { return };
    let list = run(Command::new(&rpm).args(["-qp", "--requires"]).arg(&packages.rpm));
    let mut needed: Vec<&str> = list
        .lines()
        .filter(|line| !line.starts_with("rpmlib(") && !line.starts_with("config("))
        .collect();
    needed.sort_unstable();
    needed.dedup();
    assert_eq!(needed, ["/bin/sh", "libc.so.6(GLIBC_2.28)(64bit)"]);
}

#[test]
fn rpmlint_finds_nothing_to_say() {
    let Some(rpmlint) = find("rpmlint", "rpmlint") else { return };
    let Some(packages) = packages() else { return };
    let mut command = Command::new(rpmlint);
    command.arg("-c").arg(project("packaging/rpm/rpmlint.toml")).arg(&packages.rpm);
    let said = run(&mut command);
    assert!(said.contains("; 0 errors, 0 warnings, "), "{said}");
}

#[test]
fn it_is_installed_upgraded_reloaded_and_erased() {
    if find("rpm", "rpm").is_none() {
        return;
    }
    let (Some(packages), Some(newer)) = (packages(), newer()) else { return };
    life::lead(&project("tests/packages/red_hat.life"), &packages.rpm, &newer.rpm);
}
