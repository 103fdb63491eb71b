//! What happens when a member fails a request: [`Failover`].
//!
//! Not here: how errors are classified (`classify`), how many retries are allowed in total
//! (`budget`), the time limits (`timeouts`), and the attempts themselves (`attempt`).

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

/// Decides when a request is sent to another member.
///
/// | event | the member | the request |
/// |---|---|---|
/// | *nothing was sent*: the connection was refused, the member was not ready in time | is put in error | tries others, up to all of them |
/// | the member *has no room* ([`Fault::OVERLOADED`]), as tower's `LoadShed` reports | stays | tries others, up to all of them, except those in error; 503 if none has room |
/// | it *may have been sent* | stays | one retry if its method is idempotent, its body can be sent again, and the budget allows it; and one more after a failure that is [not the member's fault](super::Fault::with_member_blameless) |
/// | the connection had been used before, and was closed without a response ([`stale_if`](super::BalanceLayer::stale_if)) | stays | is sent to the same member again, once, on a new connection, if its method is idempotent and its body can be sent again. This is the same attempt; its outcome is one of the rows above |
/// | the response has a status of [`with_fail_on_status`](Self::with_fail_on_status) | is put in error | the response is delivered |
/// | the response has a status of [`with_retry_on_status`](Self::with_retry_on_status) | stays | tries others, under the conditions of "may have been sent". If no other member can be picked, the response is delivered. Otherwise it is dropped before the next attempt, whose result the client gets |
/// | the client broke off its body, or sent it too slowly | stays | fails with 400 or 408, or with the status of its body's error ([`RequestError`](super::RequestError)) |
///
/// A request is never sent twice if its method is not idempotent and a member may have
/// received a byte of it. A request tries no member twice, with two exceptions: a member
/// that failed without fault (see
/// [`member_blameless_if`](super::BalanceLayer::member_blameless_if)); and, once, a member
/// whose payload was replaced since it was tried
/// ([`Balancer::insert`](crate::Balancer::insert)).
///
/// Other members are tried in this order: members that can be picked; the standbys, spares
/// and later tiers that replace them; members that are excluded only by their error. The
/// last step ends their error (forced recovery, as when a first pick finds all members in
/// error), except for members that this request has tried. It is left out after a status of
/// [`with_retry_on_status`](Self::with_retry_on_status), as there is a response to deliver,
/// and for a hedged attempt. A member with
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
    pub(in crate::service) retries: bool,
    pub(in crate::service) error_on_timeout: bool,
    pub(in crate::service) budget: RetryBudget,
    pub(in crate::service) fail_on: Vec<StatusCode>,
    pub(in crate::service) retry_on: Vec<StatusCode>,
}

impl Failover {
    /// Creates the policy of the table above, with both lists of statuses empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_attempts: u32::MAX,
            retries: true,
            error_on_timeout: false,
            budget: RetryBudget::new(),
            fail_on: Vec::new(),
            retry_on: Vec::new(),
        }
    }

    /// Limits the attempts of one request, including the first (Apache: `maxattempts`,
    /// which does not count the first). By default there may be as many as there are
    /// members. At least one attempt is made.
    #[doc(alias = "maxattempts")]
    #[must_use]
    pub fn with_max_attempts(self, attempts: u32) -> Self {
        Self {
            max_attempts: attempts.max(1),
            ..self
        }
    }

    /// Never retries a request that may have been sent, as in Apache. This also turns
    /// hedging off.
    ///
    /// A stale connection is not affected: an idempotent request is still sent once more,
    /// on a new connection to the same member, if its connection had been used before and
    /// was closed without a byte of a response (see
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
            retries: false,
            ..self
        }
    }

    /// Sets the budget for retries; the default is 20 % of the requests and 10 per second.
    #[must_use]
    pub fn with_budget(self, budget: RetryBudget) -> Self {
        Self { budget, ..self }
    }

    /// Puts a member in error if it responds with one of these statuses. The response is
    /// still delivered (Apache: `failonstatus`).
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

    /// Tries another member if one responds with one of these statuses.
    #[must_use]
    pub fn with_retry_on_status(self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        Self {
            retry_on: statuses.into_iter().collect(),
            ..self
        }
    }

    /// Puts a member in error if it exceeds a time limit (Apache: `failontimeout`).
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

/// Marks a request as idempotent, in its extensions: it may be processed twice without
/// harm, whatever its method.
///
/// # Examples
///
/// ```
/// use equipoise::service::Idempotent;
///
/// // A POST with a key by which the members recognize a duplicate.
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
