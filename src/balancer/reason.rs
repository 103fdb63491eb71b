//! Why a pick has its result: [`Reason`].

use std::fmt;
use std::sync::Arc;

/// Why a pick has its result.
///
/// # Examples
///
/// ```
/// use equipoise::balancer::Reason;
/// use equipoise::{Balancer, MemberSpec, PickRequest};
///
/// let balancer = Balancer::builder()
///     .member("a", (), MemberSpec::new().with_route("r1"))
///     .build()?;
/// let why = |route| balancer.explain(&PickRequest::new().with_session(route)).reason().clone();
/// assert_eq!(why(Some("r1")), Reason::SessionHit);
/// assert_eq!(why(None), Reason::Scheduled { tied_with: None, lost_route: None });
/// balancer.remove("a");
/// assert_eq!(why(None), Reason::Empty);
/// assert_eq!(why(None).to_string(), "there are no members");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// All members that could be picked are at their caps.
    AtCapacity,
    /// There are no members.
    Empty,
    /// No member can be picked.
    NoneUsable,
    /// The scheduler picks this member.
    Scheduled {
        /// Another member that ranked equal; the one that comes first in configuration order
        /// was picked.
        tied_with: Option<Arc<str>>,
        /// The route that was presented, or the name of the session's member, if that
        /// member cannot serve.
        lost_route: Option<String>,
    },
    /// The session's own member serves.
    SessionHit,
    /// The session's own member cannot serve, and the request forbids any other member.
    SessionLost,
    /// The redirect route of the session's member serves.
    SessionRedirected,
    /// The scheduler does not predict its pick: it picks at random, or has no
    /// [`peek`](crate::Scheduler::peek).
    Unpredictable,
}

impl Reason {
    /// Writes the reason as a sentence; a scheduler picked by `measure`.
    pub(super) fn write(&self, f: &mut impl fmt::Write, measure: &str) -> fmt::Result {
        match self {
            Self::AtCapacity => f.write_str("all members that could be picked are at capacity"),
            Self::Empty => f.write_str("there are no members"),
            Self::NoneUsable => f.write_str("no member can be picked"),
            Self::Scheduled {
                tied_with,
                lost_route,
            } => {
                match lost_route {
                    Some(route) => write!(f, "route {route:?} cannot be served; by {measure}")?,
                    None => write!(f, "by {measure}")?,
                }
                match tied_with {
                    Some(rival) => write!(f, ", tied with {rival}, and the earlier place decides"),
                    None => Ok(()),
                }
            }
            Self::SessionHit => f.write_str("its session belongs to this member"),
            Self::SessionLost => {
                f.write_str("its session's member cannot serve, and no other member may")
            }
            Self::SessionRedirected => f.write_str("its session is redirected to this member"),
            Self::Unpredictable => f.write_str("the scheduler does not predict its pick"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "standing")
    }
}
