//! What a scheduler is told when the eligible group changes.

use std::sync::Arc;

use super::Candidate;
use crate::member::MemberState;
use crate::snapshot::{Picture, Seat};

/// How the eligible group changed, member by member, so that a change of one member
/// costs a scheduler no more than that member.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Group;
///
/// /// What a scheduler with books of its own does first.
/// fn on_group(group: &Group<'_>) {
///     for member in group.left() {
///         println!("{} left", member.name());
///     }
///     for candidate in group.joined() {
///         println!("{} joined with weight {}", candidate.state().name(), candidate.spec().weight());
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Group<'g> {
    pub(crate) picture: &'g Picture,
    pub(crate) left: &'g [Arc<Seat>],
    pub(crate) joined: &'g [(Arc<Seat>, bool)],
    pub(crate) changed: &'g [(Arc<Seat>, bool)],
}

impl<'g> Group<'g> {
    /// Returns the number of this state of affairs; it only grows.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.picture.generation
    }

    /// Iterates over all eligible members as they are now, in tie order.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'g>> + use<'g> {
        self.picture
            .group()
            .map(|(seat, spare)| Candidate::new(seat, spare))
    }

    /// Iterates over the members that are no longer eligible.
    pub fn left(&self) -> impl Iterator<Item = &'g MemberState> + use<'g> {
        self.left.iter().map(|seat| &*seat.state)
    }

    /// Iterates over the members that have become eligible.
    pub fn joined(&self) -> impl Iterator<Item = Candidate<'g>> + use<'g> {
        candidates(self.joined)
    }

    /// Iterates over the members whose weight, rank or cap changed, or whose facts
    /// should be read again.
    pub fn changed(&self) -> impl Iterator<Item = Candidate<'g>> + use<'g> {
        candidates(self.changed)
    }
}

fn candidates(seats: &[(Arc<Seat>, bool)]) -> impl Iterator<Item = Candidate<'_>> {
    seats
        .iter()
        .map(|(seat, spare)| Candidate::new(seat, *spare))
}
