//! The metrics of the agent itself: `mxwatch_*`.

use super::{Metric, counter, gauge, histogram};

/// What is running.
pub const BUILD_INFO: Metric = gauge(
    "mxwatch_build_info",
    &["version", "revision", "rustc"],
    "1 with version and revision of the running binary and the compiler that made it.",
);
/// Whether the configuration in force is the newest.
pub const CONFIG_LAST_RELOAD_SUCCESSFUL: Metric = gauge(
    "mxwatch_config_last_reload_successful",
    &[],
    "Whether the last attempt to load the configuration succeeded.",
);
/// When the configuration in force was loaded.
pub const CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP: Metric = gauge(
    "mxwatch_config_last_reload_success_timestamp_seconds",
    &[],
    "When the configuration was last loaded successfully.",
);
/// Which share of the destinations is this agent's.
pub const SHARD_INFO: Metric = gauge(
    "mxwatch_shard_info",
    &["shard", "shards"],
    "1 with the number of this agent's shard, counted from 0, and how many there are; only with --shard.",
);
/// Whether a list from a server is as it should be.
pub const HTTP_SD_LAST_SUCCESS_TIMESTAMP: Metric = gauge(
    "mxwatch_http_sd_last_success_timestamp_seconds",
    &["list"],
    "When a list of destinations was last fetched from its server, 0 before the first time.",
);
/// Lists that could not be had.
pub const HTTP_SD_FAILURES: Metric = counter(
    "mxwatch_http_sd_failures_total",
    &["list"],
    "Requests for a list of destinations that failed; the last list stays.",
);
/// Size of the task of all shards.
pub const DESTINATIONS_CONFIGURED: Metric = gauge(
    "mxwatch_destinations_configured",
    &[],
    "Number of destinations in the configuration, those of other shards included.",
);
/// Size of the task.
pub const DESTINATIONS: Metric =
    gauge("mxwatch_destinations", &[], "Number of destinations that this agent watches.");
/// What is not looked at any more.
pub const DESTINATIONS_OVERDUE: Metric = gauge(
    "mxwatch_destinations_overdue",
    &[],
    "Number of destinations whose last round ended longer ago than three of their intervals.",
);
/// Rounds at work.
pub const ROUNDS_IN_FLIGHT: Metric = gauge(
    "mxwatch_rounds_in_flight",
    &["kind"],
    "Rounds that have begun and not ended, by what they probe.",
);
/// Punctuality.
pub const ROUND_LAG: Metric =
    histogram("mxwatch_round_lag_seconds", &[], "How much later than scheduled the rounds began.");
/// Rounds that could not begin.
pub const ROUNDS_SKIPPED: Metric = counter(
    "mxwatch_rounds_skipped_total",
    &["kind"],
    "Rounds left out because the one before had not ended, or not begun yet.",
);
/// Defects survived.
pub const PROBE_PANICS: Metric = counter(
    "mxwatch_probe_panics_total",
    &[],
    "Rounds and verdicts that ended in a panic of the agent; each is a defect worth a report.",
);
/// Sessions at work.
pub const SESSIONS_IN_FLIGHT: Metric =
    gauge("mxwatch_sessions_in_flight", &[], "SMTP sessions open at this moment.");
/// The agent's own delay, which spoils latencies when it grows.
pub const RUNTIME_DELAY: Metric = histogram(
    "mxwatch_runtime_delay_seconds",
    &[],
    "How much later than asked for the runtime woke a timer; what it adds to measured latencies.",
);
/// Gaps of the connectivity log.
pub const CONNECTIVITY_LOG_DROPPED: Metric =
    counter("mxwatch_connectivity_log_dropped_total", &[], "Lines the connectivity log lost.");
/// Whether the HTTP server goes by what its files say.
pub const WEB_CONFIG_LAST_RELOAD_SUCCESSFUL: Metric = gauge(
    "mxwatch_web_config_last_reload_successful",
    &[],
    "Whether the web configuration in force, if there is one, is what its files say now.",
);
