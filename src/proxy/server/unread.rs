//! The unread rest of a request body over HTTP/1 after the response: [`UnreadBody`]
//! discards it, and decides whether the connection is kept.
//!
//! Not here: bytes that arrive while the connection is being closed, and
//! HTTP/2, where such a rest does not affect other requests (both `linger`).

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http_body::Body;
use hyper::body::Incoming;

use crate::sync::{AtomicU32, Mutex, Relaxed};

/// The body of the current request of an HTTP/1 connection.
pub(super) struct UnreadBody {
    /// The maximum size of a rest that is discarded.
    most: u64,
    // Relaxed: it shows whether the lock is worth taking; the facts are behind the lock.
    state: AtomicU32,
    /// The number of the body: a body that was received may still exist when the next
    /// request arrives.
    // Relaxed: only the task that reads a body compares its number.
    turn: AtomicU32,
    held: Mutex<HeldBody>,
}

#[derive(Default)]
struct HeldBody {
    /// The body, if the service has dropped it without reading it to its end.
    body: Option<Incoming>,
    /// The length of the whole body, if it is known.
    length: Option<u64>,
    /// The client waits for a 100 before it sends the body.
    expects: bool,
    /// The head of the response has been created.
    answered: bool,
    /// The connection is kept after the response.
    keep: bool,
    /// The connection's waker, while it waits for the service to drop or finish the body.
    waits: Option<Waker>,
}

/// There is no body, or all of it was read.
const WHOLE: u32 = 0;
/// The service has not read all of it.
const OPEN: u32 = 1;
/// It failed: the rest is not waited for.
const LOST: u32 = 2;
/// The response has begun, and the rest is discarded as it arrives.
const DISCARDED: u32 = 3;

impl UnreadBody {
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            state: AtomicU32::new(WHOLE),
            turn: AtomicU32::new(0),
            held: Mutex::new(HeldBody::default()),
        }
    }

    /// Starts another request, with a body or without. Returns the number of its body.
    pub(super) fn begin(&self, has_body: bool, length: Option<u64>, expects: bool) -> u32 {
        if !has_body && self.is_whole() {
            return self.turn.load(Relaxed);
        }
        let body = HeldBody {
            length,
            expects,
            ..HeldBody::default()
        };
        *self.held.lock() = body;
        let state = if has_body { OPEN } else { WHOLE };
        self.state.store(state, Relaxed);
        self.turn.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// Returns whether the client has sent all of its request.
    pub(super) fn is_whole(&self) -> bool {
        self.state.load(Relaxed) == WHOLE
    }

    /// Records that the client got the 100 that it waits for.
    pub(super) fn note_continue_sent(&self, turn: u32) {
        let mut held = self.held.lock();
        if self.turn.load(Relaxed) == turn {
            held.expects = false;
        }
    }

    /// Records that the service has read all of the body with this number.
    pub(super) fn was_read(&self, turn: u32) {
        if self.turn.load(Relaxed) == turn {
            self.state.store(WHOLE, Relaxed);
        }
    }

    /// Records that the rest is not worth waiting for.
    pub(super) fn note_lost(&self, turn: u32) {
        if self.turn.load(Relaxed) == turn && self.state.load(Relaxed) == OPEN {
            self.state.store(LOST, Relaxed);
        }
    }

    /// Takes the body back from a service that did not read all of it.
    pub(super) fn return_rest(&self, turn: u32, body: Incoming) {
        let mut held = self.held.lock();
        if self.is_whole() || self.turn.load(Relaxed) != turn {
            return;
        }
        if held.answered && !held.keep {
            // The client knows that this is the last response, and hyper closes the connection.
            return;
        }
        held.body = Some(body);
        if let Some(connection) = held.waits.take() {
            connection.wake();
        }
    }

    /// Records that the head of the response exists, and begins to discard the unread rest
    /// of the body. Returns whether the connection must be closed after the response.
    pub(super) fn start_discard(&self) -> bool {
        let state = self.state.load(Relaxed);
        if state == WHOLE {
            return false;
        }
        let mut held = self.held.lock();
        let left = match &held.body {
            Some(body) => body.size_hint().exact(),
            // A task is reading it, and may drop it before its end.
            None => held.length,
        };
        held.answered = true;
        let comes = state == OPEN && !held.expects;
        held.keep = comes && left.is_some_and(|left| left <= self.most);
        if held.keep || held.body.is_some() {
            self.state.store(DISCARDED, Relaxed);
        }
        !held.keep
    }

    pub(super) fn is_discarded(&self) -> bool {
        self.state.load(Relaxed) == DISCARDED
    }

    /// Discards what has arrived. If the connection is to be closed, it stops when the
    /// response is no longer `answering`. Resolves when there is nothing more to do.
    pub(super) fn poll_discard(&self, answering: bool, context: &mut Context<'_>) -> Poll<()> {
        let mut held = self.held.lock();
        let goes_on = held.keep || answering;
        let Some(body) = held.body.as_mut() else {
            held.waits = Some(context.waker().clone());
            return Poll::Pending;
        };
        if goes_on {
            while let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) {
                if !matches!(frame, Some(Ok(_))) {
                    held.body = None;
                    break;
                }
            }
        } else {
            held.body = None;
        }
        if held.body.is_some() {
            return Poll::Pending;
        }
        self.state.store(WHOLE, Relaxed);
        Poll::Ready(())
    }
}

impl std::fmt::Debug for UnreadBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnreadBody").finish_non_exhaustive()
    }
}
