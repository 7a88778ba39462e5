//! A body that is sent while it is made, on a thread of its own.
//!
//! Of a body that is larger than a chunk or two, no more than a few chunks are in memory, however many
//! there are: who makes it waits for its client. It does so without the permit for making answers, so
//! that a client that reads slowly, or not at all, keeps nobody else from an answer, and not for ever.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::Frame;
use tokio::{
    runtime::Handle,
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TrySendError},
    },
    time::{Instant, timeout_at},
};

use super::App;
use crate::metrics::sink::Gone;

/// Chunks that are ready before the client has taken those before.
const AHEAD: usize = 2;

/// What is made for a client.
pub(super) enum Body {
    /// It is small.
    Whole(Bytes),
    /// Its begin is there.
    Streamed(Streamed),
}

/// Has a body made away from the threads that drive probes, as soon as no other is; `None` when that
/// panics before the body is large.
pub(super) async fn made(
    app: Arc<App>,
    make: impl FnOnce(&App, &mut Feed) -> Result<(), Gone> + Send + 'static,
) -> Option<Body> {
    let permit = Arc::clone(&app.rendering).acquire_owned().await;
    let (to, mut pieces) = mpsc::channel(AHEAD);
    let mut feed = Feed {
        to,
        rendering: Arc::clone(&app.rendering),
        permit: permit.ok(),
        patience: app.limits.response_time,
        deadline: None,
    };
    tokio::task::spawn_blocking(move || {
        if make(&app, &mut feed).is_err() {
            tracing::debug!("a client hung up, or did not read, before it had all of an answer");
        }
    });
    match pieces.recv().await? {
        Piece::Last(whole) => Some(Body::Whole(whole)),
        first @ Piece::More(_) => {
            Some(Body::Streamed(Streamed { first: Some(first), pieces, ended: false }))
        }
    }
}

/// Part of a body.
enum Piece {
    More(Bytes),
    /// Without it a body is not complete.
    Last(Bytes),
}

/// Takes what is made.
pub(super) struct Feed {
    to: mpsc::Sender<Piece>,
    rendering: Arc<Semaphore>,
    /// Held while something is being made.
    permit: Option<OwnedSemaphorePermit>,
    /// How long the client may take for all of it, from its first hesitation.
    patience: Duration,
    deadline: Option<Instant>,
}

impl Feed {
    /// Sends a chunk, which is not the last, as soon as there is room for it.
    pub(super) fn send(&mut self, chunk: Bytes) -> Result<(), Gone> {
        self.put(Piece::More(chunk))
    }

    /// Sends the rest.
    pub(super) fn end(&mut self, rest: Bytes) -> Result<(), Gone> {
        self.put(Piece::Last(rest))
    }

    fn put(&mut self, piece: Piece) -> Result<(), Gone> {
        let piece = match self.to.try_send(piece) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Gone),
            Err(TrySendError::Full(piece)) => piece,
        };
        self.permit = None;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.patience);
        Handle::current().block_on(async {
            let sent = timeout_at(deadline, self.to.send(piece)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return Err(Gone);
            }
            self.permit = Arc::clone(&self.rendering).acquire_owned().await.ok();
            Ok(())
        })
    }
}

/// The body of a large answer.
pub(super) struct Streamed {
    first: Option<Piece>,
    pieces: mpsc::Receiver<Piece>,
    ended: bool,
}

/// The rest is not made any more.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be made to its end")]
pub(super) struct Broken;

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = match self.first.take() {
            Some(first) => Some(first),
            None => ready!(self.pieces.poll_recv(cx)),
        };
        self.ended = !matches!(piece, Some(Piece::More(_)));
        Poll::Ready(Some(match piece {
            Some(Piece::More(chunk) | Piece::Last(chunk)) => Ok(Frame::data(chunk)),
            // The client must not take a part for all of it.
            None => Err(Broken),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
