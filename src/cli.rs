//! The command line: what can be typed, and nothing of what it does.
//!
//! Flags of the agent are dotted, as everywhere in the Prometheus world; those of `check` are the
//! plain ones an admin types by hand.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    build,
    config::{parse_helo_name, parse_server},
    healthy::AgentUrl,
    name::Destination,
    shard,
};

/// Where packages put the configuration.
pub const DEFAULT_CONFIG: &str = "/etc/mxwatch/mxwatch.toml";
/// Where the agent listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = ":10187";
/// Where an agent on this host listens unless it was told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:10187";

/// Probes mail domains per exchanger and address family, from MX lookup to EHLO, for Prometheus.
#[derive(Debug, Parser)]
#[command(
    name = "mxwatch",
    version,
    long_version = build::LONG,
    args_conflicts_with_subcommands = true,
    after_help = "Without a command the agent runs. Try `mxwatch demo` first: it needs nothing."
)]
pub struct Cli {
    /// One of these instead of the agent.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of the agent.
    #[command(flatten)]
    pub agent: AgentArgs,
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Probe domains once, show what was found and what senders would make of it.
    #[command(after_help = STATUSES)]
    Check(CheckArgs),
    /// Judge what `check --json` found earlier, or facts written by hand; asks nobody.
    #[command(after_help = STATUSES)]
    Judge(JudgeArgs),
    /// List the senders that can be judged, or show all parameters of one.
    Senders(SendersArgs),
    /// Run the agent against a small mail internet inside this process, one domain per failure.
    Demo(DemoArgs),
    /// Ask a running agent whether it is healthy: exit 0 when it is, 1 when it is not or cannot be asked.
    Healthy(HealthyArgs),
}

const STATUSES: &str = "Exit status by the worst outcome: 0 deliver, 1 defer or freeze, 2 bounce, \
                        3 unknown; bounce is worse than defer, that than unknown. 64 and 65 \
                        stand for a wrong command line and an unreadable file, 78 for a wrong \
                        configuration.";

/// Flags of the agent.
#[derive(Args, Clone, Debug)]
pub struct AgentArgs {
    /// Configuration file.
    #[arg(long = "config.file", value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config_file: PathBuf,
    /// Check the configuration, say everything that is wrong with it, and exit 0 or 78.
    #[arg(long = "config.check")]
    pub config_check: bool,
    /// Address to serve HTTP on; may be given several times.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    pub listen: Vec<String>,
    /// Serve HTTP on the sockets that systemd hands over (mxwatch.socket) instead of an address.
    #[arg(long = "web.systemd-socket", conflicts_with = "listen")]
    pub systemd_socket: bool,
    /// Web configuration: TLS, logins and headers, as other exporters have it (web-config.yml).
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Allow `POST /-/reload`.
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Watch only the share of this agent: I/N is number I, from 0 to N-1, of N agents with the same
    /// destinations; with ordinal/N, I is the number at the end of this host's name, as in a StatefulSet.
    #[arg(long, value_name = "I/N", value_parser = shard::Choice::parse)]
    pub shard: Option<shard::Choice>,
    /// What to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What to log and how.
#[derive(Args, Clone, Copy, Debug)]
pub struct LogArgs {
    /// Least severity that is logged.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub level: LogLevel,
    /// Format of the log, on standard error.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub format: LogFormat,
}

/// Severities.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogLevel {
    /// More than anybody needs.
    Debug,
    /// Changes of state and what the agent does.
    Info,
    /// What went wrong.
    Warn,
    /// What went wrong here.
    Error,
}

/// Formats.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Flags of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Mail domains, or smart hosts as host:port.
    #[arg(required = true, value_name = "DOMAIN", value_parser = Destination::parse)]
    pub destinations: Vec<Destination>,
    /// One JSON object per domain and line instead of the report.
    #[arg(long)]
    pub json: bool,
    /// Sender whose verdict to give instead of the configured ones; may be given several times.
    #[arg(long = "sender", value_name = "NAME")]
    pub senders: Vec<String>,
    /// Show the dialogues too, as telnet would.
    #[arg(long, conflicts_with = "json")]
    pub transcript: bool,
    /// Also walk from the root to the name servers that have authority over the domain and its
    /// exchangers, ask each of them, and show where they fail or differ.
    #[arg(long)]
    pub trace: bool,
    /// Configuration to take names, resolvers, senders and limits from; by default
    /// /etc/mxwatch/mxwatch.toml if there is one.
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Name to give with EHLO; by default the configured one, else this host's full name, else its
    /// address in brackets.
    #[arg(long, value_name = "NAME", value_parser = parse_helo_name)]
    pub helo_name: Option<Arc<str>>,
    /// DNS server to ask instead of the configured resolvers; may be given several times: each is a
    /// resolver of its own, named after its address, the first the primary.
    #[arg(long = "dns-server", value_name = "ADDRESS", value_parser = parse_server)]
    pub dns_servers: Vec<SocketAddr>,
    /// Port of the exchangers instead of the configured one.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The most to wait at each stage of a session, for each DNS query and for an MTA-STS policy, as
    /// in "10s"; by default as long as the agent would.
    #[arg(long, value_name = "DURATION", value_parser = patience)]
    pub timeout: Option<Duration>,
    /// When to use colour.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,
}

/// Flags of `judge`.
#[derive(Args, Clone, Debug)]
pub struct JudgeArgs {
    /// Files of documents as `check --json` and the API give them, of their `facts` alone, or of
    /// facts in shorthand; "-" for standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Sender whose verdict to give instead of the configured ones; may be given several times.
    #[arg(long = "sender", value_name = "NAME")]
    pub senders: Vec<String>,
    /// One JSON object per domain and line.
    #[arg(long)]
    pub json: bool,
    /// Configuration to take own senders from; by default /etc/mxwatch/mxwatch.toml if there is
    /// one.
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// When to use colour.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,
}

/// Flags of `senders`.
#[derive(Args, Clone, Debug)]
pub struct SendersArgs {
    /// The sender to show.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Configuration to take own senders from; by default /etc/mxwatch/mxwatch.toml if there is
    /// one.
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Flags of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Address to serve HTTP on; a free port of this host by default.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: Vec<String>,
    /// From one round to the next.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = interval)]
    pub interval: Duration,
    /// Least severity that is logged; try "info" to see changes as they happen.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "error")]
    pub level: LogLevel,
    /// Format of the log, on standard error.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub format: LogFormat,
}

/// Flags of `healthy`.
#[derive(Args, Clone, Debug)]
pub struct HealthyArgs {
    /// Where the agent serves HTTP.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    pub url: AgentUrl,
}

/// Much shorter intervals would keep the processor busy for their own sake.
fn interval(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1)..=Duration::from_secs(24 * 3600))
}

/// As long as the configuration allows for one stage.
fn patience(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_millis(1)..=Duration::from_secs(3600))
}

fn duration(text: &str, sensible: RangeInclusive<Duration>) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text)
        .map_err(|_| "expected a duration such as \"30s\" or \"1m 30s\"".to_owned())?;
    if sensible.contains(&parsed) {
        return Ok(parsed);
    }
    let shown = |bound: &Duration| humantime::format_duration(*bound).to_string();
    Err(format!("must be from {} to {}", shown(sensible.start()), shown(sensible.end())))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_demo_takes_no_interval_that_would_never_come_to_rest() {
        for (interval, taken) in [("0s", false), ("1s", true), ("1000000000y", false)] {
            let args = ["mxwatch", "demo", "--interval", interval];
            assert_eq!(Cli::try_parse_from(args).is_ok(), taken, "{interval}");
        }
    }

    #[test]
    fn listen_addresses_replace_the_default() {
        let cli = Cli::try_parse_from([
            "mxwatch",
            "--web.listen-address=127.0.0.1:1",
            "--web.listen-address=[::1]:2",
        ]);
        assert_eq!(cli.unwrap().agent.listen, ["127.0.0.1:1", "[::1]:2"]);
    }
}
