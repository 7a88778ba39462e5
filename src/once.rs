//! Probing one destination once, without an agent: for `check` and for `/probe` of a domain that
//! is not configured.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::{
    agent::{
        demand::Wanted,
        round::{Memory, Prober, Progress},
        state::DestinationRound,
    },
    config::DestinationSettings,
    facts::{DomainPolicies, ExchangerFacts, Facts},
    name::{Destination, Exchanger},
    probe::mta_sts,
};

/// What one look at a destination found.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The route.
    pub round: DestinationRound,
    /// The policies of a mail domain.
    pub policies: Option<Arc<DomainPolicies>>,
    /// Its exchangers, in the order of the route, then those that only other resolvers name.
    pub exchangers: Vec<Arc<ExchangerFacts>>,
}

impl Observation {
    /// The same as facts about a destination.
    pub fn facts(&self, destination: &Destination) -> Facts {
        let Observation { round, policies, exchangers } = self;
        let (mx, exchangers) = (round.mx.clone(), exchangers.clone());
        let facts = Facts::observed(destination.clone(), round.observed_at, mx, exchangers);
        facts.with_policies(policies.as_deref())
    }
}

/// Looks up the route and probes every exchanger on it, all at the same time, and looks at the
/// policies meanwhile. `None` when the program ends.
pub async fn observe(
    prober: &Arc<Prober>,
    destination: &Destination,
    settings: &DestinationSettings,
) -> Option<Observation> {
    let policies = async {
        let Destination::Domain(domain) = destination else { return Some(None) };
        let round = prober.policies(domain, settings, mta_sts::Memory::default()).await?;
        Some(Some(Arc::new(round.policies)))
    };
    let (found, policies) =
        tokio::join!(observe_exchangers(prober, destination, settings), policies);
    let (round, exchangers) = found?;
    Some(Observation { round, policies: policies?, exchangers })
}

async fn observe_exchangers(
    prober: &Arc<Prober>,
    destination: &Destination,
    settings: &DestinationSettings,
) -> Option<(DestinationRound, Vec<Arc<ExchangerFacts>>)> {
    let round = prober.route(destination, &settings.resolvers).await?;
    let wanted = Wanted::by(settings);
    let mut tasks = tokio::task::JoinSet::new();
    for (place, exchanger) in round.exchangers().enumerate() {
        let (prober, exchanger, wanted) = (Arc::clone(prober), exchanger.clone(), wanted.clone());
        tasks.spawn(async move { (place, observe_exchanger(&prober, &exchanger, &wanted).await) });
    }
    let mut found = tasks.join_all().await;
    found.sort_by_key(|(place, _)| *place);
    let exchangers =
        found.into_iter().map(|(_, facts)| facts.map(Arc::new)).collect::<Option<_>>()?;
    Some((round, exchangers))
}

async fn observe_exchanger(
    prober: &Arc<Prober>,
    exchanger: &Exchanger,
    wanted: &Wanted,
) -> Option<ExchangerFacts> {
    let facts = ExchangerFacts::unobserved(exchanger.clone(), Timestamp::now());
    let facts = Mutex::new(facts);
    let publish = |progress| {
        let mut facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Addresses { lookups, tlsa, addresses, .. } => {
                facts.lookups = lookups.into();
                facts.tlsa = tlsa.into();
                facts.addresses = addresses;
            }
            Progress::Session { session, .. } => facts.sessions.push(session),
        }
    };
    prober.exchanger(exchanger, wanted, Memory::default(), publish).await?;
    let mut facts = facts.into_inner().unwrap_or_else(PoisonError::into_inner);
    facts.observed_at = Timestamp::now();
    facts.sessions.sort_by_key(|session| session.peer);
    Some(facts)
}
