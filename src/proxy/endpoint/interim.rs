//! Interim answers (1xx) to a request over HTTP/1.1, of which a member may send only so
//! many: [`Interim`].
//!
//! What does not live here: those of HTTP/2, which hyper does not show; the time limits
//! hold for them.

use std::sync::Arc;
use std::task::{Context, Waker};

use http::Request;

use super::error::EndpointError;
use crate::sync::{AtomicU32, Mutex, Relaxed};

/// Counts the interim answers to the request that is on a connection now.
#[derive(Clone, Debug, Default)]
pub(super) struct Interim(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    // Relaxed: the lock of the waker orders what is waited for.
    answers: AtomicU32,
    /// The task that waits for the answer, if another reads the connection.
    waiting: Mutex<Option<Waker>>,
}

impl Interim {
    /// Counts those that come for this request, from none on.
    pub(super) fn watch<B>(&self, request: &mut Request<B>, most: u32) {
        self.0.answers.store(0, Relaxed);
        let counted = self.0.clone();
        hyper::ext::on_informational(request, move |_| {
            if counted.answers.fetch_add(1, Relaxed) == most {
                let waiting = counted.waiting.lock().take();
                if let Some(waiting) = waiting {
                    waiting.wake();
                }
            }
        });
    }

    /// Fails if there were more than `most`. If `reader` is another task, it wakes this one
    /// once there are.
    pub(super) fn check(
        &self,
        most: u32,
        reader: Option<&Context<'_>>,
    ) -> Result<(), EndpointError> {
        if let Some(context) = reader {
            let mut waiting = self.0.waiting.lock();
            match &mut *waiting {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
        }
        if self.0.answers.load(Relaxed) > most {
            return Err(EndpointError::TooManyInterim { most });
        }
        Ok(())
    }
}
