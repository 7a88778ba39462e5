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
    facts::{ExchangerFacts, Facts},
    name::{Destination, Exchanger},
};

/// What one look at a destination found.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The route.
    pub round: DestinationRound,
    /// Its exchangers, in the order of the route, then those that only other resolvers name.
    pub exchangers: Vec<Arc<ExchangerFacts>>,
}

impl Observation {
    /// The same as facts about a destination.
    pub fn facts(&self, destination: &Destination) -> Facts {
        let Observation { round, exchangers } = self;
        Facts::observed(
            destination.clone(),
            round.observed_at,
            round.mx.clone(),
            exchangers.clone(),
        )
    }
}

/// Looks up the route and probes every exchanger on it, all at the same time. `None` when the
/// program ends meanwhile.
pub async fn observe(
    prober: &Arc<Prober>,
    destination: &Destination,
    settings: &DestinationSettings,
) -> Option<Observation> {
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
    Some(Observation { round, exchangers })
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
                facts.lookups = lookups;
                facts.tlsa = tlsa;
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
