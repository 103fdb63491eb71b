//! The properties of a client's TLS session: [`TlsSession`].
//!
//! Not here: the handshake (`tls`).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The properties of a client's TLS session, as the handshake has negotiated them.
///
/// # Examples
///
/// ```
/// use equipoise::net::TlsSession;
///
/// fn is_known(session: &TlsSession) -> bool {
///     !session.certificates().is_empty()
/// }
/// # let _ = is_known;
/// ```
#[derive(Clone, Debug)]
pub struct TlsSession {
    shared: Arc<TlsState>,
}

/// The hosts of a server's certificate: by name, or by address.
pub(super) trait CertifiedHosts: fmt::Debug + Send + Sync {
    fn contain(&self, host: &str) -> bool;
}

#[derive(Debug)]
struct TlsState {
    server_name: Option<String>,
    certified: Option<Arc<dyn CertifiedHosts>>,
    version: &'static str,
    certificates: Vec<Bytes>,
}

impl TlsSession {
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS has them"))]
    pub(super) fn new(
        server_name: Option<String>,
        certified: Option<Arc<dyn CertifiedHosts>>,
        version: &'static str,
        certificates: Vec<Bytes>,
    ) -> Self {
        Self {
            shared: Arc::new(TlsState {
                server_name,
                certified,
                version,
                certificates,
            }),
        }
    }

    /// Returns the name that the client requested (SNI).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::TlsSession;
    ///
    /// fn describe(session: &TlsSession) -> String {
    ///     format!("TLS {} for {:?}", session.version(), session.server_name())
    /// }
    /// # let _ = describe;
    /// ```
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.shared.server_name.as_deref()
    }

    /// Returns whether the certificate that was sent to the client is valid for that host,
    /// a name or an address.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::TlsSession;
    ///
    /// /// Whether a client that requested one host may also request another.
    /// fn may_reuse(session: &TlsSession, host: &str) -> bool {
    ///     session.certifies(host)
    /// }
    /// # let _ = may_reuse;
    /// ```
    #[must_use]
    pub fn certifies(&self, host: &str) -> bool {
        let certified = self.shared.certified.as_ref();
        certified.is_some_and(|certified| certified.contain(host))
    }

    /// Returns the version of TLS: `"1.2"` or `"1.3"`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.shared.version
    }

    /// Returns the client's certificates in DER, its own first. The client has proved that
    /// it holds the key. Empty unless the client was asked for a certificate.
    #[must_use]
    pub fn certificates(&self) -> &[Bytes] {
        &self.shared.certificates
    }
}
