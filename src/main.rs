//! Nothing but a call: what is asynchronous would be compiled once more in every crate that awaits it,
//! which made the program 7 % larger.

use std::process::ExitCode;

fn main() -> ExitCode {
    mxwatch::program::main()
}
