//! Sessions held a moment ago, by address: what one exchanger found out, others at the same address
//! need not ask again. Some providers give every customer an exchanger name of its own and lead
//! thousands of them to a few addresses.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    dense::{DenseMap, Keyed},
    facts::{Pkix, Reason, Session, Stage, Tls},
    name::Host,
    probe::{smtp::session::Plan, tls::dane::Expected},
};

/// The newest session with each address.
#[derive(Debug, Default)]
pub(super) struct Recent {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    held: DenseMap<Held>,
    /// The terms of the last session: of thousands most have the same, and share them.
    terms: Option<Arc<Terms>>,
}

#[derive(Debug)]
struct Held {
    terms: Arc<Terms>,
    host: Host,
    dane: Option<Arc<Expected>>,
    session: Arc<Session>,
    ended: Instant,
}

impl Keyed for Held {
    type Key = SocketAddr;

    fn key(&self) -> &SocketAddr {
        &self.session.peer
    }
}

/// What is the same for all exchangers that are probed alike.
#[derive(Debug)]
struct Terms {
    /// Their plan, without them.
    plan: Plan,
    /// How long after its end somebody may have a use for a session.
    fresh: Duration,
}

impl Terms {
    /// Whether a session under this plan would be the same client's, who wants to know the same.
    fn same_client(&self, plan: &Plan) -> bool {
        let had = &self.plan;
        (&had.helo_name, had.source, had.security, &had.login, &had.envelopes)
            == (&plan.helo_name, plan.source, plan.security, &plan.login, &plan.envelopes)
    }

    /// Whether these are the terms of such a session.
    fn are_of(&self, plan: &Plan, fresh: Duration) -> bool {
        let had = &self.plan;
        let as_patient = had.as_patient_as(plan) && plan.as_patient_as(had);
        self.same_client(plan) && as_patient && self.fresh == fresh
    }
}

impl Recent {
    /// The session that was held with this address, ended less than `fresh` ago and tells as much as
    /// one under this plan would.
    pub(super) fn find(&self, plan: &Plan, fresh: Duration) -> Option<Arc<Session>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.held.get(&plan.peer)?;
        // Who wants to know of other recipients asks himself.
        let same_client = known.terms.same_client(plan) && known.dane == plan.dane;
        // What did not answer in time might have with more patience; a refusal stays one.
        let same_end = !timed_out(&known.session) || known.terms.plan.as_patient_as(plan);
        let usable = same_client
            && same_end
            && shows_for(&known.session, &known.host, &plan.host)
            && known.ended.elapsed() < fresh;
        usable.then(|| Arc::clone(&known.session))
    }

    /// Keeps a session for those who ask within `fresh`. One that did not come about costs the
    /// server nothing to try again.
    pub(super) fn keep(&self, plan: Plan, session: &Arc<Session>, fresh: Duration) {
        // Nor does the impatience of one who asked in a hurry say anything to others.
        if !session.tried() || (plan.deadline.is_some() && timed_out(session)) {
            return;
        }
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { held, terms } = &mut *known;
        let (host, dane) = (plan.host.clone(), plan.dane.clone());
        let same = terms.take().filter(|terms| terms.are_of(&plan, fresh));
        let terms = terms.insert(same.unwrap_or_else(|| Arc::new(Terms { plan, fresh })));
        // Growing is what makes it due: then what is stale goes first.
        if held.len() == held.capacity() {
            held.retain(|known| now.saturating_duration_since(known.ended) < known.terms.fresh);
        }
        let (terms, session) = (Arc::clone(terms), Arc::clone(session));
        held.insert(Held { terms, host, dane, session, ended: now });
    }
}

/// Whether a session that was held with one host tells what another at the same address would show. A
/// server may choose its certificate by the name it is called by; where the one it showed is for
/// both, it would have shown no other.
fn shows_for(session: &Session, held_with: &Host, host: &Host) -> bool {
    let both = |tls: &Tls| {
        tls.pkix != Pkix::NameMismatch
            && matches!(host, Host::Name(name) if tls.names(name.as_str()))
    };
    // A server may turn a name away before it shows anything.
    let unnamed = session.stage(Stage::TlsHandshake).is_none();
    held_with == host || session.tls.as_deref().map_or(unnamed, both)
}

fn timed_out(session: &Session) -> bool {
    session.failure.is_some_and(|failure| failure.reason == Reason::Timeout)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        facts::{Certificate, Elapsed, Failure, Heard, StageFact},
        name::ExchangerName,
        probe::smtp::session::Security,
    };

    const MINUTE: Duration = Duration::from_secs(60);

    fn plan(last: u8, banner_timeout: Duration) -> Plan {
        Plan {
            peer: ([192, 0, 2, last], 25).into(),
            host: Host::Address([192, 0, 2, last].into()),
            security: Security::Opportunistic,
            dane: None,
            login: None,
            envelopes: Arc::default(),
            source: None,
            helo_name: "probe.example.org".into(),
            connect_timeout: MINUTE,
            banner_timeout,
            command_timeout: MINUTE,
            session_timeout: MINUTE,
            deadline: None,
        }
    }

    fn session(failure: Option<Failure>) -> Arc<Session> {
        Arc::new(Session {
            peer: ([192, 0, 2, 1], 25).into(),
            source: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration: Elapsed::ZERO,
            helo_name: "probe.example.org".into(),
            stages: Box::default(),
            failure,
            tls: None,
            auth_mechanism: None,
            transactions: Box::default(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_serves_others_at_its_address_while_it_is_fresh() {
        let recent = Recent::default();
        recent.keep(plan(1, MINUTE), &session(None), MINUTE);
        assert!(recent.find(&plan(1, MINUTE), MINUTE).is_some());
        assert!(recent.find(&plan(1, MINUTE * 2), MINUTE).is_some(), "it did not fail");
        assert!(recent.find(&plan(2, MINUTE), MINUTE).is_none(), "another address");
        let stranger = Plan { helo_name: "other.example.org".into(), ..plan(1, MINUTE) };
        assert!(recent.find(&stranger, MINUTE).is_none(), "another client");
        tokio::time::advance(MINUTE).await;
        assert!(recent.find(&plan(1, MINUTE), MINUTE).is_none(), "too old");
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_is_for_both_names_serves_both() {
        let host = |name: &str| Host::Name(ExchangerName::parse(name).unwrap());
        let plan = |name: &str| Plan { host: host(name), ..plan(1, MINUTE) };
        let shown = |pkix, names: &[&str]| {
            let own = Certificate {
                subject: String::new(),
                issuer: String::new(),
                names: names.iter().map(|&name| name.into()).collect(),
                serial: String::new(),
                not_before: None,
                not_after: None,
                key: String::new(),
                signature: "".into(),
                sha256: String::new(),
                spki_sha256: String::new(),
            };
            let tls = Tls {
                server_name: None,
                version: None,
                cipher: None,
                key_exchange: None,
                pkix,
                dane: None,
                chain: [own].into(),
            };
            Arc::new(Session { tls: Some(Box::new(tls)), ..Session::clone(&session(None)) })
        };
        let (one, two) = ("one.mx.example.net", "two.mx.example.net");
        for (pkix, names, shared) in [
            (Pkix::Trusted, &["*.mx.example.net"][..], true),
            (Pkix::UnknownIssuer, &[one, two], true),
            // Called by the other name it may have shown another one.
            (Pkix::Trusted, &[one], false),
            (Pkix::NameMismatch, &[two], false),
        ] {
            let recent = Recent::default();
            recent.keep(plan(one), &shown(pkix, names), MINUTE);
            assert!(recent.find(&plan(one), MINUTE).is_some(), "{names:?}");
            assert_eq!(recent.find(&plan(two), MINUTE).is_some(), shared, "{pkix:?} {names:?}");
            let never = Plan { security: Security::Never, ..plan(one) };
            assert!(recent.find(&never, MINUTE).is_none(), "it would not have encrypted");
        }
        let recent = Recent::default();
        recent.keep(plan(one), &session(None), MINUTE);
        assert!(recent.find(&plan(two), MINUTE).is_some(), "without TLS a name says nothing");
        let handshake = StageFact {
            stage: Stage::TlsHandshake,
            duration: Elapsed::ZERO,
            heard: Heard::Nothing,
            reason: Some(Reason::TlsError),
        };
        let turned_away = Session { stages: [handshake].into(), ..Session::clone(&session(None)) };
        recent.keep(plan(one), &Arc::new(turned_away), MINUTE);
        assert!(recent.find(&plan(two), MINUTE).is_none(), "it may be the name that it minds");
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_counts_for_those_with_no_more_patience() {
        let recent = Recent::default();
        let silent = Failure { stage: Stage::Banner, reason: Reason::Timeout };
        let hurried = Plan { deadline: Some(Instant::now()), ..plan(1, MINUTE) };
        recent.keep(hurried, &session(Some(silent)), MINUTE);
        assert!(recent.find(&plan(1, MINUTE), MINUTE).is_none(), "somebody was in a hurry");
        recent.keep(plan(1, MINUTE), &session(Some(silent)), MINUTE);
        assert!(recent.find(&plan(1, MINUTE), MINUTE).is_some());
        assert!(recent.find(&plan(1, MINUTE / 2), MINUTE).is_some());
        assert!(recent.find(&plan(1, MINUTE * 2), MINUTE).is_none());
        let refused = Failure { stage: Stage::Connect, reason: Reason::Refused };
        recent.keep(plan(1, MINUTE), &session(Some(refused)), MINUTE);
        assert!(recent.find(&plan(1, MINUTE * 2), MINUTE).is_some(), "asking longer is no cure");
    }

    #[tokio::test(start_paused = true)]
    async fn what_this_host_could_not_try_is_tried_again() {
        let recent = Recent::default();
        let untried = Failure { stage: Stage::Connect, reason: Reason::LocalError };
        recent.keep(plan(1, MINUTE), &session(Some(untried)), MINUTE);
        assert!(recent.find(&plan(1, MINUTE), MINUTE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_stale_is_forgotten() {
        let recent = Recent::default();
        for round in 0..50 {
            for last in 0..=255 {
                let peer = ([192, 0, round, last], 25).into();
                let held = Session { peer, ..Session::clone(&session(None)) };
                recent.keep(Plan { peer, ..plan(1, MINUTE) }, &Arc::new(held), MINUTE);
            }
            tokio::time::advance(MINUTE).await;
        }
        assert!(recent.known.lock().unwrap().held.len() < 2_000);
    }
}
