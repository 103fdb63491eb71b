//! A stream that is reset unless it is closed explicitly: [`ResetOnDrop`].

use std::ops::{Deref, DerefMut};

use crate::net::Stream;

/// A stream whose connection is reset on drop, so that the other side does not take the
/// bytes that have arrived for all there are.
#[derive(Debug)]
pub(super) struct ResetOnDrop {
    stream: Stream,
    has_ended: bool,
}

impl ResetOnDrop {
    pub(super) const fn new(stream: Stream) -> Self {
        Self {
            stream,
            has_ended: false,
        }
    }

    /// Closes the stream normally: both of its directions have ended, or nothing was sent.
    pub(super) fn close(mut self) {
        self.has_ended = true;
    }
}

impl Deref for ResetOnDrop {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl DerefMut for ResetOnDrop {
    fn deref_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        if !self.has_ended {
            self.stream.reset_when_dropped();
        }
    }
}
