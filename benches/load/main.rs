//! What mxwatch costs, beside the exporter that people would use instead and beside the barest client
//! that exchanges the same bytes. `cargo bench --bench load` measures everything and prints a table;
//! docs/performance.md tells how to read it.
//!
//! World and whoever asks run on one core, what is measured on another, each in a process of its own.
//! Processor time is the kernel's accounting of the measured process. Nothing is asserted about a time.
//!
//! - `cases` what is measured, `scale` the same by size, `report` how it is shown
//! - `agent` mxwatch, `blackbox` the peer, `floor` the barest client, each as a `process`
//! - `world` what they talk to, `tls_server` with STARTTLS

mod agent;
mod blackbox;
mod cases;
mod floor;
mod process;
mod report;
mod scale;
mod tls_server;
mod world;

use std::{
    env, fs,
    panic::{catch_unwind, resume_unwind},
    process::ExitCode,
};

use cases::{Case, Extent};

/// Ends the bench with a reason, and everything that it has started.
fn fail(why: &str) -> ! {
    eprintln!("load bench: {why}");
    // Without the words of a panic; what is dropped on the way ends its processes.
    resume_unwind(Box::new(()))
}

fn main() -> ExitCode {
    catch_unwind(run).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn run() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [role, name, rest @ ..] = arguments.as_slice()
        && role == "--role"
    {
        // Sockets by the thousand.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.unwrap_or_else(|error| fail(&error.to_string()));
        return match name.as_str() {
            "world" => runtime.block_on(world::run(rest)),
            "floor" => runtime.block_on(floor::run(rest)),
            _ => fail("there is no such role"),
        };
    }
    let asked = Asked::parse(&arguments);
    let mut figures = Vec::new();
    println!("{}", cases::circumstances());
    print!("{}", report::head());
    for case in
        Case::ALL.into_iter().filter(|case| asked.only.is_empty() || asked.only.contains(case))
    {
        let found = case.measure(&asked.extent);
        for figure in &found {
            print!("{}", report::line(figure));
        }
        figures.extend(found);
    }
    if figures.iter().any(|figure| !figure.runs.iter().all(|run| run.is_finite())) {
        fail("something was measured that is no number");
    }
    let json =
        serde_json::to_string_pretty(&figures).unwrap_or_else(|error| fail(&error.to_string()));
    if let Some(path) = &asked.json {
        fs::write(path, json + "\n").unwrap_or_else(|error| fail(&format!("{path}: {error}")));
        println!("\nAll runs are in {path}.");
    }
}

/// The command line.
struct Asked {
    extent: Extent,
    only: Vec<Case>,
    json: Option<String>,
}

impl Asked {
    fn parse(arguments: &[String]) -> Self {
        let mut asked = Self { extent: Extent::full(), only: Vec::new(), json: None };
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                // cargo says so itself.
                "--bench" => {}
                "--smoke" => asked.extent = Extent::smoke(),
                "--repeat" => {
                    let times = words.next().and_then(|times| times.parse().ok());
                    asked.extent.repeat = times.unwrap_or_else(|| fail(USAGE));
                }
                "--json" => {
                    asked.json = Some(words.next().unwrap_or_else(|| fail(USAGE)).to_owned());
                }
                word => asked.only.push(Case::of_word(word).unwrap_or_else(|| fail(USAGE))),
            }
        }
        asked
    }
}

const USAGE: &str =
    "usage: cargo bench --bench load -- [--smoke] [--repeat N] [--json FILE] [CASE …]
cases: domain-check starttls memory silent scrape contention idle scale";
