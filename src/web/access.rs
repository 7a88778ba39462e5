//! The web configuration in force, and the one that takes its place when its files change.
//!
//! Whoever needs it asks [`Access::now`], which looks at the files first: what is served is as new
//! as what lies on disk, and nothing has to be watched or reloaded. Only what would open the doors is not
//! taken. A look is a stat(2) of each
//! file, away from the threads that drive probes.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, Semaphore},
    time::timeout,
};
use tokio_rustls::rustls::ServerConfig;
use tracing::{error, info, warn};

use super::{basic_auth::BasicAuth, bucket::Bucket};
use crate::config::{
    Problems,
    web_config::{self, Files, WebConfig},
};

/// Who may ask, and how.
#[derive(Debug)]
pub struct Access {
    current: Arc<ArcSwap<Rules>>,
    /// `None` where no file says anything, and everybody may ask in plain HTTP.
    source: Option<Arc<Mutex<Source>>>,
    last_reload_successful: Arc<AtomicBool>,
    /// Passwords that are compared at the same time: one, as each keeps a processor busy.
    pub(super) comparing: Arc<Semaphore>,
}

/// What one state of the files says.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) config: WebConfig,
    /// `None` where everybody may ask.
    pub(super) auth: Option<Arc<BasicAuth>>,
    /// `None` where requests are not limited.
    pub(super) bucket: Option<Bucket>,
}

impl Rules {
    /// `before` are those that they take the place of.
    fn new(config: WebConfig, before: Option<&Self>) -> Self {
        let before = before.and_then(|before| before.auth.as_deref());
        let auth = BasicAuth::new(&config.users, before).map(Arc::new);
        Self { auth, bucket: config.rate_limit.map(Bucket::new), config }
    }

    pub(super) fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.config.tls.as_ref()
    }
}

/// What stands in the old rules to keep people out and is missing in the new ones. A file that is
/// being written, or that a full disk has cut off, looks like one that opens everything.
fn given_up(old: &WebConfig, new: &WebConfig) -> Option<&'static str> {
    if old.tls.is_some() && new.tls.is_none() {
        Some("names no certificate any more")
    } else if !old.users.is_empty() && new.users.is_empty() {
        Some("names no user any more")
    } else if old.asks_clients && !new.asks_clients {
        Some("asks clients for no certificate any more")
    } else {
        None
    }
}

impl Access {
    /// Plain HTTP for everybody.
    pub fn open() -> Self {
        Self::new(Rules::default(), None)
    }

    /// What the file at `path` says, now and whenever it changes; logs what has no effect.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let read = web_config::read(path);
        let rules = Rules::new(read.outcome?, None);
        log_warnings(&read.warnings);
        let source = Source { path: path.to_owned(), files: read.files, refused: None };
        Ok(Self::new(rules, Some(Arc::new(Mutex::new(source)))))
    }

    fn new(rules: Rules, source: Option<Arc<Mutex<Source>>>) -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(rules)),
            source,
            last_reload_successful: Arc::new(AtomicBool::new(true)),
            comparing: Arc::new(Semaphore::new(1)),
        }
    }

    /// The rules by the files as they are at this moment, or as they were where a file system does
    /// not answer.
    pub(super) async fn now(&self) -> Arc<Rules> {
        if let Some(source) = &self.source {
            // One look at a time, and the lock goes along: a file system that hangs holds one
            // thread and no more.
            let look = async {
                let source = Arc::clone(source).lock_owned().await;
                let current = Arc::clone(&self.current);
                let successful = Arc::clone(&self.last_reload_successful);
                let look = move || Source::look(source, &current, &successful);
                let _ = tokio::task::spawn_blocking(look).await;
            };
            let _ = timeout(LONGEST_LOOK, look).await;
        }
        self.current.load_full()
    }

    /// The rules as of the last look.
    pub(super) fn last(&self) -> Arc<Rules> {
        self.current.load_full()
    }

    /// Whether the last state of the files was taken.
    pub(super) fn last_reload_successful(&self) -> bool {
        self.last_reload_successful.load(Ordering::Relaxed)
    }
}

/// Where the rules come from.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    /// As they were at the last attempt.
    files: Files,
    /// What was wrong with it, if anything.
    refused: Option<Problems>,
}

impl Source {
    /// Puts the rules in force that the files hold now; those that are wrong change nothing. What is
    /// wrong is said once, however often it is seen.
    fn look(mut this: OwnedMutexGuard<Self>, current: &ArcSwap<Rules>, successful: &AtomicBool) {
        if !this.files.have_changed() {
            return;
        }
        let read = web_config::read(&this.path);
        this.files = read.files;
        let path = this.path.display();
        let outcome =
            read.outcome.and_then(|config| match given_up(&current.load().config, &config) {
                Some(what) => Err(Problems::with(
                    &this.path,
                    format!("{what}; what keeps people out is taken away by a restart only"),
                )),
                None => Ok(config),
            });
        match outcome {
            Ok(config) => {
                log_warnings(&read.warnings);
                let (tls, users) = (config.tls.is_some(), config.users.len());
                info!(file = %path, tls, users, "web configuration reloaded");
                let rules = Rules::new(config, Some(&current.load()));
                current.store(Arc::new(rules));
                successful.store(true, Ordering::Relaxed);
                this.refused = None;
            }
            Err(problems) => {
                if this.refused.as_ref() != Some(&problems) {
                    for problem in problems.iter() {
                        error!(%problem, "web configuration not reloaded, the old one stays in force");
                    }
                }
                successful.store(false, Ordering::Relaxed);
                this.refused = Some(problems);
            }
        }
    }
}

fn log_warnings(warnings: &[String]) {
    for warning in warnings {
        warn!(warning, "web configuration");
    }
}

/// Longer than any disk takes; shorter than a scrape's timeout.
const LONGEST_LOOK: Duration = Duration::from_secs(2);
