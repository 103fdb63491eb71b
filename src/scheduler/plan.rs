//! Tables that a scheduler creates in advance of picks: a [`Plan`], made from all
//! [`PlanMembers`].
//!
//! Not here: when a plan is made and how it is published
//! (`balancer/planning.rs`).

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::member::{Labels, MemberId, Weight};
use crate::snapshot::{Roster, Seat};

/// The result of [`Scheduler::plan`](super::Scheduler::plan): a table of the scheduler's
/// own type. Its picks read it with [`Candidates::plan`](super::Candidates::plan).
///
/// It is dropped outside every lock, when no pick uses it any more.
#[derive(Clone)]
pub struct Plan(Arc<dyn Any + Send + Sync>);

impl Plan {
    /// Creates a plan from a table.
    pub fn new<T>(table: T) -> Self
    where
        T: Any + Send + Sync,
    {
        Self(Arc::new(table))
    }

    /// Returns the table, if it is of this type.
    #[inline]
    pub(crate) fn table<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").finish_non_exhaustive()
    }
}

/// All members of a balancer, eligible or not, as the input of a plan.
#[derive(Debug)]
pub struct PlanMembers<'m> {
    listed: ListedMembers<'m>,
}

#[derive(Debug)]
enum ListedMembers<'m> {
    All(&'m Roster),
    Part(&'m [PlanMember<'m>]),
}

impl<'m> PlanMembers<'m> {
    pub(crate) fn new(roster: &'m Roster) -> Self {
        Self {
            listed: ListedMembers::All(roster),
        }
    }

    /// Lists only some members, for the plan of another scheduler.
    pub(super) fn part(part: &'m [PlanMember<'m>]) -> Self {
        Self {
            listed: ListedMembers::Part(part),
        }
    }

    /// Returns how many members there are.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::PlanMembers;
    ///
    /// fn average(members: &PlanMembers<'_>) -> Option<u64> {
    ///     let weights = members.iter().map(|one| u64::from(one.weight().hundredths()));
    ///     (!members.is_empty()).then(|| weights.sum::<u64>() / members.len() as u64)
    /// }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        match self.listed {
            ListedMembers::All(roster) => roster.len(),
            ListedMembers::Part(part) => part.len(),
        }
    }

    /// Returns whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over the members, by tier and then in configuration order.
    ///
    /// Balancers that got their members in different orders agree only on names. If several
    /// processes have to compute the same table, sort the members by name.
    pub fn iter(&self) -> impl Iterator<Item = PlanMember<'m>> + use<'m> {
        let (all, part) = match self.listed {
            ListedMembers::All(roster) => (Some(roster), None),
            ListedMembers::Part(part) => (None, Some(part)),
        };
        let all = all.into_iter().flat_map(Roster::by_tier);
        let part = part.into_iter().flatten().copied();
        all.map(|seat| PlanMember { seat }).chain(part)
    }
}

/// One member, as the input of a plan.
///
/// It has only properties whose change makes a new plan. It therefore has no status, and
/// its weight is the configured one.
#[derive(Clone, Copy, Debug)]
pub struct PlanMember<'m> {
    seat: &'m Seat,
}

impl<'m> PlanMember<'m> {
    /// Returns the id with which a pick claims the member.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.seat.state.id()
    }

    /// Returns the name, which is the same in every process.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::MemberId;
    /// use equipoise::scheduler::PlanMembers;
    /// use std::collections::BTreeMap;
    ///
    /// /// An order that does not depend on when a member was inserted.
    /// fn by_name<'m>(members: &PlanMembers<'m>) -> BTreeMap<&'m str, MemberId> {
    ///     members.iter().map(|one| (one.name(), one.id())).collect()
    /// }
    /// ```
    #[must_use]
    pub fn name(&self) -> &'m str {
        self.seat.state.name()
    }

    /// Returns the text of the label `name`, if the member has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::PlanMembers;
    ///
    /// fn in_zone(members: &PlanMembers<'_>, zone: &str) -> usize {
    ///     members.iter().filter(|one| one.label("zone") == Some(zone)).count()
    /// }
    /// ```
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&'m str> {
        self.seat.spec.label(name)
    }

    /// Returns the tier, with the operator's override applied.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::PlanMembers;
    ///
    /// fn in_first_tier(members: &PlanMembers<'_>) -> usize {
    ///     let first = members.iter().map(|one| one.tier()).min();
    ///     members.iter().filter(|one| Some(one.tier()) == first).count()
    /// }
    /// ```
    #[must_use]
    pub fn tier(&self) -> u16 {
        self.seat.spec.tier()
    }

    /// Returns the configured weight, with the operator's override applied. The weight that
    /// counts in a pick ([`Candidate::weight`](super::Candidate::weight)) may be smaller.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.seat.spec.weight()
    }
}

/// Returns whether two seats of a member give the same plan.
pub(crate) fn same_plan(one: &Seat, other: &Seat) -> bool {
    fn facts(seat: &Seat) -> (MemberId, u64, u16, Weight, &Labels) {
        let spec = &seat.spec;
        (
            seat.state.id(),
            seat.order,
            spec.tier(),
            spec.weight(),
            spec.labels(),
        )
    }
    facts(one) == facts(other)
}
