//! The connectivity log: one JSON line per lookup and per session, in a file that survives
//! rotation. Off unless the configuration names a file.
//!
//! Probes hand lines over and never wait: when the disk is slower than the probes, lines are
//! dropped and counted. A file that was renamed or removed by logrotate is noticed within a second
//! and opened anew; `copytruncate` works too, because the file is only ever appended to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::Serialize;
use tracing::{info, warn};

use crate::{
    facts::{Lookup, Session},
    name::Exchanger,
};

/// A handle for those who observe; clones write to the same file.
#[derive(Clone, Debug)]
pub struct ConnectivityLog {
    open: Option<(SyncSender<Order>, prometheus::IntCounter)>,
}

/// What the writer is told.
#[derive(Debug)]
enum Order {
    /// Write this line.
    Line(String),
    /// Say when everything before this is written.
    Tell(SyncSender<()>),
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Lookup {
        time: Timestamp,
        #[serde(flatten)]
        lookup: &'a Lookup,
    },
    Session {
        time: Timestamp,
        mx: String,
        #[serde(flatten)]
        session: &'a Session,
    },
}

impl ConnectivityLog {
    /// A log that keeps nothing.
    pub fn off() -> Self {
        Self { open: None }
    }

    /// Opens `path` for appending and starts its writer, which ends with the last handle.
    /// `dropped` counts the lines that could not be kept.
    pub fn open(path: &Path, dropped: prometheus::IntCounter) -> io::Result<Self> {
        let writer = Writer::open(path, dropped.clone())?;
        let (orders, waiting) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("connectivity-log".to_owned())
            .spawn(move || writer.run(&waiting))?;
        Ok(Self { open: Some((orders, dropped)) })
    }

    /// Notes one lookup with all its exchanges.
    pub fn lookup(&self, lookup: &Lookup) {
        if self.open.is_some() {
            self.write(&Event::Lookup { time: Timestamp::now(), lookup });
        }
    }

    /// Notes one session.
    pub fn session(&self, exchanger: &Exchanger, session: &Session) {
        if self.open.is_some() {
            let mx = exchanger.to_string();
            self.write(&Event::Session { time: Timestamp::now(), mx, session });
        }
    }

    /// Waits until everything noted so far is in the file, at most for `limit`. Blocks.
    pub fn flush(&self, limit: Duration) {
        let Some((orders, _)) = &self.open else { return };
        let (told, written) = sync_channel(1);
        let begun = Instant::now();
        let mut order = Order::Tell(told);
        while let Err(TrySendError::Full(again)) = orders.try_send(order) {
            if begun.elapsed() >= limit {
                return;
            }
            order = again;
            thread::sleep(Duration::from_millis(5));
        }
        // What is not written by then is lost, as it is when the disk is too slow.
        let _ = written.recv_timeout(limit.saturating_sub(begun.elapsed()));
    }

    fn write(&self, event: &Event<'_>) {
        let Some((orders, dropped)) = &self.open else { return };
        // Facts are plain data; serde_json escapes what servers sent.
        let kept = serde_json::to_string(event).is_ok_and(|mut line| {
            line.push('\n');
            orders.try_send(Order::Line(line)).is_ok()
        });
        if !kept {
            dropped.inc();
        }
    }
}

struct Writer {
    path: PathBuf,
    file: File,
    checked: Instant,
    torn: bool,
    dropped: prometheus::IntCounter,
}

impl Writer {
    fn open(path: &Path, dropped: prometheus::IntCounter) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: append(path)?,
            checked: Instant::now(),
            torn: false,
            dropped,
        })
    }

    fn run(mut self, waiting: &Receiver<Order>) {
        loop {
            match waiting.recv_timeout(ROTATION_CHECK) {
                Ok(Order::Tell(told)) => drop(told.send(())),
                Ok(Order::Line(line)) => {
                    self.follow_rotation();
                    // One write per line: with O_APPEND lines stay whole. One that a full disk cut
                    // off is ended before the next.
                    let torn = std::mem::take(&mut self.torn);
                    let line = if torn { format!("\n{line}") } else { line };
                    match self.file.write_all(line.as_bytes()) {
                        Ok(()) if torn => {
                            info!(path = %self.path.display(), "connectivity log written again");
                        }
                        Ok(()) => {}
                        Err(error) => {
                            self.torn = true;
                            self.dropped.inc();
                            if !torn {
                                warn!(path = %self.path.display(), %error, "connectivity log not written");
                            }
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.follow_rotation(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Opens the path anew when it no longer leads to the open file.
    fn follow_rotation(&mut self) {
        if self.checked.elapsed() < ROTATION_CHECK {
            return;
        }
        self.checked = Instant::now();
        let named = std::fs::metadata(&self.path).map(|m| (m.dev(), m.ino())).ok();
        let open = self.file.metadata().map(|m| (m.dev(), m.ino())).ok();
        if named != open {
            match append(&self.path) {
                Ok(file) => self.file = file,
                Err(error) => {
                    warn!(path = %self.path.display(), %error, "connectivity log not reopened");
                }
            }
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    // It tells whom one writes to; the group of the log may read it, others may not.
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Lines that may wait for the disk.
const QUEUE: usize = 10_000;

/// How often the path is compared with the open file.
const ROTATION_CHECK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc, time::Duration};

    use super::*;
    use crate::{facts::RecordType, name::Host};

    fn counter() -> prometheus::IntCounter {
        prometheus::IntCounter::new("dropped", "dropped").unwrap()
    }

    fn lookup(name: &str) -> Lookup {
        Lookup::new(Arc::from("test"), RecordType::Mx, Arc::from(name), Vec::new())
    }

    /// The line that holds `part`, which was noted before.
    fn line(log: &ConnectivityLog, path: &Path, part: &str) -> String {
        log.flush(Duration::from_secs(20));
        let text = std::fs::read_to_string(path).unwrap();
        let found = text.lines().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("{part} not in {text:?}")).to_owned()
    }

    #[test]
    fn lines_go_to_the_new_file_after_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connectivity.jsonl");
        let log = ConnectivityLog::open(&path, counter()).unwrap();
        log.lookup(&lookup("before.example.com"));
        line(&log, &path, "before.example.com");
        std::fs::rename(&path, folder.path().join("connectivity.jsonl.1")).unwrap();
        let begun = Instant::now();
        // The writer opens the path anew by itself; lines written after that arrive there.
        while !path.exists() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(20));
        }
        log.lookup(&lookup("after.example.com"));
        let line = line(&log, &path, "after.example.com");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["event"], "lookup");
        assert_eq!(value["type"], "MX");
    }

    #[test]
    fn a_session_tells_who_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.jsonl");
        let log = ConnectivityLog::open(&path, counter()).unwrap();
        let session = Session {
            peer: (Ipv4Addr::LOCALHOST, 25).into(),
            source: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration: Duration::from_millis(1500).into(),
            helo_name: "probe.example.org".into(),
            stages: Box::default(),
            failure: Some(crate::facts::Failure {
                stage: crate::facts::Stage::Banner,
                reason: crate::facts::Reason::Timeout,
            }),
            tls: None,
            auth_mechanism: None,
            transactions: Box::default(),
        };
        let host = Host::Address(Ipv4Addr::LOCALHOST.into());
        log.session(&Exchanger { host, port: 25 }, &session);
        let value: serde_json::Value = serde_json::from_str(&line(&log, &path, "session")).unwrap();
        assert_eq!(value["mx"], "127.0.0.1:25");
        assert_eq!(value["failure"]["reason"], "timeout");
        assert_eq!(value["duration_seconds"], 1.5);
    }

    #[test]
    fn a_path_that_cannot_be_opened_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ConnectivityLog::open(&folder.path().join("no/such/dir"), counter()).is_err());
    }
}
