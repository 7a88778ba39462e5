//! The senders a command judges: those named on the command line, else those of the configuration.

use std::{path::Path, sync::Arc};

use crate::{
    cli::DEFAULT_CONFIG,
    config::{self, Config},
    delivery::Sender,
};

/// The configuration file a command goes by: the one given, else the usual one if it is there.
pub fn file(given: Option<&Path>) -> Option<&Path> {
    given.or_else(|| Some(Path::new(DEFAULT_CONFIG)).filter(|path| path.exists()))
}

/// What it says, under the environment; the defaults where there is no file.
pub fn configuration(
    given: Option<&Path>,
    helo_name: impl FnOnce() -> Arc<str>,
) -> Result<Config, String> {
    match file(given) {
        Some(path) => {
            let loaded = config::load(path, std::env::vars_os());
            Ok(loaded.map_err(|problems| problems.to_string())?.config)
        }
        None => Ok(Config::with_helo_name(helo_name())),
    }
}

/// The senders of these names, each once; those of the configuration where none is named. The error
/// is a line for the terminal.
pub fn senders(config: &Config, names: &[String]) -> Result<Vec<Arc<Sender>>, String> {
    if names.is_empty() {
        return Ok(config.senders.to_vec());
    }
    let mut chosen: Vec<Arc<Sender>> = Vec::new();
    for name in names {
        let sender = config.sender(name).map_err(|reason| {
            format!("error: invalid value {name:?} for '--sender <NAME>': {reason}")
        })?;
        if !chosen.iter().any(|known| known.name == sender.name) {
            chosen.push(sender);
        }
    }
    Ok(chosen)
}
