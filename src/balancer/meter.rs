//! What is measured between a pick and its end, and [`SentMeter`], which counts the bytes
//! of a request body wherever it is being sent.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::member::MemberState;
use crate::session::Session;
use crate::sync::{AtomicU32, AtomicU64, Relaxed};

/// Small, because each lease contains one and is moved a few times.
#[derive(Debug)]
pub(super) struct Meter {
    /// On the balancer's clock, in nanoseconds; or [`UNTIMED`].
    started: u64,
    /// The number of the picture by which the member was picked.
    generation: u64,
    sent: u64,
    received: u64,
    /// Created at the first use: most requests have no body.
    shared: Option<SentMeter>,
    /// The time to the head of the response, in microseconds; or [`NO_TIME`].
    time_to_head: u32,
    /// The status of the head, if `head` has one.
    status: u16,
    head: Head,
    pub(super) session: Session,
}

/// The time was not wanted when the request began.
const UNTIMED: u64 = u64::MAX;
/// No head has arrived yet, or no time was wanted.
const NO_TIME: u32 = u32::MAX;

/// Whether the head of the response has arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Head {
    Missing,
    WithStatus,
    WithoutStatus,
}

#[cfg(not(equipoise_loom))]
const _: () = assert!(size_of::<Meter>() == 48);

impl Meter {
    #[inline]
    pub(super) fn new(started: Option<Timestamp>, generation: u64, session: Session) -> Self {
        Self {
            started: started.map_or(UNTIMED, Timestamp::as_nanos),
            generation,
            sent: 0,
            received: 0,
            shared: None,
            time_to_head: NO_TIME,
            status: 0,
            head: Head::Missing,
            session,
        }
    }

    pub(super) fn add_sent(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
    }

    pub(super) fn add_received(&mut self, bytes: u64) {
        self.received = self.received.saturating_add(bytes);
    }

    pub(super) fn shared(&mut self, state: &Arc<MemberState>) -> SentMeter {
        let new = || SentMeter(Arc::new(SentCount::new(state.clone())));
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

    /// In steps of a microsecond, and at most an hour.
    pub(super) fn time_to_head(&self) -> Option<Duration> {
        (self.time_to_head != NO_TIME).then(|| Duration::from_micros(self.time_to_head.into()))
    }

    /// Returns whether the head of the response has arrived.
    pub(super) fn has_response(&self) -> bool {
        self.head != Head::Missing
    }

    pub(super) fn status(&self) -> Option<u16> {
        (self.head == Head::WithStatus).then_some(self.status)
    }

    /// Notes that the head of the response has arrived.
    #[inline]
    pub(super) fn note_head(&mut self, status: Option<u16>) {
        (self.head, self.status) = match status {
            Some(status) => (Head::WithStatus, status),
            None => (Head::WithoutStatus, 0),
        };
    }

    /// Notes when the head of the response arrived.
    pub(super) fn time_head(&mut self, now: impl FnOnce() -> Timestamp) {
        if let Some(elapsed) = self.elapsed(now) {
            let micros = u32::try_from(elapsed.as_micros()).unwrap_or(NO_TIME);
            self.time_to_head = micros.min(NO_TIME - 1);
        }
    }

    pub(super) fn elapsed(&self, now: impl FnOnce() -> Timestamp) -> Option<Duration> {
        let timed = self.started != UNTIMED;
        timed.then(|| now().since(Timestamp::from_nanos(self.started)))
    }
}

/// Counts the bytes that a request body sends, for its lease and for the member at once;
/// clones share their count. It may outlive the lease: then it counts for the member only.
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
pub struct SentMeter(Arc<SentCount>);

struct SentCount {
    state: Arc<MemberState>,
    // Relaxed: a sum that only grows; an end may miss the last frame.
    sum: AtomicU64,
    // Relaxed: read when an attempt has failed, to find out whether the client caused that;
    // the error itself is passed on otherwise.
    upload: AtomicU32,
}

/// The state of the upload of a client's request body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Upload {
    /// It broke off, or was too long, or too slow; with the HTTP status for that.
    Failed(u16),
    /// Nothing is waited for.
    Flowing,
    /// The client is waited for.
    Late,
}

const FLOWING: u32 = 0;
const LATE: u32 = 1;

impl SentCount {
    fn new(state: Arc<MemberState>) -> Self {
        Self {
            state,
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
    pub fn record(&self, bytes: u64) {
        self.0.sum.fetch_add(bytes, Relaxed);
        self.0.state.add_bytes_sent(bytes);
    }
}

impl SentMeter {
    /// Records the result of polling the client's body; `status` is that of an error.
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
            .field("member", &self.0.state.name())
            .field("sent", &self.0.sum())
            .finish()
    }
}
