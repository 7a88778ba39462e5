//! Programs under measurement: started on one core, what the kernel accounts to them, ended by their pid.
//!
//! Linux only, because /proc is. It knows nothing of mail.

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use crate::fail;

/// Where something runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    /// The simulated world, and whoever asks.
    World = 0,
    /// What is measured.
    Measured = 1,
}

/// A running program; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    what: String,
}

impl Process {
    /// Starts a program pinned to a core, where there are two. `set` adds arguments and environment.
    pub(crate) fn start(program: &Path, core: Core, set: impl FnOnce(&mut Command)) -> Self {
        let what = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = pinned(program, core);
        command.stdin(Stdio::null());
        set(&mut command);
        let child = command.spawn();
        Self {
            child: child.unwrap_or_else(|error| fail(&format!("cannot start {what}: {error}"))),
            what,
        }
    }

    /// Its standard output, which must have been piped.
    pub(crate) fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child.stdout.take().expect("its output is piped"))
    }

    /// The first line that it prints.
    pub(crate) fn first_line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output().read_line(&mut line);
        match read {
            Ok(1..) => line.trim_end().to_owned(),
            _ => fail(&format!("{} ended before it began", self.what)),
        }
    }

    /// Writes to its standard input, which must have been piped.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("its input is piped");
        input.write_all(line.as_bytes()).unwrap_or_else(|error| fail(&error.to_string()));
    }

    /// Waits until it says how it did, with the processor time it had by then, and ends it.
    pub(crate) fn done(mut self) -> Duration {
        self.first_line();
        self.cpu()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Processor time so far, user and system, of all its threads.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // The name in parentheses may hold blanks.
        let (_, rest) = stat.rsplit_once(") ").unwrap_or_default();
        let ticks =
            rest.split(' ').skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum::<u64>();
        // USER_HZ is 100 on every Linux.
        Duration::from_millis(10 * ticks)
    }

    /// Memory in use now (RSS), in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory in use since the start, or since [`Self::forget_peak`].
    pub(crate) fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Lets the peak begin anew.
    pub(crate) fn forget_peak(&self) {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        fs::write(&path, "5")
            .unwrap_or_else(|error| fail(&format!("cannot write {path}: {error}")));
    }

    /// How many file descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }

    /// What it spends on something.
    pub(crate) fn cost(&self, something: impl FnOnce()) -> Duration {
        let before = self.cpu();
        something();
        self.cpu().saturating_sub(before)
    }

    fn status(&self, key: &str) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.unwrap_or_else(|| fail(&format!("{} has no {key}", self.what))) * 1024
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path)
            .unwrap_or_else(|error| fail(&format!("{}: {path}: {error}", self.what)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that runs a program on one core.
fn pinned(program: &Path, core: Core) -> Command {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.arg("-c").arg((core as u8).to_string()).arg(program);
    command
}
