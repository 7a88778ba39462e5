//! One connection to a server that is kept and shared: made by whoever needs it first, made anew
//! when it is closed or the server no longer says anything on it.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OnceCell, Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::{failed::Failed, http2::Http2, pipeline::Pipeline};
use crate::probe::words::CLOSED;

/// Queries on one connection at the same time: HTTP/2 servers take 100 (RFC 9113 §6.5.2), and
/// others have limits that they do not tell.
pub(super) const MOST_UNDER_WAY: usize = 100;

/// How long a connection is kept that nobody needs: shorter than most servers do (RFC 7766 §6.2.3),
/// so that it is seldom they who close.
pub(super) const IDLE: Duration = Duration::from_secs(10);

/// How long a peer may take to say goodbye.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// A connection on which many queries may be under way.
#[derive(Debug)]
pub(super) enum Connection {
    /// Messages with their lengths, over TLS (RFC 7858).
    Framed(Pipeline),
    /// Requests of HTTP/2 (RFC 8484).
    Http(Http2),
}

/// A query that was not answered although its time had not run out.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) failed: Failed,
    /// It was the connection that ended, and one that had served before: worth another.
    pub(super) repeat: bool,
}

impl Lost {
    /// Asking again would not help.
    pub(super) const fn finally(failed: Failed) -> Self {
        Self { failed, repeat: false }
    }
}

impl Connection {
    async fn ask(&self, query: &[u8]) -> Result<Vec<u8>, Lost> {
        match self {
            Self::Framed(pipeline) => pipeline.ask(query).await,
            Self::Http(http) => http.ask(query).await,
        }
    }

    fn life(&self) -> &Life {
        match self {
            Self::Framed(pipeline) => pipeline.life(),
            Self::Http(http) => http.life(),
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Framed(pipeline) => pipeline.is_open(),
            Self::Http(http) => http.is_open(),
        }
    }
}

/// What came of a connection.
#[derive(Debug)]
pub(super) struct Life {
    last_heard: Mutex<Option<Instant>>,
    end: OnceLock<Failed>,
    turns: Semaphore,
}

impl Default for Life {
    fn default() -> Self {
        let (last_heard, end) = (Mutex::default(), OnceLock::new());
        Self { last_heard, end, turns: Semaphore::new(MOST_UNDER_WAY) }
    }
}

impl Life {
    /// Waits for the turn of a query, which it has until that is dropped.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// Nobody is asking.
    pub(super) fn is_unneeded(&self) -> bool {
        self.turns.available_permits() == MOST_UNDER_WAY
    }

    /// When it will have been silent for long enough; `None` before the first word.
    pub(super) fn idle_at(&self) -> Option<Instant> {
        self.last_heard().map(|heard| heard + IDLE)
    }

    /// The server said something.
    pub(super) fn heard(&self) {
        *self.last_heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// It is over, and why.
    pub(super) fn end(&self, why: Failed) {
        // What came first was the cause.
        let _ = self.end.set(why);
    }

    fn last_heard(&self) -> Option<Instant> {
        *self.last_heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What those learn who still wait when it is over.
    pub(super) fn lost(&self) -> Lost {
        let failed = self.end.get().cloned().unwrap_or_else(|| Failed::network(CLOSED));
        Lost { failed, repeat: self.last_heard().is_some() }
    }
}

/// The place of the connection to one server.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Arc<Made>>);

/// A connection, or why there is none: those who waited for it together learn it together.
type Made = OnceCell<Result<Connection, Failed>>;

impl Kept {
    /// Asks on the connection; `connect` makes one where there is none. RFC 7766 §6.2.3: when the
    /// server closes while a query is under way, it is sent once more on another connection.
    pub(super) async fn ask<F>(
        &self,
        query: &[u8],
        until: Instant,
        connect: impl Fn() -> F,
    ) -> Result<Vec<u8>, Failed>
    where
        F: Future<Output = Result<Connection, Failed>>,
    {
        match self.attempt(query, until, &connect).await {
            Err(Lost { repeat: true, .. }) => self.attempt(query, until, &connect).await,
            other => other,
        }
        .map_err(|lost| lost.failed)
    }

    async fn attempt<F>(
        &self,
        query: &[u8],
        until: Instant,
        connect: impl Fn() -> F,
    ) -> Result<Vec<u8>, Lost>
    where
        F: Future<Output = Result<Connection, Failed>>,
    {
        let made = self.current();
        let connection = timeout_at(until, made.get_or_init(connect)).await;
        let connection = match connection {
            Err(_) => return Err(Lost::finally(Failed::unconnected())),
            Ok(Err(failed)) => return Err(Lost::finally(failed.clone())),
            Ok(Ok(connection)) => connection,
        };
        let begun = Instant::now();
        let answer = async {
            let _turn = connection.life().turn().await;
            connection.ask(query).await
        };
        if let Ok(answer) = timeout_at(until, answer).await {
            return answer;
        }
        // A peer that went without a word leaves a connection on which everything is silence.
        if connection.life().last_heard().is_none_or(|heard| heard < begun) {
            self.forget(&made);
        }
        Err(Lost::finally(Failed::SILENT))
    }

    /// The connection that is to be used, or the place for a new one.
    fn current(&self) -> Arc<Made> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = match made.get() {
            None => false,
            Some(Ok(connection)) => !connection.is_open(),
            Some(Err(_)) => true,
        };
        if over {
            *made = Arc::default();
        }
        Arc::clone(&made)
    }

    /// Lets go of a connection, unless another has taken its place already.
    fn forget(&self, made: &Arc<Made>) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, made) {
            *current = Arc::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::facts::LookupStatus;

    const QUERY: &[u8] = b"\x07\x07query";

    /// A server that sends the first `answers` messages of each connection back.
    async fn echo(mut server: DuplexStream, answers: usize) {
        for _ in 0..answers {
            let Ok(length) = server.read_u16().await else { return };
            let mut message = vec![0; usize::from(length)];
            server.read_exact(&mut message).await.unwrap();
            server.write_u16(length).await.unwrap();
            server.write_all(&message).await.unwrap();
        }
        if answers == 0 {
            // Open, and silent for ever.
            let _ = tokio::io::copy(&mut server, &mut tokio::io::sink()).await;
        }
    }

    /// Asks `times` at the same moment; what came of it, and how many connections it took.
    async fn ask(kept: &Kept, times: usize, answers: usize) -> (Vec<Option<LookupStatus>>, usize) {
        let connections = AtomicUsize::new(0);
        let connect = || async {
            connections.fetch_add(1, Ordering::Relaxed);
            // Others come by meanwhile.
            tokio::task::yield_now().await;
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(echo(theirs, answers));
            Ok(Connection::Framed(Pipeline::new(ours)))
        };
        let until = Instant::now() + Duration::from_secs(5);
        let mut results = Vec::new();
        let mut asked: Vec<_> =
            (0..times).map(|_| Box::pin(kept.ask(QUERY, until, connect))).collect();
        std::future::poll_fn(|context| {
            asked.retain_mut(|future| match future.as_mut().poll(context) {
                std::task::Poll::Pending => true,
                std::task::Poll::Ready(result) => {
                    results.push(result.map_err(|failed| failed.status).err());
                    false
                }
            });
            if asked.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        (results, connections.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn all_share_one_connection_as_long_as_it_is_there() {
        let kept = Kept::default();
        assert_eq!(
            ask(&kept, 250, 1000).await,
            (vec![None; 250], 1),
            "more than have a turn at once"
        );
        assert_eq!(ask(&kept, 1, 1000).await, (vec![None], 0), "it is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_meets_a_closing_connection_is_sent_once_more() {
        let kept = Kept::default();
        assert_eq!(ask(&kept, 1, 1).await, (vec![None], 1));
        // Whether the end was seen before or only by this query.
        assert_eq!(ask(&kept, 1, 1).await, (vec![None], 1));
        let (results, connections) = ask(&kept, 3, 1).await;
        let lost = results.iter().flatten().count();
        assert_eq!(lost, 1, "once more and no oftener: {results:?} on {connections}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_a_time_out_and_the_next_query_gets_another_connection() {
        let kept = Kept::default();
        let timeout = Some(LookupStatus::Timeout);
        assert_eq!(ask(&kept, 2, 0).await, (vec![timeout; 2], 1));
        assert_eq!(ask(&kept, 1, 1).await, (vec![None], 1));
    }

    #[tokio::test]
    async fn those_who_wait_for_a_connection_learn_together_why_there_is_none() {
        let kept = Kept::default();
        let tries = AtomicUsize::new(0);
        let connect = || async {
            tries.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err(Failed::network("no"))
        };
        let until = Instant::now() + Duration::from_secs(60);
        let ask = || kept.ask(QUERY, until, connect);
        let (one, two, three) = tokio::join!(ask(), ask(), ask());
        for result in [one, two, three] {
            assert_eq!(result.unwrap_err().error.as_deref(), Some("no"));
        }
        assert_eq!(tries.load(Ordering::Relaxed), 1);
        ask().await.unwrap_err();
        assert_eq!(tries.load(Ordering::Relaxed), 2, "the next one tries anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_come_about_is_a_time_out_and_hinders_nobody_after() {
        let kept = Kept::default();
        let until = Instant::now() + Duration::from_secs(5);
        let never = kept.ask(QUERY, until, std::future::pending).await.unwrap_err();
        assert_eq!(never.status, LookupStatus::Timeout);
        assert_eq!(ask(&kept, 1, 1).await, (vec![None], 1));
    }
}
