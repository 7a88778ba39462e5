//! The life of the agent's process: load, listen, probe, reload, stop.
//!
//! It connects the parts and decides nothing about mail. `demo` lives the same life with a
//! configuration made in memory.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
    time::{Interval, MissedTickBehavior, interval, sleep},
};
use tracing::{error, info, warn};

use crate::{
    agent::{
        self, Reload, Settings, Setup,
        judging::{self, Unjudged},
        politeness::Politeness,
        runtime_delay,
        state::Store,
    },
    build,
    config::{self, Config, Loaded, Problems, Resolver, ResolverKind, Watch},
    connectivity_log::ConnectivityLog,
    http_sd::Lists,
    metrics::own::Own,
    on_demand,
    probe::{
        anchors,
        dns::{Expanded, Resolvers},
    },
    shard::Shard,
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

/// Where a configuration comes from.
#[derive(Debug)]
pub struct ConfigFile {
    /// The main file.
    pub path: PathBuf,
    /// Its destination files.
    pub watch: Watch,
}

/// Loads the configuration at `path` under the environment of this process, and logs what is
/// hardly meant. Of its destinations this agent watches those of `shard`.
pub fn load(path: &Path, shard: Option<Shard>) -> Result<Loaded, Problems> {
    let mut loaded = config::load(path, std::env::vars_os())?;
    loaded.config.shard = shard;
    for warning in &loaded.warnings {
        warn!(file = %path.display(), warning, "configuration");
    }
    Ok(loaded)
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
    let (on_demand, wanted) = mpsc::channel(16);
    let (reloads, to_reload) = mpsc::channel(1);
    let store = Store::default();
    let current = Arc::new(ArcSwap::from(Arc::clone(&config)));

    let app = App {
        store: store.clone(),
        own: Arc::clone(&own),
        config: Arc::clone(&current),
        ready: is_ready.clone(),
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
    let mut reloader = Reloader { file, unjoined, lists, current, own, log, resolvers, reloads };
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
                    notify::ready(&watching(&reloader.current.load()));
                    continue;
                }
            },
            () = system.look(in_force) => {
                reloader.follow_system().await;
                continue;
            }
        };
        notify::reloading();
        // Files on a network that hangs must not keep the program from ending.
        let outcome = tokio::select! {
            () = stops.next() => break Ok(()),
            outcome = reloader.reload(why) => outcome,
        };
        let in_force = watching(&reloader.current.load());
        notify::ready(&match outcome {
            Ok(()) => in_force,
            Err(_) => format!("configuration not reloaded, see the log; {in_force} as before"),
        });
        if let Some(answer) = answer {
            // Whoever asked may have gone; the reload stands.
            let _ = answer.send(outcome);
        }
    };
    notify::stopping();
    info!("stopping");
    // Nobody listens only when every part has ended already.
    let _ = stopping.send(true);
    tokio::select! {
        () = async { while parts.join_next().await.is_some() {} } => info!("stopped"),
        () = stops.next() => warn!("stopped at once by a second signal"),
        () = sleep(LONGEST_END) => warn!("stopped although something was still under way"),
    }
    let log = reloader.log;
    // Lines about the last sessions are still on their way; a disk that hangs keeps them.
    let _ = tokio::task::spawn_blocking(move || log.flush(LOG_PATIENCE)).await;
    outcome
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

/// How many destinations this agent watches, and where it is one of several, whose share of how many
/// that is.
fn counted(config: &Config) -> (usize, Option<String>) {
    let all = config.destinations.len();
    let share = config.shard.map(|shard| format!("{shard}, {all} destinations in all"));
    (config.own_destinations().count(), share)
}

fn open_log(config: &Config, own: &Own) -> io::Result<ConnectivityLog> {
    let Some(path) = &config.connectivity_log else { return Ok(ConnectivityLog::off()) };
    ConnectivityLog::open(path, own.connectivity_log_dropped.clone()).map_err(|error| {
        io::Error::new(error.kind(), format!("connectivity_log {}: {error}", path.display()))
    })
}

/// What the agent does, for `systemctl status`.
fn watching(config: &Config) -> String {
    let (destinations, share) = counted(config);
    let plural = if destinations == 1 { "" } else { "s" };
    let share = share.map(|share| format!(", {share}")).unwrap_or_default();
    format!("watching {destinations} destination{plural}{share}")
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

/// The configuration with what is known of the lists from servers.
fn joined(config: &Arc<Config>, lists: &Lists) -> Arc<Config> {
    if config.http_sd.is_empty() {
        return Arc::clone(config);
    }
    let (joined, warnings) = config.joined(lists.known());
    for warning in warnings {
        warn!(warning, "http_sd");
    }
    Arc::new(joined)
}

/// What changed by itself.
enum Noticed {
    /// A destination file.
    Files,
    /// A list from a server.
    Lists,
}

/// Puts changed configurations in force. A bad one changes nothing.
struct Reloader {
    file: Option<ConfigFile>,
    /// The configuration of the file alone.
    unjoined: Arc<Config>,
    lists: Lists,
    /// The one in force, with what the lists name.
    current: Arc<ArcSwap<Config>>,
    own: Arc<Own>,
    log: ConnectivityLog,
    /// Those in force.
    resolvers: Resolvers,
    reloads: mpsc::Sender<Reload>,
}

impl Reloader {
    /// Resolves when a destination file or a list changed; never without any.
    async fn noticed(&mut self) -> Noticed {
        let (file, lists) = (&mut self.file, &mut self.lists);
        let files_changed = async {
            match file {
                Some(file) => file.watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = files_changed => Noticed::Files,
            () = lists.changed() => Noticed::Lists,
        }
    }

    async fn reload(&mut self, why: &str) -> Result<(), String> {
        let outcome = self.try_reload().await;
        self.own.config_loaded(outcome.is_ok(), Timestamp::now());
        match &outcome {
            Ok(()) => {
                let (destinations, share) = counted(&self.current.load());
                info!(why, destinations, share, "configuration reloaded");
            }
            Err(problems) => {
                for problem in problems.lines() {
                    error!(why, problem, "configuration not reloaded, the old one stays in force");
                }
            }
        }
        outcome
    }

    async fn try_reload(&mut self) -> Result<(), String> {
        let Some(file) = &mut self.file else {
            return Err("this configuration comes from no file".to_owned());
        };
        let (path, shard) = (file.path.clone(), self.current.load().shard);
        // Reads many files; the probes go on meanwhile.
        let loaded = tokio::task::spawn_blocking(move || load(&path, shard)).await;
        let loaded = loaded.map_err(|error| error.to_string())?.map_err(|p| p.to_string())?;
        let config = Arc::new(loaded.config);
        if config.connectivity_log != self.current.load().connectivity_log {
            self.log = open_log(&config, &self.own).map_err(|error| error.to_string())?;
        }
        let watch = config::watch(loaded.watched);
        self.lists.follow(&config.http_sd);
        self.lists.first_answers().await;
        self.unjoined = config;
        self.rejoin().await?;
        if let Some(file) = &mut self.file {
            file.watch = watch;
        }
        Ok(())
    }

    /// Puts in force what the lists name now; the configuration of the file stays as it is.
    async fn follow_lists(&mut self) {
        if self.rejoin().await.is_ok() {
            let (destinations, share) = counted(&self.current.load());
            info!(why = "http_sd", destinations, share, "destinations changed");
        }
    }

    async fn rejoin(&mut self) -> Result<(), String> {
        let config = joined(&self.unjoined, &self.lists);
        self.apply(Arc::clone(&config)).await?;
        self.current.store(config);
        Ok(())
    }

    /// Puts a configuration in force, with the servers that resolv.conf(5) names now.
    async fn apply(&mut self, config: Arc<Config>) -> Result<(), String> {
        let settings = Settings::new(config, self.log.clone(), Some(&self.resolvers));
        let resolvers = settings.resolvers.clone();
        let (done, applied) = oneshot::channel();
        let handed = self.reloads.send(Reload { settings, done }).await;
        handed.map_err(|_| "the agent is stopping".to_owned())?;
        applied.await.map_err(|_| "the agent is stopping".to_owned())?;
        self.resolvers = resolvers;
        Ok(())
    }

    /// Goes by the system's servers as they are now; the configuration stays as it is.
    async fn follow_system(&mut self) {
        let config = self.current.load_full();
        if self.apply(config).await.is_ok() {
            info!("resolv.conf names other servers; they are asked from now on");
        }
    }
}

/// Notices when resolv.conf(5) names other servers. It is read anew every time, for the file may be
/// a link whose target is replaced; what is seen only once may have been half written.
struct SystemWatch {
    ticks: Interval,
    /// What the last look found, where that was not what is in force.
    changed: Option<Expanded>,
}

impl SystemWatch {
    fn new() -> Self {
        let mut ticks = interval(SYSTEM_LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, changed: None }
    }

    /// Resolves when two looks have found the same change; never where no resolver is the system's.
    /// Cancel safe.
    async fn look(&mut self, (config, resolvers): (Arc<Config>, Resolvers)) {
        let system = |resolver: &Resolver| matches!(resolver.kind, ResolverKind::System { .. });
        if !config.resolvers.iter().any(system) {
            std::future::pending::<()>().await;
        }
        loop {
            self.ticks.tick().await;
            let now = Expanded::new(&config.resolvers);
            if resolvers.are(&now) {
                self.changed = None;
            } else if self.changed.as_ref() == Some(&now) {
                self.changed = None;
                return;
            } else {
                self.changed = Some(now);
            }
        }
    }
}

/// How often resolv.conf(5) is looked at; it is small, and nobody waits for it to the second.
const SYSTEM_LOOK: Duration = Duration::from_secs(2);

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
