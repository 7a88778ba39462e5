//! The packages: what is in them, what the distributions' own checkers say, and their life on a
//! machine, with the real dpkg and rpm in a file system of their own.
//!
//! `PACKAGES=target/packages` tests those that packaging/build made there, which CI does. Without it
//! packages with the program under test are made here, if packaging/build has been run once and so
//! its tools are there.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

mod debian;
mod life;
mod red_hat;
#[allow(dead_code, reason = "shared with the tests against real servers")]
#[path = "../servers/mod.rs"]
mod servers;
mod under_systemd;

use servers::program::{find, skip};

/// A file of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// One package of each kind.
#[derive(Debug)]
struct Packages {
    deb: PathBuf,
    rpm: PathBuf,
    /// Where they are, if they were made for a test.
    _folder: Option<TempDir>,
}

impl Packages {
    fn in_folder(path: &Path) -> Self {
        let only = |kind: &str| {
            let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
            let mut files = entries.filter(|file| file.extension().is_some_and(|e| e == kind));
            let file = files.next().unwrap_or_else(|| panic!("no {kind} in {}", path.display()));
            assert_eq!(files.next(), None, "one {kind} in {}", path.display());
            file
        };
        Self { deb: only("deb"), rpm: only("rpm"), _folder: None }
    }

    /// What packaging/build makes of the program in a copy of the project that `change` has changed.
    fn made(program: &Path, change: impl FnOnce(&Path)) -> Option<Self> {
        let tools = ["cargo-cyclonedx", "cargo-deb", "cargo-generate-rpm"]
            .map(|tool| format!("target/tools/bin/{tool}"));
        if let Some(tool) = tools.iter().find(|tool| !project(tool).exists()) {
            skip(&format!("there is no {tool}; packaging/build installs it"));
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("project");
        fs::create_dir_all(copy.join("target")).unwrap();
        let link = |name: &str| {
            std::os::unix::fs::symlink(project(name), copy.join(name)).unwrap();
        };
        ["src", "target/tools"].into_iter().for_each(link);
        let mut all = Command::new("cp");
        all.arg("-R").args(COPIED.map(project)).arg(&copy);
        run(&mut all);
        change(&copy);
        let mut build = Command::new(copy.join("packaging/build"));
        build.args(["--fast", "--binary"]).arg(program).arg("--into").arg(folder.path()).arg("all");
        run(build.env("SOURCE_DATE_EPOCH", "1700000000").env_remove("CARGO_MANIFEST_DIR"));
        let made = Self::in_folder(folder.path());
        Some(Self { _folder: Some(folder), ..made })
    }
}

/// What packaging/build needs of the project.
const COPIED: [&str; 9] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "config",
    "dashboards",
    "docs",
    "packaging",
];

/// Runs a command to its end, which must be a good one, and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// Those that packaging/build made.
fn released() -> Option<Packages> {
    let folder = std::env::var_os("PACKAGES").map(PathBuf::from)?;
    // Cargo runs tests in the directory of the project, which a relative path begins at.
    Some(Packages::in_folder(&folder))
}

/// The packages under test.
fn packages() -> Option<&'static Packages> {
    static PACKAGES: OnceLock<Option<Packages>> = OnceLock::new();
    let made = || Packages::made(Path::new(env!("CARGO_BIN_EXE_mxwatch")), |_| {});
    PACKAGES.get_or_init(|| released().or_else(made)).as_ref()
}

/// The next version, whose configuration is another one.
fn newer() -> Option<&'static Packages> {
    static PACKAGES: OnceLock<Option<Packages>> = OnceLock::new();
    let version = env!("CARGO_PKG_VERSION");
    PACKAGES
        .get_or_init(|| {
            Packages::made(Path::new(env!("CARGO_BIN_EXE_mxwatch")), |copy| {
                for file in ["Cargo.toml", "Cargo.lock"] {
                    let path = copy.join(file);
                    let head = "name = \"mxwatch\"\nversion = ";
                    let text = fs::read_to_string(&path).unwrap();
                    let old = format!("{head}\"{version}\"");
                    assert!(text.contains(&old), "{file}");
                    fs::write(path, text.replace(&old, &format!("{head}\"99.0.0\""))).unwrap();
                }
                let path = copy.join("config/mxwatch.toml");
                let text = fs::read_to_string(&path).unwrap();
                fs::write(path, text + "\n# Changed by the next version.\n").unwrap();
            })
        })
        .as_ref()
}

/// The modes of the files in a package, by their paths from the root.
type Files = BTreeMap<String, String>;

/// What both kinds hold at the same place.
fn holds_what_it_should(files: &Files) {
    let mut wanted: Vec<String> = [
        "etc/mxwatch/mxwatch.toml",
        "etc/mxwatch/destinations.d/README",
        "usr/bin/mxwatch",
        "usr/lib/systemd/system/mxwatch.service",
        "usr/lib/systemd/system/mxwatch.socket",
        "usr/share/bash-completion/completions/mxwatch",
        "usr/share/doc/mxwatch/README.md",
        "usr/share/doc/mxwatch/THIRD-PARTY.gz",
        "usr/share/doc/mxwatch/mxwatch.cdx.json.gz",
        "usr/share/doc/mxwatch/examples/minimal.toml",
        "usr/share/doc/mxwatch/examples/destinations.d/partners.toml",
        "usr/share/fish/vendor_completions.d/mxwatch.fish",
        "usr/share/mxwatch/alertmanager/templates/mxwatch.tmpl",
        "usr/share/mxwatch/grafana/provisioning/dashboards/mxwatch.yaml",
        "usr/share/mxwatch/prometheus/prometheus.yml",
        "usr/share/mxwatch/prometheus/rules/alerts.yml",
        "usr/share/mxwatch/prometheus/targets/mxwatch.yml",
    ]
    .map(str::to_owned)
    .into();
    let of = |folder: &str, place: &str, end: &str| -> Vec<String> {
        let files = fs::read_dir(project(folder)).unwrap().map(|entry| entry.unwrap().path());
        let shipped = |file: &PathBuf| {
            let kind = file.extension().and_then(OsStr::to_str);
            kind.is_some_and(|kind| ["md", "json", "5", "8"].contains(&kind))
        };
        let name = |file: PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
        files.filter(shipped).map(|file| format!("{place}/{}{end}", name(file))).collect()
    };
    wanted.extend(of("dashboards", "usr/share/mxwatch/dashboards", ""));
    wanted.extend(of("docs", "usr/share/doc/mxwatch/docs", ""));
    wanted.extend(of("docs/runbooks", "usr/share/doc/mxwatch/docs/runbooks", ""));
    for page in of("packaging/man", "usr/share/man", ".gz") {
        let section = if page.ends_with(".5.gz") { "man5" } else { "man8" };
        wanted.push(page.replace("share/man/", &format!("share/man/{section}/")));
    }
    for path in &wanted {
        assert!(files.contains_key(path), "{path} is missing");
    }
    for (path, mode) in files {
        let wanted = if path == "usr/bin/mxwatch" { "-rwxr-xr-x" } else { "-rw-r--r--" };
        assert_eq!(mode, wanted, "{path}");
    }
}

#[test]
fn two_packagings_of_one_program_are_the_same_bytes() {
    let program = Path::new(env!("CARGO_BIN_EXE_mxwatch"));
    let made = || Packages::made(program, |_| {});
    let (Some(one), Some(other)) = (made(), made()) else { return };
    for (one, other) in [(one.deb, other.deb), (one.rpm, other.rpm)] {
        let same = fs::read(&one).unwrap() == fs::read(&other).unwrap();
        assert!(same, "{} {}", one.display(), other.display());
    }
}

#[test]
fn the_program_runs_where_it_is_said_to() {
    let Some(released) = released() else {
        return skip("PACKAGES names no packages that packaging/build made");
    };
    let Some(readelf) = find("readelf", "binutils") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(dpkg) = find("dpkg-deb", "dpkg") else { return };
    run(Command::new(dpkg).arg("-x").arg(&released.deb).arg(folder.path()));
    let program = folder.path().join("usr/bin/mxwatch");
    let symbols = run(Command::new(&readelf).args(["--dyn-syms", "--wide"]).arg(&program));
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let version = rest.split([' ', ')', '\n']).next()?;
        let (major, minor) = version.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.split('.').next()?.parse::<u32>().ok()?))
    });
    let newest = versions.max().expect("symbols of glibc");
    assert!(newest <= (2, 28), "{newest:?}");
    let needed = run(Command::new(&readelf).arg("-d").arg(&program));
    let needed = needed.lines().filter(|line| line.contains("(NEEDED)"));
    for library in needed.filter_map(|line| line.split(['[', ']']).nth(1)) {
        let of_glibc = ["libc.", "libm.", "libdl.", "libpthread.", "librt.", "ld-linux"];
        assert!(of_glibc.iter().any(|name| library.starts_with(name)), "{library}");
    }
    // Nor does it tell where it was made.
    let bytes = fs::read(&program).unwrap();
    for place in [".cargo/registry", ".rustup/", env!("CARGO_MANIFEST_DIR")] {
        let found = bytes.windows(place.len()).any(|window| window == place.as_bytes());
        assert!(!found, "{place}");
    }
}
