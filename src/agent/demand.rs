//! Which exchangers are wanted, by whom, and how they are to be probed for all of them at once.
//!
//! Ten thousand domains at one provider want the same five exchangers: those are probed once, with
//! the shortest interval, the longest patience and the most addresses that anybody asked for. What
//! they are asked to take is what all together want to know, up to [`MAX_ENVELOPES`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use smallvec::SmallVec;

use crate::{
    alike::Alike,
    config::{DestinationSettings, SessionSettings},
    dense::{DenseMap, Keyed, Place},
    envelope::Envelope,
    name::{Destination, Exchanger},
};

/// How one exchanger is probed.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// From one round to the next.
    pub interval: Duration,
    /// Limits of its sessions.
    pub session: SessionSettings,
    /// The names of the resolvers asked for its addresses; empty means all of them.
    pub resolvers: Arc<[Arc<str>]>,
    /// What it is asked to take in each session, in their order.
    pub envelopes: Arc<[Envelope]>,
}

/// The recipients one session asks about: a server that is asked about many takes the client for one
/// that harvests addresses. Where destinations that share an exchanger have more, the first of them
/// in their order are asked about.
pub const MAX_ENVELOPES: usize = 20;

/// Ways that are looked through for one that is the same.
const RECENT: usize = 8;

/// All destinations with their settings and routes, and what follows from them.
#[derive(Debug, Default)]
pub struct Demand {
    routes: DenseMap<Route>,
    wanted: DenseMap<Shared>,
    /// Ways that were wanted lately: most want the same, and hold one in memory together.
    alike: Alike<Wanted, RECENT>,
}

/// Where the mail of one destination goes.
#[derive(Debug)]
struct Route {
    destination: Destination,
    settings: Arc<DestinationSettings>,
    /// Among those wanted; none before they were first looked up.
    exchangers: SmallVec<[Place; 4]>,
}

impl Keyed for Route {
    type Key = Destination;

    fn key(&self) -> &Destination {
        &self.destination
    }
}

/// How one exchanger is wanted.
#[derive(Debug)]
struct Shared {
    exchanger: Exchanger,
    /// What follows from all who want it; `None` until the first was counted.
    merged: Option<Arc<Wanted>>,
    /// The different ways it is wanted, with how many want it so. Mostly one, and few even where thousands
    /// of destinations share it, so a change for each of them need not look at all others.
    ways: SmallVec<[(Arc<Wanted>, usize); 1]>,
    /// Not part of the ways: each destination has its own. `None` where nothing is asked about.
    asked: Option<Box<Asked>>,
}

impl Keyed for Shared {
    type Key = Exchanger;

    fn key(&self) -> &Exchanger {
        &self.exchanger
    }
}

/// What an exchanger is to be asked to take.
#[derive(Debug, Default)]
struct Asked {
    /// By whether it is meant for a session with a login, with how many want to know.
    envelopes: BTreeMap<(bool, Envelope), usize>,
    /// There are more of those than one session asks about.
    crowded: bool,
}

/// What a change of routes means for the exchangers.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Now wanted, or wanted otherwise than before.
    pub set: Vec<(Exchanger, Arc<Wanted>)>,
    /// Wanted by nobody any more.
    pub gone: Vec<Exchanger>,
    /// Those that there are now more envelopes for than one session asks about, with their number.
    pub crowded: Vec<(Exchanger, usize)>,
}

impl Demand {
    /// How an exchanger is to be probed, if anybody wants it.
    pub fn wanted(&self, exchanger: &Exchanger) -> Option<&Arc<Wanted>> {
        self.wanted.get(exchanger).and_then(|shared| shared.merged.as_ref())
    }

    /// All destinations, in no order.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.routes.iter().map(|route| &route.destination)
    }

    /// The settings of a destination, if it is known.
    pub fn settings(&self, destination: &Destination) -> Option<&Arc<DestinationSettings>> {
        self.routes.get(destination).map(|route| &route.settings)
    }

    /// Takes up a destination, or gives one other settings, which keeps its route.
    pub fn set(
        &mut self,
        destination: &Destination,
        settings: &Arc<DestinationSettings>,
    ) -> Changes {
        let route: Vec<Exchanger> = self.route(destination).cloned().collect();
        self.set_route(destination, settings, &route)
    }

    /// Gives a destination its route.
    pub fn set_route(
        &mut self,
        destination: &Destination,
        settings: &Arc<DestinationSettings>,
        exchangers: &[Exchanger],
    ) -> Changes {
        if self.settings(destination) == Some(settings) && self.route(destination).eq(exchangers) {
            return Changes::default();
        }
        let wanted = Wanted::by(settings);
        let way = self.alike.shared(wanted.way());
        let join = |exchanger: &Exchanger| {
            let place = self.wanted.place_or_insert(Shared::by_nobody(exchanger.clone()));
            if let Some(shared) = self.wanted.at_mut(place) {
                shared.join(&way, &wanted.envelopes);
            }
            place
        };
        let route = Route {
            destination: destination.clone(),
            settings: Arc::clone(settings),
            exchangers: exchangers.iter().map(join).collect(),
        };
        let mut touched: BTreeSet<Place> = route.exchangers.iter().copied().collect();
        if let Some(before) = self.routes.insert(route) {
            self.leave(&before);
            touched.extend(before.exchangers);
        }
        self.settle(touched)
    }

    /// Forgets a destination.
    pub fn remove(&mut self, destination: &Destination) -> Changes {
        let Some(before) = self.routes.remove(destination) else { return Changes::default() };
        self.leave(&before);
        self.settle(before.exchangers.into_iter().collect())
    }

    /// The exchangers of a destination.
    fn route(&self, destination: &Destination) -> impl Iterator<Item = &Exchanger> {
        let places = self.routes.get(destination).into_iter().flat_map(|route| &route.exchangers);
        places.filter_map(|&place| self.wanted.at(place)).map(|shared| &shared.exchanger)
    }

    fn leave(&mut self, route: &Route) {
        let had = Wanted::by(&route.settings);
        for &place in &route.exchangers {
            if let Some(shared) = self.wanted.at_mut(place) {
                shared.leave(&had);
            }
        }
    }

    /// Works out once for each exchanger what is different now.
    fn settle(&mut self, touched: BTreeSet<Place>) -> Changes {
        let mut changes = Changes::default();
        for place in touched {
            let Some(shared) = self.wanted.at_mut(place) else { continue };
            let exchanger = shared.exchanger.clone();
            if let Some(asked) = &mut shared.asked {
                let number = asked.envelopes.len();
                let crowded = number > MAX_ENVELOPES;
                if crowded && !asked.crowded {
                    changes.crowded.push((exchanger.clone(), number));
                }
                asked.crowded = crowded;
            }
            let ways = shared.ways.iter().map(|(way, _)| Arc::clone(way));
            match ways.reduce(|a, b| Arc::new(merge(&a, &b))) {
                None => {
                    self.wanted.remove(&exchanger);
                    changes.gone.push(exchanger);
                }
                Some(merged) => {
                    let login = merged.session.login.is_some();
                    let envelopes = shared.asked_about(login);
                    let merged = if envelopes.is_empty() {
                        merged
                    } else {
                        Arc::new(Wanted { envelopes, ..Wanted::clone(&merged) })
                    };
                    if shared.merged.as_ref() != Some(&merged) {
                        shared.merged = Some(Arc::clone(&merged));
                        changes.set.push((exchanger, merged));
                    }
                }
            }
        }
        changes
    }
}

impl Wanted {
    /// As one destination wants it.
    pub fn by(settings: &DestinationSettings) -> Self {
        Self {
            interval: settings.interval,
            session: settings.session.clone(),
            resolvers: Arc::clone(&settings.resolvers),
            envelopes: settings.envelopes().collect(),
        }
    }

    /// The same without what is asked about.
    fn way(&self) -> Self {
        Self { envelopes: Arc::default(), ..self.clone() }
    }
}

impl Shared {
    fn by_nobody(exchanger: Exchanger) -> Self {
        Self { exchanger, merged: None, ways: SmallVec::new(), asked: None }
    }

    fn join(&mut self, wanted: &Arc<Wanted>, envelopes: &[Envelope]) {
        if let Some((_, count)) = self.ways.iter_mut().find(|(way, _)| way == wanted) {
            *count += 1;
        } else {
            self.ways.push((Arc::clone(wanted), 1));
        }
        for envelope in envelopes {
            let key = (wanted.session.login.is_some(), envelope.clone());
            *self.asked.get_or_insert_default().envelopes.entry(key).or_default() += 1;
        }
    }

    /// What one session asks about. Who is logged in may be allowed more, so in such a session nothing
    /// is asked for those who do not log in: a relay test would find every relay open.
    fn asked_about(&self, login: bool) -> Arc<[Envelope]> {
        let all = self.asked.iter().flat_map(|asked| asked.envelopes.keys());
        let fitting = all.filter(|(logged_in, _)| *logged_in == login);
        fitting.take(MAX_ENVELOPES).map(|(_, envelope)| envelope.clone()).collect()
    }

    fn leave(&mut self, had: &Wanted) {
        if let Some(asked) = &mut self.asked {
            asked.leave(had);
            self.asked.take_if(|asked| asked.envelopes.is_empty());
        }
        let had = had.way();
        if let Some(place) = self.ways.iter().position(|(way, _)| **way == had) {
            self.ways[place].1 -= 1;
            if self.ways[place].1 == 0 {
                self.ways.swap_remove(place);
            }
        }
    }
}

impl Asked {
    fn leave(&mut self, had: &Wanted) {
        for envelope in &*had.envelopes {
            let key = (had.session.login.is_some(), envelope.clone());
            if let Some(count) = self.envelopes.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.envelopes.remove(&key);
                }
            }
        }
    }
}

/// Two ways in one.
fn merge(a: &Wanted, b: &Wanted) -> Wanted {
    let (x, y) = (&a.session, &b.session);
    let mut families = x.families.clone();
    families.extend(y.families.iter().filter(|family| !x.families.contains(family)));
    families.sort_unstable();
    let resolvers = if a.resolvers == b.resolvers {
        Arc::clone(&a.resolvers)
    } else if a.resolvers.is_empty() || b.resolvers.is_empty() {
        Arc::default()
    } else {
        let both: BTreeSet<_> = a.resolvers.iter().chain(&*b.resolvers).cloned().collect();
        both.into_iter().collect()
    };
    Wanted {
        resolvers,
        envelopes: Arc::default(),
        interval: a.interval.min(b.interval),
        session: SessionSettings {
            families,
            addresses_per_family: x.addresses_per_family.max(y.addresses_per_family),
            connect_timeout: x.connect_timeout.max(y.connect_timeout),
            banner_timeout: x.banner_timeout.max(y.banner_timeout),
            command_timeout: x.command_timeout.max(y.command_timeout),
            session_timeout: x.session_timeout.max(y.session_timeout),
            starttls: x.starttls.max(y.starttls),
            implicit_tls: x.implicit_tls.or(y.implicit_tls),
            login: x.login.clone().or_else(|| y.login.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::{
        config::PolicySettings,
        envelope::{Mailbox, ReversePath},
        facts::Family,
        name::{ExchangerName, Host},
        secret::{Login, Secret},
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
                ..SessionSettings::default()
            },
            policy: PolicySettings::default(),
            resolvers: Arc::default(),
            mail_from: ReversePath::Null,
            recipient: None,
            relay_recipient: None,
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
        let first = demand.set_route(&one, &settings(60, &[Family::Ipv6]), from_ref(&mx));
        assert_eq!(first.set.len(), 1);
        demand.set_route(&two, &settings(30, &[Family::Ipv4]), from_ref(&mx));
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
        demand.set_route(&domain, &settings, from_ref(&a));
        assert_eq!(demand.set_route(&domain, &settings, from_ref(&a)), Changes::default());
        let moved = demand.set_route(&domain, &settings, from_ref(&b));
        assert_eq!(moved.gone, [a]);
        assert_eq!(moved.set[0].0, b);
    }

    #[test]
    fn other_settings_of_its_only_destination_reach_the_exchanger() {
        let mut demand = Demand::default();
        let mx = exchanger("mx.example.net");
        let domain = destination("example.com");
        demand.set_route(&domain, &settings(30, &Family::ALL), from_ref(&mx));
        let slower = demand.set_route(&domain, &settings(90, &Family::ALL), from_ref(&mx));
        assert_eq!(slower.gone, []);
        assert_eq!(slower.set.len(), 1);
        assert_eq!(demand.wanted(&mx).unwrap().interval, Duration::from_secs(90));
    }

    #[test]
    fn other_settings_keep_the_route_and_none_is_known_before_the_first() {
        let mut demand = Demand::default();
        let (mx, domain) = (exchanger("mx.example.net"), destination("example.com"));
        assert_eq!(demand.set(&domain, &settings(30, &Family::ALL)), Changes::default());
        assert!(demand.destinations().eq([&domain]));
        demand.set_route(&domain, &settings(30, &Family::ALL), from_ref(&mx));
        let slower = settings(90, &Family::ALL);
        assert_eq!(demand.set(&domain, &slower).set[0].0, mx);
        assert_eq!(demand.settings(&domain), Some(&slower));
        assert_eq!(demand.remove(&domain).gone, [mx]);
        assert_eq!(demand.settings(&domain), None);
    }

    #[test]
    fn thousands_that_share_an_exchanger_may_all_change_at_once() {
        let mut demand = Demand::default();
        let mx = exchanger("mx.provider.example");
        let names: Vec<Destination> =
            (0..20_000).map(|n| destination(&format!("d{n}.example.com"))).collect();
        // Looking at all others for each of them would take minutes.
        for seconds in [60, 30] {
            for name in &names {
                demand.set_route(name, &settings(seconds, &Family::ALL), from_ref(&mx));
            }
            assert_eq!(demand.wanted(&mx).unwrap().interval, Duration::from_secs(30.max(seconds)));
        }
        for name in &names {
            demand.remove(name);
        }
        assert_eq!(demand.wanted(&mx), None);
    }

    #[test]
    fn other_labels_change_nothing_for_the_exchanger() {
        let mut demand = Demand::default();
        let mx = exchanger("mx.provider.example");
        let (one, two) = (destination("one.example.com"), destination("two.example.com"));
        let quick = settings(30, &Family::ALL);
        demand.set_route(&one, &quick, from_ref(&mx));
        demand.set_route(&two, &settings(60, &Family::ALL), from_ref(&mx));
        let labels = BTreeMap::from([("team".to_owned(), "mail".to_owned())]);
        let labelled = Arc::new(DestinationSettings { labels, ..(*quick).clone() });
        assert_eq!(demand.set_route(&one, &labelled, &[mx]), Changes::default());
    }

    #[test]
    fn all_recipients_are_asked_about_up_to_a_limit() {
        let mut demand = Demand::default();
        let mx = exchanger("mx.provider.example");
        let asking = |name: &str| {
            let recipient = Mailbox::parse(&format!("probe@{name}")).ok();
            let settings = DestinationSettings::clone(&settings(60, &Family::ALL));
            Arc::new(DestinationSettings { recipient, ..settings })
        };
        let asked = |demand: &Demand| -> Vec<String> {
            let envelopes = &demand.wanted(&mx).unwrap().envelopes;
            envelopes.iter().map(|envelope| envelope.recipient.to_string()).collect()
        };
        let names: Vec<String> = (10..40).map(|n| format!("d{n}.example.com")).collect();
        let crowded: Vec<_> = names
            .iter()
            .flat_map(|name| {
                demand.set_route(&destination(name), &asking(name), from_ref(&mx)).crowded
            })
            .collect();
        assert_eq!(crowded, [(mx.clone(), MAX_ENVELOPES + 1)], "said once");
        assert_eq!(asked(&demand).len(), MAX_ENVELOPES);
        assert_eq!(asked(&demand)[0], "probe@d10.example.com");
        for name in &names[..28] {
            demand.remove(&destination(name));
        }
        assert_eq!(asked(&demand), ["probe@d38.example.com", "probe@d39.example.com"]);
        // One that logs in there makes the answers to others' questions worthless.
        let relay = Destination::parse("mx.provider.example:25").unwrap();
        let login = Login { username: "probe".into(), password: Secret::new(b"x".to_vec()) };
        let mut logged_in = DestinationSettings::clone(&settings(60, &Family::ALL));
        logged_in.session.login = Some(login);
        demand.set_route(&relay, &Arc::new(logged_in), from_ref(&mx));
        assert_eq!(asked(&demand), [] as [&str; 0]);
        demand.remove(&relay);
        assert_eq!(asked(&demand), ["probe@d38.example.com", "probe@d39.example.com"]);
        let quiet = settings(60, &Family::ALL);
        let changed = demand.set_route(&destination(&names[28]), &quiet, from_ref(&mx));
        assert_eq!(changed.set.len(), 1);
        assert_eq!(asked(&demand), ["probe@d39.example.com"]);
    }
}
