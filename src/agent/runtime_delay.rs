//! How late this process itself is: when timers fire late, the latencies it measures are its own.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::warn;

use crate::metrics::own::Own;

/// Measures until `stop`; warns at most once a minute.
pub async fn measure(own: Arc<Own>, mut stop: watch::Receiver<bool>) {
    let mut warned: Option<Instant> = None;
    loop {
        let due = Instant::now() + PERIOD;
        tokio::select! {
            _ = stop.wait_for(|&stopped| stopped) => return,
            () = sleep(PERIOD) => {}
        }
        let delay = due.elapsed();
        own.runtime_delay_seconds.observe(delay.as_secs_f64());
        if delay > SPOILS && warned.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) {
            warned = Some(Instant::now());
            warn!(
                delay_seconds = delay.as_secs_f64(),
                "this host is too busy: measured latencies include its own delay"
            );
        }
    }
}

/// Ten times a second: seen soon, costs nothing.
const PERIOD: Duration = Duration::from_millis(100);

/// Above this, a latency says more about this host than about the peer.
const SPOILS: Duration = Duration::from_millis(100);
