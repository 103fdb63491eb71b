//! What a client still sends of a body when its request has been answered over HTTP/1:
//! [`UnreadBody`] has it discarded, and decides whether the connection is kept.
//!
//! What does not live here: the bytes that arrive once the connection is being closed, and
//! HTTP/2, where such a rest is in no other request's way (both `linger`).

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http_body::Body;
use hyper::body::Incoming;

use crate::sync::{AtomicU32, Mutex, Relaxed};

/// The body of the one request that a connection over HTTP/1 has at a time.
pub(super) struct UnreadBody {
    /// How long a rest may be to be waited for.
    most: u64,
    // Relaxed: it says whether the lock is worth taking; what matters is behind that.
    state: AtomicU32,
    /// Which body it is: one that has been received may be there when the next request is.
    // Relaxed: only the task that reads a body compares its number.
    turn: AtomicU32,
    held: Mutex<HeldBody>,
}

#[derive(Default)]
struct HeldBody {
    /// What the service has dropped without having read it to its end.
    body: Option<Incoming>,
    /// How long the whole body is, if that is known.
    length: Option<u64>,
    /// The client waits to be told to send it.
    expects: bool,
    /// The head of the answer has been decided.
    answered: bool,
    /// The connection is kept after it.
    keep: bool,
    /// The connection, which waits for the service to end with the body in one way or another.
    waits: Option<Waker>,
}

/// There is no body, or all of it was read.
const WHOLE: u32 = 0;
/// The service has not read all of it.
const OPEN: u32 = 1;
/// It failed: what may come is not waited for.
const LOST: u32 = 2;
/// There is an answer, and the rest is discarded as it comes.
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

    /// Another request begins, with a body or without. Returns the number of that.
    pub(super) fn begins(&self, has_body: bool, length: Option<u64>, expects: bool) -> u32 {
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

    /// Whether the client has sent all of its request.
    pub(super) fn is_whole(&self) -> bool {
        self.state.load(Relaxed) == WHOLE
    }

    /// The client is told to send it.
    pub(super) fn was_asked(&self, turn: u32) {
        let mut held = self.held.lock();
        if self.turn.load(Relaxed) == turn {
            held.expects = false;
        }
    }

    /// The service has read all of the body of this number.
    pub(super) fn was_read(&self, turn: u32) {
        if self.turn.load(Relaxed) == turn {
            self.state.store(WHOLE, Relaxed);
        }
    }

    /// It is of no use to wait for the rest.
    pub(super) fn is_lost(&self, turn: u32) {
        if self.turn.load(Relaxed) == turn && self.state.load(Relaxed) == OPEN {
            self.state.store(LOST, Relaxed);
        }
    }

    /// The service wants no more of it, though it has not read all.
    pub(super) fn return_rest(&self, turn: u32, body: Incoming) {
        let mut held = self.held.lock();
        if self.is_whole() || self.turn.load(Relaxed) != turn {
            return;
        }
        if held.answered && !held.keep {
            // The client knows that this is the end, and hyper brings it about.
            return;
        }
        held.body = Some(body);
        if let Some(connection) = held.waits.take() {
            connection.wake();
        }
    }

    /// The head of the answer is there: begins to discard what is unread of the body. Returns
    /// whether the connection has to be closed after the answer.
    pub(super) fn is_in_the_way(&self) -> bool {
        let state = self.state.load(Relaxed);
        if state == WHOLE {
            return false;
        }
        let mut held = self.held.lock();
        let left = match &held.body {
            Some(body) => body.size_hint().exact(),
            // It is being read, by what may end with that before its end.
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

    /// Discards what has come. If the connection is to be closed, it stops with that when the
    /// answer is no longer `answering`. Resolves when there is nothing more to do.
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
