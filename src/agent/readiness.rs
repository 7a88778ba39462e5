//! When the agent may be called ready: every destination had its first round with all its
//! exchangers, or ran into its deadline. Ready once means ready for good.

use std::collections::{HashMap, HashSet};

use tokio::{sync::watch, time::Instant};

use super::routes::Routes;
use crate::name::{Destination, Exchanger};

/// The destinations still waited for.
#[derive(Debug)]
pub struct Readiness {
    /// Each with its deadline.
    waiting: HashMap<Destination, Instant>,
    probed: HashSet<Exchanger>,
    /// What their routes lead to and was not probed yet.
    missing: Routes,
    ready: watch::Sender<bool>,
}

impl Readiness {
    /// Nothing waited for, nothing said yet.
    pub fn new(ready: watch::Sender<bool>) -> Self {
        let (waiting, probed, missing) = (HashMap::new(), HashSet::new(), Routes::default());
        Self { waiting, probed, missing, ready }
    }

    /// Waits for one more, until `deadline`.
    pub fn expect(&mut self, destination: &Destination, deadline: Instant) {
        if !*self.ready.borrow() {
            self.waiting.insert(destination.clone(), deadline);
        }
    }

    /// No longer configured.
    pub fn forget(&mut self, destination: &Destination) {
        self.waiting.remove(destination);
        self.missing.set(destination, &[]);
    }

    /// The route of a destination became known.
    pub fn routed(&mut self, destination: &Destination, route: &[Exchanger]) {
        if !self.waiting.contains_key(destination) {
            return;
        }
        let missing: Vec<&Exchanger> = route.iter().filter(|e| !self.probed.contains(e)).collect();
        self.missing.set(destination, &missing);
        if missing.is_empty() {
            self.waiting.remove(destination);
            self.conclude();
        }
    }

    /// An exchanger's round ended.
    pub fn probed(&mut self, exchanger: &Exchanger) {
        if self.waiting.is_empty() {
            return;
        }
        self.probed.insert(exchanger.clone());
        for destination in self.missing.take_out(exchanger) {
            self.waiting.remove(&destination);
        }
        self.conclude();
    }

    /// Lets go of those whose deadline has passed, and says ready when none is left.
    pub fn patrol(&mut self, now: Instant) {
        self.waiting.retain(|_, deadline| *deadline > now);
        self.conclude();
    }

    fn conclude(&mut self) {
        if self.waiting.is_empty() && !self.ready.send_replace(true) {
            self.probed = HashSet::new();
            self.missing = Routes::default();
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
