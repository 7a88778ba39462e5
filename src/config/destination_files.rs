//! `destination_files`: further destinations from files found by patterns.
//!
//! `*.toml` holds `domains` and `[[destination]]`, `*.json`, `*.yaml` and `*.yml` are Prometheus
//! `file_sd` lists. Which files changed later is told by [`Watched::fingerprint_now`].

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use figment::Figment;

use super::{
    destination::{self, DestinationSettings},
    destination_list::{DestinationList, Repeats},
    file_sd::{self, Syntax},
    key,
    problem::{Place, Problem},
    reading::Reading,
    source::{ReadError, Source, read_text},
    table::{Node, Table},
};

/// The files that destinations came from, and may come from later.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Watched {
    /// The patterns, absolute.
    pub patterns: Vec<String>,
    /// The names and contents of the files when they were loaded.
    pub fingerprint: u64,
}

impl Watched {
    /// The names and contents of the files as they are now, as one number.
    pub(super) fn fingerprint_now(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for path in self.files() {
            path.hash(&mut hasher);
            read_text(&path, MAX_FILE).ok().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The files that match now.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.patterns.iter().flat_map(|pattern| matching(pattern)).collect()
    }
}

/// Adds the destinations of all files that the patterns match.
pub(super) fn read(
    root: &Table<'_>,
    main: &Reading<'_>,
    base: &DestinationSettings,
    list: &mut DestinationList,
) -> Watched {
    let mut watched = Watched::default();
    let Some(patterns) = root.get("destination_files") else {
        return watched;
    };
    let directory = main.path.parent().unwrap_or(Path::new(""));
    let mut files: Vec<PathBuf> = Vec::new();
    for node in patterns.list("a list such as [\"destinations.d/*.toml\"]") {
        let Some(pattern) = node.parse("a file pattern", |text| {
            if text.is_empty() {
                return Err("names no file".to_owned());
            }
            glob::Pattern::new(text).map(|_| text.to_owned()).map_err(|e| e.to_string())
        }) else {
            continue;
        };
        let found = matching(&under(directory, &pattern));
        if found.is_empty() && !has_wildcard(&pattern) {
            node.refuse(format!("{}: no such file", directory.join(&pattern).display()));
        }
        if let Ok(absolute) = std::path::absolute(directory.join("x")) {
            let directory = absolute.parent().unwrap_or(directory);
            watched.patterns.push(under(directory, &pattern));
        }
        files.extend(found.into_iter().filter(|path| !files.contains(path)).collect::<Vec<_>>());
    }
    // Taken before the files are read: a change in between is then seen, once too often at worst.
    watched.fingerprint = watched.fingerprint_now();
    for path in files {
        read_file(main, &path, base, list);
    }
    watched
}

fn read_file(
    main: &Reading<'_>,
    path: &Path,
    base: &DestinationSettings,
    list: &mut DestinationList,
) {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let syntax = match extension {
        "toml" => None,
        "json" => Some(Syntax::Json),
        "yaml" | "yml" => Some(Syntax::Yaml),
        _ => {
            let reason = "is no destination file: its name must end in .toml, .json, .yaml or .yml";
            return main.refuse(Problem::at(Place::file(path), reason));
        }
    };
    let text = match read_text(path, MAX_FILE) {
        Ok(text) => text,
        // Gone since the pattern was matched, or a link to nothing: a rename is under way.
        Err(ReadError::Io(error)) if error.kind() == ErrorKind::NotFound => {
            return main.warn(format!("{}: is gone", path.display()));
        }
        Err(error) => return main.refuse(Problem::at(Place::file(path), error.to_string())),
    };
    let path: Arc<Path> = path.into();
    match syntax {
        Some(syntax) => {
            list.next_document(Repeats::Merged);
            let figment = Figment::new();
            let reading = Reading::new(&figment, path, None);
            file_sd::read(&reading, (syntax, &text), base, list);
            main.absorb(reading);
        }
        None => match Source::parse(Arc::clone(&path), &text) {
            Err(problem) => main.refuse(problem),
            Ok(source) => {
                list.next_document(Repeats::Refused);
                let figment = Figment::from(&source);
                let reading = Reading::new(&figment, path, Some(&source));
                read_toml(&reading, base, list);
                main.absorb(reading);
            }
        },
    }
}

fn read_toml(reading: &Reading<'_>, base: &DestinationSettings, list: &mut DestinationList) {
    match reading.root_value() {
        Ok(value) => {
            let root = Node::root(reading, &value);
            if let Some(table) = root.table(key::DESTINATION_FILE, "a table") {
                destination::read(&table, base, list);
            }
        }
        Err(problem) => reading.refuse(problem),
    }
}

/// The files a pattern matches, by name. Dot files are left out: editors keep their copies there,
/// and Kubernetes its versions.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let options =
        glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(pattern, options).ok().into_iter().flatten();
    paths.filter_map(Result::ok).filter(|path| !path.is_dir()).collect()
}

/// The pattern below a directory, whose name is none.
fn under(directory: &Path, pattern: &str) -> String {
    if Path::new(pattern).is_absolute() || directory.as_os_str().is_empty() {
        return pattern.to_owned();
    }
    format!("{}/{pattern}", glob::Pattern::escape(&directory.to_string_lossy()))
}

pub(super) fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// No list of destinations is larger; what is would only exhaust the memory.
const MAX_FILE: u64 = 16 << 20;
