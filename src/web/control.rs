//! Routes for whoever runs the agent: readiness and reload.

use hyper::StatusCode;
use tokio::sync::oneshot;

use super::{
    App,
    response::{Answer, text},
};

pub(super) fn ready(app: &App) -> Answer {
    if !*app.listed.borrow() {
        let why = "Not ready: a list of destinations ([[http_sd]]) could not be had so far.";
        text(StatusCode::SERVICE_UNAVAILABLE, why)
    } else if *app.ready.borrow() {
        text(StatusCode::OK, "mxwatch is ready.")
    } else {
        text(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not ready: some destinations wait for their first round.",
        )
    }
}

pub(super) async fn reload(app: &App) -> Answer {
    let Some(requests) = &app.reload else {
        let why = "Lifecycle API is not enabled. Start mxwatch with --web.enable-lifecycle.";
        return text(StatusCode::FORBIDDEN, why);
    };
    let (done, result) = oneshot::channel();
    // A sender that is gone means that the agent is ending.
    let asked = requests.send(done).await.is_ok();
    match result.await {
        Ok(Ok(())) if asked => text(StatusCode::OK, "Configuration reloaded."),
        Ok(Err(error)) => {
            let why = format!("The configuration in force stays: {error}");
            text(StatusCode::INTERNAL_SERVER_ERROR, why)
        }
        _ => text(StatusCode::SERVICE_UNAVAILABLE, "mxwatch is shutting down."),
    }
}
