//! The right to use a member, counted while it lasts: [`Lease`] and [`Guard`].
//!
//! This is the only file that gives an in-flight count back, exactly once: when a
//! lease or guard is finished or dropped, and for a claim that its scheduler dropped
//! or that a panic left behind.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::hub::Hub;
use crate::clock::Timestamp;
use crate::member::{Ended, MemberState, Outcome};
use crate::observer::Session;
use crate::scheduler::Candidates;
use crate::snapshot::Seat;

/// A member with its payload, as a view holds it.
pub(super) struct Entry<W> {
    pub(super) seat: Arc<Seat>,
    pub(super) hub: Arc<Hub>,
    pub(super) payload: Arc<W>,
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
    entry: Option<Arc<Entry<W>>>,
    session: Session,
    meter: Meter,
}

/// What is measured between election and end.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    started: Option<Timestamp>,
    sent: u64,
    received: u64,
}

impl<W> Lease<W> {
    pub(super) fn new(entry: Arc<Entry<W>>, session: Session, started: Option<Timestamp>) -> Self {
        Self {
            entry: Some(entry),
            session,
            meter: Meter {
                started,
                ..Meter::default()
            },
        }
    }

    fn entry(&self) -> &Entry<W> {
        match &self.entry {
            Some(entry) => entry,
            None => unreachable!("only what consumes the lease takes its entry"),
        }
    }

    /// Returns the facts about the member.
    #[must_use]
    pub fn member(&self) -> &MemberState {
        &self.entry().seat.state
    }

    /// Returns the member's route, as it was at the election.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.entry().seat.spec.route()
    }

    /// Returns how the request's session fared.
    #[must_use]
    pub fn session(&self) -> Session {
        self.session
    }

    /// Counts bytes sent to the member, at once also for the member.
    pub fn record_sent(&mut self, bytes: u64) {
        self.meter.sent = self.meter.sent.saturating_add(bytes);
        self.member().add_bytes_sent(bytes);
    }

    /// Counts bytes received from the member, at once also for the member.
    pub fn record_received(&mut self, bytes: u64) {
        self.meter.received = self.meter.received.saturating_add(bytes);
        self.member().add_bytes_received(bytes);
    }

    /// Puts the member in error: it is not elected again until its recovery delay is
    /// over. Does nothing to a member that ignores errors.
    ///
    /// The lease goes on.
    pub fn put_in_error(&self) {
        self.entry().hub.put_in_error(self.member());
    }

    /// Ends the use of the member.
    pub fn finish(mut self, outcome: Outcome) {
        if let Some(entry) = self.entry.take() {
            end(&entry.seat, &entry.hub, self.meter, || outcome);
        }
    }

    /// Lets go of the payload and keeps the accounting: for response bodies and
    /// upgraded connections, which outlive the call.
    pub fn into_guard(mut self) -> Guard {
        let entry = self.entry.take();
        let Some(entry) = entry else {
            unreachable!("only what consumes the lease takes its entry");
        };
        Guard {
            on: Some((entry.seat.clone(), entry.hub.clone())),
            meter: self.meter,
        }
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
            end(&entry.seat, &entry.hub, self.meter, unsaid);
        }
    }
}

impl<W> fmt::Debug for Lease<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("member", &self.member().name())
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// The accounting of a [`Lease`] without its payload; ends in the same ways.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, PickRequest};
///
/// let balancer = Balancer::new([("a", String::from("client"))])?;
/// let guard = balancer.pick(&PickRequest::new()).unwrap().into_guard();
/// assert_eq!(guard.member().in_flight(), 1);
/// drop(guard);
/// assert_eq!(balancer.member("a").unwrap().in_flight(), 0);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[must_use = "a guard that is dropped at once counts nothing"]
pub struct Guard {
    /// `None` once it has ended.
    on: Option<(Arc<Seat>, Arc<Hub>)>,
    meter: Meter,
}

impl Guard {
    fn on(&self) -> (&Seat, &Hub) {
        match &self.on {
            Some((seat, hub)) => (seat, hub),
            None => unreachable!("only what consumes the guard takes its member"),
        }
    }

    /// Returns the facts about the member.
    #[must_use]
    pub fn member(&self) -> &MemberState {
        &self.on().0.state
    }

    /// Counts bytes sent to the member, at once also for the member.
    pub fn record_sent(&mut self, bytes: u64) {
        self.meter.sent = self.meter.sent.saturating_add(bytes);
        self.member().add_bytes_sent(bytes);
    }

    /// Counts bytes received from the member, at once also for the member.
    pub fn record_received(&mut self, bytes: u64) {
        self.meter.received = self.meter.received.saturating_add(bytes);
        self.member().add_bytes_received(bytes);
    }

    /// Puts the member in error; see [`Lease::put_in_error`].
    pub fn put_in_error(&self) {
        let (seat, hub) = self.on();
        hub.put_in_error(&seat.state);
    }

    /// Ends the use of the member.
    pub fn finish(mut self, outcome: Outcome) {
        if let Some((seat, hub)) = self.on.take() {
            end(&seat, &hub, self.meter, || outcome);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((seat, hub)) = self.on.take() {
            end(&seat, &hub, self.meter, unsaid);
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("member", &self.member().name())
            .finish_non_exhaustive()
    }
}

/// Looks after the claim of one pick until it has become a lease.
#[derive(Debug)]
pub(super) struct Unclaimed<'u, 'c> {
    candidates: &'u Candidates<'c>,
    hub: &'u Hub,
}

impl<'u, 'c> Unclaimed<'u, 'c> {
    pub(super) fn new(candidates: &'u Candidates<'c>, hub: &'u Hub) -> Self {
        Self { candidates, hub }
    }

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
            self.hub.dropped(seat, before);
        }
    }
}

/// How a lease ends of which nobody says how.
fn unsaid() -> Outcome {
    if std::thread::panicking() {
        Outcome::Failure
    } else {
        Outcome::Cancelled
    }
}

/// Gives the count back, and only then tells about it.
fn end(seat: &Seat, hub: &Hub, meter: Meter, outcome: impl FnOnce() -> Outcome) {
    let before = seat.state.give_back().before;
    hub.ended(seat, before, || Ended {
        outcome: outcome(),
        elapsed: meter.started.map(|started| hub.clock.now().since(started)),
        bytes_sent: meter.sent,
        bytes_received: meter.received,
    });
}
