//! Where a probe goes: [`ProbeTarget`], and what has one: [`Checkable`].
//!
//! What does not live here: opening the connection (`net`).

use std::net::SocketAddr;
use std::sync::Arc;

use super::ProbeError;
use super::kept::KeptLine;
use crate::net::Connector;

/// Where a probe goes: what opens connections to the member, and for HTTP the host that it is
/// asked for and the path that all of its own are below.
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
    kept: KeptLine,
}

impl ProbeTarget {
    /// Makes one whose host is the address as it stands, with its port; `localhost` for a unix
    /// socket.
    pub fn new(connector: Connector) -> Self {
        let host = connector.authority();
        Self {
            connector,
            host: host.into(),
            path: "/".into(),
            kept: KeptLine::default(),
        }
    }

    /// Sets the host that HTTP asks for: `Host`, over HTTP/2 `:authority`.
    pub fn with_host(mut self, host: impl Into<Arc<str>>) -> Self {
        self.host = host.into();
        self
    }

    /// Sets the path that the member's own paths are below.
    pub fn with_path(mut self, path: impl Into<Arc<str>>) -> Self {
        self.path = path.into();
        self
    }

    /// Returns what opens connections to the member.
    pub const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Returns the host that HTTP asks for.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the path that the member's own paths are below.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether a probe of the other asks the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let is_there = self.connector.could_open(&other.connector, None);
        is_there && self.host == other.host && self.path == other.path
    }

    /// The connection that is kept from one check of the member to the next.
    pub(super) const fn kept(&self) -> &KeptLine {
        &self.kept
    }

    pub(super) fn keeping(mut self, kept: KeptLine) -> Self {
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

/// A payload that tells where its member is checked.
///
/// It is implemented for what members are here: socket addresses, `Connector`, with the feature
/// `forward` its `Address`, and with `proxy` its `Endpoint`. For any other payload give
/// [`HealthChecks::builder_by`](super::HealthChecks::builder_by) a closure.
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
    /// Returns where probes go; an error is a failed check.
    ///
    /// # Errors
    ///
    /// If it cannot be checked, for want of a port for example.
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

/// An address that has a port of its own.
#[cfg(feature = "forward")]
impl Checkable for crate::forward::Address {
    fn probe_target(&self) -> Result<ProbeTarget, ProbeError> {
        let connector = self.own_connector();
        let connector = connector.ok_or("its address has no port to be checked at")?;
        Ok(connector.into())
    }
}

/// By connections of the checks' own, with the endpoint's address and TLS, below its path.
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
