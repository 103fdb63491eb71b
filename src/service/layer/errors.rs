//! How the errors of members are read: whose fault each is, whether anything was sent, and
//! the cause that events name.

use std::error::Error;
use std::sync::Arc;

use super::BalanceLayer;
use crate::member::Cause;
use crate::service::failover::{CauseBy, FaultIf};
use crate::service::{Classify, Fault};

impl<W, P> BalanceLayer<W, P> {
    /// Sets what errors and answers mean.
    pub fn classify(mut self, classify: impl Classify) -> Self {
        self.settings.common.classify = Arc::new(classify);
        self
    }

    /// Says which errors of type `E`, wherever they stand among the causes, mean that
    /// nothing was sent; about all others, what was said before holds.
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

    /// Says what cause an error of type `E` has, wherever it stands among the causes; where it
    /// returns `None`, what was said before holds. See [`Classify::cause`].
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

    /// Says which errors of type `E`, wherever they stand among the causes, are not the
    /// member's fault: such as that a connection that had been idle was closed. See
    /// [`Fault::with_member_blameless`]. If no other member can take the request, the same member may
    /// have it once more.
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
        self.settings.common.pardons = true;
        let rest = self.settings.common.classify.clone();
        self.classify(FaultIf::new(is, Fault::with_member_blameless, rest))
    }

    /// Says which errors of type `E`, wherever they stand among the causes, mean that the
    /// member, or a limit of yours before it, has no room for the request now. See
    /// [`Fault::OVERLOADED`]. tower's `LoadShed` need not be named.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::BalanceLayer;
    ///
    /// /// What a client of yours says when all its connections are in use.
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

    /// Says which errors of type `E`, wherever they stand among the causes, mean that a
    /// connection which had carried requests before was closed before a byte of the answer
    /// came. See [`Fault::with_stale_connection`].
    ///
    /// A request whose method is idempotent, or that is marked
    /// [`Idempotent`](crate::service::Idempotent), and whose body can be sent again, is then sent to
    /// the same member again, once, and asks for a new connection by a
    /// [`FreshConnection`](crate::service::FreshConnection) in its extensions. It is the same attempt,
    /// and no repetition: neither [`without_retries`](crate::service::Failover::without_retries) nor the number
    /// of attempts nor the budget has a say. What comes of it on the new connection counts.
    /// An error for which nothing of the request is left means what it meant before.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "proxy")] {
    /// use equipoise::Balancer;
    /// use equipoise::proxy::{Endpoint, EndpointError};
    /// use equipoise::service::BalanceLayer;
    ///
    /// // What a `ReverseProxy` is told by itself.
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
