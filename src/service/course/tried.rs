//! What one request has tried, and whom it may try next.

use super::exchange::ServiceExchange;
use crate::balancer::{Balancer, Lease, PickError, PickRequest};
use crate::member::{Cause, Flag, MemberId, Outcome};
use crate::service::{BalanceError, Fault, RetryBudget};
use crate::session::Session;

/// How far a pick goes for a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reach {
    /// As a first pick: if there is no other, members are forgiven their error (forced
    /// recovery). For a request that would fail otherwise.
    Forgiving,
    /// To members that are usable now.
    Usable,
}

/// What has been tried.
#[derive(Default)]
pub(super) struct TriedMembers {
    pub(super) tried: Vec<MemberId>,
    /// Why the last attempt failed.
    pub(super) cause: Option<Cause>,
    /// The payloads that these members, and those that were full, had then; `None` for one
    /// that has been replaced.
    payloads: Vec<(MemberId, Option<u64>)>,
    pub(super) attempts: u32,
    /// How many of them the budget has paid for.
    paid: u32,
    /// The one repetition of what may have been sent.
    pub(super) repeated: bool,
    /// The one more for a failure that is not the member's fault.
    excused: bool,
    /// Who failed without fault, and may have the request again if nobody else can.
    pardoned: Option<MemberId>,
    /// Somebody has had it again.
    returned: bool,
    /// The members that took no more requests at the same time.
    full: Vec<MemberId>,
    /// What the last attempt that failed came to, for when no other can begin.
    pub(super) failed: Option<BalanceError>,
    /// Some member may have got some of the request.
    pub(super) sent: bool,
    /// The client keeps its route, though another member answers: its own is not in
    /// error.
    pub(super) strayed: bool,
}

impl TriedMembers {
    /// A request for a pick that knows what has been tried.
    pub(super) fn of<'p>(&'p self, pick: PickRequest<'p>) -> PickRequest<'p> {
        pick.with_tried(&self.tried).with_cause(self.cause.as_ref())
    }

    /// Whoever failed with such a fault may have the request once more, if nobody else can.
    pub(super) fn pardon(&mut self, member: MemberId, fault: Fault) {
        self.pardoned = (fault.is_member_blameless() && !self.returned).then_some(member);
    }

    /// Ends an attempt that failed. What this machine has run out of is no member's failure.
    pub(super) fn end<W>(&mut self, lease: Lease<W>, fault: Fault, cause: &Cause) {
        self.cause = Some(cause.clone());
        if fault.is_exhausted() {
            lease.finish(Outcome::Cancelled);
        } else {
            lease.fail(cause.clone());
        }
    }

    /// A member takes no more requests at the same time. The balancer knows that now; if it
    /// has picked it all the same, others use it as well, and it is not asked a third time.
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

    /// As [`note`](Self::note), of a member that has not failed: it is late, or full.
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

    /// Forgets members whose payload has been replaced since it was tried: another server
    /// has their name now. Each is forgotten once: a discovery that inserts the same members
    /// again and again keeps no request going.
    pub(super) fn forget_replaced<W>(&mut self, balancer: &Balancer<W>) {
        for (member, payload) in &mut self.payloads {
            if payload.is_some_and(|payload| balancer.has_replaced(*member, payload)) {
                *payload = None;
                self.tried.retain(|tried| tried != member);
                self.full.retain(|full| full != member);
            }
        }
    }

    /// Whether there is a repetition left for such a failure. More than these two would
    /// hand a request that kills members from one to the next.
    pub(super) fn repeats_after(&mut self, fault: Fault) -> bool {
        let left = if fault.is_member_blameless() && !self.excused {
            &mut self.excused
        } else {
            &mut self.repeated
        };
        !std::mem::replace(left, true)
    }

    /// As [`elect_quietly`](Self::elect_quietly), and tells observers if there is none, unless
    /// that is waited for: then it is told when the wait is over.
    pub(super) fn elect<W, X: ServiceExchange<W>>(
        &mut self,
        balancer: &Balancer<W>,
        exchange: &X,
        reach: Reach,
    ) -> Result<Lease<W>, PickError> {
        let picked = self.elect_quietly(balancer, exchange, reach);
        let full = matches!(picked, Err(PickError::AtCapacity));
        if !(full && exchange.settings().waits_for_room()) {
            self.tell_if_refused(balancer, exchange, &picked);
        }
        picked
    }

    fn tell_if_refused<W, X: ServiceExchange<W>>(
        &self,
        balancer: &Balancer<W>,
        exchange: &X,
        picked: &Result<Lease<W>, PickError>,
    ) {
        if let Err(error) = picked {
            exchange.pick(balancer, |pick| {
                balancer.report_refused(&self.of(pick), error);
            });
        }
    }

    /// Picks a member that has not been tried; if all that are eligible have been, one of
    /// those that stand in for them; then one that failed without fault; and at last, if
    /// `reach` says so, one that only its error keeps out.
    fn elect_quietly<W, X: ServiceExchange<W>>(
        &mut self,
        balancer: &Balancer<W>,
        exchange: &X,
        reach: Reach,
    ) -> Result<Lease<W>, PickError> {
        self.forget_replaced(balancer);
        let pardoned = self.pardoned.take();
        let mut picked = self.elect_untried(balancer, exchange);
        if let (Err(PickError::NoneUsable { .. }), Some(member)) = (&picked, pardoned) {
            self.returned = true;
            self.tried.retain(|tried| *tried != member);
            picked = self.elect_untried(balancer, exchange);
        }
        if reach == Reach::Usable || !matches!(picked, Err(PickError::NoneUsable { .. })) {
            return picked;
        }
        let forgiven = exchange.pick(balancer, |pick| {
            balancer.pick_with_forced_recovery(&self.of(pick))
        });
        forgiven.map_or(picked, Ok)
    }

    fn elect_untried<W, X: ServiceExchange<W>>(
        &self,
        balancer: &Balancer<W>,
        exchange: &X,
    ) -> Result<Lease<W>, PickError> {
        exchange.pick(balancer, |pick| {
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

    /// Picks somebody else for what may have been sent already, if that may be sent
    /// again at all.
    pub(super) fn elect_for_repetition<W, X: ServiceExchange<W>>(
        &mut self,
        balancer: &Balancer<W>,
        exchange: &X,
        reach: Reach,
    ) -> Option<Lease<W>> {
        let failover = &exchange.settings().failover;
        let allowed = failover.repeats
            && self.attempts < failover.max_attempts
            && exchange.is_idempotent()
            && exchange.is_left();
        if !allowed || !failover.budget.withdraw() {
            return None;
        }
        self.paid += 1;
        // Nothing waits for a repetition.
        let picked = self.elect_quietly(balancer, exchange, reach);
        self.tell_if_refused(balancer, exchange, &picked);
        if picked.is_err() {
            self.refund(&failover.budget);
        }
        picked.ok()
    }

    /// There is one attempt less than was paid for, as nothing of it was sent. Which of two
    /// it was does not matter: one of them is the first, which costs nothing.
    pub(super) fn refund(&mut self, budget: &RetryBudget) {
        if let Some(paid) = self.paid.checked_sub(1) {
            self.paid = paid;
            budget.refund();
        }
    }
}

/// Returns whether a session that goes elsewhere has its member left, so that it may come
/// back.
pub(super) fn strays<W>(lease: &Lease<W>) -> bool {
    lease.session() == Session::Hit && !lease.member().status().contains(Flag::InError)
}
