//! State that the handles of one HTTP/2 connection share, and a stream in use:
//! [`StreamPermit`].

use std::sync::Arc;

use super::peer::Peer;
use super::progress::ExchangeAlarm;
use crate::sync::{AtomicU32, Mutex, Relaxed};

/// State that the handles of a connection share.
#[derive(Debug)]
pub(super) struct Http2ConnectionState {
    pub(super) peer: Peer,
    /// The local limit of streams, in addition to the member's.
    pub(super) most: u32,
    /// The connection's sequence number.
    pub(super) number: u32,
    /// How many streams are in use.
    // Relaxed: it is incremented under the pool's lock; a decrement that has just happened
    // may be missed.
    pub(super) streams: AtomicU32,
    /// The alarms of exchanges that have ended, for the next ones: a new one costs an
    /// allocation, and its place among the timers of the runtime.
    pub(super) alarms: Mutex<Vec<ExchangeAlarm>>,
}

/// A stream in use, until it is dropped.
#[derive(Debug)]
pub(super) struct StreamPermit(pub(super) Arc<Http2ConnectionState>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Relaxed);
    }
}
