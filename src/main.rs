//! The `mxwatch` command: parses the command line, runs what it asks for, sets the exit status.

use std::process::ExitCode;

use clap::{Parser, error::ErrorKind};
use mxwatch::{
    check::{self, Outcome},
    cli::{Cli, Command},
};

/// sysexits.h: the command line is wrong.
const EX_USAGE: u8 = 64;
/// sysexits.h: an input/output error.
const EX_IOERR: u8 = 74;
/// sysexits.h: the configuration is wrong.
const EX_CONFIG: u8 = 78;
/// A shell's status of a command ended by SIGINT.
const INTERRUPTED: u8 = 130;

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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::from(EX_IOERR) };
    let status = runtime.block_on(async {
        match cli.command {
            Some(Command::Check(args)) => check::run(args).await.map(|outcome| match outcome {
                Outcome::Ok => 0,
                Outcome::Trouble => 1,
                Outcome::Config => EX_CONFIG,
                Outcome::Interrupted => INTERRUPTED,
            }),
            _ => Ok(0),
        }
    });
    // A lookup or session that outlives its command is not waited for.
    runtime.shutdown_background();
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mxwatch: {error}");
            ExitCode::from(EX_IOERR)
        }
    }
}
