//! What stands before every route: the limit of requests, the login, the user's own headers.

use std::sync::Arc;

use hyper::{
    Request, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tokio::time::Instant;

use super::{
    App,
    access::Rules,
    response::{Answer, text},
    routes,
};

/// Answers a request on a connection that began under the rules `then`.
pub(super) async fn answer(app: Arc<App>, then: &Arc<Rules>, request: Request<Incoming>) -> Answer {
    let rules = app.access.now().await;
    let mut answer = match refused(&app, &rules, &request).await {
        Some(refused) => refused,
        None => routes::answer(app, request).await,
    };
    let headers = answer.headers_mut();
    for (name, value) in &rules.config.headers {
        headers.insert(name, value.clone());
    }
    if !Arc::ptr_eq(then, &rules) {
        // The next request comes by the new rules for TLS.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn refused(app: &App, rules: &Rules, request: &Request<Incoming>) -> Option<Answer> {
    if let Some(bucket) = rules.bucket.as_ref().filter(|bucket| !bucket.take(Instant::now())) {
        let why = "429: more requests than rate_limit of the web configuration allows";
        let mut answer = text(StatusCode::TOO_MANY_REQUESTS, why);
        let seconds = bucket.interval().as_secs_f64().ceil();
        if let Ok(seconds) = HeaderValue::try_from(seconds.to_string()) {
            answer.headers_mut().insert(RETRY_AFTER, seconds);
        }
        return Some(answer);
    }
    let auth = rules.auth.as_ref()?;
    if auth.admits(request.headers(), &app.access.comparing).await {
        return None;
    }
    let why = "401: name and password of a user of the web configuration are needed";
    let mut answer = text(StatusCode::UNAUTHORIZED, why);
    let challenge = HeaderValue::from_static("Basic realm=\"mxwatch\", charset=\"UTF-8\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    Some(answer)
}
