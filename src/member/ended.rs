//! How a request ended, as schedulers and observers are told.

use std::time::Duration;

use super::Cause;

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
    /// The caller lost interest: says nothing about the member.
    Cancelled,
    /// The member failed.
    Failure,
    /// The member did its work.
    Success,
}

/// What is known of a request when it ends.
///
/// # Examples
///
/// ```
/// use equipoise::{Ended, Outcome};
///
/// /// What an observer would count.
/// fn is_error(ended: &Ended) -> bool {
///     ended.outcome == Outcome::Failure
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed, if it did and what used the member said why: see
    /// [`Lease::fail`](crate::Lease::fail).
    pub cause: Option<Cause>,
    /// The time from pick to end, if the scheduler needs it or an observer wants it (see
    /// [`Needs::ELAPSED`](crate::scheduler::Needs::ELAPSED) and
    /// [`Interest::ELAPSED`](crate::balancer::events::Interest::ELAPSED)). `None` for a request
    /// that began before that.
    pub elapsed: Option<Duration>,
    /// The time from pick to the head of the answer, if there was one, and the scheduler
    /// needs it or an observer wants it (see
    /// [`Needs::TIME_TO_HEAD`](crate::scheduler::Needs::TIME_TO_HEAD) and
    /// [`Interest::TIME_TO_HEAD`](crate::balancer::events::Interest::TIME_TO_HEAD)).
    pub time_to_head: Option<Duration>,
    /// Whether the head of an answer was there: see
    /// [`Lease::answered`](crate::Lease::answered).
    pub is_answered: bool,
    /// The status of that head, if it has one: also if the answer broke off later, which its
    /// `cause` tells.
    pub status: Option<u16>,
    /// Bytes sent to the member.
    pub bytes_sent: u64,
    /// Bytes received from the member.
    pub bytes_received: u64,
}
