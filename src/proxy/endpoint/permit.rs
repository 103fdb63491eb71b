//! What the handles of one HTTP/2 connection share, and a stream in use: [`StreamPermit`].

use std::sync::Arc;

use super::peer::Peer;
use crate::sync::{AtomicU32, Relaxed};

/// What the handles of a connection share.
#[derive(Debug)]
pub(super) struct SharedLine {
    pub(super) peer: Peer,
    /// How many streams we use at most, whatever the member allows.
    pub(super) most: u32,
    /// Counts the connections to the member.
    pub(super) number: u32,
    /// How many streams are in use.
    // Relaxed: it grows under the pool's lock; one that has just ended may be missed.
    pub(super) streams: AtomicU32,
}

/// A stream in use, until it is dropped.
#[derive(Debug)]
pub(super) struct StreamPermit(pub(super) Arc<SharedLine>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Relaxed);
    }
}
