//! The change of the eligible group that a scheduler is notified of.

use std::sync::Arc;

use super::Candidate;
use crate::member::MemberState;
use crate::snapshot::{FEW_MEMBERS, Picture, Seat};

/// How the eligible group changed, member by member: a change of one member costs a
/// scheduler work for that member only.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, GroupChange, Pick, PickContext, Scheduler};
/// use equipoise::{Balancer, MemberId, MemberSpec, Weight};
/// use std::sync::Mutex;
///
/// /// Keeps the weights by slot.
/// #[derive(Debug, Default)]
/// struct Ledger {
///     weights: Mutex<Vec<u32>>,
/// }
///
/// impl Scheduler for Ledger {
///     fn name(&self) -> &'static str {
///         "ledger"
///     }
///
///     fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
///         candidates.claim_first(candidates.iter())
///     }
///
///     fn on_group_change(&self, group: &GroupChange<'_>) {
///         let mut weights = self.weights.lock().unwrap();
///         for member in group.left() {
///             weights[member.id().slot()] = 0;
///         }
///         for candidate in group.joined().chain(group.changed()) {
///             let slot = candidate.id().slot();
///             if slot >= weights.len() {
///                 weights.resize(slot + 1, 0);
///             }
///             weights[slot] = candidate.weight().units();
///         }
///     }
///
///     fn standing(&self, member: MemberId) -> Option<i64> {
///         let weights = self.weights.lock().unwrap();
///         weights.get(member.slot()).map(|&weight| weight.into())
///     }
/// }
///
/// let balancer = Balancer::builder()
///     .scheduler(Ledger::default())
///     .member("a", (), MemberSpec::new())
///     .build()?;
/// assert_eq!(balancer.standing("a"), Some(1600));
/// let weight = Weight::new(2)?;
/// balancer.update("a", |spec| spec.with_weight(weight))?;
/// assert_eq!(balancer.standing("a"), Some(3200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GroupChange<'g> {
    pub(crate) picture: &'g Picture,
    pub(crate) left: &'g [Arc<Seat>],
    pub(crate) joined: &'g [(Arc<Seat>, bool)],
    pub(crate) changed: &'g [(Arc<Seat>, bool)],
}

impl<'g> GroupChange<'g> {
    /// Returns the number of this version of the group; it only grows. Candidates with a
    /// smaller [`generation`](super::Candidates::generation) are older.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::GroupChange;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// fn on_group_change(known: &AtomicU64, group: &GroupChange<'_>) {
    ///     known.store(group.generation(), Ordering::Release);
    /// }
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.picture.generation
    }

    /// Iterates over all eligible members as they are now, in tie order.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::GroupChange;
    ///
    /// /// For a value that is cheaper to compute again than to update.
    /// fn total_weight(group: &GroupChange<'_>) -> u64 {
    ///     group.iter().map(|one| u64::from(one.weight().units())).sum()
    /// }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'g>> + use<'g> {
        let picture = self.picture;
        picture
            .group()
            .map(|(seat, spare)| Candidate::new(picture, seat, spare))
    }

    /// Returns whether there are few members.
    pub(super) fn is_few(&self) -> bool {
        self.picture.group_len() <= FEW_MEMBERS
    }

    /// Returns the states of all eligible members in tie order, if they are few.
    pub(super) fn few(&self) -> &'g Arc<[Arc<MemberState>]> {
        &self.picture.few
    }

    /// Iterates over the members that are no longer eligible.
    pub fn left(&self) -> impl Iterator<Item = &'g MemberState> + use<'g> {
        self.left.iter().map(|seat| &*seat.state)
    }

    /// Iterates over the members that have become eligible.
    pub fn joined(&self) -> impl Iterator<Item = Candidate<'g>> + use<'g> {
        candidates(self.picture, self.joined)
    }

    /// Iterates over the members whose weight, rank or cap changed, or whose state should
    /// be read again.
    pub fn changed(&self) -> impl Iterator<Item = Candidate<'g>> + use<'g> {
        candidates(self.picture, self.changed)
    }
}

fn candidates<'g>(
    picture: &'g Picture,
    seats: &'g [(Arc<Seat>, bool)],
) -> impl Iterator<Item = Candidate<'g>> {
    seats
        .iter()
        .map(|(seat, spare)| Candidate::new(picture, seat, *spare))
}
