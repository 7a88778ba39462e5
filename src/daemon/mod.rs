//! The life of the agent's process: load, listen, probe, reload, stop.
//!
//! It connects the parts and decides nothing about mail. `demo` lives the same life with a
//! configuration made in memory.

mod reloader;
mod system_watch;

use std::{io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc, watch},
    task::{JoinError, JoinSet},
    time::sleep,
};
use tracing::{info, warn};

pub use self::reloader::{ConfigFile, load};
use self::{
    reloader::{Noticed, Reloader, counted, joined, open_log, watching},
    system_watch::SystemWatch,
};
use crate::{
    agent::{
        self, Settings, Setup,
        judging::{self, Unjudged},
        politeness::Politeness,
        runtime_delay,
        state::Store,
    },
    build,
    config::Config,
    connectivity_log::ConnectivityLog,
    http_sd::Lists,
    metrics::own::Own,
    on_demand,
    probe::anchors,
    systemd::notify,
    web::{self, Access, App, Limits, ReloadRequest},
};

/// What a process starts with.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Arc<Config>,
    /// The file it came from and how to notice changes; `None` when it was made in memory.
    pub file: Option<ConfigFile>,
    /// Bound sockets to serve on.
    pub listeners: Vec<TcpListener>,
    /// Who may ask the HTTP server, and how.
    pub access: Access,
    /// Whether `POST /-/reload` is allowed.
    pub lifecycle: bool,
}

/// Binds every address.
pub fn bind(addresses: &[String]) -> io::Result<Vec<TcpListener>> {
    let bind = |address: &String| {
        web::bind(address).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })
    };
    addresses.iter().map(bind).collect()
}

/// Serves on sockets that somebody else has bound. Must be called within a tokio runtime.
pub fn take_over(listeners: Vec<std::net::TcpListener>) -> io::Result<Vec<TcpListener>> {
    let take_over = |listener: std::net::TcpListener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    listeners.into_iter().map(take_over).collect()
}

/// Runs until SIGTERM or SIGINT; a second signal ends the process at once. An error when it cannot
/// begin, or when one of its parts panics: without it the process would only look alive.
pub async fn run(start: Start) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    let mut stops = Stops::new()?;
    let own = Arc::new(Own::new());
    let log = open_log(&start.config, &own)?;
    let Some(lists) = first_lists(&start.config, &own, &mut stops).await else { return Ok(()) };
    let config = joined(&start.config, &lists);
    let settings = Settings::new(Arc::clone(&config), log, None);
    own.config_loaded(true, Timestamp::now());
    let (stopping, stop) = watch::channel(false);
    let (ready, is_ready) = watch::channel(false);
    let (reload_requests, mut requests) = mpsc::channel::<ReloadRequest>(1);
    let (beat, beats) = watch::channel(());
    let (known, listed) = watch::channel(lists.are_known());
    let (on_demand, wanted) = mpsc::channel(16);
    let (reloads, to_reload) = mpsc::channel(1);
    let store = Store::default();
    let current = Arc::new(ArcSwap::from(Arc::clone(&config)));

    let app = App {
        store: store.clone(),
        own: Arc::clone(&own),
        config: Arc::clone(&current),
        ready: is_ready.clone(),
        listed,
        reload: start.lifecycle.then_some(reload_requests),
        on_demand,
        rendering: Arc::new(Semaphore::new(1)),
        access: start.access,
        limits: Limits::default(),
    };
    announce(&config, &own);
    if let Some(trouble) = anchors::trouble().await {
        warn!("{trouble}");
    }
    let unjudged = Unjudged::default();
    let setup = Setup {
        store: store.clone(),
        unjudged: unjudged.clone(),
        own: Arc::clone(&own),
        stop: stop.clone(),
        ready,
        beat,
    };
    let politeness = Arc::new(Politeness::new(settings.config.politeness.clone()));
    let first_prober = agent::prober(&settings, politeness, &own, stop.clone());
    let prober = Arc::new(ArcSwap::from_pointee(first_prober));

    let agent = agent::run(setup, &settings, Arc::clone(&prober), to_reload);
    let mut parts = JoinSet::new();
    parts.spawn(web::serve(start.listeners, Arc::new(app), stop.clone()));
    parts.spawn(on_demand::serve(
        wanted,
        Arc::clone(&prober),
        Arc::clone(&current),
        Arc::clone(&own),
    ));
    parts.spawn(judging::run(unjudged, store, Arc::clone(&own), stop.clone()));
    parts.spawn(runtime_delay::measure(Arc::clone(&own), stop.clone()));
    parts.spawn(agent);
    parts.spawn(notify::watchdog(beats, stop.clone()));
    parts.spawn(tell_ready(is_ready, stop));
    notify::ready(&watching(&config));

    let Settings { resolvers, log, .. } = settings;
    let (file, unjoined) = (start.file, start.config);
    let mut reloader =
        Reloader { file, unjoined, lists, known, current, own, log, resolvers, reloads };
    let mut system = SystemWatch::new();
    let outcome = loop {
        let in_force = (reloader.current.load_full(), reloader.resolvers.clone());
        let (why, answer) = tokio::select! {
            () = stops.next() => break Ok(()),
            error = panicked(&mut parts) => break Err(io::Error::other(error)),
            Some(()) = hangups.recv() => ("SIGHUP", None),
            Some(answer) = requests.recv() => ("POST /-/reload", Some(answer)),
            noticed = reloader.noticed() => match noticed {
                Noticed::Files => ("destination files", None),
                Noticed::Lists => {
                    reloader.follow_lists().await;
                    continue;
                }
            },
            () = system.look(in_force) => {
                reloader.follow_system().await;
                continue;
            }
        };
        // Files on a network that hangs must not keep the program from ending.
        let outcome = tokio::select! {
            () = stops.next() => break Ok(()),
            outcome = reloader.reload(why) => outcome,
        };
        if let Some(answer) = answer {
            // Whoever asked may have gone; the reload stands.
            let _ = answer.send(outcome);
        }
    };
    // Nobody listens only when every part has ended already.
    let _ = stopping.send(true);
    end(parts, stops, reloader.into_log()).await;
    outcome
}

/// Lets the parts end, which know that it is time, and the last lines of the log be written.
async fn end(mut parts: JoinSet<()>, mut stops: Stops, log: ConnectivityLog) {
    notify::stopping();
    info!("stopping");
    tokio::select! {
        () = async { while parts.join_next().await.is_some() {} } => info!("stopped"),
        () = stops.next() => warn!("stopped at once by a second signal"),
        () = sleep(LONGEST_END) => warn!("stopped although something was still under way"),
    }
    // Lines about the last sessions are still on their way; a disk that hangs keeps them.
    let _ = tokio::task::spawn_blocking(move || log.flush(LOG_PATIENCE)).await;
}

/// Resolves when a part panics. The others end by themselves when there is nothing left for them to
/// do. Cancel safe.
async fn panicked(parts: &mut JoinSet<()>) -> JoinError {
    loop {
        match parts.join_next().await {
            Some(Err(error)) => return error,
            Some(Ok(())) => {}
            None => std::future::pending().await,
        }
    }
}

/// How long the connectivity log may take to write what is noted already.
const LOG_PATIENCE: Duration = Duration::from_millis(300);

/// Every part ends sooner by itself; this is for one that does not.
const LONGEST_END: Duration = Duration::from_millis(4_500);

/// What is known at the start of the lists that the configuration names; `None` where the program is
/// told to end meanwhile.
async fn first_lists(config: &Config, own: &Arc<Own>, stops: &mut Stops) -> Option<Lists> {
    let mut lists = Lists::new(Arc::clone(own));
    lists.follow(&config.http_sd);
    tokio::select! {
        () = lists.first_answers() => Some(lists),
        () = stops.next() => None,
    }
}

/// Says what begins here, in the log and in the metrics.
fn announce(config: &Config, own: &Own) {
    if let Some(shard) = config.shard {
        own.sharded(shard);
    }
    let (destinations, share) = counted(config);
    let (version, revision) = (build::VERSION, build::REVISION);
    info!(version, revision, destinations, share, "starting");
}

async fn tell_ready(mut ready: watch::Receiver<bool>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        Ok(_) = ready.wait_for(|&ready| ready) => info!("ready: every destination had its first round, or an interval to have it"),
        _ = stop.wait_for(|&stopped| stopped) => {}
    }
}

/// SIGTERM and SIGINT.
struct Stops {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stops {
    fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_noticed_after_other_parts_have_ended() {
        let mut parts = JoinSet::new();
        parts.spawn(async {});
        parts.spawn(async {
            sleep(Duration::from_millis(50)).await;
            panic!("defect");
        });
        let error = tokio::time::timeout(Duration::from_secs(20), panicked(&mut parts)).await;
        assert!(error.unwrap().is_panic());
    }
}
