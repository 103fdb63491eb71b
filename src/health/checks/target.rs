//! The target of a probe: [`ProbeTarget`], and payloads that have one: [`Checkable`].
//!
//! Not here: opening the connection (`net`).

use std::net::SocketAddr;
use std::sync::Arc;

use super::ProbeError;
use super::kept_connection::KeptConnection;
use crate::net::Connector;

/// Where a probe connects to: a connector to the member and, for HTTP, the host and the
/// base path.
///
/// # Examples
///
/// ```
/// use equipoise::health::ProbeTarget;
/// use equipoise::net::Connector;
///
/// let target = ProbeTarget::new(Connector::tcp(([10, 0, 0, 1], 8080).into()));
/// assert_eq!((target.host(), target.path()), ("10.0.0.1:8080", "/"));
///
/// let target = target.with_host("app.internal").with_path("/app");
/// assert_eq!((target.host(), target.path()), ("app.internal", "/app"));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ProbeTarget {
    connector: Connector,
    host: Arc<str>,
    path: Arc<str>,
    kept: KeptConnection,
}

impl ProbeTarget {
    /// Creates a target whose host is the connector's address with its port; `localhost`
    /// for a unix socket.
    pub fn new(connector: Connector) -> Self {
        let host = connector.authority();
        Self {
            connector,
            host: host.into(),
            path: "/".into(),
            kept: KeptConnection::default(),
        }
    }

    /// Sets the host of HTTP requests: `Host`, over HTTP/2 `:authority`.
    pub fn with_host(mut self, host: impl Into<Arc<str>>) -> Self {
        self.host = host.into();
        self
    }

    /// Sets the base path, which is prepended to the path of a probe.
    pub fn with_path(mut self, path: impl Into<Arc<str>>) -> Self {
        self.path = path.into();
        self
    }

    /// Returns the connector to the member.
    pub const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Returns the host of HTTP requests.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the base path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns whether a probe of the other target would be the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let is_there = self.connector.could_open(&other.connector, None);
        is_there && self.host == other.host && self.path == other.path
    }

    /// Returns the connection that is kept from one check of the member to the next.
    pub(super) const fn kept(&self) -> &KeptConnection {
        &self.kept
    }

    pub(super) fn keeping(mut self, kept: KeptConnection) -> Self {
        self.kept = kept;
        self
    }

    pub(super) fn connecting_by(mut self, connector: Connector) -> Self {
        self.connector = connector;
        self
    }
}

impl From<Connector> for ProbeTarget {
    fn from(connector: Connector) -> Self {
        Self::new(connector)
    }
}

impl From<SocketAddr> for ProbeTarget {
    fn from(address: SocketAddr) -> Self {
        Self::new(Connector::tcp(address))
    }
}

/// A payload with a probe target.
///
/// It is implemented for socket addresses and `Connector`, with the feature `forward` for
/// `Address`, and with `proxy` for `Endpoint`. For any other payload, pass a closure to
/// [`HealthChecks::builder_by`](super::HealthChecks::builder_by).
///
/// # Examples
///
/// ```
/// use equipoise::health::{Checkable, ProbeError, ProbeTarget};
/// use std::net::SocketAddr;
///
/// struct Backend {
///     health: SocketAddr,
/// }
///
/// impl Checkable for Backend {
///     fn probe_target(&self) -> Result<ProbeTarget, ProbeError> {
///         Ok(self.health.into())
///     }
/// }
/// ```
pub trait Checkable {
    /// Returns the target of probes.
    ///
    /// # Errors
    ///
    /// If the member cannot be checked, for example because it has no port. It counts as a
    /// failed check.
    fn probe_target(&self) -> Result<ProbeTarget, ProbeError>;
}

impl Checkable for Connector {
    fn probe_target(&self) -> Result<ProbeTarget, ProbeError> {
        Ok(self.clone().into())
    }
}

impl Checkable for SocketAddr {
    fn probe_target(&self) -> Result<ProbeTarget, ProbeError> {
        Ok((*self).into())
    }
}

impl<T: Checkable + ?Sized> Checkable for Arc<T> {
    fn probe_target(&self) -> Result<ProbeTarget, ProbeError> {
        (**self).probe_target()
    }
}

/// An address with a port.
#[cfg(feature = "forward")]
impl Checkable for crate::forward::Address {
    fn probe_target(&self) -> Result<ProbeTarget, ProbeError> {
        let connector = self.own_connector();
        let connector = connector.ok_or("the address of the member has no port to check")?;
        Ok(connector.into())
    }
}

/// Uses connections of its own, with the endpoint's address, TLS and base path.
#[cfg(feature = "proxy")]
impl Checkable for crate::proxy::Endpoint {
    fn probe_target(&self) -> Result<ProbeTarget, ProbeError> {
        let target = ProbeTarget::new(self.connector().clone());
        let uri = self.uri();
        let target = match uri.authority() {
            Some(authority) => target.with_host(authority.as_str()),
            None => target,
        };
        Ok(target.with_path(uri.path()))
    }
}
