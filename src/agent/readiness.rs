//! When the agent may be called ready: every destination had its first round with all its
//! exchangers, or ran into its deadline. Ready once means ready for good.

use std::collections::{HashMap, HashSet};

use tokio::{sync::watch, time::Instant};

use crate::name::{Destination, Exchanger};

/// The destinations still waited for.
#[derive(Debug)]
pub struct Readiness {
    waiting: HashMap<Destination, Waiting>,
    probed: HashSet<Exchanger>,
    /// Who waits for the first round of an exchanger.
    wanted_by: HashMap<Exchanger, Vec<Destination>>,
    ready: watch::Sender<bool>,
}

#[derive(Debug)]
struct Waiting {
    deadline: Instant,
    /// What its route leads to and was not probed yet; `None` before the route is known.
    missing: Option<HashSet<Exchanger>>,
}

impl Readiness {
    /// Nothing waited for, nothing said yet.
    pub fn new(ready: watch::Sender<bool>) -> Self {
        let (waiting, probed, wanted_by) = (HashMap::new(), HashSet::new(), HashMap::new());
        Self { waiting, probed, wanted_by, ready }
    }

    /// Waits for one more, until `deadline`.
    pub fn expect(&mut self, destination: &Destination, deadline: Instant) {
        if !*self.ready.borrow() {
            self.waiting.insert(destination.clone(), Waiting { deadline, missing: None });
        }
    }

    /// No longer configured.
    pub fn forget(&mut self, destination: &Destination) {
        self.waiting.remove(destination);
    }

    /// The route of a destination became known.
    pub fn routed(&mut self, destination: &Destination, route: &[Exchanger]) {
        if let Some(waiting) = self.waiting.get_mut(destination) {
            let missing = route.iter().filter(|e| !self.probed.contains(e)).cloned();
            let missing: HashSet<Exchanger> = missing.collect();
            for exchanger in &missing {
                self.wanted_by.entry(exchanger.clone()).or_default().push(destination.clone());
            }
            waiting.missing = Some(missing);
            self.settle(destination);
        }
    }

    /// An exchanger's round ended.
    pub fn probed(&mut self, exchanger: &Exchanger) {
        if self.waiting.is_empty() {
            return;
        }
        self.probed.insert(exchanger.clone());
        for destination in self.wanted_by.remove(exchanger).unwrap_or_default() {
            let waiting = self.waiting.get_mut(&destination);
            if let Some(missing) = waiting.and_then(|w| w.missing.as_mut()) {
                missing.remove(exchanger);
                self.settle(&destination);
            }
        }
    }

    /// Lets go of those whose deadline has passed, and says ready when none is left.
    pub fn patrol(&mut self, now: Instant) {
        self.waiting.retain(|_, waiting| waiting.deadline > now);
        self.conclude();
    }

    fn settle(&mut self, destination: &Destination) {
        let missing = self.waiting.get(destination).and_then(|w| w.missing.as_ref());
        if missing.is_some_and(HashSet::is_empty) {
            self.waiting.remove(destination);
            self.conclude();
        }
    }

    fn conclude(&mut self) {
        if self.waiting.is_empty() && !self.ready.send_replace(true) {
            self.probed = HashSet::new();
            self.wanted_by = HashMap::new();
            self.waiting = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::name::{ExchangerName, Host};

    fn destination(name: &str) -> Destination {
        Destination::parse(name).unwrap()
    }

    fn exchanger(name: &str) -> Exchanger {
        Exchanger { host: Host::Name(ExchangerName::parse(name).unwrap()), port: 25 }
    }

    #[test]
    fn ready_waits_for_every_exchanger_of_every_destination() {
        let (sender, ready) = watch::channel(false);
        let mut readiness = Readiness::new(sender);
        let later = Instant::now() + Duration::from_secs(60);
        let (one, two) = (destination("one.example.com"), destination("two.example.com"));
        let (a, b) = (exchanger("a.example.net"), exchanger("b.example.net"));
        readiness.expect(&one, later);
        readiness.expect(&two, later);
        readiness.routed(&one, &[a.clone(), b.clone()]);
        readiness.probed(&a);
        readiness.routed(&two, &[a]);
        assert!(!*ready.borrow(), "b is missing");
        readiness.probed(&b);
        assert!(*ready.borrow());
    }

    #[test]
    fn a_deadline_or_a_removal_ends_the_waiting() {
        let (sender, ready) = watch::channel(false);
        let mut readiness = Readiness::new(sender);
        let now = Instant::now();
        readiness.expect(&destination("slow.example.com"), now + Duration::from_secs(5));
        readiness.expect(&destination("gone.example.com"), now + Duration::from_secs(60));
        readiness.patrol(now + Duration::from_secs(6));
        assert!(!*ready.borrow());
        readiness.forget(&destination("gone.example.com"));
        readiness.patrol(now + Duration::from_secs(7));
        assert!(*ready.borrow());
    }

    #[test]
    fn without_destinations_it_is_ready_and_stays_so() {
        let (sender, ready) = watch::channel(false);
        let mut readiness = Readiness::new(sender);
        readiness.patrol(Instant::now());
        assert!(*ready.borrow());
        readiness.expect(&destination("new.example.com"), Instant::now());
        assert!(*ready.borrow());
    }
}
