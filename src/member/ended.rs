//! How a request ended, as reported to schedulers and observers.

use std::time::Duration;

use super::Cause;
use crate::clock::Timestamp;

/// How the use of a member ended.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Outcome, PickRequest};
///
/// let balancer = Balancer::new([("a", ())])?;
/// let lease = balancer.pick(&PickRequest::new()).unwrap();
/// lease.finish(Outcome::Success);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The caller gave up; this is no information about the member.
    Cancelled,
    /// The member failed.
    Failure,
    /// The member handled the request.
    Success,
}

/// What is known about a request when it ends.
///
/// # Examples
///
/// ```
/// use equipoise::{Ended, Outcome};
///
/// /// What an observer could count.
/// fn is_error(ended: &Ended) -> bool {
///     ended.outcome == Outcome::Failure
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ended {
    /// The outcome of the request.
    pub outcome: Outcome,
    /// Why it failed, if it did and the user of the member gave a cause: see
    /// [`Lease::fail`](crate::Lease::fail).
    pub cause: Option<Cause>,
    /// The time of the end, on the balancer's clock: if `elapsed` is wanted, and for a failed
    /// request also if the scheduler needs the time of picks
    /// ([`Needs::CLOCK`](crate::scheduler::Needs::CLOCK)). A response with status 429 or 5xx
    /// counts as failed here, whatever its outcome. Other ends do not read the clock.
    pub at: Option<Timestamp>,
    /// The time from pick to end, if the scheduler needs it
    /// ([`Needs::ELAPSED`](crate::scheduler::Needs::ELAPSED)) or an observer is interested
    /// in it ([`Interest::ELAPSED`](crate::balancer::events::Interest::ELAPSED)). `None`
    /// for a request that began before the scheduler or observer was set.
    pub elapsed: Option<Duration>,
    /// The time from pick to the head of the response, if one arrived, and if the scheduler
    /// needs the time ([`Needs::TIME_TO_HEAD`](crate::scheduler::Needs::TIME_TO_HEAD)) or
    /// an observer is interested in it
    /// ([`Interest::TIME_TO_HEAD`](crate::balancer::events::Interest::TIME_TO_HEAD)).
    pub time_to_head: Option<Duration>,
    /// Whether the head of a response arrived: see
    /// [`Lease::record_head`](crate::Lease::record_head).
    pub has_response: bool,
    /// The status of that head, if it has one. It is also set if the response ended early
    /// afterwards; `cause` then gives the reason.
    pub status: Option<u16>,
    /// Bytes sent to the member.
    pub bytes_sent: u64,
    /// Bytes received from the member.
    pub bytes_received: u64,
}

impl Ended {
    /// Returns whether a request counts as failed for schedulers. A response with status 429
    /// or 5xx does, whatever the outcome: a member that responds so at once must not attract
    /// requests.
    pub(crate) fn has_failed(&self) -> bool {
        let refuses = |status| status == 429 || (500..600).contains(&status);
        self.outcome == Outcome::Failure || self.status.is_some_and(refuses)
    }
}
