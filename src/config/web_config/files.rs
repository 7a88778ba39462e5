//! Files as they were when they were read, and whether they are still the same.
//!
//! A look costs a stat(2) of each, which follows links: a file that was exchanged, or a link on the
//! way to it, has another inode.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ring::digest::{Digest, SHA256, digest};

use crate::config::source::{ReadError, read_text};

/// The files that a web configuration was made of.
#[derive(Debug, Default)]
pub struct Files(Vec<Seen>);

#[derive(Debug)]
struct Seen {
    path: PathBuf,
    /// `None` where there was no such file.
    stamp: Option<Stamp>,
    /// Whether a later change would show in the stamp.
    settled: bool,
    /// `None` where it could not be read as text.
    content: Option<Digest>,
}

impl Files {
    /// Reads one more file.
    pub(super) fn read_text(&mut self, path: &Path) -> Result<String, ReadError> {
        let (seen, text) = Seen::read(path);
        self.0.push(seen);
        text
    }

    /// Whether reading them anew would find anything else. Blocks for as long as the file system
    /// takes.
    pub fn have_changed(&mut self) -> bool {
        !self.0.iter_mut().all(Seen::is_the_same)
    }
}

impl Seen {
    fn read(path: &Path) -> (Self, Result<String, ReadError>) {
        // First the stamp: what is written while the text is read shows at the next look.
        let stamp = std::fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata));
        let text = read_text(path, MAX_FILE);
        let content = text.as_ref().ok().map(|text| digest(&SHA256, text.as_bytes()));
        let settled = stamp.as_ref().is_none_or(Stamp::is_settled);
        (Self { path: path.to_owned(), stamp, settled, content }, text)
    }

    fn is_the_same(&mut self) -> bool {
        let stamp = std::fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        if self.settled && stamp == self.stamp {
            return true;
        }
        let (seen, _) = Self::read(&self.path);
        let same = match (&seen.content, &self.content) {
            (Some(now), Some(then)) => now.as_ref() == then.as_ref(),
            (None, None) => seen.stamp == self.stamp,
            _ => false,
        };
        if same {
            *self = seen;
        }
        same
    }
}

/// What tells one state of a file from another.
#[derive(Debug, Eq, PartialEq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds since the epoch: of the content, and of all about it.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the last change was so long ago that another one cannot have the same time.
    fn is_settled(&self) -> bool {
        let newest = u64::try_from(self.modified.0.max(self.changed.0)).unwrap_or_default();
        let since = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(newest));
        since.is_ok_and(|since| since > COARSEST)
    }
}

/// File systems keep times to the clock tick, a second, or two; a second more for its fraction.
const COARSEST: Duration = Duration::from_secs(3);

/// A configuration, or the authorities of a whole system.
const MAX_FILE: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_change_within_the_same_tick_and_of_the_same_length_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "1").unwrap();
        let mut files = Files::default();
        files.read_text(&path).unwrap();
        assert!(!files.have_changed());
        fs::write(&path, "2").unwrap();
        // As a coarse clock would have it.
        files.0[0].stamp = fs::metadata(&path).ok().map(|metadata| Stamp::of(&metadata));
        assert!(files.have_changed());
    }

    #[test]
    fn touching_is_no_change_and_neither_is_a_copy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "1").unwrap();
        let mut files = Files::default();
        files.read_text(&path).unwrap();
        fs::write(directory.path().join("copy"), "1").unwrap();
        fs::rename(directory.path().join("copy"), &path).unwrap();
        assert!(!files.have_changed());
    }

    #[test]
    fn coming_going_and_an_exchanged_link_are_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let look = |name: &str| {
            let mut files = Files::default();
            let _ = files.read_text(&path(name));
            files
        };
        let mut missing = look("f");
        assert!(!missing.have_changed());
        for version in ["v1", "v2"] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("f"), version).unwrap();
        }
        symlink("v1", path("data")).unwrap();
        symlink("data/f", path("f")).unwrap();
        assert!(missing.have_changed());
        let mut first = look("f");
        symlink("v2", path("new")).unwrap();
        fs::rename(path("new"), path("data")).unwrap();
        assert!(first.have_changed());
        let mut second = look("f");
        fs::remove_file(path("v2/f")).unwrap();
        assert!(second.have_changed());
    }
}
