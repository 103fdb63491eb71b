//! A stream that is reset unless it ends well: [`ResetOnDrop`].

use std::ops::{Deref, DerefMut};

use crate::net::Stream;

/// A stream whose connection is reset when this is dropped, so that the other side does not
/// take what has arrived for all there is.
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

    /// Both of its directions have ended, or nothing has gone over it: it is closed as usual.
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
