//! What a scheduler compared and drew for a pick: [`PickDetails`], which
//! [`Balancer::explain`](crate::Balancer::explain) shows.

use std::borrow::Cow;

use super::PickContext;
use crate::member::MemberId;

/// What a scheduler compares and draws for a pick.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::PickDetails;
/// use equipoise::{Balancer, PickRequest};
///
/// let balancer = Balancer::new([("a", ()), ("b", ())])?;
/// let member = balancer.member("a").unwrap().id();
/// let details = PickDetails::comparing("requests in flight")
///     .sample(member)
///     .score(member, 3.0)
///     .note("members with equal scores take turns");
/// assert_eq!(details.measure, Some("requests in flight"));
/// assert_eq!(details.samples, [member]);
/// assert_eq!(details.scores[0].score, 3.0);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PickDetails {
    /// What the scores measure, with the unit, such as `latency, in ms`. The lowest wins; of
    /// standings, the highest; scores that are chances give each member its share.
    pub measure: Option<&'static str>,
    /// The scores of the members compared.
    pub scores: Vec<MemberScore>,
    /// The members drawn, in the order of the draws.
    pub samples: Vec<MemberId>,
    /// The position of the request's hash key in the scheduler's table or ring.
    pub position: Option<TablePosition>,
    /// Remarks, such as a setting that the scheduler ignores; one sentence each, without a
    /// full stop.
    pub notes: Vec<Cow<'static, str>>,
}

impl PickDetails {
    /// Creates details of a scheduler that compares scores; `measure` is what they measure.
    #[must_use]
    pub fn comparing(measure: &'static str) -> Self {
        Self {
            measure: Some(measure),
            ..Self::default()
        }
    }

    /// Adds the score of a member.
    #[must_use]
    pub fn score(mut self, member: MemberId, score: f64) -> Self {
        self.scores.push(MemberScore { member, score });
        self
    }

    /// Adds a member that was drawn.
    #[must_use]
    pub fn sample(mut self, member: MemberId) -> Self {
        self.samples.push(member);
        self
    }

    /// Sets the position of the hash key: `index` of `len`.
    #[must_use]
    pub fn position(mut self, index: u64, len: u64) -> Self {
        self.position = Some(TablePosition { index, len });
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn note(mut self, note: impl Into<Cow<'static, str>>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a remark if the request has a hash key: this scheduler does not use it.
    #[must_use]
    pub(super) fn ignoring_hash(self, context: &PickContext<'_>) -> Self {
        if context.hash().is_none() {
            return self;
        }
        self.note("this scheduler ignores the request's hash key; a hashing one uses it")
    }
}

/// The score of one member in [`PickDetails`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MemberScore {
    /// The member.
    pub member: MemberId,
    /// Its score; the lowest wins, except among standings and chances.
    pub score: f64,
}

/// A position in a table or on a ring, in [`PickDetails`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TablePosition {
    /// The index, from 0.
    pub index: u64,
    /// The number of slots or points.
    pub len: u64,
}
