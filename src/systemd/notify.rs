//! Tells systemd how the service is (sd_notify(3)): that it serves, reads its configuration anew,
//! ends, and that it still does its work. What it is told is no log: `systemctl status` shows one line.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::{sync::watch, time::sleep};
use tracing::debug;

/// It serves what the status line tells.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It reads its configuration anew; [`ready`] ends that, whatever came of it.
pub fn reloading() {
    // The time is what `Type=notify-reload` goes by.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "no time of the monotonic clock"),
    }
}

/// It ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending open sessions")]);
}

/// Feeds the watchdog of systemd (`WatchdogSec=`), where there is one, after each beat of those who
/// do the work: when they hang, it starves, and systemd starts the service anew. Ends with `stop`.
pub async fn watchdog(mut beats: watch::Receiver<()>, mut stop: watch::Receiver<bool>) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    tokio::select! {
        () = feed(&mut beats, patience / FEEDS, || tell(&[NotifyState::Watchdog])) => {}
        _ = stop.wait_for(|&stopped| stopped) => {}
    }
}

/// How often it is fed within its patience; sd_watchdog_enabled(3) wants two at least.
const FEEDS: u32 = 4;

/// Ends when nobody is left who could beat.
async fn feed(beats: &mut watch::Receiver<()>, pause: Duration, mut feed: impl FnMut()) {
    while beats.changed().await.is_ok() {
        feed();
        sleep(pause).await;
    }
}

fn tell(states: &[NotifyState]) {
    // Nor does a manager that is gone keep the agent from its work.
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "systemd cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_while_the_work_goes_on_and_no_longer() {
        let (work, mut beats) = watch::channel(());
        let fed = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&fed);
        let feeding = tokio::spawn(async move {
            feed(&mut beats, Duration::from_secs(15), || {
                counter.fetch_add(1, Ordering::Relaxed);
            })
            .await;
        });
        // A minute of work, a beat each second: at 1, 16, 31 and 46 s.
        for _ in 0..60 {
            sleep(Duration::from_secs(1)).await;
            work.send_replace(());
        }
        assert_eq!(fed.load(Ordering::Relaxed), 4);
        // The last beat counts once, then it hangs.
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(fed.load(Ordering::Relaxed), 5);
        drop(work);
        feeding.await.unwrap();
    }
}
