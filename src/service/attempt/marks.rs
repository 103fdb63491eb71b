//! Marks in the extensions of a request that its member gets in any case.

/// In the extensions of a request: its member gets the client's `Host`, although it has one
/// of its own.
#[cfg_attr(
    not(feature = "config"),
    allow(dead_code, reason = "only a configuration uses it")
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostKept;

/// In the extensions of a request: it requires a connection to the member that has carried
/// no request before.
///
/// A `proxy::Endpoint` opens a new connection, and keeps it for later requests like any
/// other. Over HTTP/2, the request uses the shared connection, because HTTP/2 itself
/// reports which requests were not processed. The balancer adds this to requests that it
/// sends again after [a stale connection was
/// closed](crate::service::BalanceLayer::stale_if).
///
/// # Examples
///
/// ```
/// use equipoise::service::FreshConnection;
///
/// // Not to be sent twice, and not to fail for a connection that is about to be closed.
/// let request = http::Request::post("/orders")
///     .extension(FreshConnection::new())
///     .body(());
/// # assert!(request.is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FreshConnection {
    _private: (),
}

impl FreshConnection {
    /// Creates the mark.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}
