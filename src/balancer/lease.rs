//! The right to use a member, counted while it lasts: [`Lease`].
//!
//! This is the only file that gives an in-flight count back, exactly once: when a
//! lease or guard is finished or dropped, and for a claim that its scheduler dropped
//! or that a panic left behind.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::attention::{
    AttentionWord, ELAPSED_NEEDED, ENDS_TIMED, HEADS_NEEDED, HEADS_TIMED, HEADS_WANTED,
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
    pub(super) seat: Arc<Seat>,
    pub(super) epoch: Arc<Epoch>,
    pub(super) payload: Arc<W>,
    /// Which of the balancer's payloads it is: one that replaces it has another number.
    pub(super) payload_number: u64,
}

/// The right to use one member, in flight until it ends.
///
/// It dereferences to the payload `W`. Dropping it without a word ends it as
/// [`Outcome::Cancelled`], while panicking as [`Outcome::Failure`]. It keeps working
/// when its member is removed.
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
/// It cannot be cloned, so that it cannot be given back twice:
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

    pub(super) fn entry(&self) -> &MemberEntry<W> {
        match &self.entry {
            Some(entry) => entry,
            None => unreachable!("only what consumes the lease takes its entry"),
        }
    }

    /// Returns the facts about the member.
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
        &self.entry().seat.state
    }

    /// Returns the member's route, as it was at the pick: what a new session is
    /// marked with.
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

    /// How the client does with its request body, where a meter was asked for.
    pub(crate) fn upload(&self) -> Upload {
        self.meter.upload()
    }

    pub(crate) fn name_handle(&self) -> &Arc<str> {
        self.member().name_handle()
    }

    pub(crate) fn route_handle(&self) -> Option<&Arc<str>> {
        self.entry().seat.spec.route_handle()
    }

    /// Returns how the request's session fared.
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

    /// Counts bytes sent to the member, at once also for the member.
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
    /// answer; the first call allocates.
    #[must_use]
    pub fn sent_meter(&mut self) -> SentMeter {
        let seat = &self.entry().seat.clone();
        self.meter.shared(seat)
    }

    /// Counts bytes received from the member, at once also for the member.
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

    /// Puts the member in error: it is not picked again until its recovery delay is
    /// over, or nobody else is left (see
    /// [`forced_recovery`](super::Builder::forced_recovery)). Does
    /// nothing to a member that ignores errors; one in error rests anew, which is no news.
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

    /// As [`put_in_error`](Self::put_in_error), with the cause, which observers are told.
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

    /// Tells that the head of the answer is there, with its status if the protocol has one.
    ///
    /// The time since the pick is measured if an observer or the scheduler wants it. If it
    /// is called again, the last head counts.
    ///
    /// # Panics
    ///
    /// Only if an observer does.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::balancer::events::EventKind;
    /// use equipoise::{Balancer, Event, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let log = balancer.observe(|event: &Event<'_>| {
    ///     if let EventKind::Answered { time_to_head, status } = event.kind {
    ///         assert!(time_to_head.is_some());
    ///         assert_eq!(status, Some(200));
    ///     }
    /// });
    /// let mut lease = balancer.pick(&PickRequest::new())?;
    /// lease.answered(Some(200)); // and the body is still to come
    /// # drop(log);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn answered(&mut self, status: Option<u16>) {
        self.meter.note_head(status);
        let seen = self.entry().epoch.shared.attention.look();
        if seen.has(HEADS_WANTED | HEADS_NEEDED) {
            self.tell_head(status, seen);
        }
    }

    #[cold]
    fn tell_head(&mut self, status: Option<u16>, seen: AttentionWord) {
        let Some(entry) = &self.entry else {
            return;
        };
        let shared = &entry.epoch.shared;
        if seen.has(HEADS_TIMED | HEADS_NEEDED) {
            self.meter.time_head(|| shared.clock.now());
        }
        if seen.has(HEADS_WANTED) {
            let answered = EventKind::Answered {
                time_to_head: self.meter.time_to_head(),
                status,
            };
            let member = Some(&entry.seat.state);
            let event = shared.event(self.meter.generation(), member.map(|it| &**it), answered);
            shared.tell(event);
        }
    }

    /// Ends the use of the member and says how it went.
    ///
    /// # Panics
    ///
    /// Only if the scheduler or an observer does; the count is given back by then.
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
            end(&entry.seat, &entry.epoch, &self.meter, || (outcome, None));
        }
    }

    /// Ends the use of the member as a failure, and says why.
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
            end(&entry.seat, &entry.epoch, &self.meter, how);
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.meter.generation()
    }

    /// Takes the lease apart, without ending it.
    pub(super) fn into_parts(mut self) -> (Arc<Seat>, Arc<Epoch>, Meter) {
        let Some(entry) = self.entry.take() else {
            unreachable!("only what consumes the lease takes its entry");
        };
        let empty = Meter::new(None, 0, self.session());
        let meter = std::mem::replace(&mut self.meter, empty);
        (entry.seat.clone(), entry.epoch.clone(), meter)
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
            end(&entry.seat, &entry.epoch, &self.meter, unsaid);
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

/// Looks after the claim of one pick until it has become a lease.
#[derive(Debug)]
pub(super) struct Unclaimed<'u, 'c> {
    pub(super) candidates: &'u Candidates<'c>,
    pub(super) shared: &'u Shared,
    /// What wakes when the claim is dropped, if it may not do so itself.
    pub(super) wakes: Option<&'u Wakes<'u>>,
}

impl<'c> Unclaimed<'_, 'c> {
    /// Whom the claim is for, if there is one.
    pub(super) fn seat(&self) -> Option<&'c Arc<Seat>> {
        self.candidates.claimed()
    }

    /// Lets a lease take the claim over.
    pub(super) fn hand_over(self) {
        self.candidates.take_claimed();
    }
}

impl Drop for Unclaimed<'_, '_> {
    fn drop(&mut self) {
        if let Some(seat) = self.candidates.take_claimed() {
            let before = seat.state.give_back().before;
            self.shared.dropped(seat, before, self.wakes);
        }
    }
}

/// How a lease ends that is dropped.
pub(super) fn unsaid() -> (Outcome, Option<Cause>) {
    if std::thread::panicking() {
        (Outcome::Failure, None)
    } else {
        (Outcome::Cancelled, None)
    }
}

/// Gives the count back, and only then tells about it. `how` is asked only if that is told.
#[inline]
pub(super) fn end(
    seat: &Seat,
    epoch: &Epoch,
    meter: &Meter,
    how: impl FnOnce() -> (Outcome, Option<Cause>),
) {
    let before = seat.state.give_back().before;
    epoch.ended(seat, before, meter.generation(), |seen| {
        let (outcome, cause) = how();
        let elapsed = || meter.elapsed(|| epoch.shared.clock.now());
        Ended {
            outcome,
            cause,
            elapsed: seen
                .has(ENDS_TIMED | ELAPSED_NEEDED)
                .then(elapsed)
                .flatten(),
            time_to_head: meter.time_to_head(),
            is_answered: meter.is_answered(),
            status: meter.status(),
            bytes_sent: meter.sent(),
            bytes_received: meter.received(),
        }
    });
}
