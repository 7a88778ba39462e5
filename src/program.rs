//! The `mxwatch` command: parses the command line, runs what it asks for, gives the exit status.

use std::{
    io::{self, Write},
    net::TcpListener,
    panic::resume_unwind,
    process::ExitCode,
    sync::Arc,
};

use clap::{Parser, error::ErrorKind};

use crate::{
    check,
    cli::{AgentArgs, Cli, Command, LogArgs},
    config, config_check,
    daemon::{self, ConfigFile, Start},
    demo,
    ended::Ended,
    healthy,
    host_name::host_name,
    judge, log, senders,
    shard::Shard,
    systemd::sockets,
    web::Access,
};

/// sysexits.h: an input/output error.
const EX_IOERR: u8 = 74;
/// What an address in use or forbidden ends with, as sysexits.h says of a service.
const EX_UNAVAILABLE: u8 = 69;

/// Runs what the command line of this process asks for.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no error; a closed pipe is none.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { 0 } else { Ended::Usage.status() });
        }
    };
    // Every open session and lookup is a file descriptor; a shell grants 1024. Less is no reason
    // not to start.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // A check of the configuration serves nothing, and systemd hands it no socket.
    let wants_sockets = cli.agent.systemd_socket && !cli.agent.config_check;
    let handed_over = match wants_sockets.then(sockets::handed_over).transpose() {
        Ok(handed_over) => handed_over,
        Err(error) => return unavailable(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::from(EX_IOERR) };
    // On a worker: what a configuration took while it was read is then used again by the probes, for
    // glibc has memory by thread.
    let status = runtime.block_on(async { tokio::spawn(run(cli, handed_over)).await });
    let status = status.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        // Nobody cancels it.
        Err(cancelled) => Err(io::Error::other(cancelled)),
    });
    // A lookup or session that outlives its command is not waited for.
    runtime.shutdown_background();
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &io::Error) -> ExitCode {
    // Standard error may be gone as well.
    let _ = writeln!(io::stderr(), "mxwatch: {error}");
    // An address that is none is the command line's fault.
    let usage = error.kind() == io::ErrorKind::InvalidInput;
    ExitCode::from(if usage { Ended::Usage.status() } else { EX_UNAVAILABLE })
}

async fn run(cli: Cli, handed_over: Option<Vec<TcpListener>>) -> io::Result<u8> {
    match cli.command {
        Some(Command::Check(args)) => check::run(args).await.map(Ended::status),
        Some(Command::Judge(args)) => judge::run(&args).map(Ended::status),
        Some(Command::Senders(args)) => senders::run(&args).map(Ended::status),
        Some(Command::Healthy(args)) => healthy::run(&args.url).await.map(Ended::status),
        Some(Command::Demo(args)) => {
            log::init(LogArgs { level: args.level, format: args.format });
            demo::run(args).await.map(|()| 0)
        }
        None => match cli.agent.shard.map(|choice| choice.on_host(&host_name())).transpose() {
            Ok(shard) if cli.agent.config_check => {
                config_check::run(&cli.agent, shard).map(Ended::status)
            }
            Ok(shard) => {
                log::init(cli.agent.log);
                serve(cli.agent, shard, handed_over).await
            }
            Err(why) => {
                writeln!(io::stderr(), "error: invalid value for '--shard <I/N>': {why}")?;
                Ok(Ended::Usage.status())
            }
        },
    }
}

async fn serve(
    args: AgentArgs,
    shard: Option<Shard>,
    handed_over: Option<Vec<TcpListener>>,
) -> io::Result<u8> {
    let loaded = daemon::load(&args.config_file, shard);
    let access = args.web_config_file.as_deref().map_or_else(|| Ok(Access::open()), Access::load);
    let (loaded, access) = match (loaded, access) {
        (Ok(loaded), Ok(access)) => (loaded, access),
        (loaded, access) => {
            for problems in [loaded.err(), access.err()].iter().flatten() {
                writeln!(io::stderr(), "{problems}")?;
            }
            return Ok(Ended::Config.status());
        }
    };
    let start = Start {
        config: Arc::new(loaded.config),
        file: Some(ConfigFile { watch: config::watch(loaded.watched), path: args.config_file }),
        listeners: match handed_over {
            Some(handed_over) => daemon::take_over(handed_over)?,
            None => daemon::bind(&args.listen)?,
        },
        access,
        lifecycle: args.enable_lifecycle,
    };
    daemon::run(start).await.map(|()| 0)
}
