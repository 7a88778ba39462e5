//! The agent's own metrics: handles into one registry, passed by reference, never global.
//!
//! Every label value is known in advance and created at start, so that a rate never begins from
//! nothing. What was found out about mail domains is not here.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

use super::names::{self, Metric};
use crate::{build, delivery::Why, explain::meaning::meaning, shard::Shard};

/// Handles to all of them.
#[derive(Debug)]
pub struct Own {
    registry: Registry,
    /// 1 when the last attempt to load the configuration succeeded.
    pub config_last_reload_successful: IntGauge,
    /// Unix time of the last success.
    pub config_last_reload_success_timestamp_seconds: Gauge,
    /// Which shard this agent is; without a series where it is none.
    shard: IntGaugeVec,
    /// Configured destinations, those of other shards included; set by whoever encodes.
    pub destinations_configured: IntGauge,
    /// Those of them that this agent watches; set from the snapshot in the same way.
    pub destinations: IntGauge,
    /// Those of them whose round is overdue; set in the same way.
    pub destinations_overdue: IntGauge,
    http_sd_last_success: GaugeVec,
    http_sd_failures: IntCounterVec,
    /// Rounds of domains.
    pub domain_rounds: Rounds,
    /// Rounds of exchangers.
    pub exchanger_rounds: Rounds,
    /// Looks at the policies of mail domains.
    pub policy_rounds: Rounds,
    /// Control rounds of resolvers.
    pub resolver_rounds: Rounds,
    /// Looks at the own vantage.
    pub vantage_rounds: Rounds,
    /// Seconds from the scheduled start of a round to its real one.
    pub round_lag_seconds: Histogram,
    /// Rounds that ended in a panic.
    pub probe_panics: IntCounter,
    /// SMTP sessions open now.
    pub sessions_in_flight: IntGauge,
    /// Seconds a timer fired too late.
    pub runtime_delay_seconds: Histogram,
    /// Lines the connectivity log lost.
    pub connectivity_log_dropped: IntCounter,
    /// 1 while the web configuration in force is what its files say; set by whoever encodes.
    pub web_config_last_reload_successful: IntGauge,
}

/// How it goes with one list from a server.
#[derive(Clone, Debug)]
pub struct HttpSdCounts {
    /// Unix time of the last success, 0 before the first.
    pub last_success: Gauge,
    /// Requests that brought no list.
    pub failures: IntCounter,
}

/// Rounds of one kind.
#[derive(Clone, Debug)]
pub struct Rounds {
    /// Begun and not ended.
    pub in_flight: IntGauge,
    /// Left out because the one before had not ended, or not begun yet.
    pub skipped: IntCounter,
}

/// From a timer's resolution to what spoils a measured latency beyond use.
const DELAYS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

impl Own {
    /// Creates all series, at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        register_process(&registry);
        let info = IntGaugeVec::new(opts(&names::BUILD_INFO), names::BUILD_INFO.labels);
        let info = registered(&registry, info);
        info.with_label_values(&[build::VERSION, build::REVISION, build::RUSTC]).set(1);

        let reasons =
            IntGaugeVec::new(opts(&names::DELIVERY_REASON), names::DELIVERY_REASON.labels);
        let reasons = registered(&registry, reasons);
        for why in Why::ALL {
            reasons.with_label_values(&[why.label(), meaning(*why)]).set(1);
        }

        let kinds = names::ROUNDS_IN_FLIGHT.labels;
        let in_flight =
            registered(&registry, IntGaugeVec::new(opts(&names::ROUNDS_IN_FLIGHT), kinds));
        let skipped =
            registered(&registry, IntCounterVec::new(opts(&names::ROUNDS_SKIPPED), kinds));
        let rounds = |kind| Rounds {
            in_flight: in_flight.with_label_values(&[kind]),
            skipped: skipped.with_label_values(&[kind]),
        };
        let gauge = |metric| registered(&registry, IntGauge::with_opts(opts(metric)));
        let counter = |metric| registered(&registry, IntCounter::with_opts(opts(metric)));
        let delays = |metric| histogram(&registry, metric);
        let shard = IntGaugeVec::new(opts(&names::SHARD_INFO), names::SHARD_INFO.labels);
        let lists = names::HTTP_SD_FAILURES.labels;
        let failures = IntCounterVec::new(opts(&names::HTTP_SD_FAILURES), lists);
        let last_success = GaugeVec::new(opts(&names::HTTP_SD_LAST_SUCCESS_TIMESTAMP), lists);
        let loaded_at = Gauge::with_opts(opts(&names::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP));
        Self {
            config_last_reload_successful: gauge(&names::CONFIG_LAST_RELOAD_SUCCESSFUL),
            config_last_reload_success_timestamp_seconds: registered(&registry, loaded_at),
            shard: registered(&registry, shard),
            destinations_configured: gauge(&names::DESTINATIONS_CONFIGURED),
            destinations: gauge(&names::DESTINATIONS),
            destinations_overdue: gauge(&names::DESTINATIONS_OVERDUE),
            http_sd_last_success: registered(&registry, last_success),
            http_sd_failures: registered(&registry, failures),
            domain_rounds: rounds("domain"),
            exchanger_rounds: rounds("exchanger"),
            policy_rounds: rounds("policy"),
            resolver_rounds: rounds("resolver"),
            vantage_rounds: rounds("vantage"),
            round_lag_seconds: delays(&names::ROUND_LAG),
            probe_panics: counter(&names::PROBE_PANICS),
            sessions_in_flight: gauge(&names::SESSIONS_IN_FLIGHT),
            runtime_delay_seconds: delays(&names::RUNTIME_DELAY),
            connectivity_log_dropped: counter(&names::CONNECTIVITY_LOG_DROPPED),
            web_config_last_reload_successful: gauge(&names::WEB_CONFIG_LAST_RELOAD_SUCCESSFUL),
            registry,
        }
    }

    /// Notes that this agent is one of several.
    pub fn sharded(&self, shard: Shard) {
        let (index, shards) = (shard.index().to_string(), shard.shards().to_string());
        self.shard.with_label_values(&[index, shards]).set(1);
    }

    /// The series of one list from a server, which are there from now on.
    pub fn http_sd(&self, list: &str) -> HttpSdCounts {
        HttpSdCounts {
            last_success: self.http_sd_last_success.with_label_values(&[list]),
            failures: self.http_sd_failures.with_label_values(&[list]),
        }
    }

    /// Ends the series of a list that is no longer asked for.
    pub fn forget_http_sd(&self, list: &str) {
        // It fails where there are none.
        let _ = self.http_sd_last_success.remove_label_values(&[list]);
        let _ = self.http_sd_failures.remove_label_values(&[list]);
    }

    /// Notes an attempt to load the configuration.
    pub fn config_loaded(&self, success: bool, now: jiff::Timestamp) {
        self.config_last_reload_successful.set(i64::from(success));
        if success {
            let seconds = now.duration_since(jiff::Timestamp::UNIX_EPOCH).as_secs_f64();
            self.config_last_reload_success_timestamp_seconds.set(seconds);
        }
    }

    /// Appends them in the text format 0.0.4.
    pub fn encode(&self, out: &mut String) {
        // It fails on a family without samples only, which `gather` leaves out.
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), out) {
            tracing::error!(%error, "own metrics are missing from a scrape");
        }
    }
}

impl Default for Own {
    fn default() -> Self {
        Self::new()
    }
}

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

fn histogram(registry: &Registry, metric: &Metric) -> Histogram {
    let opts = HistogramOpts::new(metric.name, metric.help).buckets(DELAYS.to_vec());
    registered(registry, HistogramVec::new(opts, &[])).with_label_values::<&str>(&[])
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    made: prometheus::Result<C>,
) -> C {
    let collector = made.expect("names, labels and buckets of the catalogue are valid");
    registry.register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}

fn register_process(registry: &Registry) {
    #[cfg(target_os = "linux")]
    registry
        .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
        .expect("nothing else is called process_*");
    #[cfg(not(target_os = "linux"))]
    let _ = registry;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_own_metric_of_the_catalogue_is_there_from_the_start() {
        let mut out = String::new();
        let own = Own::new();
        own.encode(&mut out);
        assert!(!out.contains("mxwatch_shard_info"), "{out}");
        out.clear();
        own.sharded(Shard::new(1, 4).unwrap());
        own.http_sd("netbox");
        own.encode(&mut out);
        assert!(out.contains("mxwatch_shard_info{shard=\"1\",shards=\"4\"} 1\n"), "{out}");
        let own = |m: &&Metric| m.name.starts_with("mxwatch_") || **m == names::DELIVERY_REASON;
        for metric in names::CATALOGUE.iter().filter(own) {
            let kind = format!("# TYPE {} {}\n", metric.name, metric.kind.word());
            assert!(out.contains(&kind), "{} in {out}", metric.name);
        }
        assert!(out.contains("mxwatch_rounds_skipped_total{kind=\"exchanger\"} 0\n"), "{out}");
        let greets_not = "mx_delivery_reason_info{meaning=\"the exchanger accepts the connection and \
                          does not greet\",reason=\"banner_timeout\"} 1\n";
        assert!(out.contains(greets_not), "{out}");
        assert!(out.contains("process_resident_memory_bytes "), "{out}");
    }

    #[test]
    fn a_failed_reload_keeps_the_time_of_the_last_success() {
        let own = Own::new();
        own.config_loaded(true, jiff::Timestamp::from_second(1_000).unwrap());
        own.config_loaded(false, jiff::Timestamp::from_second(2_000).unwrap());
        let mut out = String::new();
        own.encode(&mut out);
        assert!(out.contains("mxwatch_config_last_reload_successful 0\n"), "{out}");
        let at = "mxwatch_config_last_reload_success_timestamp_seconds 1000\n";
        assert!(out.contains(at), "{out}");
    }
}
