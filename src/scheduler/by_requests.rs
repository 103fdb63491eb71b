//! Smooth weighted round robin: each member gets requests in proportion to its weight.

use super::ahead::Ahead;
use super::standings::{ClassLoad, Standings};
use super::{Candidates, GroupChange, Pick, PickContext, PickDetails, Scheduler};
use crate::member::{EffectiveWeight, MemberId, MemberState};

/// Picks by number of requests, in Apache's exact order (`lbmethod=byrequests`).
///
/// Each pick adds every eligible member's weight to its standing, picks the member with the
/// highest standing (the earlier member on a tie) and subtracts the total weight from that
/// standing. Each member's share is exact, and the picks of heavy members are spread out:
/// weights 5, 1, 1 give A A B A C A A. A member that leaves the group keeps its standing
/// and has it again when it is back.
///
/// Source: `lbmethod_byrequests.c` of Apache httpd; nginx uses the same rule. Cost: a pick
/// does not scan the members; it compares only the first member of each distinct weight.
/// After some picks in a row, elections are made ahead, and picks take them without a lock.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, ByRequests, MemberSpec, PickRequest, Weight};
///
/// let balancer = Balancer::builder()
///     .scheduler(ByRequests::new())
///     .member("a", (), MemberSpec::new().with_weight(Weight::new(2)?))
///     .member("b", (), MemberSpec::new())
///     .build()?;
/// let names: String = (0..6)
///     .map(|_| balancer.pick(&PickRequest::new()).unwrap().member().name().to_owned())
///     .collect();
/// assert_eq!(names, "abaaba");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ByRequests {
    standings: Ahead<Standings>,
}

impl ByRequests {
    /// Creates a scheduler.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{ByRequests, Scheduler};
    ///
    /// assert_eq!(ByRequests::new().name(), "byrequests");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            standings: Ahead::new(Standings::new(ClassLoad::Ignored)),
        }
    }
}

impl Default for ByRequests {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler for ByRequests {
    fn name(&self) -> &'static str {
        "byrequests"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        self.standings.pick(candidates)
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        self.standings.settled(|it| it.peek(candidates))
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let details = PickDetails::comparing("standing plus weight").ignoring_hash(context);
        self.standings.settled(|standings| {
            candidates.iter().fold(details, |details, one| {
                let score = standings.standing(one.id()) + i64::from(one.weight().units());
                details.score(one.id(), in_hundredths(score) as f64)
            })
        })
    }

    fn on_session_pick(&self, _: &Candidates<'_>, member: &MemberState) {
        self.standings.session_pick(member);
    }

    fn on_room(&self, member: &MemberState) {
        self.standings.settled(|it| it.room(member));
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.standings.change(|it| it.follow(group));
    }

    fn reset(&self) {
        self.standings.change(Standings::reset);
    }

    /// Returns the standing in hundredths of weight, as Apache's `lbstatus`.
    fn standing(&self, member: MemberId) -> Option<i64> {
        let standing = self.standings.settled(|it| it.standing(member));
        Some(in_hundredths(standing))
    }
}

pub(super) fn in_hundredths(units: i64) -> i64 {
    units / i64::from(EffectiveWeight::UNITS_PER_HUNDREDTH)
}
