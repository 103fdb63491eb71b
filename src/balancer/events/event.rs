//! What happened: [`Event`].
//!
//! What does not live here: its line in a log (`display.rs`), and when it is told.

use std::time::Duration;

use super::Interest;
use crate::balancer::error::PickError;
use crate::balancer::layers::SettingLayer;
use crate::clock::Timestamp;
use crate::member::{Cause, Ended, MemberState, Status};
use crate::session::{CookieRouteError, Session};

/// Something that happened in a balancer.
///
/// Its `Display` is one line of plain words, without control characters, for a log.
///
/// Events are told outside every lock, so they may come out of order.
/// [`generation`](Self::generation) orders them.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Event, Flag};
///
/// let balancer = Balancer::new([("a", ())])?;
/// let log = balancer.observe(|event: &Event<'_>| println!("{event}"));
/// balancer.set_flag("a", Flag::Draining)?;
/// // member "a" changed from ok to draining (operator)
/// # drop(log);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'e> {
    /// The balancer's name, if it has one.
    pub balancer: Option<&'e str>,
    /// The number of the picture to which the event belongs; each publication has a higher
    /// one.
    ///
    /// A change of a member carries the first picture that shows it; what happens to a
    /// request, the picture by which its member was picked; everything else, the picture
    /// that was published when it happened.
    pub generation: u64,
    /// The member to which it happened; `None` for an event of the whole balancer.
    pub member: Option<&'e MemberState>,
    /// What happened.
    pub kind: EventKind<'e>,
}

/// What happened, with its facts.
///
/// # Examples
///
/// ```
/// use equipoise::balancer::events::{Event, EventKind};
/// use equipoise::Outcome;
///
/// /// Returns the name of a member that failed a request, and why.
/// fn failure(event: &Event<'_>) -> Option<String> {
///     match event.kind {
///         EventKind::Ended(ended) if ended.outcome == Outcome::Failure => {
///             let cause = ended.cause.as_ref().map(ToString::to_string);
///             Some(format!("{}: {}", event.member?.name(), cause.unwrap_or_default()))
///         }
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EventKind<'e> {
    /// The head of an answer arrived.
    Answered {
        /// The time from the pick to the head, if the scheduler needs it or an observer
        /// wants it ([`Interest::TIME_TO_HEAD`]). `None` for a request that began before that.
        time_to_head: Option<Duration>,
        /// The status of the answer, if its protocol has one.
        status: Option<u16>,
    },
    /// A member's flags changed. An error that is repeated is no change.
    Changed {
        /// Its status before.
        before: Status,
        /// Its status afterwards.
        after: Status,
        /// The layer that changed.
        layer: SettingLayer,
        /// Why it is in error, failed by a check or ejected now, if that was said.
        cause: Option<&'e Cause>,
    },
    /// A member was ejected for a time, or its ejection lasts longer than was told before.
    /// Its flag is also told as [`Changed`](Self::Changed), and a member that a request puts
    /// in error as nothing else.
    Ejected {
        /// When the ejection ends, on the balancer's clock.
        until: Timestamp,
        /// Why it was ejected.
        cause: Option<&'e Cause>,
    },
    /// A member was picked, by the scheduler or by a session.
    Picked {
        /// What became of the request's session.
        session: Session,
    },
    /// A request ended. The member's count is given back already.
    Ended(
        /// How it ended.
        &'e Ended,
    ),
    /// A request that had tried other members goes to this one.
    FailedOver {
        /// The member it tried last; `None` if that has been removed.
        from: Option<&'e MemberState>,
        /// How many members it has tried.
        tried: usize,
        /// Why the last attempt failed, if that is known.
        cause: Option<&'e Cause>,
    },
    /// A report of idle capacity was dropped or could not be read, or this server's own could not
    /// be sent or written. It belongs to no balancer: its generation is 0. The observer of a
    /// system with a configuration of Apache's is told it; programs of other kinds ask the
    /// monitor, the file and the sender.
    HeartbeatFault {
        /// What is wrong, in one line.
        why: &'e str,
    },
    /// A member joined the balancer.
    Joined,
    /// A member left the balancer. Its requests in flight go on.
    Left,
    /// Health checks noted that the member passes ([`Balancer::apply_check_results`] without a cause). If
    /// that has changed its flags, they are told as [`Changed`](Self::Changed) before.
    /// `HealthChecks` of the feature `health` note it of members that are out of service, ejected
    /// ones included.
    ///
    /// [`Balancer::apply_check_results`]: crate::Balancer::apply_check_results
    PassedCheck,
    /// An ejection ended, by its time or otherwise. Its flag is also told as
    /// [`Changed`](Self::Changed), and the end of an error as nothing else.
    Recovered,
    /// A pick picked no member.
    Refused {
        /// Why.
        error: &'e PickError,
        /// How many members there are.
        members: usize,
        /// How many of them the request had tried.
        tried: usize,
    },
    /// A request with sessions was given the member.
    Session {
        /// What became of its session.
        session: Session,
        /// The route that it presented, or the name of the member that it was known to be at.
        route: Option<&'e str>,
    },
    /// A session's cookie cannot bring its client back to the member: it has no route, or
    /// one that cannot be in a cookie. A service with a
    /// [`RouteCookie`](crate::service::RouteCookie) tells it once for each member: when it is
    /// built, or when a member that joined later first serves a new session. See
    /// [`BalanceLayer::check_sessions`](crate::BalanceLayer::check_sessions).
    SessionNotKept {
        /// What is wrong with the route.
        why: &'e CookieRouteError,
    },
    /// A request joined the line of those that wait for a member.
    Waiting {
        /// How many are in line, this one included.
        in_line: usize,
    },
}

impl EventKind<'_> {
    /// Returns what an observer has to want for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::balancer::events::{EventKind, Interest};
    ///
    /// assert_eq!(EventKind::Joined.interest(), Interest::JOINED);
    /// ```
    #[must_use]
    pub const fn interest(&self) -> Interest {
        match self {
            Self::Answered { .. } => Interest::ANSWERED,
            Self::Changed { .. } => Interest::CHANGED,
            Self::Ejected { .. } => Interest::EJECTED,
            Self::Picked { .. } => Interest::PICKED,
            Self::Ended(_) => Interest::ENDED,
            Self::FailedOver { .. } => Interest::FAILED_OVER,
            Self::HeartbeatFault { .. } => Interest::HEARTBEAT_FAULT,
            Self::Joined => Interest::JOINED,
            Self::Left => Interest::LEFT,
            Self::PassedCheck => Interest::PASSED_CHECK,
            Self::Recovered => Interest::RECOVERED,
            Self::Refused { .. } => Interest::REFUSED,
            Self::Session { .. } => Interest::SESSION,
            Self::SessionNotKept { .. } => Interest::SESSION_NOT_KEPT,
            Self::Waiting { .. } => Interest::WAITING,
        }
    }
}
