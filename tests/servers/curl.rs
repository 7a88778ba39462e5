//! The `curl` of this host, for what only a client of another make can show.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use super::program::find;

/// The program.
pub(crate) struct Curl(PathBuf);

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Of the last response; 0 where there was none.
    pub(crate) status: u16,
    /// Head and body.
    pub(crate) text: String,
    /// What curl says, where something went wrong.
    pub(crate) trouble: String,
}

impl Curl {
    /// `None` where it is missing.
    pub(crate) fn find() -> Option<Self> {
        find("curl", "curl").map(Self)
    }

    /// Runs it with these arguments, a URL among them, and none of the user's own settings.
    pub(crate) fn fetch(&self, args: &[&str]) -> Fetched {
        let mut command = Command::new(&self.0);
        command.args(["-q", "-sS", "-i", "--noproxy", "*", "--max-time", "20"]).args(args);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut heads = text.lines().filter(|line| line.starts_with("HTTP/1.1 "));
        let status = heads.next_back().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let trouble = String::from_utf8_lossy(&output.stderr).into_owned();
        Fetched { status: status.unwrap_or(0), text, trouble }
    }
}
