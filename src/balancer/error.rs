//! The errors of a balancer, one type for each operation.

use std::sync::Arc;
use std::time::Duration;

/// Why no member was picked.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, PickError, PickRequest};
///
/// let balancer = Balancer::<()>::builder().build()?;
/// let error = balancer.pick(&PickRequest::new()).unwrap_err();
/// assert_eq!(error, PickError::Empty);
/// assert_eq!(error.retry_after(), None);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PickError {
    /// All members that could be picked have as many requests in flight as their caps
    /// allow, or other requests already wait for the next free place, or the scheduler
    /// withholds room.
    #[error("all usable members are at their capacity")]
    AtCapacity,
    /// The balancer has no members.
    #[error("the balancer has no members")]
    Empty,
    /// There are members, but none can be picked.
    #[error("none of {members} members can be picked ({tried} tried by this request)")]
    NoneUsable {
        /// How many members there are.
        members: usize,
        /// How many of them the request has tried.
        tried: usize,
        /// The delay after which a member in error is tried again.
        retry_after: Option<Duration>,
    },
    /// The session's own member cannot serve, and the request forbids another.
    #[error("the member of session route {route:?} cannot serve")]
    SessionLost {
        /// The session's route, or the name of its member where the request gave that.
        route: Arc<str>,
    },
}

impl PickError {
    /// Returns the delay after which another try may succeed, if that is known.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::ManualClock;
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    /// use std::time::Duration;
    ///
    /// let delay = Duration::from_secs(5);
    /// let balancer = Balancer::builder()
    ///     .clock(ManualClock::new())
    ///     .forced_recovery(false)
    ///     .member("a", (), MemberSpec::new().with_recovery_delay(delay))
    ///     .build()?;
    /// balancer.pick(&PickRequest::new())?.put_in_error();
    /// let error = balancer.pick(&PickRequest::new()).unwrap_err();
    /// assert_eq!(error.retry_after(), Some(delay)); // as in an HTTP `Retry-After`
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoneUsable { retry_after, .. } => *retry_after,
            Self::AtCapacity | Self::Empty | Self::SessionLost { .. } => None,
        }
    }
}

/// Why a balancer could not be built.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, BuildError};
///
/// let error = Balancer::new([("a", 1), ("a", 2)]).unwrap_err();
/// assert_eq!(error, BuildError::DuplicateName { name: "a".into() });
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two members have the same name; the name is a member's identity.
    #[error("two members are called {name:?}: give each member a name of its own")]
    DuplicateName {
        /// The name that occurs twice.
        name: Arc<str>,
    },
}

/// Why an [`Edit`](super::Edit), or a change of one member, failed; nothing is changed.
///
/// # Examples
///
/// ```
/// use equipoise::EditError;
/// use equipoise::{Balancer, MemberSpec};
///
/// let balancer = Balancer::new([("a", 1)])?;
/// let twice = ["b", "b"].map(|name| (name, 2, MemberSpec::new()));
/// let error = balancer.replace_all(twice).unwrap_err();
/// assert_eq!(error, EditError::DuplicateName { name: "b".into() });
/// assert_eq!(error.name(), "b");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// One edit inserts a name twice; the name is a member's identity.
    #[error("two members are called {name:?}: give each member a name of its own")]
    DuplicateName {
        /// The name that is inserted twice.
        name: Arc<str>,
    },
    /// The member belongs to another source.
    #[error("the member called {name:?} belongs to the source {owner:?}")]
    OtherSource {
        /// The member's name.
        name: Arc<str>,
        /// The name of the source that owns it.
        owner: Arc<str>,
    },
    /// There is no member of that name.
    #[error("there is no member called {name:?}")]
    UnknownMember {
        /// The requested name.
        name: Arc<str>,
    },
}

impl EditError {
    /// Returns the name of the member that the error is about.
    #[must_use]
    pub fn name(&self) -> &str {
        let (Self::DuplicateName { name }
        | Self::OtherSource { name, .. }
        | Self::UnknownMember { name }) = self;
        name
    }
}

/// There is no member of that name.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Flag};
///
/// let balancer = Balancer::new([("a", ())])?;
/// let error = balancer.set_flag("b", Flag::Draining).unwrap_err();
/// assert_eq!(error.to_string(), "there is no member called \"b\"");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no member called {name:?}")]
#[non_exhaustive]
pub struct UnknownMember {
    /// The requested name; or the requested id, as text.
    pub name: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::{BuildError, EditError, PickError, UnknownMember};
    use std::time::Duration;

    #[test]
    fn errors_read_as_sentences_that_help() {
        let none = PickError::NoneUsable {
            members: 3,
            tried: 2,
            retry_after: Some(Duration::from_secs(9)),
        };
        assert_eq!(
            none.to_string(),
            "none of 3 members can be picked (2 tried by this request)"
        );
        assert_eq!(none.retry_after(), Some(Duration::from_secs(9)));
        assert_eq!(
            PickError::AtCapacity.to_string(),
            "all usable members are at their capacity"
        );
        assert_eq!(PickError::Empty.to_string(), "the balancer has no members");
        assert_eq!(
            PickError::SessionLost { route: "r1".into() }.to_string(),
            "the member of session route \"r1\" cannot serve"
        );
        assert_eq!(
            BuildError::DuplicateName { name: "a".into() }.to_string(),
            "two members are called \"a\": give each member a name of its own"
        );
        let other = EditError::OtherSource {
            name: "a".into(),
            owner: "dns".into(),
        };
        assert_eq!(
            other.to_string(),
            "the member called \"a\" belongs to the source \"dns\""
        );
        let (twice, unknown) = (
            EditError::DuplicateName { name: "a".into() },
            EditError::UnknownMember { name: "x".into() },
        );
        assert_eq!(
            twice.to_string(),
            BuildError::DuplicateName { name: "a".into() }.to_string()
        );
        assert_eq!(
            unknown.to_string(),
            UnknownMember { name: "x".into() }.to_string()
        );
        assert_eq!(
            UnknownMember { name: "x".into() }.to_string(),
            "there is no member called \"x\""
        );
    }
}
