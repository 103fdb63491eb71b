//! The smoothest weighted rotation: no member is ever a whole request from its share.

use super::ahead::Ahead;
use super::turn_order::TurnOrder;
use super::{Candidates, GroupChange, Pick, PickContext, PickDetails, Scheduler};
use crate::member::{MemberId, MemberState};

/// Picks in turn, in proportion to the weights, and as evenly as is possible.
///
/// After any number of requests, each of `n` members has had its exact share of them, but
/// for at most `1 - 1/(2n - 2)` of a request, more or less. No scheduler keeps a smaller
/// bound for all weights. [`ByRequests`](super::ByRequests) has exact shares too, but a
/// member can be more than one request behind meanwhile (1.07 at most, in a test of 20 000
/// groups of 3 to 16 members with random weights up to 30).
///
/// Use it where requests cost about the same and no member may fall behind its share, for
/// example with few, large requests. A heavy member gets each request as early as the bound
/// allows. So beside 99 members of weight 1, one of weight 100 sometimes gets two in a row
/// where [`ByRequests`](super::ByRequests) alternates.
///
/// The bound holds from one change to the next, as long as each pick gets the member whose
/// turn it is: a member that is full or that the request has tried is passed over, and makes
/// up for it afterwards if it was only tried. A pick by a session counts as a turn. A member
/// that leaves, is full, or gets another weight keeps its credit. With more than 65 536
/// members the bound is 1.
///
/// Source: Tijdeman, *The chairman assignment problem* (1980). Cost: O(log k) for each
/// election among members of `k` different weights; O(log n) after picks by sessions;
/// O(n log n) when the group changes. After some picks in a row, elections are made
/// ahead, and picks take them without a lock, as with [`ByRequests`](super::ByRequests).
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Rotation;
/// use equipoise::{Balancer, MemberSpec, PickRequest, Weight};
///
/// let balancer = Balancer::builder()
///     .scheduler(Rotation::new())
///     .member("a", (), MemberSpec::new().with_weight(Weight::new(3)?))
///     .member("b", (), MemberSpec::new())
///     .member("c", (), MemberSpec::new())
///     .build()?;
/// let names: String = (0..10)
///     .map(|_| balancer.pick(&PickRequest::new()).unwrap().member().name().to_owned())
///     .collect();
/// assert_eq!(names, "abacaabaca");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rotation {
    order: Ahead<TurnOrder>,
}

impl Rotation {
    /// Creates a scheduler.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Scheduler;
    /// use equipoise::scheduler::Rotation;
    ///
    /// assert_eq!(Rotation::new().name(), "rotation");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            order: Ahead::new(TurnOrder::new()),
        }
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler for Rotation {
    fn name(&self) -> &'static str {
        "rotation"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        self.order.pick(candidates)
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        self.order.settled(|order| {
            if candidates.preview {
                order.copy_for(candidates).peek(candidates)
            } else {
                order.peek(candidates)
            }
        })
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let details = PickDetails::comparing("picks until it would be too far behind its share")
            .ignoring_hash(context);
        self.order.settled(|order| {
            candidates.iter().fold(details, |details, one| {
                match order.deadline(one.id()) {
                    Some(deadline) => details.score(one.id(), deadline),
                    // It is too far ahead of its share.
                    None => details,
                }
            })
        })
    }

    fn on_session_pick(&self, _: &Candidates<'_>, member: &MemberState) {
        self.order.session_pick(member);
    }

    fn on_room(&self, member: &MemberState) {
        self.order.settled(|order| order.room(member));
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.order.change(|order| order.follow(group));
    }

    fn reset(&self) {
        self.order.change(TurnOrder::reset);
    }

    /// Returns how far the member is ahead of its share, in millionths of a request;
    /// negative if it is behind.
    fn standing(&self, member: MemberId) -> Option<i64> {
        Some(self.order.settled(|order| order.lead(member)))
    }
}
