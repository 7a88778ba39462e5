//! The `mxwatch` command: parses the command line, runs what it asks for, sets the exit status.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use clap::{Parser, error::ErrorKind};
use mxwatch::{
    check,
    cli::{AgentArgs, Cli, Command, LogArgs},
    config,
    daemon::{self, ConfigFile, Start},
    demo,
    ended::Ended,
    host_name::host_name,
    judge, log, senders,
    shard::Shard,
};

/// sysexits.h: the command line is wrong.
const EX_USAGE: u8 = 64;
/// sysexits.h: an input/output error.
const EX_IOERR: u8 = 74;
/// sysexits.h: the configuration is wrong.
const EX_CONFIG: u8 = 78;

/// What an address in use or forbidden ends with, as sysexits.h says of a service.
const EX_UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no error; a closed pipe is none.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { 0 } else { EX_USAGE });
        }
    };
    // Every open session and lookup is a file descriptor; a shell grants 1024. Less is no reason
    // not to start.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::from(EX_IOERR) };
    let status = runtime.block_on(run(cli));
    // A lookup or session that outlives its command is not waited for.
    runtime.shutdown_background();
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be gone as well.
            let _ = writeln!(io::stderr(), "mxwatch: {error}");
            // An address that is none is the command line's fault.
            let usage = error.kind() == io::ErrorKind::InvalidInput;
            ExitCode::from(if usage { EX_USAGE } else { EX_UNAVAILABLE })
        }
    }
}

async fn run(cli: Cli) -> io::Result<u8> {
    match cli.command {
        Some(Command::Check(args)) => check::run(args).await.map(Ended::status),
        Some(Command::Judge(args)) => judge::run(&args).map(Ended::status),
        Some(Command::Senders(args)) => senders::run(&args).map(Ended::status),
        Some(Command::Demo(args)) => {
            log::init(LogArgs { level: args.level, format: args.format });
            demo::run(args).await.map(|()| 0)
        }
        None => match cli.agent.shard.map(|choice| choice.on_host(&host_name())).transpose() {
            Ok(shard) if cli.agent.config_check => check_config(&cli.agent, shard),
            Ok(shard) => {
                log::init(cli.agent.log);
                serve(cli.agent, shard).await
            }
            Err(why) => {
                writeln!(io::stderr(), "error: invalid value for '--shard <I/N>': {why}")?;
                Ok(EX_USAGE)
            }
        },
    }
}

/// `--config.check`: says everything that is wrong, or that nothing is.
fn check_config(args: &AgentArgs, shard: Option<Shard>) -> io::Result<u8> {
    let path = &args.config_file;
    match config::load(path, std::env::vars_os()) {
        Ok(mut loaded) => {
            loaded.config.shard = shard;
            for warning in &loaded.warnings {
                writeln!(io::stderr(), "warning: {warning}")?;
            }
            if let Some(log) = &loaded.config.connectivity_log
                && (log.is_dir() || !log.parent().is_some_and(Path::is_dir))
            {
                let log = log.display();
                writeln!(io::stderr(), "warning: connectivity_log: {log} cannot be a file here")?;
            }
            let destinations = loaded.config.destinations.len();
            let plural = if destinations == 1 { "" } else { "s" };
            let path = path.display();
            let own = shard.map(|shard| {
                format!(", of which {shard} watches {}", loaded.config.own_destinations().count())
            });
            let own = own.unwrap_or_default();
            writeln!(io::stdout(), "{path}: good, {destinations} destination{plural}{own}")?;
            for list in &loaded.config.http_sd {
                let name = &list.name;
                writeln!(
                    io::stdout(),
                    "{name}: not asked; its destinations come when the agent runs"
                )?;
            }
            Ok(0)
        }
        Err(problems) => {
            writeln!(io::stderr(), "{problems}")?;
            Ok(EX_CONFIG)
        }
    }
}

async fn serve(args: AgentArgs, shard: Option<Shard>) -> io::Result<u8> {
    let loaded = match daemon::load(&args.config_file, shard) {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(io::stderr(), "{problems}")?;
            return Ok(EX_CONFIG);
        }
    };
    let start = Start {
        config: Arc::new(loaded.config),
        file: Some(ConfigFile { watch: config::watch(loaded.watched), path: args.config_file }),
        listeners: daemon::bind(&args.listen)?,
        lifecycle: args.enable_lifecycle,
    };
    daemon::run(start).await.map(|()| 0)
}
