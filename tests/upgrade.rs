//! An upgrade breaks nobody's configuration: today's program takes what every released version shipped.
//!
//! tests/upgrade/VERSION holds the packaged configuration and the examples of that version as they
//! were. A release adds its own; what is there is never changed. A change of names that a configuration
//! of before does not survive is a `[CHANGE]` in CHANGELOG.md, and shows here.

use std::{fs, path::Path};

#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod harness;
use harness::run;

#[test]
fn configurations_of_every_released_version_are_taken() {
    let versions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade");
    let mut taken = 0;
    for version in fs::read_dir(versions).unwrap() {
        let version = version.unwrap().path();
        for folder in [version.clone(), version.join("examples")] {
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            for file in files.filter(|file| file.extension().is_some_and(|kind| kind == "toml")) {
                let ran = run(&["--config.check", &format!("--config.file={}", file.display())]);
                assert_eq!(ran.code, Some(0), "{}\n{}", file.display(), ran.stderr);
                taken += 1;
            }
        }
    }
    assert!(taken > 5, "{taken}");
}

#[test]
fn every_released_version_is_among_them() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let changelog = fs::read_to_string(project.join("CHANGELOG.md")).unwrap();
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## ["));
    let released = headings.filter_map(|rest| rest.split_once(']')).map(|(version, _)| version);
    for version in released.filter(|version| *version != "Unreleased") {
        let kept = project.join("tests/upgrade").join(version).join("mxwatch.toml");
        assert!(kept.exists(), "{} keeps what it shipped", kept.display());
    }
    // Until it is released, what is kept of this version follows what will be shipped.
    if changelog.contains("## [Unreleased]")
        && !changelog.contains(concat!("## [", env!("CARGO_PKG_VERSION"), "]"))
    {
        let kept =
            project.join("tests/upgrade").join(env!("CARGO_PKG_VERSION")).join("mxwatch.toml");
        let shipped = project.join("config/mxwatch.toml");
        let same = fs::read(&kept).unwrap() == fs::read(&shipped).unwrap();
        assert!(same, "cp config/mxwatch.toml {}", kept.display());
    }
}
