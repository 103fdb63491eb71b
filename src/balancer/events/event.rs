//! What happened: [`Event`].
//!
//! Not here: its text in a log (`display.rs`), and when it is reported.

use std::time::Duration;

use super::Interest;
use crate::balancer::error::PickError;
use crate::balancer::layers::SettingLayer;
use crate::clock::Timestamp;
use crate::member::{Cause, Ended, MemberState, Status};
use crate::session::{CookieRouteError, Session};

/// Something that happened in a balancer.
///
/// Its `Display` is one line of plain text without control characters, for a log.
///
/// Events are delivered outside every lock, so they may arrive out of order.
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
    /// The number of the published state of the members that the event belongs to; each
    /// publication has a higher number than the one before.
    ///
    /// A change of a member has the number of the first publication that shows it. An event
    /// of a request has the number of the one by which its member was picked. All other
    /// events have the number of the latest publication when they happened.
    pub generation: u64,
    /// The member that the event is about; `None` for an event of the whole balancer.
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
    /// The head of a response arrived.
    Responded {
        /// The time from the pick to the head, if the scheduler needs it or an observer
        /// wants it ([`Interest::TIME_TO_HEAD`]). `None` for a request that began before
        /// that.
        time_to_head: Option<Duration>,
        /// The status of the response, if its protocol has one.
        status: Option<u16>,
    },
    /// A member's flags changed: an operator or its source changed them, or its health did.
    /// An error is reported as this event only
    /// ([`Lease::put_in_error`](crate::Lease::put_in_error)): `after` contains
    /// [`Flag::InError`](crate::Flag::InError), and the event that ends the error does not.
    /// A further error of a member in error changes no flag and is not reported.
    Changed {
        /// Its status before.
        before: Status,
        /// Its status afterwards.
        after: Status,
        /// The layer that changed.
        layer: SettingLayer,
        /// Why it is in error, ejected or failed by a check now, if a cause was given.
        cause: Option<&'e Cause>,
    },
    /// A member was ejected for a time ([`Balancer::eject`](crate::Balancer::eject)), or
    /// its ejection was extended. If its flag [`Flag::Ejected`](crate::Flag::Ejected)
    /// changed, that is reported as [`Changed`](Self::Changed) before. A member in error is
    /// not ejected: an error is reported as `Changed` only.
    Ejected {
        /// When the ejection ends, on the balancer's clock.
        until: Timestamp,
        /// Why it was ejected.
        cause: Option<&'e Cause>,
    },
    /// A member was picked, by the scheduler or by a session.
    Picked {
        /// How the request's session was served.
        session: Session,
    },
    /// A request ended. It no longer counts as in flight.
    Ended(
        /// How it ended.
        &'e Ended,
    ),
    /// A member was picked for a request that had tried other members.
    FailedOver {
        /// The member that it tried last; `None` if that was removed.
        from: Option<&'e MemberState>,
        /// How many members it has tried.
        tried: usize,
        /// Why the last attempt failed, if that is known.
        cause: Option<&'e Cause>,
    },
    /// A report of idle capacity was dropped or could not be read, or this server's own
    /// report could not be sent or written. The event belongs to no balancer: its
    /// generation is 0. Only the observer of a configuration that runs (feature `config`)
    /// receives it. Other programs query the monitor, the file and the sender.
    HeartbeatFault {
        /// What is wrong, in one line.
        why: &'e str,
    },
    /// A member joined the balancer.
    Joined,
    /// A member left the balancer. Its requests in flight continue.
    Left,
    /// A health check of the member passed ([`Balancer::apply_check_results`] without a
    /// cause). If that changed its flags, they were reported as [`Changed`](Self::Changed)
    /// before. `HealthChecks` of the feature `health` applies passed checks for members
    /// that are out of service, ejected ones included.
    ///
    /// [`Balancer::apply_check_results`]: crate::Balancer::apply_check_results
    PassedCheck,
    /// An ejection ended, because its time has elapsed or otherwise. The flag
    /// [`Flag::Ejected`](crate::Flag::Ejected), which is cleared, is reported as
    /// [`Changed`](Self::Changed) before. The end of an error is reported as `Changed`
    /// only.
    Recovered,
    /// A pick found no member.
    Refused {
        /// Why.
        error: &'e PickError,
        /// How many members there are.
        members: usize,
        /// How many of them the request had tried.
        tried: usize,
    },
    /// A member was picked for a request with sessions.
    Session {
        /// How the session was served.
        session: Session,
        /// The route that the request presented, or the name of the session's member, if
        /// that was known.
        route: Option<&'e str>,
    },
    /// The cookie of a session cannot lead its client back to the member: the member has no
    /// route, or one that a cookie cannot contain. A service with a
    /// [`RouteCookie`](crate::service::RouteCookie) reports it once for each member: when
    /// the service is built, or when a member that joined later first serves a new session.
    /// See [`BalanceLayer::check_sessions`](crate::BalanceLayer::check_sessions).
    SessionNotKept {
        /// What is wrong with the route.
        why: &'e CookieRouteError,
    },
    /// A request joined the line of requests that wait for a member.
    Waiting {
        /// How many are in line, this one included.
        in_line: usize,
    },
}

impl EventKind<'_> {
    /// Returns the interest that an observer must have to receive the event.
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
            Self::Responded { .. } => Interest::RESPONDED,
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
