//! A lease without its payload, which keeps the request counted as in flight: [`Guard`].
//!
//! Not here: how a count is given back (`lease.rs`).

use std::fmt;
use std::sync::Arc;

use super::epoch::Epoch;
use super::lease::{Lease, dropped_outcome, end};
use super::meter::{Meter, Upload};
use crate::member::{Cause, MemberState, Outcome};

/// A [`Lease`] without its payload, which keeps the request counted as in flight; it ends
/// in the same ways.
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
    on: Option<(Arc<MemberState>, Arc<Epoch>)>,
    meter: Meter,
}

impl<W> Lease<W> {
    /// Drops the payload and keeps the request counted as in flight: for response bodies
    /// and upgraded connections, which outlive the call.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// /// A response body that counts as in flight until it is dropped.
    /// struct Body {
    ///     text: &'static str,
    ///     _guard: equipoise::Guard,
    /// }
    ///
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// let body = Body { text: "hello", _guard: lease.into_guard() };
    /// assert_eq!(body.text.len(), 5);
    /// assert_eq!(balancer.member("a").unwrap().in_flight(), 1);
    /// drop(body);
    /// assert_eq!(balancer.member("a").unwrap().in_flight(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_guard(self) -> Guard {
        let (state, epoch, meter) = self.into_parts();
        Guard {
            on: Some((state, epoch)),
            meter,
        }
    }
}

impl Guard {
    pub(super) fn on(&self) -> (&Arc<MemberState>, &Epoch) {
        match &self.on {
            Some((state, epoch)) => (state, epoch),
            None => unreachable!("only what consumes the guard takes its member"),
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
    /// let guard = balancer.pick(&PickRequest::new())?.into_guard();
    /// assert_eq!(guard.member().name(), "a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn member(&self) -> &MemberState {
        self.on().0
    }

    pub(crate) fn upload(&self) -> Upload {
        self.meter.upload()
    }

    /// Counts bytes sent to the member; the member's own total is updated at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let mut guard = balancer.pick(&PickRequest::new())?.into_guard();
    /// guard.record_sent(120);
    /// assert_eq!(guard.member().bytes_sent(), 120);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_sent(&mut self, bytes: u64) {
        self.meter.add_sent(bytes);
        self.member().add_bytes_sent(bytes);
    }

    /// Counts bytes received from the member; the member's own total is updated at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let mut guard = balancer.pick(&PickRequest::new())?.into_guard();
    /// for frame in [1_024, 512] {
    ///     guard.record_received(frame);
    /// }
    /// assert_eq!(guard.member().bytes_received(), 1_536);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_received(&mut self, bytes: u64) {
        self.meter.add_received(bytes);
        self.member().add_bytes_received(bytes);
    }

    /// Puts the member in error; see [`Lease::put_in_error`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let guard = balancer.pick(&PickRequest::new())?.into_guard();
    /// guard.put_in_error(); // the response broke off
    /// assert!(guard.member().status().contains(Flag::InError));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_in_error(&self) {
        let (state, epoch) = self.on();
        epoch.shared.put_in_error(state, None);
    }

    /// Puts the member in error, with a cause; see [`Lease::put_in_error_because`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Cause;
    /// use equipoise::{Balancer, Flag, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let guard = balancer.pick(&PickRequest::new())?.into_guard();
    /// guard.put_in_error_because(Cause::BrokenBody);
    /// assert!(guard.member().status().contains(Flag::InError));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_in_error_because(&self, cause: impl Into<Cause>) {
        let (state, epoch) = self.on();
        epoch.shared.put_in_error(state, Some(&cause.into()));
    }

    /// Ends the use of the member with an outcome; see [`Lease::finish`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Outcome, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let guard = balancer.pick(&PickRequest::new())?.into_guard();
    /// guard.finish(Outcome::Failure);
    /// assert_eq!(balancer.member("a").unwrap().in_flight(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(mut self, outcome: Outcome) {
        if let Some((state, epoch)) = self.on.take() {
            end(&state, &epoch, &self.meter, || (outcome, None));
        }
    }

    /// Ends the use of the member as a failure with a cause; see [`Lease::fail`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Cause;
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let guard = balancer.pick(&PickRequest::new())?.into_guard();
    /// guard.fail(Cause::BrokenBody);
    /// assert_eq!(balancer.member("a").unwrap().in_flight(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(mut self, cause: impl Into<Cause>) {
        if let Some((state, epoch)) = self.on.take() {
            let how = || (Outcome::Failure, Some(cause.into()));
            end(&state, &epoch, &self.meter, how);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((state, epoch)) = self.on.take() {
            end(&state, &epoch, &self.meter, dropped_outcome);
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
