//! Lists of destinations from servers (`[[http_sd]]`): asked again and again, the last good answer of
//! each kept.
//!
//! A fetch that fails changes nothing but a counter, as with Prometheus. What the lists are joined to,
//! and when that comes into force, is the daemon's business.

mod fetch;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};
use tracing::{info, warn};

use crate::{
    config::{HttpSd, TargetList},
    metrics::own::{HttpSdCounts, Own},
};

/// The lists that are asked for, and the last good answer to each.
#[derive(Debug)]
pub struct Lists {
    kept: BTreeMap<Arc<str>, Kept>,
    own: Arc<Own>,
    answers: mpsc::Receiver<Answer>,
    /// For those who ask; it also keeps the channel open.
    tell: mpsc::Sender<Answer>,
}

#[derive(Debug)]
struct Kept {
    source: HttpSd,
    list: Option<Arc<TargetList>>,
    /// Whether it was asked for once at least, with whatever outcome.
    answered: bool,
    asking: JoinHandle<()>,
}

/// What came of a request for a list.
#[derive(Debug)]
struct Answer {
    source: HttpSd,
    /// `None` where it failed.
    list: Option<TargetList>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl Lists {
    /// None so far.
    pub fn new(own: Arc<Own>) -> Self {
        let (tell, answers) = mpsc::channel(1);
        Self { kept: BTreeMap::new(), own, answers, tell }
    }

    /// Asks for these from now on, and for no others. What is known of one goes on to hold until the
    /// next answer, even if it is asked for in another way.
    ///
    /// Must be called within a tokio runtime.
    pub fn follow(&mut self, wanted: &[HttpSd]) {
        let mut before = std::mem::take(&mut self.kept);
        for source in wanted {
            let known = before.remove(&source.name);
            let kept = match known {
                Some(known) if known.source == *source => known,
                known => {
                    let list = known.and_then(|known| known.list.clone());
                    let counts = self.own.http_sd(&source.name);
                    let asking = ask(source.clone(), list.is_some(), counts, self.tell.clone());
                    let asking = tokio::spawn(asking);
                    Kept { source: source.clone(), list, answered: false, asking }
                }
            };
            self.kept.insert(Arc::clone(&source.name), kept);
        }
        for name in before.keys() {
            self.own.forget_http_sd(name);
        }
    }

    /// Waits until each was asked for once, but not for long: a server that is down must not keep the
    /// agent from its other work. Nothing is lost when it is cancelled.
    pub async fn first_answers(&mut self) {
        let until = Instant::now() + FIRST_PATIENCE;
        while self.kept.values().any(|kept| !kept.answered) {
            match timeout_at(until, self.answers.recv()).await {
                Ok(Some(answer)) => self.take(answer),
                Ok(None) | Err(_) => return,
            };
        }
    }

    /// Waits until one of them names other destinations than before. Nothing is lost when it is
    /// cancelled.
    pub async fn changed(&mut self) {
        loop {
            match self.answers.recv().await {
                Some(answer) => {
                    if self.take(answer) {
                        return;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Whether each was had once. One that was not may hold anything, also everything.
    pub fn are_known(&self) -> bool {
        self.kept.values().all(|kept| kept.list.is_some())
    }

    /// What is known of them, in the order of the names.
    pub fn known(&self) -> impl Iterator<Item = (&str, &TargetList)> {
        self.kept.iter().filter_map(|(name, kept)| Some((&**name, &**kept.list.as_ref()?)))
    }

    /// Keeps an answer; whether it differs from the last good one.
    fn take(&mut self, answer: Answer) -> bool {
        let kept = self.kept.get_mut(&answer.source.name);
        // One that was asked for in another way meanwhile has an answer of its own to come.
        let Some(kept) = kept.filter(|kept| kept.source == answer.source) else { return false };
        kept.answered = true;
        let Some(list) = answer.list else { return false };
        if kept.list.as_deref() == Some(&list) {
            return false;
        }
        info!(list = &*answer.source.name, destinations = list.len(), "http_sd list changed");
        kept.list = Some(Arc::new(list));
        true
    }
}

/// Asks for a list until nobody wants it any more; `had` is whether there is one already.
async fn ask(source: HttpSd, mut had: bool, counts: HttpSdCounts, tell: mpsc::Sender<Answer>) {
    let mut trouble = None;
    loop {
        let begun = Instant::now();
        let until = begun + LONGEST_FETCH.min(source.refresh_interval.max(SHORTEST_FETCH));
        let list = match fetch::fetch(&source, until).await {
            Ok(list) => {
                if trouble.take().is_some() {
                    info!(list = &*source.name, "http_sd list is there again");
                }
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                counts.last_success.set(now.as_secs_f64());
                had = true;
                Some(list)
            }
            Err(why) => {
                counts.failures.inc();
                // Once for each trouble, not for each time.
                if trouble.as_ref() != Some(&why) {
                    let kept = if had { "the last one stays" } else { "there is none yet" };
                    warn!(list = &*source.name, why, kept, "http_sd list cannot be had");
                    trouble = Some(why);
                }
                None
            }
        };
        if tell.send(Answer { source: source.clone(), list }).await.is_err() {
            return;
        }
        let wait = if had { source.refresh_interval } else { source.refresh_interval.min(RETRY) };
        sleep_until(begun + wait).await;
    }
}

/// How long the start, or a reload, waits for lists that it does not have.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);

/// For all of one request, unless the next one is due sooner.
const LONGEST_FETCH: Duration = Duration::from_secs(30);

/// A short interval is no reason to give up at once.
const SHORTEST_FETCH: Duration = Duration::from_secs(5);

/// After a failure while nothing is known yet.
const RETRY: Duration = Duration::from_secs(30);
