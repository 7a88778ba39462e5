//! Postfix's master with a configuration, a queue and a log of its own. What it is good for says
//! [`super::postfix`] or [`super::postfix_sender`].

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::program::{Program, find, output, skip};

/// Longer than anything takes that it logs; only what never happens runs into it.
const PATIENCE: Duration = Duration::from_secs(60);
/// From one look into the log to the next.
const PAUSE: Duration = Duration::from_millis(50);

/// Where distributions put the daemons.
const DAEMONS: [&str; 3] =
    ["/usr/lib/postfix/sbin", "/usr/libexec/postfix", "/usr/lib/postfix/bin"];

/// The part of a `master.cf` that every instance needs.
const SERVICES: &str = "\
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
";

/// The Postfix of this host.
pub(crate) struct Installation {
    postfix: PathBuf,
    daemons: PathBuf,
}

impl Installation {
    /// `None` where it is missing or the user is not root, without whom it does not start.
    pub(crate) fn find() -> Option<Self> {
        let postfix = find("postfix", "postfix")?;
        let mut places = DAEMONS.iter().map(PathBuf::from);
        let Some(daemons) = places.find(|dir| dir.join("master").is_file()) else {
            skip("master (postfix) is in no directory known");
            return None;
        };
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            skip("Postfix starts as root only");
            return None;
        }
        Some(Self { postfix, daemons })
    }

    /// Starts an instance with these lines of `main.cf` and `master.cf` beside those that every
    /// instance has, and waits until it is `ready`. `None` when it ended before that, as one does
    /// that found its port taken.
    pub(crate) fn start(
        &self,
        main: &str,
        master: &str,
        mut ready: impl FnMut() -> bool,
    ) -> Option<Master> {
        let dir = TempDir::new().unwrap();
        // Its daemons run as another user.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let conf = self.configure(dir.path(), main, master);
        let said = output(Command::new(&self.postfix).arg("-c").arg(&conf).arg("check"));
        assert!(!said.contains("fatal"), "{said}");
        let mut command = Command::new(self.daemons.join("master"));
        let mut program = Program::start(command.arg("-c").arg(&conf).arg("-d"), dir.path());
        let log = dir.path().join("maillog");
        let ready = program.wait_until(|| {
            fs::read_to_string(&log).is_ok_and(|log| log.contains("daemon started")) && ready()
        });
        ready.then_some(Master { _program: program, conf, log, _dir: dir })
    }

    /// Writes the configuration; the directory it is in.
    fn configure(&self, dir: &Path, main: &str, master: &str) -> PathBuf {
        let conf = dir.join("conf");
        for sub in ["conf", "spool", "data"] {
            fs::create_dir(dir.join(sub)).unwrap();
        }
        let said = output(Command::new("chown").arg("postfix").arg(dir.join("data")));
        assert_eq!(said, "", "the user postfix must exist");
        let (dir, daemons) = (dir.display(), self.daemons.display());
        let common = format!(
            "\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = all
alias_maps =
alias_database =
maillog_file = {dir}/maillog
maillog_file_prefixes = {dir}
"
        );
        fs::write(conf.join("main.cf"), common + main).unwrap();
        fs::write(conf.join("master.cf"), master.to_owned() + SERVICES).unwrap();
        conf
    }
}

/// A running instance; dropping it ends all its processes.
pub(crate) struct Master {
    _program: Program,
    conf: PathBuf,
    log: PathBuf,
    _dir: TempDir,
}

impl Master {
    /// The directory of its configuration.
    pub(crate) fn conf(&self) -> &Path {
        &self.conf
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until its log has what is `wanted`, and returns that.
    pub(crate) fn wait_for<T>(&self, what: &str, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if let Some(found) = wanted(&log) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}:\n{log}");
            thread::sleep(PAUSE);
        }
    }
}
