//! The task that keeps every verdict up to date.
//!
//! Whoever changes the state notes what has to be judged anew in [`Unjudged`] afterwards, each
//! thing once however often it is noted. The task takes it from there, reads the state as it is
//! then, and judges without holding it up; so what was published last is judged last, and nothing
//! is left out. It works away from the threads that drive probes: ten thousand verdicts at a time
//! would falsify their times.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, watch};
use tracing::error;

use super::{
    changes,
    judgement::{self, Judgement},
    standing::Standing,
    state::{Snapshot, Store},
};
use crate::{
    metrics::own::Own,
    name::{Destination, Exchanger},
};

/// What has to be judged anew; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Unjudged {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    noted: Mutex<Noted>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Noted {
    destinations: HashSet<Destination>,
    exchangers: HashSet<Exchanger>,
    ended: HashSet<Exchanger>,
    everything: bool,
}

impl Unjudged {
    /// A destination: its route changed, or it is gone.
    pub fn destination(&self, destination: &Destination) {
        self.note(|noted| noted.destinations.insert(destination.clone()));
    }

    /// All destinations that route to an exchanger: what is known about it changed.
    pub fn exchanger(&self, exchanger: &Exchanger) {
        self.note(|noted| noted.exchangers.insert(exchanger.clone()));
    }

    /// Those of them that wait for the end of its round.
    pub fn ended(&self, exchanger: &Exchanger) {
        self.note(|noted| noted.ended.insert(exchanger.clone()));
    }

    /// All destinations: other verdicts are asked for.
    pub fn everything(&self) {
        self.note(|noted| std::mem::replace(&mut noted.everything, true));
    }

    fn note(&self, note: impl FnOnce(&mut Noted) -> bool) {
        note(&mut self.shared.noted.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.more.notify_one();
    }

    fn take(&self) -> Noted {
        std::mem::take(&mut self.shared.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Judges whatever is noted until `stop`.
pub async fn run(unjudged: Unjudged, store: Store, own: Arc<Own>, mut stop: watch::Receiver<bool>) {
    let mut bench = Bench::new(store, own);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|&stopped| stopped) => return,
            () = unjudged.shared.more.notified(), if bench.due.is_empty() => {}
            () = std::future::ready(()), if !bench.due.is_empty() => {}
        }
        bench.enter(unjudged.take());
        if bench.due.is_empty() {
            continue;
        }
        let worked = tokio::task::spawn_blocking(move || {
            bench.work();
            bench
        });
        bench = match worked.await {
            Ok(bench) => bench,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_ended) => return,
            },
        };
    }
}

/// What is judged, and what depends on what.
#[derive(Debug)]
struct Bench {
    store: Store,
    own: Arc<Own>,
    /// To be judged next.
    due: HashSet<Destination>,
    /// The exchangers each destination was last judged with.
    routes: HashMap<Destination, Vec<Exchanger>>,
    /// The same the other way round.
    dependents: HashMap<Exchanger, BTreeSet<Destination>>,
    /// Those with a verdict that waits for the end of a round.
    waiting: HashSet<Destination>,
}

/// Destinations judged at a time, between two looks at what else there is.
const AT_A_TIME: usize = 256;

impl Bench {
    fn new(store: Store, own: Arc<Own>) -> Self {
        Self {
            store,
            own,
            due: HashSet::new(),
            routes: HashMap::new(),
            dependents: HashMap::new(),
            waiting: HashSet::new(),
        }
    }

    fn enter(&mut self, noted: Noted) {
        if noted.everything {
            let all =
                self.store.update(|state| state.destinations.keys().cloned().collect::<Vec<_>>());
            self.due.extend(all);
        }
        self.due.extend(noted.destinations);
        for exchanger in &noted.exchangers {
            self.due.extend(self.dependents.get(exchanger).into_iter().flatten().cloned());
        }
        if self.waiting.is_empty() {
            return;
        }
        for exchanger in &noted.ended {
            let dependents = self.dependents.get(exchanger).into_iter().flatten();
            self.due.extend(dependents.filter(|d| self.waiting.contains(*d)).cloned());
        }
    }

    /// Judges some of what is due.
    fn work(&mut self) {
        let next: Vec<Destination> = self.due.iter().take(AT_A_TIME).cloned().collect();
        for destination in next {
            self.due.remove(&destination);
            let one = self.store.only(&destination);
            self.follow(&destination, &one);
            let judged = catch_unwind(AssertUnwindSafe(|| judgement::judge(&one, &destination)));
            let judgement = judged.unwrap_or_else(|_panic| {
                self.own.probe_panics.inc();
                error!(domain = %destination, "judging panicked; there is no verdict until the facts change");
                Judgement::default()
            });
            if judgement.waits {
                self.waiting.insert(destination.clone());
            } else {
                self.waiting.remove(&destination);
            }
            self.hand_down(&destination, &one, judgement.standings);
        }
    }

    /// Remembers what the destination depends on now.
    fn follow(&mut self, destination: &Destination, one: &Snapshot) {
        let report = one.destinations.get(destination);
        let round = report.and_then(|report| report.last.as_ref());
        let route = round.map_or(&[][..], |round| &round.route);
        let before = self.routes.get(destination).map_or(&[][..], Vec::as_slice);
        if before.iter().eq(route.iter().map(|(_, exchanger)| exchanger)) {
            return;
        }
        for exchanger in self.routes.remove(destination).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&exchanger) {
                dependents.remove(destination);
                if dependents.is_empty() {
                    self.dependents.remove(&exchanger);
                }
            }
        }
        for (_, exchanger) in route {
            self.dependents.entry(exchanger.clone()).or_default().insert(destination.clone());
        }
        if !route.is_empty() {
            let route = route.iter().map(|(_, exchanger)| exchanger.clone()).collect();
            self.routes.insert(destination.clone(), route);
        }
    }

    /// Publishes the standings, unless other verdicts are asked for by now: then all is judged
    /// again anyhow.
    fn hand_down(&self, destination: &Destination, one: &Snapshot, standings: Vec<Standing>) {
        let before = one.destinations.get(destination).map(|report| &*report.standings);
        let Some(before) = before.filter(|before| *before != standings) else { return };
        let published = self.store.update(|state| {
            if !Arc::ptr_eq(&state.terms, &one.terms) {
                return false;
            }
            let Some(report) = state.destinations.get_mut(destination) else { return false };
            Arc::make_mut(report).standings = standings.iter().cloned().collect();
            true
        });
        if published {
            for standing in &standings {
                changes::log_verdict(destination, before, standing, one.mx_port);
            }
        }
    }
}
