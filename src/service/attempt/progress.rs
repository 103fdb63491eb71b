//! Which members a request has tried, and which one it tries next.

use super::exchange::ServiceExchange;
use crate::balancer::{Balancer, Lease, PickError, PickRequest};
use crate::member::{Cause, Flag, MemberId, Outcome};
use crate::service::{BalanceError, Fault, RetryBudget};
use crate::session::Session;

/// Which members a pick may return.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PickScope {
    /// Like a first pick: if there is no other member, one in error is recovered (forced
    /// recovery). For a request that would fail otherwise.
    ForceRecovery,
    /// Only members that are usable now.
    Usable,
}

/// The state of a request across its attempts.
#[derive(Default)]
pub(super) struct RequestProgress {
    pub(super) tried: Vec<MemberId>,
    /// Why the last attempt failed.
    pub(super) cause: Option<Cause>,
    /// The payloads that these members, and those that were full, had when they were tried;
    /// `None` for one that has been replaced.
    payloads: Vec<(MemberId, Option<u64>)>,
    pub(super) attempts: u32,
    /// The number of attempts that the budget has paid for.
    paid: u32,
    /// The only retry of a request that may have been sent has been used.
    pub(super) retried: bool,
    /// The additional retry after a failure without the member's fault has been used.
    extra_retried: bool,
    /// A member that failed without fault, and may get the request again if no other can
    /// take it.
    retriable: Option<MemberId>,
    /// Such a member has got the request again.
    same_member_retried: bool,
    /// The members that were at their limit of requests at the same time.
    full: Vec<MemberId>,
    /// The error of the last failed attempt, to return if no other attempt can start.
    pub(super) failed: Option<BalanceError>,
    /// A member may have received a part of the request.
    pub(super) sent: bool,
    /// The client keeps its route although another member responds, as its own member is
    /// not in error.
    pub(super) keeps_route: bool,
}

impl RequestProgress {
    /// Adds to a pick what has been tried.
    pub(super) fn of<'p>(&'p self, pick: PickRequest<'p>) -> PickRequest<'p> {
        pick.with_tried(&self.tried).with_cause(self.cause.as_ref())
    }

    /// Allows a second attempt on a member that failed without fault, if no other member
    /// can take the request.
    pub(super) fn allow_same_member(&mut self, member: MemberId, fault: Fault) {
        self.retriable =
            (fault.is_member_blameless() && !self.same_member_retried).then_some(member);
    }

    /// Ends a failed attempt. If this machine has run out of a resource, that is not
    /// counted as the member's failure.
    pub(super) fn end<W>(&mut self, lease: Lease<W>, fault: Fault, cause: &Cause) {
        self.cause = Some(cause.clone());
        if fault.is_exhausted() {
            lease.finish(Outcome::Cancelled);
        } else {
            lease.fail(cause.clone());
        }
    }

    /// Records that a member is at its limit of requests at the same time. The balancer
    /// knows the limit now. If it picks the member again nevertheless, other clients use
    /// that member too, and it is not tried a third time.
    pub(super) fn meet_limit<W>(&mut self, lease: &Lease<W>) {
        let member = lease.member().id();
        if self.full.contains(&member) {
            self.note_unfailed(lease);
        } else {
            self.full.push(member);
            self.note_payload(lease);
        }
    }

    pub(super) fn note<W>(&mut self, lease: &Lease<W>) {
        let member = lease.member().id();
        if !self.tried.contains(&member) {
            self.tried.push(member);
        }
        self.note_payload(lease);
    }

    /// Like [`note`](Self::note), for a member that has not failed but is late or full.
    pub(super) fn note_unfailed<W>(&mut self, lease: &Lease<W>) {
        self.note(lease);
        self.cause = None;
    }

    fn note_payload<W>(&mut self, lease: &Lease<W>) {
        let member = lease.member().id();
        if !self.payloads.iter().any(|(known, _)| *known == member) {
            self.payloads.push((member, Some(lease.payload_number())));
        }
    }

    /// Forgets members whose payload has been replaced since they were tried: another
    /// server has their name now. Each is forgotten only once, so that a discovery that
    /// inserts the same members again and again cannot keep a request going.
    pub(super) fn forget_replaced<W>(&mut self, balancer: &Balancer<W>) {
        for (member, payload) in &mut self.payloads {
            if payload.is_some_and(|payload| balancer.has_replaced(*member, payload)) {
                *payload = None;
                self.tried.retain(|tried| tried != member);
                self.full.retain(|full| full != member);
            }
        }
    }

    /// Returns whether a retry is left for such a failure, and uses it up. With more than
    /// these two, a request that crashes members could be passed from one to the next.
    pub(super) fn take_retry(&mut self, fault: Fault) -> bool {
        let left = if fault.is_member_blameless() && !self.extra_retried {
            &mut self.extra_retried
        } else {
            &mut self.retried
        };
        !std::mem::replace(left, true)
    }

    /// Like [`pick_unreported`](Self::pick_unreported), and reports a failed pick to observers,
    /// unless the request waits for a member: then it is reported when the wait is over.
    pub(super) fn pick<W, X: ServiceExchange<W>>(
        &mut self,
        exchange: &mut X,
        scope: PickScope,
    ) -> Result<Lease<W>, PickError> {
        let picked = self.pick_unreported(exchange, scope);
        let full = matches!(picked, Err(PickError::AtCapacity));
        if !(full && exchange.settings().max_wait().is_some()) {
            self.report_failed_pick(exchange, &picked);
        }
        picked
    }

    fn report_failed_pick<W, X: ServiceExchange<W>>(
        &self,
        exchange: &mut X,
        picked: &Result<Lease<W>, PickError>,
    ) {
        if let Err(error) = picked {
            exchange.pick(|balancer, pick| balancer.report_refused(&self.of(pick), error));
        }
    }

    /// Picks a member that has not been tried. If there is none, picks one of those that
    /// replace them; then one that failed without fault; and finally, if `scope` allows it,
    /// one that only its error excludes.
    fn pick_unreported<W, X: ServiceExchange<W>>(
        &mut self,
        exchange: &mut X,
        scope: PickScope,
    ) -> Result<Lease<W>, PickError> {
        self.forget_replaced(exchange.balancer());
        let retriable = self.retriable.take();
        let mut picked = self.pick_untried(exchange);
        if let (Err(PickError::NoneUsable { .. }), Some(member)) = (&picked, retriable) {
            self.same_member_retried = true;
            self.tried.retain(|tried| *tried != member);
            picked = self.pick_untried(exchange);
        }
        if scope == PickScope::Usable || !matches!(picked, Err(PickError::NoneUsable { .. })) {
            return picked;
        }
        let recovered =
            exchange.pick(|balancer, pick| balancer.pick_with_forced_recovery(&self.of(pick)));
        recovered.map_or(picked, Ok)
    }

    fn pick_untried<W, X: ServiceExchange<W>>(
        &self,
        exchange: &mut X,
    ) -> Result<Lease<W>, PickError> {
        exchange.pick(|balancer, pick| {
            let pick = self.of(pick);
            let picked = balancer.pick_untried(&pick);
            match &picked {
                Err(PickError::NoneUsable { .. }) => {
                    balancer.pick_in_reserve(&pick).map_or(picked, Ok)
                }
                _ => picked,
            }
        })
    }

    /// Picks another member for a request that may have been sent, if it may be sent again.
    pub(super) fn pick_for_retry<W, X: ServiceExchange<W>>(
        &mut self,
        exchange: &mut X,
        scope: PickScope,
    ) -> Option<Lease<W>> {
        let failover = &exchange.settings().failover;
        let allowed = failover.retries
            && self.attempts < failover.max_attempts
            && exchange.is_idempotent()
            && exchange.is_available();
        if !allowed || !failover.budget.withdraw() {
            return None;
        }
        self.paid += 1;
        // A retry does not wait for a member.
        let picked = self.pick_unreported(exchange, scope);
        self.report_failed_pick(exchange, &picked);
        if picked.is_err() {
            self.refund(&exchange.settings().failover.budget);
        }
        picked.ok()
    }

    /// Returns the cost of an attempt for which nothing was sent. If there were two, it
    /// does not matter which one: the first costs nothing.
    pub(super) fn refund(&mut self, budget: &RetryBudget) {
        if let Some(paid) = self.paid.checked_sub(1) {
            self.paid = paid;
            budget.refund();
        }
    }
}

/// Returns whether a session keeps its route although another member is tried, because its
/// own member can serve it later.
pub(super) fn keeps_route<W>(lease: &Lease<W>) -> bool {
    lease.session() == Session::Hit && !lease.member().status().contains(Flag::InError)
}
