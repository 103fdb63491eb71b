//! The right to use a member, counted while it lasts: [`Lease`].
//!
//! This is the only file that gives an in-flight count back, exactly once: when a lease or
//! guard is finished or dropped, and for a claim that its scheduler dropped or that a panic
//! left behind.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::attention::{
    AttentionWord, ELAPSED_NEEDED, ENDS_TIMED, FAILURES_TIMED, HEADS_NEEDED, HEADS_TIMED,
    HEADS_WANTED,
};
use super::epoch::Epoch;
use super::events::EventKind;
use super::meter::{Meter, SentMeter, Upload};
use super::shared::{Shared, Wakes};
use crate::member::{Cause, Ended, MemberState, Outcome};
use crate::scheduler::Candidates;
use crate::session::Session;
use crate::snapshot::Seat;

/// A member with its payload, as a view holds it.
pub(super) struct MemberEntry<W> {
    /// Also in the seat; here, so that the end of a request does not read that.
    pub(super) state: Arc<MemberState>,
    pub(super) seat: Arc<Seat>,
    pub(super) epoch: Arc<Epoch>,
    pub(super) payload: Arc<W>,
    /// The number of this payload in its balancer; each payload has another number.
    pub(super) payload_number: u64,
}

/// The right to use one member; the request counts as in flight until the lease ends.
///
/// A lease dereferences to the payload `W`. If it is dropped without
/// [`finish`](Self::finish) or [`fail`](Self::fail), it ends as [`Outcome::Cancelled`], or
/// as [`Outcome::Failure`] while the thread is panicking. It keeps working when its member
/// is removed.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Outcome, PickRequest};
///
/// let balancer = Balancer::new([("a", "10.0.0.1:80")])?;
/// let mut lease = balancer.pick(&PickRequest::new()).unwrap();
/// assert_eq!(*lease, "10.0.0.1:80");
/// lease.record_sent(120);
/// lease.record_received(4_096);
/// assert_eq!(lease.member().in_flight(), 1);
/// lease.finish(Outcome::Success);
/// assert_eq!(balancer.member("a").unwrap().in_flight(), 0);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
///
/// A lease cannot be cloned, so it cannot be given back twice:
///
/// ```compile_fail
/// # use equipoise::{Balancer, PickRequest};
/// # let balancer = Balancer::new([("a", ())]).unwrap();
/// let lease = balancer.pick(&PickRequest::new()).unwrap();
/// let second = lease.clone();
/// drop(lease);
/// second.finish(equipoise::Outcome::Success);
/// ```
#[must_use = "a lease that is dropped at once counts nothing"]
pub struct Lease<W> {
    /// `None` once it has ended or become a guard.
    entry: Option<Arc<MemberEntry<W>>>,
    meter: Meter,
}

impl<W> Lease<W> {
    #[inline]
    pub(super) fn new(entry: Arc<MemberEntry<W>>, meter: Meter) -> Self {
        Self {
            entry: Some(entry),
            meter,
        }
    }

    #[inline]
    pub(super) fn entry(&self) -> &MemberEntry<W> {
        match &self.entry {
            Some(entry) => entry,
            None => unreachable!("only what consumes the lease takes its entry"),
        }
    }

    /// Returns the state of the member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// assert_eq!((lease.member().name(), lease.member().in_flight()), ("a", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn member(&self) -> &MemberState {
        &self.entry().state
    }

    /// Returns the member's route, as it was at the pick. Put it into the cookie of a new
    /// session.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let spec = MemberSpec::new().with_route("r1");
    /// let balancer = Balancer::builder().member("a", (), spec).build()?;
    /// let lease = balancer.pick(&PickRequest::new().with_session(None))?;
    /// assert_eq!(lease.route(), Some("r1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.entry().seat.spec.route()
    }

    /// Returns the state of the request body's upload, if a meter is in use.
    pub(crate) fn upload(&self) -> Upload {
        self.meter.upload()
    }

    pub(crate) fn name_handle(&self) -> &Arc<str> {
        self.member().name_handle()
    }

    pub(crate) fn route_handle(&self) -> Option<&Arc<str>> {
        self.entry().seat.spec.route_handle()
    }

    /// Returns how the request's session was served.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest, Session};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let lease = balancer.pick(&PickRequest::new().with_session(Some("gone")))?;
    /// assert_eq!(lease.session(), Session::Lost);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn session(&self) -> Session {
        self.meter.session
    }

    /// Counts bytes sent to the member; the member's own total is updated at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let mut lease = balancer.pick(&PickRequest::new())?;
    /// lease.record_sent(120);
    /// assert_eq!(lease.member().bytes_sent(), 120);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_sent(&mut self, bytes: u64) {
        self.meter.add_sent(bytes);
        self.member().add_bytes_sent(bytes);
    }

    /// Returns a meter for a request body, which is sent while the lease waits for the
    /// response. The first call allocates.
    #[must_use]
    pub fn sent_meter(&mut self) -> SentMeter {
        let state = &self.entry().state.clone();
        self.meter.shared(state)
    }

    /// Counts bytes received from the member; the member's own total is updated at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let mut lease = balancer.pick(&PickRequest::new())?;
    /// for frame in [1_024, 512] {
    ///     lease.record_received(frame);
    /// }
    /// assert_eq!(lease.member().bytes_received(), 1_536);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_received(&mut self, bytes: u64) {
        self.meter.add_received(bytes);
        self.member().add_bytes_received(bytes);
    }

    /// Puts the member in error: it is not picked again until its recovery delay has
    /// elapsed, or until no other member is left (see
    /// [`forced_recovery`](super::Builder::forced_recovery)). Does nothing to a member that
    /// ignores errors. If the member is in error already, its delay starts anew.
    ///
    /// Observers receive this as [`EventKind::Changed`], to a status with
    /// [`Flag::InError`](crate::Flag::InError), and not as [`EventKind::Ejected`]: an error
    /// is not an ejection. An error of a member that is in error already is not reported.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Outcome, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// lease.put_in_error(); // the connection was refused
    /// lease.finish(Outcome::Failure);
    /// for _ in 0..3 {
    ///     assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "b");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_in_error(&self) {
        self.entry().epoch.shared.put_in_error(self.member(), None);
    }

    /// As [`put_in_error`](Self::put_in_error), with a cause, which observers receive.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Cause;
    /// use equipoise::{Balancer, Event, Flag, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let log = balancer.observe(|event: &Event<'_>| println!("{event}"));
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// lease.put_in_error_because(Cause::Refused);
    /// // member "a" changed from ok to in error (health): connection refused
    /// assert!(lease.member().status().contains(Flag::InError));
    /// # drop(log);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_in_error_because(&self, cause: impl Into<Cause>) {
        let shared = &self.entry().epoch.shared;
        shared.put_in_error(self.member(), Some(&cause.into()));
    }

    /// Notes that the head of the response has arrived, with its status if the protocol has
    /// one.
    ///
    /// The time since the pick is measured if an observer or the scheduler wants it. If
    /// this is called again, the last head counts.
    ///
    /// # Panics
    ///
    /// If an observer panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::balancer::events::EventKind;
    /// use equipoise::{Balancer, Event, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let log = balancer.observe(|event: &Event<'_>| {
    ///     if let EventKind::Responded { time_to_head, status } = event.kind {
    ///         assert!(time_to_head.is_some());
    ///         assert_eq!(status, Some(200));
    ///     }
    /// });
    /// let mut lease = balancer.pick(&PickRequest::new())?;
    /// lease.record_head(Some(200)); // and the body is still to come
    /// # drop(log);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn record_head(&mut self, status: Option<u16>) {
        self.meter.note_head(status);
        let seen = self.entry().epoch.shared.attention.look();
        if seen.has(HEADS_WANTED | HEADS_NEEDED) {
            self.report_head(status, seen);
        }
    }

    #[cold]
    fn report_head(&mut self, status: Option<u16>, seen: AttentionWord) {
        let Some(entry) = &self.entry else {
            return;
        };
        let shared = &entry.epoch.shared;
        if seen.has(HEADS_TIMED | HEADS_NEEDED) {
            self.meter.time_head(|| shared.clock.now());
        }
        if seen.has(HEADS_NEEDED) {
            entry.state.set_awaits_head(false);
        }
        if seen.has(HEADS_WANTED) {
            let responded = EventKind::Responded {
                time_to_head: self.meter.time_to_head(),
                status,
            };
            let member = Some(&entry.state);
            let event = shared.event(self.meter.generation(), member.map(|it| &**it), responded);
            shared.report(event);
        }
    }

    /// Ends the use of the member with an outcome.
    ///
    /// # Panics
    ///
    /// If the scheduler or an observer panics; the in-flight count has been decremented
    /// before.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Outcome, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// lease.finish(Outcome::Success);
    /// assert_eq!(balancer.member("a").unwrap().in_flight(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(mut self, outcome: Outcome) {
        if let Some(entry) = self.entry.take() {
            end(&entry.state, &entry.epoch, &self.meter, || (outcome, None));
        }
    }

    /// Ends the use of the member as a failure with a cause.
    ///
    /// # Panics
    ///
    /// As [`finish`](Self::finish).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Cause;
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.pick(&PickRequest::new())?.fail(Cause::TimedOut);
    /// balancer.pick(&PickRequest::new())?.fail("disk full");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(mut self, cause: impl Into<Cause>) {
        if let Some(entry) = self.entry.take() {
            let how = || (Outcome::Failure, Some(cause.into()));
            end(&entry.state, &entry.epoch, &self.meter, how);
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.meter.generation()
    }

    /// Takes the lease apart, without ending it.
    pub(super) fn into_parts(mut self) -> (Arc<MemberState>, Arc<Epoch>, Meter) {
        let Some(entry) = self.entry.take() else {
            unreachable!("only what consumes the lease takes its entry");
        };
        let empty = Meter::new(None, 0, self.session());
        let meter = std::mem::replace(&mut self.meter, empty);
        (entry.state.clone(), entry.epoch.clone(), meter)
    }
}

impl<W> Deref for Lease<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.entry().payload
    }
}

impl<W> Drop for Lease<W> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            end(&entry.state, &entry.epoch, &self.meter, dropped_outcome);
        }
    }
}

impl<W> fmt::Debug for Lease<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("member", &self.member().name())
            .field("session", &self.session())
            .finish_non_exhaustive()
    }
}

/// Holds the claim of one pick until it has become a lease.
#[derive(Debug)]
pub(super) struct Unclaimed<'u, 'c> {
    pub(super) candidates: &'u Candidates<'c>,
    pub(super) shared: &'u Shared,
    /// Wakes waiters when the claim is dropped, if it must not do so itself.
    pub(super) wakes: Option<&'u Wakes<'u>>,
}

impl Unclaimed<'_, '_> {
    /// Passes the claim on to a lease.
    #[inline]
    pub(super) fn hand_over(self) {
        self.candidates.take_claimed();
    }
}

impl Drop for Unclaimed<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(state) = self.candidates.take_claimed() {
            let before = state.count_out().before;
            self.shared.dropped(state, before, self.wakes);
        }
    }
}

/// Returns the outcome of a lease that is dropped.
pub(super) fn dropped_outcome() -> (Outcome, Option<Cause>) {
    if std::thread::panicking() {
        (Outcome::Failure, None)
    } else {
        (Outcome::Cancelled, None)
    }
}

/// Gives the count back, and then notifies. `how` is called only if an observer or the
/// scheduler wants it.
#[inline]
pub(super) fn end(
    state: &MemberState,
    epoch: &Epoch,
    meter: &Meter,
    how: impl FnOnce() -> (Outcome, Option<Cause>),
) {
    let before = state.count_out().before;
    epoch.ended(state, before, meter.generation(), |seen| {
        let (outcome, cause) = how();
        let mut ended = Ended {
            outcome,
            cause,
            at: None,
            elapsed: None,
            time_to_head: meter.time_to_head(),
            has_response: meter.has_response(),
            status: meter.status(),
            bytes_sent: meter.sent(),
            bytes_received: meter.received(),
        };
        let is_timed = seen.has(ENDS_TIMED | ELAPSED_NEEDED);
        if is_timed || (seen.has(FAILURES_TIMED) && ended.has_failed()) {
            let now = epoch.shared.clock.now();
            ended.at = Some(now);
            ended.elapsed = is_timed.then(|| meter.elapsed(|| now)).flatten();
        }
        ended
    });
}
