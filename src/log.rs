//! Logging to standard error, as logfmt or JSON.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::cli::{LogArgs, LogFormat, LogLevel};

/// Sets the log up for this process. A second call changes nothing.
pub fn init(args: LogArgs) {
    let level = match args.level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    // Libraries below tell their own stories only when something is wrong with them.
    let filter =
        Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("mxwatch", level);
    let layer = match args.format {
        LogFormat::Logfmt => tracing_logfmt::builder().layer().with_writer(std::io::stderr).boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    // Only a second call fails, and then there is a log already.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}
