//! `/probe?target=NAME`, the multi-target pattern: what is configured is answered from its last
//! round, for every scrape that probed anew would be a session a mail server has to bear.

use std::{sync::Arc, time::Duration};

use hyper::{HeaderMap, StatusCode};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    App, OnDemand,
    response::{self, Answer},
    scrape, target,
};
use crate::{
    agent::state::Snapshot,
    metrics::exposition,
    name::{Destination, NameError},
};

/// What Prometheus tells about its patience.
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// Kept from it for the way of the answer.
const OFFSET: Duration = Duration::from_millis(500);
/// The longest patience believed.
const LONGEST: Duration = Duration::from_secs(300);
/// How often the state is looked at while a first round is awaited. It tells nobody of changes,
/// because nobody else waits for one.
const GLANCE: Duration = Duration::from_millis(50);

pub(super) async fn answer(app: Arc<App>, query: Option<&str>, headers: &HeaderMap) -> Answer {
    let Some(name) = target::parameter(query.unwrap_or_default(), "target") else {
        let how = "The target parameter is missing: /probe?target=example.com";
        return response::text(StatusCode::BAD_REQUEST, how);
    };
    let destination = match Destination::parse(&name) {
        Ok(destination) => destination,
        Err(error) => return refused(error),
    };
    let deadline = Instant::now() + patience(headers, app.limits.probe_time);
    let found = if configured(&app, &destination) {
        last_round(&app, &destination, deadline).await
    } else {
        live(&app, &destination, deadline).await
    };
    let snapshot = match found {
        Ok(snapshot) => snapshot,
        Err((status, why)) => return response::text(status, why),
    };
    let gzip = scrape::takes_gzip(headers);
    scrape::exposed(app, gzip, move |app, sink| {
        let detail = app.config.load().metrics.detail;
        exposition::write_one(&snapshot, &destination, detail, sink)
    })
    .await
}

type Found = Result<Snapshot, (StatusCode, String)>;

fn refused(error: NameError) -> Answer {
    response::text(StatusCode::BAD_REQUEST, format!("The target is not valid: {error}"))
}

fn patience(headers: &HeaderMap, default: Duration) -> Duration {
    let told = headers.get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    let told = told.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    told.map_or(default, |told| told.min(LONGEST).saturating_sub(OFFSET))
}

fn configured(app: &App, destination: &Destination) -> bool {
    app.store.update(|state| state.destinations.contains_key(destination))
}

/// Waits until the destination and every exchanger on its route had a first round and the verdicts
/// are there, or takes what there is at the deadline.
async fn last_round(app: &App, destination: &Destination, deadline: Instant) -> Found {
    let probed = |state: &mut Snapshot| {
        let report = state.destinations.get(destination)?;
        let round = report.last.as_ref()?;
        let known = |mx| state.exchangers.get(mx).is_some_and(|r| r.completed_at.is_some());
        let judged = !report.standings.is_empty() || state.terms.senders.is_empty();
        Some(judged && round.route.iter().all(|(_, mx)| known(mx)))
    };
    let mut progress = app.store.update(probed);
    while progress != Some(true) && Instant::now() < deadline {
        sleep_until(deadline.min(Instant::now() + GLANCE)).await;
        progress = app.store.update(probed);
    }
    if progress.is_none() {
        // No sample at all is honest: probe_success 0 would blame the domain.
        let why = format!("{destination} waits for its first round.");
        return Err((StatusCode::SERVICE_UNAVAILABLE, why));
    }
    Ok(app.store.only(destination))
}

async fn live(app: &App, destination: &Destination, deadline: Instant) -> Found {
    if let Some(shard) = app.config.load().elsewhere(destination) {
        // Whatever may be probed here: that agent has sessions with its exchangers already.
        let why = format!("{destination} belongs to {shard}; ask the agent that is that one.");
        return Err((StatusCode::NOT_FOUND, why));
    }
    if !app.config.load().web.probe_any_target {
        let why = format!(
            "{destination} is not configured. Add it to the destinations, or let /probe be asked \
             for any domain with probe_any_target = true in [web]."
        );
        return Err((StatusCode::FORBIDDEN, why));
    }
    if matches!(destination, Destination::SmartHost(_)) {
        // Host and port of the client's choice would make a port scanner of us.
        let why = format!("{destination} is a smart host; those must be configured to be probed.");
        return Err((StatusCode::FORBIDDEN, why));
    }
    let (answer, found) = oneshot::channel();
    let request = OnDemand { destination: destination.clone(), deadline, answer };
    let busy = || (StatusCode::SERVICE_UNAVAILABLE, "Too many on-demand probes.".to_owned());
    app.on_demand.try_send(request).map_err(|_full| busy())?;
    // The agent hands over what it has at the deadline; half of the offset is left for that.
    match timeout_at(deadline + OFFSET / 2, found).await {
        Ok(Ok(snapshot)) => Ok(snapshot),
        Ok(Err(_dropped)) => Err(busy()),
        Err(_late) => {
            let why = format!("{destination} could not be probed in time.");
            Err((StatusCode::GATEWAY_TIMEOUT, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_scraper_sets_the_deadline_within_reason() {
        let default = Duration::from_secs(10);
        assert_eq!(patience(&HeaderMap::new(), default), default);
        for (told, millis) in [
            ("5", 4_500),
            ("2.5", 2_000),
            ("0.1", 0),
            ("1e9", 299_500),
            ("-1", 10_000),
            ("NaN", 10_000),
            ("soon", 10_000),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT_HEADER, HeaderValue::from_static(told));
            assert_eq!(patience(&headers, default), Duration::from_millis(millis), "{told}");
        }
    }
}
