//! Which destinations lead to which exchangers, to be asked from both ends.
//!
//! It knows no settings and no preferences: what is wanted of an exchanger is for
//! [`demand`](super::demand) to say.

use smallvec::SmallVec;

use crate::{
    dense::{DenseMap, Keyed, Place},
    name::{Destination, Exchanger},
};

/// The routes of destinations.
#[derive(Debug, Default)]
pub(super) struct Routes {
    destinations: DenseMap<Dependent>,
    exchangers: DenseMap<Target>,
}

/// Mostly one or two; of destinations at one exchanger, at times thousands.
type Places = SmallVec<[Place; 4]>;

#[derive(Debug)]
struct Dependent {
    destination: Destination,
    exchangers: Places,
}

#[derive(Debug)]
struct Target {
    exchanger: Exchanger,
    /// In order, so that one of thousands is found at once.
    destinations: Places,
}

impl Keyed for Dependent {
    type Key = Destination;

    fn key(&self) -> &Destination {
        &self.destination
    }
}

impl Keyed for Target {
    type Key = Exchanger;

    fn key(&self) -> &Exchanger {
        &self.exchanger
    }
}

impl Routes {
    /// Gives a destination its route; one without exchangers is forgotten.
    pub(super) fn set(&mut self, destination: &Destination, route: &[&Exchanger]) {
        if self.of(destination).eq(route.iter().copied()) {
            return;
        }
        let (destination, exchangers) = (destination.clone(), Places::new());
        let from = self.destinations.place_or_insert(Dependent { destination, exchangers });
        let after: Places = route.iter().map(|exchanger| self.join(from, exchanger)).collect();
        let Some(known) = self.destinations.at_mut(from) else { return };
        let before = std::mem::replace(&mut known.exchangers, after.clone());
        if after.is_empty() {
            let destination = known.destination.clone();
            self.destinations.remove(&destination);
        }
        for to in before.into_iter().filter(|to| !after.contains(to)) {
            self.leave(from, to);
        }
    }

    /// Takes an exchanger out of all routes, and gives the destinations that it was the last one of.
    pub(super) fn take_out(&mut self, exchanger: &Exchanger) -> Vec<Destination> {
        let Some(to) = self.exchangers.place(exchanger) else { return Vec::new() };
        let Some(target) = self.exchangers.remove(exchanger) else { return Vec::new() };
        let mut done = Vec::new();
        for from in target.destinations {
            let Some(dependent) = self.destinations.at_mut(from) else { continue };
            dependent.exchangers.retain(|place| *place != to);
            if dependent.exchangers.is_empty() {
                done.push(dependent.destination.clone());
            }
        }
        for destination in &done {
            self.destinations.remove(destination);
        }
        done
    }

    /// The exchangers of a destination.
    fn of(&self, destination: &Destination) -> impl Iterator<Item = &Exchanger> {
        let places = self.destinations.get(destination).into_iter().flat_map(|d| &d.exchangers);
        places.filter_map(|&to| self.exchangers.at(to)).map(|to| &to.exchanger)
    }

    /// The destinations that lead to an exchanger.
    pub(super) fn to(&self, exchanger: &Exchanger) -> impl Iterator<Item = &Destination> {
        let places = self.exchangers.get(exchanger).into_iter().flat_map(|e| &e.destinations);
        places.filter_map(|&from| self.destinations.at(from)).map(|from| &from.destination)
    }

    fn join(&mut self, from: Place, exchanger: &Exchanger) -> Place {
        let (exchanger, destinations) = (exchanger.clone(), Places::new());
        let to = self.exchangers.place_or_insert(Target { exchanger, destinations });
        if let Some(known) = self.exchangers.at_mut(to)
            && let Err(nth) = known.destinations.binary_search(&from)
        {
            known.destinations.insert(nth, from);
        }
        to
    }

    fn leave(&mut self, from: Place, to: Place) {
        let Some(known) = self.exchangers.at_mut(to) else { return };
        if let Ok(nth) = known.destinations.binary_search(&from) {
            known.destinations.remove(nth);
        }
        if known.destinations.is_empty() {
            let exchanger = known.exchanger.clone();
            self.exchangers.remove(&exchanger);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::name::{ExchangerName, Host};

    fn exchanger(n: u8) -> Exchanger {
        let name = ExchangerName::parse(&format!("mx{n}.example.net")).unwrap();
        Exchanger { host: Host::Name(name), port: 25 }
    }

    fn destination(n: u8) -> Destination {
        Destination::parse(&format!("d{n}.example.com")).unwrap()
    }

    /// What is done to routes.
    #[derive(Clone, Debug)]
    enum Step {
        Set(u8, Vec<u8>),
        TakeOut(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..8_u8, prop::collection::vec(0..8_u8, 0..7)).prop_map(|(d, mx)| Step::Set(d, mx)),
            (0..8_u8).prop_map(Step::TakeOut),
        ]
    }

    proptest! {
        #[test]
        fn each_end_tells_what_is_at_the_other(steps in prop::collection::vec(step(), 0..60)) {
            let (mut routes, mut model) = (Routes::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Set(d, mx) => {
                        let route: Vec<Exchanger> = mx.into_iter().map(exchanger).collect();
                        routes.set(&destination(d), &route.iter().collect::<Vec<_>>());
                        model.insert(destination(d), route);
                        model.retain(|_, route| !route.is_empty());
                    }
                    Step::TakeOut(mx) => {
                        let mut done: Vec<Destination> = routes.take_out(&exchanger(mx));
                        for route in model.values_mut() {
                            route.retain(|known| *known != exchanger(mx));
                        }
                        let left = model.iter().filter(|(_, route)| route.is_empty());
                        done.sort();
                        prop_assert!(left.map(|(destination, _)| destination).eq(&done));
                        model.retain(|_, route| !route.is_empty());
                    }
                }
                for d in (0..8).map(destination) {
                    prop_assert!(routes.of(&d).eq(model.get(&d).into_iter().flatten()));
                }
                for exchanger in (0..8).map(exchanger) {
                    let found: Vec<_> = routes.to(&exchanger).collect();
                    let distinct: BTreeSet<_> = found.iter().copied().collect();
                    prop_assert_eq!(distinct.len(), found.len());
                    let dependents = model.iter().filter(|(_, route)| route.contains(&exchanger));
                    prop_assert_eq!(distinct, dependents.map(|(destination, _)| destination).collect());
                }
                let exchangers: BTreeSet<_> = model.values().flatten().collect();
                prop_assert_eq!(routes.destinations.len(), model.len());
                prop_assert_eq!(routes.exchangers.len(), exchangers.len());
            }
        }
    }
}
