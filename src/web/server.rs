//! Accepts connections and runs HTTP/1 on them, within limits, over TLS where the web configuration
//! has it. What is answered is told by `gate` and `routes`.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use super::{App, access::Rules, gate, stall::Impatient, tls};

/// After an accept that failed for want of file descriptors or memory: they come back when others
/// hang up, not by trying harder.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves on all listeners until `stop` turns true or its sender is gone, then lets running
/// requests end.
pub async fn serve(listeners: Vec<TcpListener>, app: Arc<App>, stop: watch::Receiver<bool>) {
    let open = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(listener, Arc::clone(&app), Arc::clone(&open), stop.clone()));
    }
    while tasks.join_next().await.is_some() {}
}

async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    open: Arc<AtomicUsize>,
    mut stop: watch::Receiver<bool>,
) {
    if let Ok(address) = listener.local_addr() {
        info!(%address, tls = app.access.last().tls().is_some(), "listening");
    }
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                match Permit::take(&open, app.config.load().web.max_connections) {
                    Some(permit) => {
                        let app = Arc::clone(&app);
                        let served = serve_one(stream, app, graceful.watcher(), stop.clone());
                        connections.spawn(async move {
                            served.await;
                            drop(permit);
                        });
                    }
                    None => {
                        debug!(%peer, "connection closed: web.max_connections are open already");
                    }
                }
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                warn!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // What is still running after that is ended with its task.
    let _ = timeout(app.limits.drain_time, graceful.shutdown()).await;
}

/// Serves one connection by the web configuration as it is when the connection begins.
async fn serve_one(
    stream: TcpStream,
    app: Arc<App>,
    watcher: Watcher,
    mut stop: watch::Receiver<bool>,
) {
    // A response is one write; waiting for more would only delay it.
    let _ = stream.set_nodelay(true);
    let limits = app.limits;
    let rules = app.access.now().await;
    let Some(config) = rules.tls() else {
        let stream = Impatient::new(stream, limits.response_time);
        return converse(stream, app, Arc::clone(&rules), watcher).await;
    };
    let accepted = tokio::select! {
        accepted = tls::accept(stream, config, limits) => accepted,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    match accepted {
        Ok(stream) => converse(stream, app, Arc::clone(&rules), watcher).await,
        Err(error) => debug!(%error, "no TLS with a client"),
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    app: Arc<App>,
    rules: Arc<Rules>,
    watcher: Watcher,
) {
    let limits = app.limits;
    let service = service_fn(move |request| {
        let (app, rules) = (Arc::clone(&app), Arc::clone(&rules));
        async move { Ok::<_, Infallible>(gate::answer(app, &rules, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        debug!(%error, "connection ended");
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// One of the connections that may be open; a counter and no semaphore, because a reload changes
/// how many there are.
struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(open: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let one_more = |count| (count < limit).then_some(count + 1);
        let taken = open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.is_ok().then(|| Self(Arc::clone(open)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
