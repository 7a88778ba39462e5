//! Loading: defaults ← TOML file ← `MXWATCH_` environment, then the destination files.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use figment::Figment;

use super::{
    Config, Dns, Metrics, Politeness, Probe, Problem, Problems, Watched, Web,
    destination::{self, DestinationSettings},
    destination_files,
    destination_list::DestinationList,
    environment::{self, Variable},
    helo, http_sd, key,
    problem::Place,
    reading::Reading,
    resolver, sender,
    source::{Source, read_text},
    table::{Node, Table},
};

/// A configuration without mistakes.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The destination files to be watched.
    pub watched: Watched,
    /// What is allowed but hardly meant, one sentence each, for the log.
    pub warnings: Vec<String>,
}

/// Loads the file at `path` under the given environment, such as [`std::env::vars_os`].
///
/// Relative paths in the configuration start at the file's directory. Reads files and nothing
/// else, passwords among them; blocks meanwhile.
pub fn load<K: Into<OsString>, V: Into<OsString>>(
    path: &Path,
    environment: impl IntoIterator<Item = (K, V)>,
) -> Result<Loaded, Problems> {
    let environment: Vec<(OsString, OsString)> =
        environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    // systemd.exec(5): where it puts the credentials of the service.
    let credentials = environment.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY");
    let credentials = credentials.map(|(_, directory)| PathBuf::from(directory));
    let (variables, mut problems) = environment::read(environment);
    let path: Arc<Path> = path.into();
    let source = read_text(&path, MAX_FILE)
        .map_err(|error| Problem::at(Place::file(&*path), error.to_string()))
        .and_then(|text| Source::parse(Arc::clone(&path), &text));
    let outcome = match source {
        Ok(source) => read(Arc::clone(&path), &source, variables, credentials, &mut problems),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    match Problems::collect(problems) {
        Some(problems) => Err(problems),
        None => outcome.ok_or_else(|| Problem::at(Place::file(&*path), "holds no table").into()),
    }
}

/// Reads all there is, and notes all that is wrong with it.
fn read(
    path: Arc<Path>,
    source: &Source,
    variables: Vec<Variable>,
    credentials: Option<PathBuf>,
    problems: &mut Vec<Problem>,
) -> Option<Loaded> {
    let figment = variables.into_iter().fold(Figment::from(source), Figment::merge);
    let reading = Reading::new(&figment, path, Some(source));
    let value = reading.root_value().map_err(|problem| problems.push(problem)).ok()?;
    let root = Node::root(&reading, &value).table(key::TOP, "a table");
    let outcome = root.map(|root| sections(&root, &reading, credentials));
    problems.append(&mut reading.problems.take());
    let (config, watched) = outcome?;
    Some(Loaded { config: config?, watched, warnings: reading.warnings.take() })
}

fn sections(
    root: &Table<'_>,
    reading: &Reading<'_>,
    credentials: Option<PathBuf>,
) -> (Option<Config>, Watched) {
    let helo_name = helo::read(root);
    let probe = Probe::read(root);
    let dns = Dns::read(root);
    let from = reading.path.parent().unwrap_or(Path::new(""));
    let (resolvers, names) = resolver::read(root, &dns, from);
    let politeness = Politeness::read(root);
    let senders = sender::read(root);
    let web = Web::read(root);
    let metrics = Metrics::read(root);
    let connectivity_log = root.get("connectivity_log").and_then(|node| {
        let text = node.text("a path such as \"/var/log/mxwatch/connectivity.jsonl\"")?;
        if text.is_empty() {
            node.refuse("is empty; leave the key out for no log");
        }
        Some(from.join(text))
    });

    let base = DestinationSettings::default_of(&probe);
    let http_sd = http_sd::read(root, credentials.as_deref());
    let mut list = DestinationList::new(names, credentials);
    destination::read(root, &base, &mut list);
    let watched = destination_files::read(root, reading, &base, &mut list);
    if list.is_empty() && http_sd.is_empty() {
        reading.warn(format!(
            "{}: no destinations: name some with domains = [\"example.com\"] there or in a file that \
             destination_files names, then reload",
            reading.path.display()
        ));
    } else if helo_name.as_deref().is_some_and(helo::is_placeholder) {
        root.get("helo_name").inspect(|node| {
            node.warn("is a name for examples (RFC 2606), and servers may refuse it; write the name with which this machine sends mail");
        });
    }
    let config = helo_name.map(|helo_name| Config {
        helo_name,
        destinations: list.into_destinations(),
        shard: None,
        http_sd,
        probe,
        dns,
        resolvers,
        senders: senders.judged,
        own_senders: senders.own,
        politeness,
        web,
        metrics,
        connectivity_log,
    });
    (config, watched)
}

/// The same limit as for a destination file.
const MAX_FILE: u64 = 16 << 20;
