//! Answers `/probe` for domains that are not configured: one look each, through the agent's gate.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{sync::mpsc, task::JoinSet};
use tracing::error;

use crate::{
    agent::{
        judgement,
        round::Prober,
        state::{DestinationReport, ExchangerReport, Snapshot, Terms},
    },
    config::Config,
    metrics::own::Own,
    once::{self, Observation},
    web::OnDemand,
};

/// Looks at what is asked for until nobody can ask any more.
pub async fn serve(
    mut wanted: mpsc::Receiver<OnDemand>,
    prober: Arc<ArcSwap<Prober>>,
    config: Arc<ArcSwap<Config>>,
    own: Arc<Own>,
) {
    let mut looks = JoinSet::new();
    loop {
        tokio::select! {
            Some(ended) = looks.join_next() => {
                if let Err(panic) = ended {
                    own.probe_panics.inc();
                    error!(%panic, "a probe on demand panicked");
                }
            }
            request = wanted.recv(), if looks.len() < AT_ONCE => match request {
                Some(request) => {
                    looks.spawn(look(request, prober.load_full(), config.load_full()));
                }
                None => return,
            },
        }
    }
}

/// One look. What is not over in time has timed out: a server that hangs must not take the facts
/// about the others along.
async fn look(request: OnDemand, prober: Arc<Prober>, config: Arc<Config>) {
    let settings = config.default_settings();
    let hurried = Arc::new(Prober { deadline: Some(request.deadline), ..Prober::clone(&prober) });
    let seen = once::observe(&hurried, &request.destination, &settings).await;
    let Some(observation) = seen else { return };
    let terms = Terms {
        senders: Arc::clone(&config.senders),
        resolvers: prober.resolvers.names().cloned().collect(),
    };
    let standings = judgement::judge_once(&observation.facts(&request.destination), &terms).into();
    let Observation { round, policies, exchangers } = observation;
    let settings = Arc::new(settings);
    let report = DestinationReport { settings, last: Some(Arc::new(round)), policies, standings };
    let exchangers = exchangers.into_iter().map(|facts| {
        let completed_at = Some(facts.observed_at);
        let exchanger = facts.exchanger.clone();
        let facts = Some(facts);
        (exchanger, Arc::new(ExchangerReport { facts, completed_at, ..Default::default() }))
    });
    let snapshot = Snapshot {
        destinations: BTreeMap::from([(request.destination, Arc::new(report))]),
        exchangers: exchangers.collect(),
        mx_port: config.probe.port,
        terms: Arc::new(terms),
        ..Snapshot::default()
    };
    // The client may have gone.
    let _ = request.answer.send(snapshot);
}

/// Looks under way at the same time; more are turned away by the full queue.
const AT_ONCE: usize = 16;
