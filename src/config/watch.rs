//! Noticing that destination files have changed.
//!
//! What is watched are the directories: a file that is replaced by a rename takes its own watch
//! along. Whatever happens there, only names and contents count, so neither reading a file nor
//! touching it is a change. It loads nothing: who waits here calls `load` again.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::{
    sync::{mpsc, watch as latest},
    time::{Instant, sleep, timeout},
};
use tracing::warn;

use super::{Watched, destination_files::has_wildcard};

/// Starts watching; what has changed since the files were loaded counts too.
///
/// Must be called within a tokio runtime. Watching ends when the [`Watch`] is dropped.
pub fn watch(watched: Watched) -> Watch {
    let (tell, changes) = latest::channel(());
    if !watched.patterns.is_empty() {
        tokio::spawn(follow(watched, tell));
    }
    Watch { changes }
}

/// Tells when destination files change. After a reload, a new one replaces it.
#[derive(Debug)]
pub struct Watch {
    changes: latest::Receiver<()>,
}

impl Watch {
    /// Waits for the next change; several at once are one. Nothing is lost when it is cancelled.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // There is nothing to watch.
            std::future::pending::<()>().await;
        }
    }
}

async fn follow(watched: Watched, tell: latest::Sender<()>) {
    let (wake, mut woken) = mpsc::channel(1);
    let mut seen = watched.fingerprint;
    let mut directories = Directories::new(&wake);
    loop {
        let patterns = watched.clone();
        // The watches come first: what changes after the look is then an event.
        let look = tokio::task::spawn_blocking(move || {
            directories.follow(&patterns);
            (directories, patterns.fingerprint_now())
        });
        let Ok((kept, now)) = look.await else {
            return warn!("watching the destination files has failed");
        };
        directories = kept;
        if now != seen {
            seen = now;
            tell.send_replace(());
        }
        tokio::select! {
            () = tell.closed() => return,
            _ = woken.recv() => settle(&mut woken).await,
            () = sleep(POLL) => {}
        }
    }
}

/// Waits until nothing has happened for a moment: files are seldom changed one at a time.
async fn settle(woken: &mut mpsc::Receiver<()>) {
    let begin = Instant::now();
    while begin.elapsed() < LONGEST_SETTLING && timeout(SETTLING, woken.recv()).await.is_ok() {}
}

/// The directories in which a change would matter.
struct Directories {
    /// `None` where the system has no watches left; polling must do then.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// Those that a warning has been given for.
    missed: BTreeSet<PathBuf>,
}

impl Directories {
    fn new(wake: &mpsc::Sender<()>) -> Self {
        // The sender that stays with `follow` keeps the channel open where there is no watcher.
        let wake = wake.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| may_change_content(event.kind)) {
                // When the channel is full, a look is due anyway.
                let _ = wake.try_send(());
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                warn!(%error, "cannot watch destination files; looking every 30 s instead");
            })
            .ok();
        Self { watcher, watched: BTreeSet::new(), missed: BTreeSet::new() }
    }

    /// Watches all that matter now. Also those that it watched before: the directory of a name may
    /// have become another one.
    fn follow(&mut self, files: &Watched) {
        let wanted = self.wanted(files);
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for gone in self.watched.difference(&wanted) {
            // It fails when the directory is gone, and then there is nothing to end.
            let _ = watcher.unwatch(gone);
        }
        self.watched.clear();
        for directory in wanted {
            match watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.missed.remove(&directory);
                    self.watched.insert(directory);
                }
                Err(error) => {
                    if self.missed.insert(directory.clone()) {
                        warn!(directory = %directory.display(), %error,
                            "cannot watch the directory of destination files; looking every 30 s instead");
                    }
                }
            }
        }
    }

    fn wanted(&mut self, files: &Watched) -> BTreeSet<PathBuf> {
        let mut wanted = BTreeSet::new();
        for pattern in &files.patterns {
            let parent = Path::new(pattern).parent().unwrap_or(Path::new("/"));
            let mut found = directories(parent);
            if found.is_empty() {
                if !has_wildcard(&parent.to_string_lossy()) && self.missed.insert(parent.to_owned())
                {
                    warn!(directory = %parent.display(),
                        "the directory of destination files does not exist; waiting for it");
                }
                // Its appearance is an event in the nearest directory that does exist.
                found = parent
                    .ancestors()
                    .map(directories)
                    .find(|found| !found.is_empty())
                    .unwrap_or_default();
            } else {
                self.missed.remove(parent);
            }
            // Kubernetes exchanges the link to a directory, not what is in it.
            let links = found.iter().filter(|directory| directory.is_symlink());
            let around: Vec<_> = links.filter_map(|d| Some(d.parent()?.to_owned())).collect();
            wanted.extend(found);
            wanted.extend(around);
        }
        let real = files
            .files()
            .into_iter()
            .filter_map(|file| file.canonicalize().ok()?.parent().map(Path::to_owned));
        wanted.extend(real);
        wanted
    }
}

/// The directories that a pattern matches.
fn directories(pattern: &Path) -> Vec<PathBuf> {
    let paths = glob::glob(&pattern.to_string_lossy()).ok().into_iter().flatten();
    paths.filter_map(Result::ok).filter(|path| path.is_dir()).collect()
}

/// Reading is no change, and our own reading must not wake us.
fn may_change_content(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// So long nothing must happen before the files are looked at.
const SETTLING: Duration = Duration::from_millis(300);

/// Even where something happens all the time, they are looked at after that.
const LONGEST_SETTLING: Duration = Duration::from_secs(3);

/// For file systems without events, such as network mounts.
const POLL: Duration = Duration::from_secs(30);
