//! From method and path to the answer. A HEAD request is answered as GET; hyper keeps the
//! content-length, where there is one, and leaves the body out. Request bodies are not read.

use std::sync::Arc;

use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{ALLOW, HeaderValue},
};
use jiff::Timestamp;

use super::{
    App, api, control,
    pages::{self, Share},
    probe,
    response::{self, Answer},
    scrape, target,
};
use crate::name::Destination;

pub(super) async fn answer(app: Arc<App>, request: Request<Incoming>) -> Answer {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/-/reload" => match *request.method() {
            Method::POST => control::reload(&app).await,
            _ => not_allowed("POST"),
        },
        path if !known(path) => {
            response::text(StatusCode::NOT_FOUND, "404: there is nothing here; see / for a start")
        }
        _ if !reads => not_allowed("GET, HEAD"),
        "/" => blocking(app, overview).await,
        "/style.css" => pages::style(),
        "/metrics" => scrape::metrics(app, request.headers()).await,
        "/probe" => probe::answer(app, request.uri().query(), request.headers()).await,
        "/api/v1/domains" => blocking(app, |app| api::domains(&app.store.snapshot())).await,
        "/-/healthy" => response::text(StatusCode::OK, "mxwatch is healthy."),
        "/-/ready" => control::ready(&app),
        path => one(app, path).await,
    }
}

/// Prefixes of the routes that end in the name of a destination.
const PAGE: &str = "/domains/";
const API: &str = "/api/v1/domains/";

fn known(path: &str) -> bool {
    let fixed =
        ["/", "/style.css", "/metrics", "/probe", "/api/v1/domains", "/-/healthy", "/-/ready"];
    let named = |prefix| path.strip_prefix(prefix).is_some_and(|name: &str| !name.is_empty());
    fixed.contains(&path) || named(PAGE) || named(API)
}

fn overview(app: &App) -> Answer {
    let config = app.config.load();
    let share = config.shard.map(|shard| Share { shard, of: config.destinations.len() });
    pages::overview(&app.store.snapshot(), share, Timestamp::now())
}

/// The page or the facts of the destination that the path names.
async fn one(app: Arc<App>, path: &str) -> Answer {
    let page = path.strip_prefix(PAGE);
    let name = page.or_else(|| path.strip_prefix(API)).unwrap_or_default();
    let destination = match Destination::parse(&target::decode(name)) {
        Ok(destination) => destination,
        Err(error) => return response::text(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let page = page.is_some();
    blocking(app, move |app| {
        let snapshot = app.store.only(&destination);
        if !snapshot.destinations.contains_key(&destination) {
            let why = match app.config.load().elsewhere(&destination) {
                Some(shard) => format!("belongs to {shard}"),
                None => "is not configured".to_owned(),
            };
            return response::text(StatusCode::NOT_FOUND, format!("404: {destination} {why}"));
        }
        if page {
            pages::domain(&snapshot, &destination, Timestamp::now())
        } else {
            api::domain(&snapshot, &destination)
        }
    })
    .await
}

/// Makes an answer away from the threads that drive probes: with many destinations it takes long
/// enough to falsify their times.
pub(super) async fn blocking(
    app: Arc<App>,
    make: impl FnOnce(&App) -> Answer + Send + 'static,
) -> Answer {
    let permit = Arc::clone(&app.rendering).acquire_owned().await;
    // The permit goes along: the work goes on when the client has hung up.
    let work = move || {
        let _permit = permit;
        make(&app)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_panicked| response::failed())
}

fn not_allowed(methods: &'static str) -> Answer {
    let text = format!("405: only {methods}");
    let mut answer = response::text(StatusCode::METHOD_NOT_ALLOWED, text);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}
