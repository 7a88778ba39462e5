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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_file_replaced_by_a_rename_is_a_change_each_time() {
        let directory = tempfile::tempdir().unwrap();
        write(&directory, "a.toml", "1");
        let mut watch = watch(watched(&directory, "*.toml"));
        for content in ["2", "3"] {
            write(&directory, "next", content);
            fs::rename(directory.path().join("next"), directory.path().join("a.toml")).unwrap();
            change(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn a_new_file_and_a_removed_one_are_changes() {
        let directory = tempfile::tempdir().unwrap();
        let mut watch = watch(watched(&directory, "*.toml"));
        write(&directory, "a.toml", "1");
        change(&mut watch).await;
        fs::remove_file(directory.path().join("a.toml")).unwrap();
        change(&mut watch).await;
    }

    #[tokio::test]
    async fn a_change_before_the_watch_began_is_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        write(&directory, "a.toml", "1");
        let loaded = watched(&directory, "*.toml");
        write(&directory, "a.toml", "2");
        change(&mut watch(loaded)).await;
    }

    #[tokio::test]
    async fn the_link_to_a_directory_exchanged_as_kubernetes_does_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        for version in ["1", "2"] {
            fs::create_dir(directory.path().join(format!("..v{version}"))).unwrap();
            write(&directory, &format!("..v{version}/a.toml"), version);
        }
        symlink("..v1", directory.path().join("..data")).unwrap();
        symlink("..data/a.toml", directory.path().join("a.toml")).unwrap();
        let mut watch = watch(watched(&directory, "*.toml"));
        symlink("..v2", directory.path().join("..data_tmp")).unwrap();
        fs::rename(directory.path().join("..data_tmp"), directory.path().join("..data")).unwrap();
        change(&mut watch).await;
    }

    #[tokio::test]
    async fn a_directory_that_comes_later_is_watched_from_then_on() {
        let directory = tempfile::tempdir().unwrap();
        let mut watch = watch(watched(&directory, "d/*.toml"));
        fs::create_dir(directory.path().join("d")).unwrap();
        write(&directory, "d/a.toml", "1");
        change(&mut watch).await;
        write(&directory, "d/a.toml", "2");
        change(&mut watch).await;
    }

    #[tokio::test]
    async fn reading_and_rewriting_the_same_is_no_change() {
        let directory = tempfile::tempdir().unwrap();
        write(&directory, "a.toml", "1");
        let mut watch = watch(watched(&directory, "*.toml"));
        write(&directory, "a.toml", "1");
        fs::read(directory.path().join("a.toml")).unwrap();
        write(&directory, "unrelated", "1");
        let quiet = timeout(SETTLING * 3, watch.changed()).await;
        assert!(quiet.is_err(), "a change was reported");
        assert!(!may_change_content(EventKind::Access(AccessKind::Open(AccessMode::Any))));
    }

    #[tokio::test]
    async fn without_patterns_nothing_ever_changes() {
        let mut watch = watch(Watched::default());
        assert!(timeout(Duration::from_millis(10), watch.changed()).await.is_err());
    }

    fn watched(directory: &TempDir, pattern: &str) -> Watched {
        let patterns = vec![format!("{}/{pattern}", directory.path().display())];
        let watched = Watched { patterns, fingerprint: 0 };
        Watched { fingerprint: watched.fingerprint_now(), ..watched }
    }

    fn write(directory: &TempDir, name: &str, content: &str) {
        fs::write(directory.path().join(name), content).unwrap();
    }

    /// Far below the polling interval: what is not noticed by an event fails here.
    async fn change(watch: &mut Watch) {
        timeout(Duration::from_secs(15), watch.changed()).await.expect("no change was noticed");
    }
}
