//! What one kind of exchange brings to the machine: how its requests are made, pointed
//! at a member and judged.
//!
//! What does not live here: the kinds themselves (`http`, and `call`), and when an
//! attempt is made (`machine`).

use std::fmt;
use std::sync::Arc;

use tower_service::Service;

use crate::balancer::{Balancer, Lease, PickRequest};
use crate::member::{Cause, Outcome};
use crate::service::BoxError;
use crate::service::dispatch::RequestError;
use crate::service::failover::{Classify, Failover, TimeLimits};

/// What both services can be told.
#[derive(Clone)]
pub(in crate::service) struct ServiceSettings {
    pub(in crate::service) failover: Failover,
    pub(in crate::service) classify: Arc<dyn Classify>,
    pub(in crate::service) patience: Option<Arc<TimeLimits>>,
    /// A member that failed without fault may have the request once more, if nobody else
    /// can.
    pub(in crate::service) pardons: bool,
    /// Errors are told by which a connection turned out to be closed: then a request that may
    /// be sent twice is sent to the same member again, on a new one. So a head is kept for
    /// every attempt.
    pub(in crate::service) reconnects: bool,
}

impl ServiceSettings {
    /// Whether a request waits when all members are full.
    pub(super) fn waits_for_room(&self) -> bool {
        let patience = self.patience.as_ref();
        patience.is_some_and(|patience| patience.timeouts.member.is_some())
    }
}

impl fmt::Debug for ServiceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceSettings")
            .field("failover", &self.failover)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// What an answer means.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Judgement {
    pub(in crate::service) outcome: Outcome,
    pub(in crate::service) put_in_error: bool,
    pub(in crate::service) retry: bool,
    /// The status, if the protocol has one.
    pub(in crate::service) status: Option<u16>,
}

impl Judgement {
    /// The answer as the cause of a failure.
    pub(in crate::service) fn cause(self) -> Option<Cause> {
        self.status.map(Cause::Status)
    }

    /// Tells of the answer, and puts its member in error if it means that.
    pub(in crate::service) fn tell<W>(self, lease: &mut Lease<W>) {
        lease.record_head(self.status);
        match self.cause() {
            Some(cause) if self.put_in_error => lease.put_in_error_because(cause),
            None if self.put_in_error => lease.put_in_error(),
            _ => {}
        }
    }

    /// Ends the use of a member whose answer is not delivered.
    pub(in crate::service) fn end<W>(self, lease: Lease<W>) {
        match (self.outcome, self.cause()) {
            (Outcome::Failure, Some(cause)) => lease.fail(cause),
            (outcome, _) => lease.finish(outcome),
        }
    }
}

/// Why there is no request for an attempt.
pub(in crate::service) enum Unsendable {
    Aim(RequestError),
    /// Somebody has read it.
    BodyGone,
}

/// An answer, and who gave it.
pub(in crate::service) struct Served<R, W> {
    pub(in crate::service) response: R,
    pub(in crate::service) lease: Lease<W>,
    pub(in crate::service) outcome: Outcome,
    pub(in crate::service) attempts: u32,
    /// The client has to be told another route.
    pub(in crate::service) renew: bool,
}

/// One request of one kind, with what is needed to send it again.
pub(in crate::service) trait ServiceExchange<W> {
    type Request;
    type Service: Service<Self::Request, Response = Self::Response, Error = Self::Error>;
    type Response;
    type Error: Into<BoxError>;
    /// What is taken along from the service that was found ready.
    type Held;
    type Answer;

    /// Whether all members share one inner service.
    const SHARED: bool;

    /// Whether a request can ask for a new connection.
    const RECONNECTS: bool;

    fn settings(&self) -> &ServiceSettings;

    /// Makes what the pick has to know.
    fn pick<T>(&self, balancer: &Balancer<W>, then: impl FnOnce(PickRequest<'_>) -> T) -> T;

    /// Lets go of what was found ready, so that others can have it meanwhile.
    fn release(held: Self::Held) -> Self::Held;
    fn first(held: Self::Held, member: &W) -> Self::Service;
    fn after(used: Self::Service, member: &W) -> Self::Service;
    fn beside(busy: &Self::Service, member: &W) -> Self::Service;

    /// Whether doing it twice does no harm.
    fn is_idempotent(&self) -> bool;

    /// Whether [`request`](Self::request) would give one now.
    fn is_left(&self) -> bool;

    /// Whether it may be sent to two members at the same time.
    fn is_shareable(&self) -> bool;

    /// The request for the next attempt; nothing needs to be kept after the `last`. With
    /// `fresh`, it asks for a connection that is new.
    fn request(
        &mut self,
        lease: &mut Lease<W>,
        last: bool,
        fresh: bool,
    ) -> Result<Self::Request, Unsendable>;

    fn judge(&self, response: &Self::Response) -> Judgement;

    fn answer(&mut self, balancer: &Balancer<W>, served: Served<Self::Response, W>)
    -> Self::Answer;
}
