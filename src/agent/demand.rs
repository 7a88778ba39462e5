//! Which exchangers are wanted, by whom, and how they are to be probed for all of them at once.
//!
//! Ten thousand domains at one provider want the same five exchangers: those are probed once, with
//! the shortest interval, the longest patience and the most addresses that anybody asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    config::{DestinationSettings, SessionSettings},
    name::{Destination, Exchanger},
};

/// How one exchanger is probed.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// From one round to the next.
    pub interval: Duration,
    /// Limits of its sessions.
    pub session: SessionSettings,
}

/// The routes of all destinations and what follows from them.
#[derive(Debug, Default)]
pub struct Demand {
    routes: BTreeMap<Destination, (Arc<DestinationSettings>, Vec<Exchanger>)>,
    wanted: BTreeMap<Exchanger, (Wanted, BTreeSet<Destination>)>,
}

/// What a change of routes means for the exchangers.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Now wanted, or wanted otherwise than before.
    pub set: Vec<(Exchanger, Wanted)>,
    /// Wanted by nobody any more.
    pub gone: Vec<Exchanger>,
}

impl Demand {
    /// How an exchanger is to be probed, if anybody wants it.
    pub fn wanted(&self, exchanger: &Exchanger) -> Option<&Wanted> {
        self.wanted.get(exchanger).map(|(wanted, _)| wanted)
    }

    /// The destinations that route to an exchanger.
    pub fn destinations(&self, exchanger: &Exchanger) -> impl Iterator<Item = &Destination> {
        self.wanted.get(exchanger).into_iter().flat_map(|(_, by)| by)
    }

    /// The exchangers of a destination; `None` before its route was set.
    pub fn route(&self, destination: &Destination) -> Option<&[Exchanger]> {
        self.routes.get(destination).map(|(_, exchangers)| exchangers.as_slice())
    }

    /// Gives a destination its route.
    pub fn set_route(
        &mut self,
        destination: &Destination,
        settings: &Arc<DestinationSettings>,
        exchangers: Vec<Exchanger>,
    ) -> Changes {
        if let Some((had, before)) = self.routes.get(destination)
            && *before == exchangers
            && had == settings
        {
            return Changes::default();
        }
        let value = (Arc::clone(settings), exchangers.clone());
        let before = self.routes.insert(destination.clone(), value);
        let mut changes = Changes::default();
        let settings_changed = before.as_ref().is_some_and(|(had, _)| had != settings);
        let before = before.map(|(_, exchangers)| exchangers).unwrap_or_default();
        for exchanger in before.iter().filter(|e| settings_changed || !exchangers.contains(e)) {
            self.leave(destination, exchanger, &mut changes);
        }
        for exchanger in exchangers {
            self.join(destination, settings, exchanger, &mut changes);
        }
        // One that was left only to be joined with other settings was never gone.
        changes.gone.retain(|exchanger| !self.wanted.contains_key(exchanger));
        changes
    }

    /// Forgets a destination.
    pub fn remove(&mut self, destination: &Destination) -> Changes {
        let mut changes = Changes::default();
        let route = self.routes.remove(destination).map(|(_, exchangers)| exchangers);
        for exchanger in route.unwrap_or_default() {
            self.leave(destination, &exchanger, &mut changes);
        }
        changes
    }

    fn join(
        &mut self,
        destination: &Destination,
        settings: &DestinationSettings,
        exchanger: Exchanger,
        changes: &mut Changes,
    ) {
        let own = Wanted { interval: settings.interval, session: settings.session.clone() };
        let merged = if let Some((wanted, by)) = self.wanted.get_mut(&exchanger) {
            by.insert(destination.clone());
            let merged = merge(wanted, &own);
            if merged == *wanted {
                return;
            }
            wanted.clone_from(&merged);
            merged
        } else {
            let by = BTreeSet::from([destination.clone()]);
            self.wanted.insert(exchanger.clone(), (own.clone(), by));
            own
        };
        changes.set.push((exchanger, merged));
    }

    fn leave(&mut self, destination: &Destination, exchanger: &Exchanger, changes: &mut Changes) {
        let Some((wanted, by)) = self.wanted.get_mut(exchanger) else { return };
        by.remove(destination);
        let others = by.iter().filter_map(|other| self.routes.get(other));
        let merged = others
            .map(|(s, _)| Wanted { interval: s.interval, session: s.session.clone() })
            .reduce(|a, b| merge(&a, &b));
        match merged {
            None => {
                self.wanted.remove(exchanger);
                changes.gone.push(exchanger.clone());
            }
            Some(merged) if merged != *wanted => {
                *wanted = merged.clone();
                changes.set.push((exchanger.clone(), merged));
            }
            Some(_) => {}
        }
    }
}

fn merge(a: &Wanted, b: &Wanted) -> Wanted {
    let (x, y) = (&a.session, &b.session);
    let mut families = x.families.clone();
    families.extend(y.families.iter().filter(|family| !x.families.contains(family)));
    families.sort_unstable();
    Wanted {
        interval: a.interval.min(b.interval),
        session: SessionSettings {
            families,
            addresses_per_family: x.addresses_per_family.max(y.addresses_per_family),
            connect_timeout: x.connect_timeout.max(y.connect_timeout),
            banner_timeout: x.banner_timeout.max(y.banner_timeout),
            command_timeout: x.command_timeout.max(y.command_timeout),
            session_timeout: x.session_timeout.max(y.session_timeout),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Family,
        name::{ExchangerName, Host},
    };

    fn settings(seconds: u64, families: &[Family]) -> Arc<DestinationSettings> {
        let timeout = Duration::from_secs(seconds);
        Arc::new(DestinationSettings {
            interval: timeout,
            session: SessionSettings {
                families: families.to_vec(),
                addresses_per_family: 4,
                connect_timeout: timeout,
                banner_timeout: timeout,
                command_timeout: timeout,
                session_timeout: timeout,
            },
            labels: BTreeMap::new(),
        })
    }

    fn exchanger(name: &str) -> Exchanger {
        Exchanger { host: Host::Name(ExchangerName::parse(name).unwrap()), port: 25 }
    }

    fn destination(name: &str) -> Destination {
        Destination::parse(name).unwrap()
    }

    #[test]
    fn an_exchanger_is_wanted_once_with_the_most_demanding_settings() {
        let mut demand = Demand::default();
        let mx = exchanger("mx.provider.example");
        let (one, two) = (destination("one.example.com"), destination("two.example.com"));
        let first = demand.set_route(&one, &settings(60, &[Family::Ipv6]), vec![mx.clone()]);
        assert_eq!(first.set.len(), 1);
        demand.set_route(&two, &settings(30, &[Family::Ipv4]), vec![mx.clone()]);
        let wanted = demand.wanted(&mx).unwrap();
        assert_eq!(wanted.interval, Duration::from_secs(30));
        assert_eq!(wanted.session.banner_timeout, Duration::from_secs(60));
        assert_eq!(wanted.session.families, Family::ALL);

        let relaxed = demand.remove(&two);
        assert_eq!(relaxed.set[0].1.interval, Duration::from_secs(60));
        assert_eq!(relaxed.gone, []);
        assert_eq!(demand.remove(&one).gone, [mx]);
    }

    #[test]
    fn a_route_that_stays_changes_nothing_and_one_that_moves_lets_go() {
        let mut demand = Demand::default();
        let (a, b) = (exchanger("a.example.net"), exchanger("b.example.net"));
        let (domain, settings) = (destination("example.com"), settings(60, &Family::ALL));
        demand.set_route(&domain, &settings, vec![a.clone()]);
        assert_eq!(demand.set_route(&domain, &settings, vec![a.clone()]), Changes::default());
        let moved = demand.set_route(&domain, &settings, vec![b.clone()]);
        assert_eq!(moved.gone, [a]);
        assert_eq!(moved.set[0].0, b);
    }

    #[test]
    fn other_settings_of_its_only_destination_reach_the_exchanger() {
        let mut demand = Demand::default();
        let mx = exchanger("mx.example.net");
        let domain = destination("example.com");
        demand.set_route(&domain, &settings(30, &Family::ALL), vec![mx.clone()]);
        let slower = demand.set_route(&domain, &settings(90, &Family::ALL), vec![mx.clone()]);
        assert_eq!(slower.gone, []);
        assert_eq!(slower.set.len(), 1);
        assert_eq!(demand.wanted(&mx).unwrap().interval, Duration::from_secs(90));
    }
}
