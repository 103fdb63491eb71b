//! The layers of which a member is made: [`Layer`].

/// Which of a member's layers has decided something about it.
///
/// # Examples
///
/// See [`MemberExplained::layer`](super::MemberExplained::layer).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// Its health: in error, ejected, or a failed check. Why is in its
    /// [`health`](super::MemberExplained::health).
    Health,
    /// The [`Overrides`](crate::member::Overrides) of an operator.
    Operator,
    /// The [`MemberSpec`](crate::MemberSpec) with which it was inserted or updated.
    Source,
}
