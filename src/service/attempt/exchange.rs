//! What each kind of request provides to the state machine: how its requests are created,
//! rewritten for a member and classified.
//!
//! Not here: the kinds themselves (`http`, and `call`), and when an attempt is made
//! (`machine`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_service::Service;

use crate::balancer::{Balancer, Lease, PickRequest};
use crate::member::{Cause, Outcome};
use crate::service::BoxError;
use crate::service::dispatch::RequestError;
use crate::service::failover::{Classify, Failover, TimeLimits};

/// The settings of both services.
#[derive(Clone)]
pub(in crate::service) struct ServiceSettings {
    pub(in crate::service) failover: Failover,
    pub(in crate::service) classify: Arc<dyn Classify>,
    pub(in crate::service) time_limits: Option<Arc<TimeLimits>>,
    /// A member that failed without fault may get the request once more, if no other member
    /// can take it.
    pub(in crate::service) retries_same_member: bool,
    /// Some errors are classified as a stale connection. A request that may be sent twice
    /// is then sent to the same member again, on a new connection. So the head is kept
    /// during every attempt.
    pub(in crate::service) reconnects: bool,
    /// The state machine attends to a request from its beginning, for tests.
    pub(in crate::service) machine_first: bool,
}

impl ServiceSettings {
    /// Returns whether nothing needs to be kept of a request for its next attempt, after
    /// this number of attempts was made.
    pub(super) fn is_last(&self, attempts: u32) -> bool {
        // Even with a single member there may be others later. Where stale connections are
        // recognized, one that is closed does not count as an attempt; nor does a member
        // that is full.
        attempts >= self.failover.max_attempts && !self.reconnects
    }

    /// Returns whether the first attempt needs the state machine, because the request may
    /// be sent to a second member while the first is late.
    #[inline]
    pub(super) fn begins_in_machine(&self) -> bool {
        let limits = self.time_limits.as_ref();
        self.machine_first || limits.is_some_and(|limits| limits.timeouts.hedge.is_some())
    }

    /// Returns how long a request waits for a member, if it waits.
    #[inline]
    pub(super) fn max_wait(&self) -> Option<Duration> {
        self.time_limits.as_ref()?.timeouts.member
    }
}

impl fmt::Debug for ServiceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceSettings")
            .field("failover", &self.failover)
            .field("time_limits", &self.time_limits)
            .finish_non_exhaustive()
    }
}

/// How a response was classified.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Judgement {
    pub(in crate::service) outcome: Outcome,
    pub(in crate::service) put_in_error: bool,
    pub(in crate::service) retry: bool,
    /// The status, if the protocol has one.
    pub(in crate::service) status: Option<u16>,
}

impl Judgement {
    /// Returns the status as the cause of a failure.
    pub(in crate::service) fn cause(self) -> Option<Cause> {
        self.status.map(Cause::Status)
    }

    /// Reports the response to observers, and puts its member in error if the status
    /// requires it.
    pub(in crate::service) fn report<W>(self, lease: &mut Lease<W>) {
        lease.record_head(self.status);
        match self.cause() {
            Some(cause) if self.put_in_error => lease.put_in_error_because(cause),
            None if self.put_in_error => lease.put_in_error(),
            _ => {}
        }
    }

    /// Ends the lease of a member whose response is not delivered.
    pub(in crate::service) fn end<W>(self, lease: Lease<W>) {
        match (self.outcome, self.cause()) {
            (Outcome::Failure, Some(cause)) => lease.fail(cause),
            (outcome, _) => lease.finish(outcome),
        }
    }
}

/// Why there is no request for an attempt.
pub(in crate::service) enum Unsendable {
    Rewrite(RequestError),
    /// An attempt has read it.
    BodyGone,
}

/// A response, and the lease of its member.
pub(in crate::service) struct Served<R, W> {
    pub(in crate::service) response: R,
    pub(in crate::service) lease: Lease<W>,
    pub(in crate::service) outcome: Outcome,
    pub(in crate::service) attempts: u32,
    /// The client needs a cookie with another route.
    pub(in crate::service) renew: bool,
}

/// One request, with what is needed to send it again.
pub(in crate::service) trait ServiceExchange<W> {
    type Request;
    type Service: Service<Self::Request, Response = Self::Response, Error = Self::Error>;
    type Response;
    type Error: Into<BoxError>;
    /// What is kept of the service that was polled ready.
    type Held;
    type Output;

    /// Whether all members share one inner service.
    const SHARED: bool;

    /// Whether a request can require a new connection.
    const RECONNECTS: bool;

    fn settings(&self) -> &ServiceSettings;

    fn balancer(&self) -> &Balancer<W>;

    /// Passes to `then` the balancer and what a pick needs to know of the request.
    fn pick<T>(&mut self, then: impl FnOnce(&Balancer<W>, PickRequest<'_>) -> T) -> T;

    /// Releases the service that was polled ready, so that other requests can use it
    /// meanwhile.
    fn release(held: Self::Held) -> Self::Held;
    fn first(held: Self::Held, member: &W) -> Self::Service;
    fn after(used: Self::Service, member: &W) -> Self::Service;
    fn beside(busy: &Self::Service, member: &W) -> Self::Service;

    /// Returns whether the request may be processed twice without harm.
    fn is_idempotent(&self) -> bool;

    /// Returns whether [`request`](Self::request) would return a request now.
    fn is_available(&self) -> bool;

    /// Returns whether the request may be sent to two members at the same time.
    fn is_shareable(&self) -> bool;

    /// Returns the request for the next attempt. It can be sent again unless this is the
    /// `last` one. With `fresh`, the request requires a new connection.
    fn request(
        &mut self,
        lease: &mut Lease<W>,
        last: bool,
        fresh: bool,
    ) -> Result<Self::Request, Unsendable>;

    fn judge(&self, response: &Self::Response) -> Judgement;

    fn respond(&mut self, served: Served<Self::Response, W>) -> Self::Output;
}
