//! The state of a destination at a glance: what the overview shows and `/api/v1/domains` says.
//!
//! It tells what works and what does not, and the verdicts that were given; it does not judge.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{
    agent::{
        standing::Standing,
        state::{DestinationRound, ExchangerReport, Snapshot},
    },
    delivery::{LATE, Outcome, Why},
    facts::{ExchangerFacts, Failure, Family, Lookup, LookupStatus, MxLookup, Route},
    name::{Destination, Exchanger, Host},
};

/// One destination.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    pub(super) domain: String,
    pub(super) checked_at: Option<Timestamp>,
    pub(super) state: State,
    /// The MX lookup through the primary resolver, when no answer came.
    pub(super) lookup_failure: Option<LookupStatus>,
    pub(super) exchangers: Vec<Hop>,
    pub(super) verdicts: Vec<Given>,
}

/// One verdict.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Given {
    pub(super) sender: Arc<str>,
    pub(super) resolver: Arc<str>,
    pub(super) outcome: Outcome,
    #[serde(rename = "reason", serialize_with = "reason")]
    pub(super) why: Why,
    /// Since when this is the outcome.
    pub(super) since: Timestamp,
    #[serde(skip)]
    pub(super) wait: Duration,
    /// It goes by a resolver that is down, which is told once for all, and not by the primary.
    #[serde(skip)]
    told_once: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn reason<S: Serializer>(why: &Why, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(why.label())
}

/// What becomes of mail, sorted by how much it needs a look.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Mail {
    Bounced,
    Frozen,
    Deferred,
    /// Delivered, after a wait that somebody notices.
    Late,
    Unknown,
    /// There is no verdict yet.
    NotJudged,
    Delivered,
}

impl Mail {
    pub(super) fn of(outcome: Outcome, wait: Duration) -> Self {
        match outcome {
            Outcome::Bounce => Self::Bounced,
            Outcome::Freeze => Self::Frozen,
            Outcome::Defer => Self::Deferred,
            Outcome::Unknown => Self::Unknown,
            Outcome::Deliver if wait >= LATE => Self::Late,
            Outcome::Deliver => Self::Delivered,
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Bounced => "bounced",
            Self::Frozen => "frozen",
            Self::Deferred => "deferred",
            Self::Late => "delivered late",
            Self::Unknown => "not known",
            Self::NotJudged => "not judged yet",
            Self::Delivered => "delivered",
        }
    }
}

impl Given {
    fn new(standing: &Standing, snapshot: &Snapshot) -> Self {
        Self {
            sender: Arc::clone(&standing.sender.name),
            resolver: Arc::clone(&standing.resolver),
            outcome: standing.verdict.outcome,
            why: standing.verdict.why,
            since: standing.history.since(),
            wait: standing.verdict.wait_worst,
            told_once: snapshot
                .resolvers
                .get(&standing.resolver)
                .is_some_and(|resolver| resolver.down() && !resolver.primary),
        }
    }

    pub(super) fn mail(&self) -> Mail {
        Mail::of(self.outcome, self.wait)
    }
}

impl Summary {
    /// The verdict that needs a look most, the first of several; what is told once for all counts
    /// where nothing else is known.
    pub(super) fn worst(&self) -> Option<&Given> {
        self.verdicts.iter().min_by_key(|given| (given.told_once, given.mail()))
    }

    /// What becomes of mail by that verdict.
    pub(super) fn mail(&self) -> Mail {
        self.worst().map_or(Mail::NotJudged, Given::mail)
    }

    /// Puts what needs a look first: an open relay, which harms others; the worst verdict, how many
    /// senders share it, then the state.
    pub(super) fn urgency(&self) -> (bool, Mail, Reverse<usize>, State) {
        let harmless = self.state != State::OpenRelay;
        (harmless, self.mail(), Reverse(self.sharing().count()), self.state)
    }

    /// All verdicts by which the same becomes of mail as by the worst.
    pub(super) fn sharing(&self) -> impl Iterator<Item = &Given> {
        let like = |given: &Given| (given.told_once, given.mail());
        let worst = self.worst().map(like);
        self.verdicts.iter().filter(move |given| Some(like(given)) == worst)
    }
}

/// Sorted by how much it needs a look.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The relay test was not refused.
    OpenRelay,
    /// No address of any exchanger takes mail.
    Down,
    /// What answers refuses us.
    RefusesUs,
    /// The MX lookup fails.
    RouteUnknown,
    /// The domain does not exist.
    NoDomain,
    /// Some address or address lookup fails.
    Degraded,
    /// The first round is not complete.
    Waiting,
    /// A null MX.
    TakesNoMail,
    /// Everything that is probed works.
    Up,
}

impl State {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::OpenRelay => "open relay",
            Self::Down => "down",
            Self::RefusesUs => "refuses us",
            Self::RouteUnknown => "route unknown",
            Self::NoDomain => "no such domain",
            Self::Degraded => "degraded",
            Self::Waiting => "waiting for first round",
            Self::TakesNoMail => "takes no mail",
            Self::Up => "up",
        }
    }
}

/// An exchanger on the route, or one that only other resolvers than the primary name.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Hop {
    pub(super) mx: String,
    pub(super) preference: u16,
    /// The resolvers that name it, where the primary does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) named_only_by: Vec<Arc<str>>,
    pub(super) checked_at: Option<Timestamp>,
    pub(super) ipv4: Side,
    pub(super) ipv6: Side,
}

/// One family of an exchanger.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Side {
    pub(super) addresses: usize,
    pub(super) probed: usize,
    pub(super) up: usize,
    /// The address lookup, when no answer came.
    pub(super) lookup_failure: Option<LookupStatus>,
    /// The failure at the earliest stage, that of opportunistic TLS included.
    pub(super) failure: Option<Failure>,
}

impl Side {
    /// What resolvers that are down do not answer is not the exchanger's.
    fn new(facts: &ExchangerFacts, family: Family, snapshot: &Snapshot) -> Self {
        let lookups = facts.lookups.iter().filter(|lookup| {
            lookup.rtype == family.record_type() && !snapshot.is_down(&lookup.resolver)
        });
        let mut statuses = lookups.map(Lookup::status);
        let tried = || facts.sessions_of(family).filter(|session| session.tried());
        Self {
            addresses: facts.addresses_of(family).count(),
            probed: tried().count(),
            up: facts.sessions_of(family).filter(|session| session.up()).count(),
            lookup_failure: statuses.find(|status| !status.answered()),
            failure: tried().filter_map(|session| session.fault()).min(),
        }
    }

    fn fails(&self) -> bool {
        self.lookup_failure.is_some() || self.failure.is_some()
    }
}

impl Hop {
    fn new(
        preference: u16,
        mx: String,
        report: Option<&ExchangerReport>,
        snapshot: &Snapshot,
    ) -> Self {
        let facts = report.and_then(|report| report.facts.as_deref());
        let side = |family| facts.map(|f| Side::new(f, family, snapshot)).unwrap_or_default();
        Self {
            mx,
            preference,
            named_only_by: Vec::new(),
            checked_at: report.and_then(|report| report.completed_at),
            ipv4: side(Family::Ipv4),
            ipv6: side(Family::Ipv6),
        }
    }

    pub(super) fn sides(&self) -> [(Family, &Side); 2] {
        [(Family::Ipv4, &self.ipv4), (Family::Ipv6, &self.ipv6)]
    }
}

/// All destinations, by name.
pub(super) fn all(snapshot: &Snapshot) -> impl Iterator<Item = Summary> {
    snapshot.destinations.keys().map(|destination| one(snapshot, destination))
}

/// One destination; one that is not configured waits for ever.
pub(super) fn one(snapshot: &Snapshot, destination: &Destination) -> Summary {
    let round = snapshot.destinations.get(destination).and_then(|report| report.last.as_ref());
    let route = round.map_or(&[][..], |round| &round.route);
    let hop = |preference: u16, mx: &Exchanger| {
        let report = snapshot.exchangers.get(mx).map(AsRef::as_ref);
        Hop::new(preference, mx.label(snapshot.mx_port).into_owned(), report, snapshot)
    };
    let mut exchangers: Vec<Hop> = route.iter().map(|(best, mx)| hop(*best, mx)).collect();
    let state = match round.map(|round| round.mx.first().map(|mx| &mx.route)) {
        None => State::Waiting,
        Some(Some(Route::Unknown)) => State::RouteUnknown,
        Some(Some(Route::NoDomain)) => State::NoDomain,
        Some(Some(Route::Null)) => State::TakesNoMail,
        Some(_) if relays(snapshot, destination) => State::OpenRelay,
        Some(_) => state_of(&exchangers),
    };
    // What becomes of mail through other resolvers is told by their verdicts.
    exchangers.extend(round.into_iter().flat_map(|round| {
        round.also.iter().map(|mx| {
            let named = named_by(round, mx);
            let preference = named.first().map(|(preference, _)| *preference).unwrap_or_default();
            let named_only_by = named.into_iter().map(|(_, resolver)| resolver).collect();
            Hop { named_only_by, ..hop(preference, mx) }
        })
    }));
    let lookup = round.and_then(|round| round.mx.first()).map(|mx| mx.lookup.status());
    let report = snapshot.destinations.get(destination);
    let standings = report.map_or(&[][..], |report| &report.standings);
    Summary {
        domain: destination.to_string(),
        lookup_failure: lookup.filter(|status| !status.answered()),
        checked_at: round.map(|round| round.observed_at),
        state,
        exchangers,
        verdicts: standings.iter().map(|standing| Given::new(standing, snapshot)).collect(),
    }
}

/// Whether an exchanger took what the relay test of this destination asked it to take.
fn relays(snapshot: &Snapshot, destination: &Destination) -> bool {
    let Some(report) = snapshot.destinations.get(destination) else { return false };
    let tests: Vec<_> = report.settings.envelopes().filter(|asked| asked.relay_test).collect();
    let round = report.last.iter().filter(|_| !tests.is_empty());
    let known = round.flat_map(|round| round.exchangers());
    let facts = known.filter_map(|mx| snapshot.exchangers.get(mx)?.facts.as_deref());
    let mut said = facts.flat_map(|facts| &facts.sessions).flat_map(|held| &held.transactions);
    said.any(|said| tests.contains(&said.envelope) && said.relay_denied() == Some(false))
}

/// The resolvers that name an exchanger, with the preference it has there.
fn named_by(round: &DestinationRound, mx: &Exchanger) -> Vec<(u16, Arc<str>)> {
    let named = |answer: &MxLookup| {
        let targets = answer.route.targets();
        let target = targets.iter().find(|t| Host::Name(t.exchanger.clone()) == mx.host)?;
        Some((target.preference, Arc::clone(&answer.lookup.resolver)))
    };
    round.mx.iter().filter_map(named).collect()
}

fn state_of(exchangers: &[Hop]) -> State {
    let sides = || exchangers.iter().flat_map(Hop::sides).map(|(_, side)| side);
    if exchangers.iter().any(|hop| hop.checked_at.is_none()) {
        State::Waiting
    } else if sides().all(|side| side.up == 0) {
        let untried = sides().any(|side| side.addresses > 0 && side.probed == 0);
        let refuses = |side: &Side| side.failure.is_some_and(Failure::refuses_us);
        if sides().any(refuses) {
            State::RefusesUs
        } else if untried && !sides().any(Side::fails) {
            State::Degraded
        } else {
            State::Down
        }
    } else if sides().any(Side::fails) {
        State::Degraded
    } else {
        State::Up
    }
}
