//! What is measured between an election and its end, and [`SentMeter`], by which a
//! request body takes part in it from wherever it is being sent.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::snapshot::Seat;
use crate::sync::{AtomicU32, AtomicU64, Relaxed};

#[derive(Debug, Default)]
pub(super) struct Meter {
    started: Option<Timestamp>,
    /// Of the picture by which the member was elected.
    generation: u64,
    time_to_head: Option<Duration>,
    sent: u64,
    received: u64,
    /// There once somebody has asked for it: most requests have no body.
    shared: Option<SentMeter>,
}

impl Meter {
    pub(super) fn new(started: Option<Timestamp>, generation: u64) -> Self {
        Self {
            started,
            generation,
            ..Self::default()
        }
    }

    pub(super) fn add_sent(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
    }

    pub(super) fn add_received(&mut self, bytes: u64) {
        self.received = self.received.saturating_add(bytes);
    }

    pub(super) fn shared(&mut self, seat: &Arc<Seat>) -> SentMeter {
        let new = || SentMeter(Arc::new(Sent::new(seat.clone())));
        self.shared.get_or_insert_with(new).clone()
    }

    pub(super) fn sent(&self) -> u64 {
        let shared = self.shared.as_ref().map_or(0, |meter| meter.0.sum());
        self.sent.saturating_add(shared)
    }

    pub(super) fn upload(&self) -> Upload {
        let upload = self.shared.as_ref().map(|it| it.0.upload.load(Relaxed));
        match upload {
            Some(LATE) => Upload::Late,
            None | Some(FLOWING) => Upload::Flowing,
            Some(status) => Upload::Failed(u16::try_from(status).unwrap_or(u16::MAX)),
        }
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn time_to_head(&self) -> Option<Duration> {
        self.time_to_head
    }

    /// Notes that the head of the answer is there.
    pub(super) fn head(&mut self, now: impl FnOnce() -> Timestamp) {
        self.time_to_head = self.elapsed(now);
    }

    pub(super) fn elapsed(&self, now: impl FnOnce() -> Timestamp) -> Option<Duration> {
        self.started.map(|started| now().since(started))
    }
}

/// Counts what a request body sends, for its lease and for the member at once; clones
/// share their count. It may outlive the lease: then it counts for the member only.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, PickRequest};
///
/// let balancer = Balancer::new([("a", ())])?;
/// let mut lease = balancer.pick(&PickRequest::new())?;
/// let meter = lease.sent_meter();
/// let upload = std::thread::scope(|scope| scope.spawn(move || meter.record(1_024)).join());
/// assert!(upload.is_ok());
/// assert_eq!(lease.member().bytes_sent(), 1_024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SentMeter(Arc<Sent>);

struct Sent {
    seat: Arc<Seat>,
    // Relaxed: a sum that only grows; an end may be a frame behind.
    sum: AtomicU64,
    // Relaxed: read when an attempt has failed, to tell whose fault it was; the error
    // itself came by other means.
    upload: AtomicU32,
}

/// How the client does with its request body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Upload {
    /// It broke off, or was too long, or too slow; the status by which HTTP says so.
    Failed(u16),
    /// Nothing is being waited for.
    Flowing,
    /// It is the client that is being waited for.
    Late,
}

const FLOWING: u32 = 0;
const LATE: u32 = 1;

impl Sent {
    fn new(seat: Arc<Seat>) -> Self {
        Self {
            seat,
            sum: AtomicU64::new(0),
            upload: AtomicU32::new(FLOWING),
        }
    }

    fn sum(&self) -> u64 {
        self.sum.load(Relaxed)
    }
}

impl SentMeter {
    /// Counts bytes sent to the member.
    ///
    /// # Examples
    ///
    /// See [`SentMeter`].
    pub fn record(&self, bytes: u64) {
        self.0.sum.fetch_add(bytes, Relaxed);
        self.0.seat.state.add_bytes_sent(bytes);
    }
}

impl SentMeter {
    /// Notes what a look at the client's body came to; `status` is that of an error.
    pub(crate) fn upload_polled<T, E>(
        &self,
        frame: &Poll<Option<Result<T, E>>>,
        status: impl FnOnce(&E) -> u16,
    ) {
        let upload = match frame {
            Poll::Pending => LATE,
            Poll::Ready(Some(Err(error))) => u32::from(status(error)),
            Poll::Ready(Some(Ok(_)) | None) => FLOWING,
        };
        self.0.upload.store(upload, Relaxed);
    }
}

impl fmt::Debug for SentMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentMeter")
            .field("member", &self.0.seat.state.name())
            .field("sent", &self.0.sum())
            .finish()
    }
}
