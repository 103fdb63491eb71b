//! What a scheduler is given for a pick, besides the candidates: [`PickContext`].

use std::any::Any;

use super::PickFacts;
use crate::clock::Timestamp;
use crate::random::Random;

/// The inputs of a pick other than the candidates.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, PickContext};
///
/// /// How a scheduler that samples members could draw the first one.
/// fn draw(candidates: &Candidates<'_>, context: &PickContext<'_>) -> u64 {
///     context.random().below(candidates.len() as u64)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PickContext<'p> {
    pub(crate) now: Option<Timestamp>,
    pub(crate) hash: Option<u64>,
    pub(crate) facts: PickFacts<'p>,
    pub(crate) random: &'p Random,
}

impl<'p> PickContext<'p> {
    /// Returns the time, if [`Scheduler::needs`](super::Scheduler::needs) contains
    /// [`Needs::CLOCK`](super::Needs::CLOCK).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Timestamp;
    /// use equipoise::scheduler::PickContext;
    ///
    /// /// Whether something that a member reported `at` is too old to use.
    /// fn is_stale(at: Timestamp, context: &PickContext<'_>) -> bool {
    ///     context.now().is_some_and(|now| now.since(at).as_secs() >= 10)
    /// }
    /// ```
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// Returns the request's hash key, if it has one.
    #[must_use]
    pub fn hash(&self) -> Option<u64> {
        self.hash
    }

    /// Returns the facts that were passed with the request, if they are of this type.
    #[must_use]
    pub fn facts<T: Any>(&self) -> Option<&'p T> {
        self.facts.get()
    }

    /// Returns the source of randomness.
    #[must_use]
    pub fn random(&self) -> &'p Random {
        self.random
    }
}
