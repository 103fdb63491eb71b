//! Deadlines of an exchange: [`ExchangeAlarm`], a timer that is set as rarely as possible,
//! and [`Progress`], which reports that an upload advances.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use crate::sync::{AtomicU32, Relaxed};
use crate::timer::Deadline;

/// A timer that is kept with its connection from one exchange to the next. Deadlines mostly
/// grow. So the timer is not set for each one: it fires at the first deadline and is then
/// set to the current one.
#[derive(Debug, Default)]
pub(super) struct ExchangeAlarm {
    sleep: Option<Pin<Box<Deadline>>>,
}

impl ExchangeAlarm {
    /// Returns whether an exchange has had to wait.
    pub(super) fn is_set(&self) -> bool {
        self.sleep.is_some()
    }

    /// Resolves at `deadline`, and not before.
    pub(super) fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(Deadline::at(deadline)));
        if sleep.moment() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.moment() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

/// How a request body advances.
#[derive(Clone, Debug, Default)]
pub(super) enum Progress {
    /// There is no body, or it is not sent yet.
    #[default]
    None,
    /// All of it had arrived before the request was sent.
    Complete,
    /// How many of its frames have been taken.
    Frames(Arc<AtomicU32>),
}

const ENDED: u32 = u32::MAX;

impl Progress {
    pub(super) fn watched() -> Self {
        Self::Frames(Arc::default())
    }

    pub(super) fn note(&self) {
        if let Self::Frames(frames) = self {
            // Relaxed: it only has to change.
            frames.fetch_add(1, Relaxed);
        }
    }

    /// Records that the last frame has been taken.
    pub(super) fn end(&self) {
        if let Self::Frames(frames) = self {
            frames.store(ENDED, Relaxed);
        }
    }

    /// Returns whether there are more frames to come.
    pub(super) fn goes_on(&self) -> bool {
        self.is_watched() && self.seen() != ENDED
    }

    pub(super) fn is_watched(&self) -> bool {
        matches!(self, Self::Frames(_))
    }

    pub(super) fn seen(&self) -> u32 {
        match self {
            Self::Frames(frames) => frames.load(Relaxed),
            Self::None | Self::Complete => 0,
        }
    }
}
