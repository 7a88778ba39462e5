//! `--config.check`: says everything that is wrong with the files the agent would read, or that
//! nothing is. It starts nothing and asks nobody.

use std::{
    env,
    io::{self, Write},
    path::Path,
};

use crate::{
    cli::AgentArgs,
    config::{self, Config, web_config},
    ended::Ended,
    shard::Shard,
};

/// Checks the configuration, as this shard would watch it, and the web configuration if one is named.
pub fn run(args: &AgentArgs, shard: Option<Shard>) -> io::Result<Ended> {
    let main = main(&args.config_file, shard)?;
    let web = args.web_config_file.as_deref().map(web).transpose()?;
    Ok(if main && web.unwrap_or(true) { Ended::Done } else { Ended::Config })
}

/// Whether it is good.
fn main(path: &Path, shard: Option<Shard>) -> io::Result<bool> {
    let mut loaded = match config::load(path, env::vars_os()) {
        Ok(loaded) => loaded,
        // A credential is there for the service alone; not even its ExecReload= sees it.
        Err(problems) if problems.iter().all(config::is_unseen_credential) => {
            for problem in problems.iter() {
                writeln!(io::stderr(), "warning: {problem}")?;
            }
            let path = path.display();
            writeln!(io::stdout(), "{path}: good, save for what only the service can read")?;
            return Ok(true);
        }
        Err(problems) => {
            writeln!(io::stderr(), "{problems}")?;
            return Ok(false);
        }
    };
    loaded.config.shard = shard;
    for warning in &loaded.warnings {
        writeln!(io::stderr(), "warning: {warning}")?;
    }
    let config = loaded.config;
    if let Some(log) = &config.connectivity_log
        && (log.is_dir() || !log.parent().is_some_and(Path::is_dir))
    {
        let log = log.display();
        writeln!(io::stderr(), "warning: connectivity_log: {log} cannot be a file here")?;
    }
    writeln!(io::stdout(), "{}: good, {}", path.display(), extent(&config))?;
    for list in &config.http_sd {
        let name = &list.name;
        writeln!(io::stdout(), "{name}: not asked; its destinations come when the agent runs")?;
    }
    Ok(true)
}

fn extent(config: &Config) -> String {
    let destinations = config.destinations.len();
    let plural = if destinations == 1 { "" } else { "s" };
    let own = config
        .shard
        .map(|shard| format!(", of which {shard} watches {}", config.own_destinations().count()));
    format!("{destinations} destination{plural}{}", own.unwrap_or_default())
}

/// Whether it is good.
fn web(path: &Path) -> io::Result<bool> {
    let read = web_config::read(path);
    match read.outcome {
        Ok(config) => {
            for warning in &read.warnings {
                writeln!(io::stderr(), "warning: {warning}")?;
            }
            let scheme = if config.tls.is_some() { "HTTPS" } else { "plain HTTP" };
            let who = match config.users.len() {
                0 => "no logins".to_owned(),
                1 => "1 login".to_owned(),
                users => format!("{users} logins"),
            };
            writeln!(io::stdout(), "{}: good, {scheme}, {who}", path.display())?;
            Ok(true)
        }
        Err(problems) => {
            writeln!(io::stderr(), "{problems}")?;
            Ok(false)
        }
    }
}
