//! The task that keeps every verdict up to date.
//!
//! Whoever changes the state notes what has to be judged anew in [`Unjudged`] afterwards, each
//! thing once however often it is noted. The task takes it from there, reads the state as it is
//! then, and judges without holding it up; so what was published last is judged last, and nothing
//! is left out. It works away from the threads that drive probes: ten thousand verdicts at a time
//! would falsify their times.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, watch};
use tracing::{debug, error};

use super::{
    changes,
    judgement::{self, Judgement},
    routes::Routes,
    standing::Standing,
    state::{Snapshot, Store},
};
use crate::{
    alike::Alike,
    delivery::Verdict,
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

    /// Takes what is noted and says whether this exchanger was.
    #[cfg(test)]
    pub(super) fn has_exchanger(&self, exchanger: &Exchanger) -> bool {
        self.take().exchangers.contains(exchanger)
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
    judge: fn(&Snapshot, &Destination) -> Judgement,
    /// To be judged next.
    due: HashSet<Destination>,
    /// The exchangers each destination was last judged with.
    routes: Routes,
    /// Those with a verdict that waits for the end of a round.
    waiting: HashSet<Destination>,
    /// Verdicts given lately. Senders that do the same and domains at the same exchangers share
    /// one: thousands of them are held in memory.
    verdicts: Alike<Verdict, RECENT>,
}

/// Destinations judged at a time, between two looks at what else there is.
const AT_A_TIME: usize = 256;

/// Verdicts looked through for one that is the same.
const RECENT: usize = 32;

impl Bench {
    fn new(store: Store, own: Arc<Own>) -> Self {
        Self {
            store,
            own,
            judge: judgement::judge,
            due: HashSet::new(),
            routes: Routes::default(),
            waiting: HashSet::new(),
            verdicts: Alike::default(),
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
            self.due.extend(self.routes.to(exchanger).cloned());
        }
        if self.waiting.is_empty() {
            return;
        }
        for exchanger in &noted.ended {
            let dependents = self.routes.to(exchanger);
            self.due.extend(dependents.filter(|d| self.waiting.contains(*d)).cloned());
        }
    }

    /// Judges some of what is due.
    fn work(&mut self) {
        let next: Vec<Destination> = self.due.iter().take(AT_A_TIME).cloned().collect();
        debug!(destinations = next.len(), "judging");
        for destination in next {
            self.due.remove(&destination);
            let one = self.store.only(&destination);
            let report = one.destinations.get(&destination);
            let round = report.and_then(|report| report.last.as_ref());
            let exchangers = round.iter().flat_map(|round| round.exchangers());
            self.routes.set(&destination, &exchangers.collect::<Vec<_>>());
            let judged = catch_unwind(AssertUnwindSafe(|| (self.judge)(&one, &destination)));
            let mut judgement = judged.unwrap_or_else(|_panic| {
                self.own.probe_panics.inc();
                error!(domain = %destination, "judging panicked; there is no verdict until the facts change");
                Judgement::default()
            });
            if judgement.waits {
                self.waiting.insert(destination.clone());
            } else {
                self.waiting.remove(&destination);
            }
            for standing in &mut judgement.standings {
                standing.verdict = self.verdicts.shared(Arc::clone(&standing.verdict));
            }
            self.hand_down(&destination, &one, &judgement.standings);
        }
        if self.due.is_empty() {
            // Once all are due, and wait for a first round; later few at a time are and do.
            for few in [&mut self.due, &mut self.waiting] {
                few.shrink_to(AT_A_TIME.max(few.len() * 2));
            }
        }
    }

    /// Publishes the standings, unless other verdicts are asked for by now: then all is judged
    /// again anyhow.
    fn hand_down(&self, destination: &Destination, one: &Snapshot, standings: &[Standing]) {
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
            for standing in standings {
                changes::log_verdict(destination, before, standing, one.mx_port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        agent::judgement::tests::{
            AAAA_FAILS, HEALTHY, destination_report, exchanger_report, facts, picture, terms,
        },
        delivery::Outcome,
    };

    /// Works until nothing is due, and says how often something was judged.
    fn work(bench: &mut Bench, unjudged: &Unjudged) -> usize {
        bench.enter(unjudged.take());
        let due = bench.due.len();
        while !bench.due.is_empty() {
            bench.work();
        }
        due
    }

    fn bench(state: Snapshot) -> (Store, Unjudged, Bench) {
        let (store, unjudged) = (Store::default(), Unjudged::default());
        store.update(|shared| *shared = state);
        (store.clone(), unjudged, Bench::new(store, Arc::new(Own::new())))
    }

    fn outcomes(store: &Store) -> Vec<Outcome> {
        let all = store.snapshot().destinations;
        all.values().flat_map(|d| d.standings.iter().map(|s| s.history.outcome())).collect()
    }

    #[test]
    fn an_exchanger_takes_all_along_that_route_to_it() {
        let healthy = facts(HEALTHY);
        let mut state = picture(&healthy, &["exchange-2010"]);
        for n in 0..300 {
            let name = format!("d{n}.example.net");
            let text = HEALTHY.replace("\"example.com\"", &format!("{name:?}"));
            let other = facts(&text);
            state.destinations.insert(other.destination.clone(), destination_report(&other));
        }
        let (store, unjudged, mut bench) = bench(state);
        unjudged.everything();
        assert_eq!(work(&mut bench, &unjudged), 301);
        assert_eq!(outcomes(&store), [Outcome::Deliver; 301]);
        assert_eq!(bench.verdicts.len(), 1, "all share one verdict");

        let failing = &facts(AAAA_FAILS).exchangers[0];
        let mx = &failing.exchanger;
        store.update(|s| s.exchangers.insert(mx.clone(), exchanger_report(failing, 200)));
        unjudged.exchanger(mx);
        unjudged.exchanger(mx);
        assert_eq!(work(&mut bench, &unjudged), 301);
        assert_eq!(outcomes(&store), [Outcome::Defer; 301]);
        unjudged.ended(mx);
        assert_eq!(work(&mut bench, &unjudged), 0, "nobody waits");

        let gone = healthy.destination.clone();
        store.update(|state| state.destinations.remove(&gone));
        unjudged.destination(&gone);
        work(&mut bench, &unjudged);
        unjudged.exchanger(mx);
        assert_eq!(work(&mut bench, &unjudged), 300);
        assert!(bench.routes.to(mx).all(|known| *known != gone));
    }

    #[test]
    fn a_first_verdict_comes_with_the_end_of_the_first_round() {
        let facts = facts(HEALTHY);
        let mut state = picture(&facts, &["postfix"]);
        let mx = facts.exchangers[0].exchanger.clone();
        let completed = state.exchangers[&mx].clone();
        Arc::make_mut(state.exchangers.get_mut(&mx).unwrap()).completed_at = None;
        let (store, unjudged, mut bench) = bench(state);
        unjudged.destination(&facts.destination);
        work(&mut bench, &unjudged);
        assert_eq!(outcomes(&store), []);
        store.update(|state| state.exchangers.insert(mx.clone(), completed));
        unjudged.ended(&mx);
        assert_eq!(work(&mut bench, &unjudged), 1);
        assert_eq!(outcomes(&store), [Outcome::Deliver]);
        assert!(bench.waiting.is_empty());
    }

    #[test]
    fn a_verdict_by_terms_that_were_replaced_meanwhile_is_not_published() {
        let facts = facts(HEALTHY);
        let (store, _, bench) = bench(picture(&facts, &["postfix"]));
        let one = store.only(&facts.destination);
        let judged = judgement::judge(&one, &facts.destination);
        assert!(store.update(|state| state.judge_by(terms(&["exim"]))));
        bench.hand_down(&facts.destination, &one, &judged.standings);
        assert_eq!(outcomes(&store), []);
    }

    #[test]
    fn a_panic_costs_one_destination_its_verdicts_until_it_is_judged_again() {
        let facts = facts(HEALTHY);
        let (store, unjudged, mut bench) = bench(picture(&facts, &["postfix"]));
        unjudged.everything();
        work(&mut bench, &unjudged);
        assert_eq!(outcomes(&store), [Outcome::Deliver]);
        bench.judge = |_, _| panic!("defect");
        unjudged.everything();
        assert_eq!(work(&mut bench, &unjudged), 1);
        assert_eq!((outcomes(&store), bench.own.probe_panics.get()), (Vec::new(), 1));
        bench.judge = judgement::judge;
        unjudged.everything();
        work(&mut bench, &unjudged);
        assert_eq!(outcomes(&store), [Outcome::Deliver]);
    }

    #[tokio::test]
    async fn the_task_judges_what_is_noted_until_it_is_stopped() {
        let facts = facts(HEALTHY);
        let (store, unjudged, bench) = bench(picture(&facts, &["postfix", "exim"]));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(unjudged.clone(), store.clone(), bench.own, stopped));
        unjudged.everything();
        let judged = async {
            while outcomes(&store).len() < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), judged).await.unwrap();
        stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
    }
}
