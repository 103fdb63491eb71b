//! How the errors of members are classified: whether the member is at fault, whether
//! anything was sent, and the cause that events name.

use std::error::Error;
use std::sync::Arc;

use super::BalanceLayer;
use crate::member::Cause;
use crate::service::failover::{CauseBy, FaultIf};
use crate::service::{Classify, Fault};

impl<W, P> BalanceLayer<W, P> {
    /// Sets how errors and responses are classified.
    pub fn classify(mut self, classify: impl Classify) -> Self {
        self.settings.common.classify = Arc::new(classify);
        self
    }

    /// Classifies errors as "nothing was sent": those with a cause of type `E` for which
    /// `is` returns true. All others keep their former classification.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::BalanceLayer;
    /// use hyper_util::client::legacy;
    ///
    /// let balancer = Balancer::<http::Uri>::builder().build()?;
    /// let layer = BalanceLayer::new(balancer).nothing_sent_if(legacy::Error::is_connect);
    /// # let _ = layer;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn nothing_sent_if<E>(self, is: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self
    where
        E: Error + 'static,
    {
        let rest = self.settings.common.classify.clone();
        self.classify(FaultIf::new(is, Fault::and_nothing_sent, rest))
    }

    /// Sets the cause of errors of type `E`, wherever they occur among the causes. If `by`
    /// returns `None`, the former classification applies. See [`Classify::cause`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::member::Cause;
    /// use equipoise::service::BalanceLayer;
    /// use hyper_util::client::legacy;
    ///
    /// let balancer = Balancer::<http::Uri>::builder().build()?;
    /// let unsent = |error: &legacy::Error| error.is_connect().then_some(Cause::Unsent);
    /// let layer = BalanceLayer::new(balancer).cause_by(unsent);
    /// # let _ = layer;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn cause_by<E>(self, by: impl Fn(&E) -> Option<Cause> + Send + Sync + 'static) -> Self
    where
        E: Error + 'static,
    {
        let rest = self.settings.common.classify.clone();
        self.classify(CauseBy::new(by, rest))
    }

    /// Classifies errors as not the member's fault: those with a cause of type `E` for
    /// which `is` returns true, such as an idle connection that was closed. See
    /// [`Fault::with_member_blameless`]. If no other member can take the request, it may be
    /// sent to the same member once more.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::BalanceLayer;
    ///
    /// let balancer = Balancer::<http::Uri>::builder().build()?;
    /// let layer = BalanceLayer::new(balancer).member_blameless_if(hyper::Error::is_canceled);
    /// # let _ = layer;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn member_blameless_if<E>(mut self, is: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self
    where
        E: Error + 'static,
    {
        self.settings.common.retries_same_member = true;
        let rest = self.settings.common.classify.clone();
        self.classify(FaultIf::new(is, Fault::with_member_blameless, rest))
    }

    /// Classifies errors as "no room": those with a cause of type `E` for which `is`
    /// returns true. The member, or a limit of yours before it, cannot take the request
    /// now. See [`Fault::OVERLOADED`]. tower's `LoadShed` is recognized without this.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::BalanceLayer;
    ///
    /// /// The error of your client when all its connections are in use.
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("no connection is free")]
    /// struct PoolExhausted;
    ///
    /// let balancer = Balancer::<http::Uri>::builder().build()?;
    /// let layer = BalanceLayer::new(balancer).overloaded_if(|_: &PoolExhausted| true);
    /// # let _ = layer;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn overloaded_if<E>(self, is: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self
    where
        E: Error + 'static,
    {
        let rest = self.settings.common.classify.clone();
        self.classify(FaultIf::new(is, |_| Fault::OVERLOADED, rest))
    }

    /// Classifies errors as a stale connection: those with a cause of type `E` for which
    /// `is` returns true. The connection had carried requests before, and was closed before
    /// a byte of the response arrived. See [`Fault::with_stale_connection`].
    ///
    /// Such a request is sent to the same member again, once, if its method is idempotent
    /// or it is marked [`Idempotent`](crate::service::Idempotent), and if its body can be
    /// sent again. A [`FreshConnection`](crate::service::FreshConnection) in its extensions
    /// then requests a new connection. This is the same attempt and not a retry:
    /// [`without_retries`](crate::service::Failover::without_retries), the maximum number
    /// of attempts and the budget do not limit it. The outcome on the new connection
    /// counts. If the request cannot be sent again, the error keeps its former
    /// classification.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "proxy")] {
    /// use equipoise::Balancer;
    /// use equipoise::proxy::{Endpoint, EndpointError};
    /// use equipoise::service::BalanceLayer;
    ///
    /// // `ReverseProxy` does this by default.
    /// # let balancer = Balancer::<Endpoint>::builder().build().unwrap();
    /// let layer = BalanceLayer::new(balancer).stale_if(EndpointError::is_stale);
    /// # let _ = layer;
    /// # }
    /// ```
    pub fn stale_if<E>(mut self, is: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self
    where
        E: Error + 'static,
    {
        self.settings.common.reconnects = true;
        let rest = self.settings.common.classify.clone();
        self.classify(FaultIf::new(is, Fault::with_stale_connection, rest))
    }
}
