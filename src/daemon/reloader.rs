//! Puts changed configurations in force: those of a reload, of a changed file, of a list from a
//! server, of resolv.conf(5). A bad one changes nothing. When it is time is told by the others.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use crate::{
    agent::{Reload, Settings},
    config::{self, Config, Loaded, Problems, Watch},
    connectivity_log::ConnectivityLog,
    http_sd::Lists,
    metrics::own::Own,
    probe::dns::Resolvers,
    shard::Shard,
    systemd::notify,
};

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

pub(super) fn open_log(config: &Config, own: &Own) -> io::Result<ConnectivityLog> {
    let Some(path) = &config.connectivity_log else { return Ok(ConnectivityLog::off()) };
    ConnectivityLog::open(path, own.connectivity_log_dropped.clone()).map_err(|error| {
        io::Error::new(error.kind(), format!("connectivity_log {}: {error}", path.display()))
    })
}

/// How many destinations this agent watches, and where it is one of several, whose share of how many
/// that is.
pub(super) fn counted(config: &Config) -> (usize, Option<String>) {
    let all = config.destinations.len();
    let share = config.shard.map(|shard| format!("{shard}, {all} destinations in all"));
    (config.own_destinations().count(), share)
}

/// What the agent does, for `systemctl status`.
pub(super) fn watching(config: &Config) -> String {
    let (destinations, share) = counted(config);
    let plural = if destinations == 1 { "" } else { "s" };
    let share = share.map(|share| format!(", {share}")).unwrap_or_default();
    format!("watching {destinations} destination{plural}{share}")
}

/// The configuration with what is known of the lists from servers.
pub(super) fn joined(config: &Arc<Config>, lists: &Lists) -> Arc<Config> {
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
pub(super) enum Noticed {
    /// A destination file.
    Files,
    /// A list from a server.
    Lists,
}

/// Puts changed configurations in force. A bad one changes nothing.
pub(super) struct Reloader {
    pub(super) file: Option<ConfigFile>,
    /// The configuration of the file alone.
    pub(super) unjoined: Arc<Config>,
    pub(super) lists: Lists,
    /// Becomes true once every list was had.
    pub(super) known: watch::Sender<bool>,
    /// The one in force, with what the lists name.
    pub(super) current: Arc<ArcSwap<Config>>,
    pub(super) own: Arc<Own>,
    pub(super) log: ConnectivityLog,
    /// Those in force.
    pub(super) resolvers: Resolvers,
    pub(super) reloads: mpsc::Sender<Reload>,
}

impl Reloader {
    /// The log, which outlives everything.
    pub(super) fn into_log(self) -> ConnectivityLog {
        self.log
    }

    /// Resolves when a destination file or a list changed; never without any.
    pub(super) async fn noticed(&mut self) -> Noticed {
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

    pub(super) async fn reload(&mut self, why: &str) -> Result<(), String> {
        notify::reloading();
        let outcome = self.try_reload().await;
        self.own.config_loaded(outcome.is_ok(), Timestamp::now());
        let in_force = watching(&self.current.load());
        match &outcome {
            Ok(()) => {
                notify::ready(&in_force);
                let (destinations, share) = counted(&self.current.load());
                info!(why, destinations, share, "configuration reloaded");
            }
            Err(problems) => {
                notify::ready(&format!(
                    "configuration not reloaded, see the log; {in_force} as before"
                ));
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
    pub(super) async fn follow_lists(&mut self) {
        if self.rejoin().await.is_ok() {
            let (destinations, share) = counted(&self.current.load());
            notify::ready(&watching(&self.current.load()));
            info!(why = "http_sd", destinations, share, "destinations changed");
        }
    }

    async fn rejoin(&mut self) -> Result<(), String> {
        let config = joined(&self.unjoined, &self.lists);
        self.apply(Arc::clone(&config)).await?;
        self.current.store(config);
        if self.lists.are_known() {
            self.known.send_replace(true);
        }
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
    pub(super) async fn follow_system(&mut self) {
        let config = self.current.load_full();
        if self.apply(config).await.is_ok() {
            info!("resolv.conf names other servers; they are asked from now on");
        }
    }
}
