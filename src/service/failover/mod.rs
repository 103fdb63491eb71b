//! What is done when a member fails a request: [`Failover`].
//!
//! What does not live here: what an error means (`classify`), how many repetitions
//! there may be in all (`budget`), how long is waited (`timeouts`), and
//! the attempts themselves (`course`).

mod budget;
mod classify;
mod timeouts;

use http::{Method, StatusCode};

pub use budget::RetryBudget;
pub use classify::{Classify, Fault, cause};
pub use timeouts::Timeouts;

#[cfg_attr(
    not(feature = "proxy"),
    allow(unused_imports, reason = "for connections")
)]
pub(crate) use classify::causes;
pub(in crate::service) use classify::{ByCause, CauseBy, FaultIf};
pub(in crate::service) use timeouts::TimeLimits;

/// When a request goes on to another member.
///
/// | what happened | the member | the request |
/// |---|---|---|
/// | *nothing was sent*: the connection was refused, the member was not ready in time | is put in error | tries others, as many as there are |
/// | the member *has no room* for it ([`Fault::OVERLOADED`]): tower's `LoadShed` says so | stays | tries others, as many as there are, but none that is in error; 503 if none has room |
/// | it *may have been sent* | stays | one more attempt, if its method is idempotent, its body can be sent again, and the budget allows it; and one more than that after a failure that is [nobody's fault](super::Fault::with_member_blameless) |
/// | the connection had been used before, and was closed without an answer ([`stale_if`](super::BalanceLayer::stale_if)) | stays | is sent to the same member again, once, on a new connection, if its method is idempotent and its body can be sent again. It is the same attempt. What comes of it is one of the rows above |
/// | the answer has a status of [`with_fail_on_status`](Self::with_fail_on_status) | is put in error | the answer is delivered |
/// | the answer has a status of [`with_retry_on_status`](Self::with_retry_on_status) | stays | tries others, under the conditions of row 2; the last answer is delivered when nobody else can be picked. Before another is tried, the answer is gone: what the other comes to is what the client gets |
/// | the client broke off its body, or was too slow with it | stays | fails, with 400 or 408, or as its body says ([`RequestError`](super::RequestError)) |
///
/// A request whose method is not idempotent and whose bytes may have reached a member is
/// never sent twice. No member is tried twice by one request, but for one that failed without
/// fault (see [`member_blameless_if`](super::BalanceLayer::member_blameless_if)), and for one that has been
/// given another payload since it was tried ([`Balancer::insert`](crate::Balancer::insert)): it
/// counts as not tried, once.
///
/// Other members are, in this order: those that can be picked; the standbys, spares and later
/// tiers that stand in for them; and those that only their error keeps out, which are forgiven
/// it then, all but the ones that this request has tried (forced recovery, as when a first
/// pick finds all in error). A status of
/// [`with_retry_on_status`](Self::with_retry_on_status) forgives none, as there is an answer to
/// deliver; neither does a hedged attempt. A member with
/// [`Flag::IgnoreErrors`](crate::Flag::IgnoreErrors) is not put in error.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::service::{BalanceLayer, Failover};
/// use http::StatusCode;
///
/// let balancer = Balancer::<http::Uri>::builder().build()?;
/// let failover = Failover::new()
///     .with_max_attempts(3)
///     .with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]);
/// let layer = BalanceLayer::new(balancer).failover(failover);
/// # let _ = layer;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Failover {
    pub(in crate::service) max_attempts: u32,
    pub(in crate::service) repeats: bool,
    pub(in crate::service) error_on_timeout: bool,
    pub(in crate::service) budget: RetryBudget,
    pub(in crate::service) fail_on: Vec<StatusCode>,
    pub(in crate::service) retry_on: Vec<StatusCode>,
}

impl Failover {
    /// Creates the policy of the table above, both lists of statuses empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_attempts: u32::MAX,
            repeats: true,
            error_on_timeout: false,
            budget: RetryBudget::new(),
            fail_on: Vec::new(),
            retry_on: Vec::new(),
        }
    }

    /// Limits the attempts of one request, the first included (Apache: `maxattempts`,
    /// which counts without the first); by default there may be as many as there are
    /// members. One attempt is always made.
    #[doc(alias = "maxattempts")]
    #[must_use]
    pub fn with_max_attempts(self, attempts: u32) -> Self {
        Self {
            max_attempts: attempts.max(1),
            ..self
        }
    }

    /// Never repeats what may have been sent, as Apache; hedging is off then, too.
    ///
    /// What was sent on a connection that had been used before, and that was closed without a
    /// byte of an answer, is no repetition: an idempotent request goes out once more, on a new
    /// connection to the same member, also with this (see
    /// [`stale_if`](super::BalanceLayer::stale_if)).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Failover;
    ///
    /// let as_apache_does = Failover::new().without_retries();
    /// # let _ = as_apache_does;
    /// ```
    #[must_use]
    pub fn without_retries(self) -> Self {
        Self {
            repeats: false,
            ..self
        }
    }

    /// Sets the budget for repetitions; 20 % of the requests and 10 a second by default.
    #[must_use]
    pub fn with_budget(self, budget: RetryBudget) -> Self {
        Self { budget, ..self }
    }

    /// Puts a member in error that answers with one of these statuses; the answer is
    /// delivered all the same (Apache: `failonstatus`).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Failover;
    /// use http::StatusCode;
    ///
    /// let failover = Failover::new().with_fail_on_status([StatusCode::BAD_GATEWAY]);
    /// # let _ = failover;
    /// ```
    #[doc(alias = "failonstatus")]
    #[must_use]
    pub fn with_fail_on_status(self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        Self {
            fail_on: statuses.into_iter().collect(),
            ..self
        }
    }

    /// Asks another member when one answers with one of these statuses.
    #[must_use]
    pub fn with_retry_on_status(self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        Self {
            retry_on: statuses.into_iter().collect(),
            ..self
        }
    }

    /// Puts a member in error that lets a time limit pass (Apache: `failontimeout`).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Failover;
    ///
    /// let failover = Failover::new().with_error_on_timeout();
    /// # let _ = failover;
    /// ```
    #[doc(alias = "failontimeout")]
    #[must_use]
    pub fn with_error_on_timeout(self) -> Self {
        Self {
            error_on_timeout: true,
            ..self
        }
    }
}

impl Default for Failover {
    fn default() -> Self {
        Self::new()
    }
}

/// Marks a request, in its extensions, as one that does no harm if it is done twice,
/// whatever its method.
///
/// # Examples
///
/// ```
/// use equipoise::service::Idempotent;
///
/// // A POST with a key by which the members recognise a repetition.
/// let request = http::Request::post("/orders")
///     .header("idempotency-key", "7f6c")
///     .extension(Idempotent::new())
///     .body(());
/// # assert!(request.is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Idempotent {
    _private: (),
}

impl Idempotent {
    /// Creates the mark.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

/// The idempotent methods of RFC 9110, section 9.2.2.
pub(in crate::service) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

#[cfg(test)]
mod tests {
    use super::is_idempotent;
    use http::Method;

    #[test]
    fn what_may_be_done_twice_is_what_the_rfc_says() {
        let yes = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];
        let no = ["POST", "PATCH", "CONNECT", "PURGE", "get"];
        let ask = |method: &str| is_idempotent(&Method::from_bytes(method.as_bytes()).unwrap());
        assert!(yes.into_iter().all(ask));
        assert!(!no.into_iter().any(ask));
    }
}
