//! From rounds into the state: replaces reports, counts, logs what changed, and notes what has to be
//! judged anew.
//!
//! A round of something that was removed meanwhile changes nothing, and what a resolver said that is
//! not asked any more is passed over: its series must not come back.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tracing::warn;

use super::{
    changes, counting,
    judging::Unjudged,
    material,
    round::{Called, Progress},
    state::{DestinationReport, DestinationRound, Store},
};
use crate::{
    alike::Alike,
    facts::{
        DomainPolicies, ExchangerFacts, Family, Reason, ResolverFacts, Route, Session, Sessions,
        Vantage,
    },
    name::{Destination, Domain, Exchanger},
};

/// Writes into one store.
#[derive(Clone, Debug)]
pub(super) struct Publisher {
    store: Store,
    unjudged: Unjudged,
    /// Families of which the log has said that this host has no way out.
    no_way_out: Arc<[AtomicBool; 2]>,
    /// Of thousands of domains most have no policies, and share that.
    alike: Arc<Mutex<Alike<DomainPolicies, 1>>>,
}

impl Publisher {
    pub(super) fn new(store: Store, unjudged: Unjudged) -> Self {
        Self { store, unjudged, no_way_out: Arc::default(), alike: Arc::default() }
    }

    /// Takes a destination's round and returns the exchangers to be watched: while the lookup fails,
    /// mail queues for those known before, so those stay watched. `None` when the destination
    /// is no longer known.
    pub(super) fn destination(
        &self,
        destination: &Destination,
        mut round: DestinationRound,
    ) -> Option<Vec<Exchanger>> {
        let (then, now) = self.store.update(|state| {
            // Who decided where mail goes is not asked any more: the next round begins anew.
            if round.mx.first().is_some_and(|mx| !state.terms.resolver(&mx.lookup.resolver)) {
                return None;
            }
            round.mx.retain(|mx| state.terms.resolver(&mx.lookup.resolver));
            for answer in &round.mx {
                counting::count_lookup(Arc::make_mut(&mut state.lookups), &answer.lookup);
            }
            let report = state.destinations.get_mut(destination)?;
            let before = report.last.as_deref();
            let unknown = round.mx.first().is_some_and(|primary| primary.route == Route::Unknown);
            if let Some(before) = before.filter(|_| unknown) {
                round.route.clone_from(&before.route);
                // A reload may have set another port since.
                round.route.iter_mut().for_each(|(_, mx)| mx.port = state.mx_port);
                let DestinationRound { route, also, .. } = &mut round;
                also.retain(|exchanger| route.iter().all(|(_, known)| known != exchanger));
            }
            let known = DestinationReport::clone(report);
            let now = Arc::new(DestinationReport { last: Some(Arc::new(round)), ..known });
            Some((std::mem::replace(report, Arc::clone(&now)), now))
        })?;
        let round = now.last.as_ref()?;
        if !then.last.as_ref().is_some_and(|last| material::same_route(last, round)) {
            self.unjudged.destination(destination);
        }
        let before = then.last.as_ref().map_or(&[][..], |last| &last.mx);
        changes::log_route(destination, before, &round.mx);
        Some(round.exchangers().cloned().collect())
    }

    /// Takes a look at the policies of a domain.
    pub(super) fn policies(&self, domain: &Domain, policies: DomainPolicies) {
        let destination = Destination::Domain(domain.clone());
        let mut alike = self.alike.lock().unwrap_or_else(PoisonError::into_inner);
        let now = alike.shared(policies);
        drop(alike);
        let then = self.store.update(|state| {
            let report = Arc::make_mut(state.destinations.get_mut(&destination)?);
            Some(report.policies.replace(Arc::clone(&now)))
        });
        let Some(then) = then else { return };
        if !then.as_ref().is_some_and(|then| material::same_policies(then, &now)) {
            self.unjudged.destination(&destination);
        }
        changes::log_policies(domain, then.as_deref(), &now);
    }

    /// Takes what an exchanger's round has to tell so far.
    pub(super) fn progress(&self, exchanger: &Exchanger, progress: Progress) {
        match progress {
            Progress::Addresses { mut lookups, mut tlsa, addresses, probed } => {
                let changed = self.store.update(|state| {
                    lookups.retain(|lookup| state.terms.resolver(&lookup.resolver));
                    tlsa.retain(|tlsa| state.terms.resolver(&tlsa.resolver));
                    for lookup in lookups.iter().chain(tlsa.iter().flat_map(|tlsa| &tlsa.lookups)) {
                        counting::count_lookup(Arc::make_mut(&mut state.lookups), lookup);
                    }
                    let report = Arc::make_mut(state.exchangers.get_mut(exchanger)?);
                    let before = report.facts.take();
                    let had = before.as_ref().map_or(&[][..], |facts| &facts.sessions);
                    let sessions = still_told(had, &probed);
                    let observed_at = Timestamp::now();
                    let exchanger = exchanger.clone();
                    let unobserved = ExchangerFacts::unobserved(exchanger, observed_at);
                    let (lookups, tlsa) = (lookups.into(), tlsa.into());
                    let after = ExchangerFacts { lookups, addresses, sessions, tlsa, ..unobserved };
                    let after = Arc::new(after);
                    report.facts = Some(Arc::clone(&after));
                    Some((before, after))
                });
                if let Some((before, after)) = changed {
                    self.observed(exchanger, before.as_deref(), &after);
                    changes::log_lookups(before.as_deref(), &after);
                }
            }
            Progress::Session { session, held } => self.session(exchanger, session, held),
        }
    }

    /// Says once, and not for every exchanger, that a family cannot be tried from here.
    fn tell_of_no_way_out(&self, session: &Session) {
        let family = session.family();
        let missing = session.failure.is_some_and(|f| f.reason == Reason::NoLocalFamily);
        if missing && !self.no_way_out[family as usize].swap(true, Ordering::Relaxed) {
            let (family, example) = (family.label(), session.peer.ip());
            warn!(family, %example, "this host has no route there, so such addresses are not tried");
        }
    }

    fn session(&self, exchanger: &Exchanger, session: Arc<Session>, held: bool) {
        self.tell_of_no_way_out(&session);
        let family = session.family();
        let changed = self.store.update(|state| {
            let report = Arc::make_mut(state.exchangers.get_mut(exchanger)?);
            if held {
                counting::count_session(report.counts_mut(family), &session);
            }
            let before = report.facts.take()?;
            let mut after = (*before).clone();
            // What stood in for a session with one of these addresses has done its duty.
            after
                .sessions
                .retain(|s| s.family() != family || before.addresses.contains(&s.peer.ip()));
            after.sessions.retain(|s| s.peer != session.peer);
            after.sessions.push(session);
            after.sessions.sort_by_key(|s| s.peer);
            after.observed_at = Timestamp::now();
            let after = Arc::new(after);
            report.facts = Some(Arc::clone(&after));
            Some((before, after, state.mx_port))
        });
        if let Some((before, after, mx_port)) = changed {
            self.observed(exchanger, Some(&before), &after);
            let mx = exchanger.label(mx_port);
            changes::log_family(&mx, family, Some(&before), &after);
            changes::log_certificate(&mx, family, Some(&before), &after);
            changes::log_relay(&mx, family, Some(&before), &after);
        }
    }

    /// Has it judged anew what depends on this exchanger, if anything could come of it.
    fn observed(
        &self,
        exchanger: &Exchanger,
        before: Option<&ExchangerFacts>,
        after: &ExchangerFacts,
    ) {
        if !before.is_some_and(|before| material::same_exchanger(before, after)) {
            self.unjudged.exchanger(exchanger);
        }
    }

    /// Takes a control round of a resolver and says whether it is down.
    pub(super) fn resolver(&self, facts: ResolverFacts) -> bool {
        let changed = self.store.update(|state| {
            let report = state.resolvers.get_mut(&facts.resolver)?;
            let now = Arc::new(report.next(facts));
            Some((std::mem::replace(report, Arc::clone(&now)), now))
        });
        let Some((then, now)) = changed else { return false };
        changes::log_resolver(&then, &now);
        now.down()
    }

    /// Takes a look at the own vantage.
    pub(super) fn vantage(&self, vantage: Vantage) {
        let now = Arc::new(vantage);
        let then = self.store.update(|state| state.vantage.replace(Arc::clone(&now)));
        changes::log_vantage(then.as_deref(), &now);
    }

    /// Notes the end of an exchanger's round.
    pub(super) fn exchanger_ended(
        &self,
        exchanger: &Exchanger,
        called: &[Called],
        interval: Duration,
    ) {
        self.store.update(|state| {
            let Some(report) = state.exchangers.get_mut(exchanger) else { return };
            let report = Arc::make_mut(report);
            report.completed_at = Some(Timestamp::now());
            for family in Family::ALL {
                let own = called.iter().filter(|call| Family::of(call.address) == family);
                let longest = own.map(|call| call.backoff.pause(interval)).max();
                let longest = longest.unwrap_or_default().into();
                if report.counts(family).backoff != longest {
                    report.counts_mut(family).backoff = longest;
                }
            }
        });
        self.unjudged.ended(exchanger);
    }
}

/// The sessions that go on telling how an exchanger is: those with the addresses that are probed
/// now, and of a family that has none of those, those with the addresses it had before, until the
/// first of the new ones has been held. Many name servers give another address every time; an
/// exchanger must not vanish and come back with each.
fn still_told(had: &[Arc<Session>], probed: &[SocketAddr]) -> Sessions {
    let known = |peer: &SocketAddr| had.iter().any(|session| session.peer == *peer);
    let stands_in = |family| {
        let mut own = probed.iter().filter(|peer| Family::of(peer.ip()) == family).peekable();
        own.peek().is_some() && !own.any(known)
    };
    let stays = |session: &Session| probed.contains(&session.peer) || stands_in(session.family());
    had.iter().filter(|session| stays(session)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::state::{ExchangerReport, Terms},
        config::Config,
        facts::{
            Addresses, Elapsed, Failure, Lookup, MxLookup, Reason, RecordType, Stage, TlsaFacts,
            TlsaStatus,
        },
        name::Host,
    };

    fn session(peer: SocketAddr, failure: Option<Failure>) -> Progress {
        let session = Arc::new(Session {
            peer,
            source: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration: Elapsed::ZERO,
            helo_name: "probe.example.org".into(),
            stages: Box::default(),
            failure,
            tls: None,
            auth_mechanism: None,
            transactions: Box::default(),
        });
        Progress::Session { session, held: true }
    }

    fn addresses(peers: &[SocketAddr]) -> Progress {
        let addresses = peers.iter().map(SocketAddr::ip).collect();
        let (lookups, tlsa) = (Vec::new(), Vec::new());
        Progress::Addresses { lookups, tlsa, addresses, probed: peers.to_vec() }
    }

    /// A store that goes by one resolver.
    fn store() -> Store {
        let store = Store::default();
        let resolvers = ["test".into()].into();
        store.update(|state| state.judge_by(Terms { resolvers, ..Terms::default() }));
        store
    }

    fn lookup(resolver: &str, rtype: RecordType) -> Lookup {
        Lookup::new(resolver.into(), rtype, "example.com".into(), Vec::new())
    }

    fn tlsa(resolver: &str) -> Arc<TlsaFacts> {
        Arc::new(TlsaFacts {
            resolver: resolver.into(),
            status: TlsaStatus::Error,
            base: crate::name::ExchangerName::parse("mx.example.com").unwrap(),
            records: Vec::new(),
            lookups: vec![lookup(resolver, RecordType::Tlsa)],
        })
    }

    fn of_route(resolvers: &[&str]) -> DestinationRound {
        let mx = |resolver: &&str| {
            let lookup = lookup(resolver, RecordType::Mx);
            MxLookup { lookup, route: Route::Unknown }
        };
        DestinationRound {
            observed_at: Timestamp::UNIX_EPOCH,
            mx: resolvers.iter().map(mx).collect(),
            route: Vec::new(),
            also: Vec::new(),
            chosen: Vec::new(),
        }
    }

    #[test]
    fn a_resolver_that_went_while_a_round_was_under_way_does_not_come_back_with_it() {
        let store = store();
        let publisher = Publisher::new(store.clone(), Unjudged::default());
        let domain = Destination::parse("example.com").unwrap();
        let settings = Arc::new(Config::with_helo_name("a.example".into()).default_settings());
        let report = DestinationReport::unobserved(settings);
        let host = Host::Name(crate::name::ExchangerName::parse("mx.example.com").unwrap());
        let mx = Exchanger { host, port: 25 };
        store.update(|state| {
            state.destinations.insert(domain.clone(), Arc::new(report));
            state.exchangers.insert(mx.clone(), Arc::new(ExchangerReport::default()));
        });
        assert!(publisher.destination(&domain, of_route(&["test", "gone"])).is_some());
        assert!(publisher.destination(&domain, of_route(&["gone", "test"])).is_none());
        let lookups = ["gone", "test"].map(|resolver| lookup(resolver, RecordType::A)).into();
        let (addresses, probed) = (Addresses::new(), Vec::new());
        let tlsa = ["gone", "test"].map(tlsa).into();
        publisher.progress(&mx, Progress::Addresses { lookups, tlsa, addresses, probed });
        let state = store.snapshot();
        let last = state.destinations[&domain].last.as_ref().unwrap();
        let facts = state.exchangers[&mx].facts.as_ref().unwrap();
        let said = last.mx.iter().map(|mx| &mx.lookup).chain(&*facts.lookups);
        let counted = state.lookups.keys().map(|key| &key.resolver);
        let said = said.map(|lookup| &lookup.resolver).chain(counted);
        let said = said.chain(facts.tlsa.iter().map(|tlsa| &tlsa.resolver));
        assert_eq!(said.map(|name| &**name).collect::<Vec<_>>(), ["test"; 6]);
    }

    #[test]
    fn a_route_that_is_kept_goes_to_the_port_now_in_force() {
        let store = store();
        let publisher = Publisher::new(store.clone(), Unjudged::default());
        let domain = Destination::parse("example.com").unwrap();
        let settings = Arc::new(Config::with_helo_name("a.example".into()).default_settings());
        let report = DestinationReport::unobserved(settings);
        store.update(|s| s.destinations.insert(domain.clone(), Arc::new(report)));
        let round = |route: Route, port| {
            let targets = route.targets().into_owned().into_iter();
            let exchanger = |exchanger| Exchanger { host: Host::Name(exchanger), port };
            let targets = targets.map(|t| (t.preference, exchanger(t.exchanger))).collect();
            let lookup = lookup("test", RecordType::Mx);
            let mx = vec![MxLookup { lookup, route }];
            DestinationRound { mx, route: targets, ..of_route(&[]) }
        };
        let exchanger = crate::name::ExchangerName::parse("mx.example.com").unwrap();
        for (route, port) in [(Route::Implicit { exchanger }, 25), (Route::Unknown, 2525)] {
            store.update(|state| state.mx_port = port);
            let found = publisher.destination(&domain, round(route, port)).unwrap();
            assert_eq!(found.iter().map(|mx| mx.port).collect::<Vec<_>>(), [port]);
        }
    }

    #[test]
    fn an_exchanger_whose_address_changes_is_never_without_a_session() {
        let store = Store::default();
        let publisher = Publisher::new(store.clone(), Unjudged::default());
        let host = Host::Name(crate::name::ExchangerName::parse("mx.example.com").unwrap());
        let mx = Exchanger { host, port: 25 };
        store.update(|s| s.exchangers.insert(mx.clone(), Arc::new(ExchangerReport::default())));
        let told = || {
            let facts = store.snapshot().exchangers[&mx].facts.clone().unwrap();
            facts.sessions.iter().map(|s| (s.peer, s.up())).collect::<Vec<_>>()
        };
        let [old, new, other]: [SocketAddr; 3] =
            [1, 2, 3].map(|last| ([192, 0, 2, last], 25).into());
        publisher.progress(&mx, addresses(&[old]));
        publisher.progress(&mx, session(old, None));
        publisher.progress(&mx, addresses(&[new, other]));
        assert_eq!(told(), [(old, true)], "until the new one has been called");
        let silent = Failure { stage: Stage::Banner, reason: Reason::Timeout };
        publisher.progress(&mx, session(new, Some(silent)));
        assert_eq!(told(), [(new, false)]);
        publisher.progress(&mx, addresses(&[other, new]));
        assert_eq!(told(), [(new, false)]);
        publisher.progress(&mx, addresses(&[]));
        assert_eq!(told(), [], "a family without addresses has no sessions");
    }

    #[test]
    fn only_what_is_new_is_to_be_judged() {
        let (store, unjudged) = (Store::default(), Unjudged::default());
        let publisher = Publisher::new(store.clone(), unjudged.clone());
        let host = Host::Name(crate::name::ExchangerName::parse("mx.example.com").unwrap());
        let mx = Exchanger { host, port: 25 };
        store.update(|s| s.exchangers.insert(mx.clone(), Arc::new(ExchangerReport::default())));
        let peer: SocketAddr = ([192, 0, 2, 1], 25).into();
        let silent = Failure { stage: Stage::Banner, reason: Reason::Timeout };
        let round = |failure| {
            publisher.progress(&mx, addresses(&[peer]));
            publisher.progress(&mx, session(peer, failure));
            publisher.exchanger_ended(&mx, &[], Duration::ZERO);
            unjudged.has_exchanger(&mx)
        };
        assert!(round(None), "everything is new in the first round");
        assert!(!round(None));
        assert!(round(Some(silent)));
        assert!(!round(Some(silent)));
    }
}
