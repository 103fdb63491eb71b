//! TLS with clients: [`ServerTls`], and the certificates that clients must present.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustls::crypto::ring::Ticketer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ProtocolVersion, RootCertStore, ServerConfig, version};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::identity::{certificates_in, provider};
use super::names::Certificates;
use super::{Identity, TlsError};
use crate::net::opening::{Handshake, Handshaking};
use crate::net::stream::{SecureBytes, Stream};
use crate::net::tls_session::TlsSession;

/// TLS 1.2 and 1.3 for clients, with a certificate for each server name.
///
/// Sessions are resumed by tickets. Clones share the certificates, so a clone that you keep
/// can [replace](Self::replace) them.
///
/// # Examples
///
/// ```
/// use equipoise::net::{Acceptor, Identity, ServerTls};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()])?;
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let read = || Identity::from_pem(certificate.as_bytes(), key.as_bytes());
/// let tls = ServerTls::new([read()?])?;
/// let acceptor = Acceptor::new().tls(&tls);
///
/// // Later, when the files have changed: no connection is dropped.
/// tls.replace([read()?])?;
/// # let _ = acceptor;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerTls {
    certificates: Arc<Certificates>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    only_1_3: bool,
}

/// Whether clients must present a certificate, and which authorities must have signed it.
///
/// # Examples
///
/// ```
/// use equipoise::net::ClientCertificates;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["ca".to_owned()])?;
/// # let pem = made.cert.pem();
/// let staff = ClientCertificates::required(pem.as_bytes())?;
/// let staff_or_guests = ClientCertificates::optional(pem.as_bytes())?;
/// # let _ = (staff, staff_or_guests);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCertificates {
    /// Accepts only clients whose certificate was signed by one of these roots, in PEM.
    ///
    /// # Errors
    ///
    /// Fails if no root can be used.
    pub fn required(roots: &[u8]) -> Result<Self, TlsError> {
        Self::verified(roots, false)
    }

    /// Also accepts clients without a certificate;
    /// [`TlsSession::certificates`](crate::net::TlsSession::certificates) is empty for
    /// those.
    ///
    /// # Errors
    ///
    /// Fails if no root can be used.
    pub fn optional(roots: &[u8]) -> Result<Self, TlsError> {
        Self::verified(roots, true)
    }

    fn verified(roots: &[u8], optional: bool) -> Result<Self, TlsError> {
        let roots = Arc::new(roots_in(roots)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = if optional {
            builder.allow_unauthenticated()
        } else {
            builder
        };
        let verifier = builder.build().map_err(|error| TlsError::Roots {
            why: error.to_string(),
        })?;
        Ok(Self { verifier })
    }
}

pub(super) fn roots_in(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_in(pem)? {
        roots.add(certificate).map_err(|error| TlsError::Roots {
            why: error.to_string(),
        })?;
    }
    Ok(roots)
}

impl ServerTls {
    /// Creates the settings from identities. A client that requests none of their names
    /// gets the first.
    ///
    /// # Errors
    ///
    /// Fails if there are no identities.
    pub fn new(identities: impl IntoIterator<Item = Identity>) -> Result<Self, TlsError> {
        let identities = some(identities)?;
        Ok(Self {
            certificates: Arc::new(Certificates::new(&identities)),
            clients: None,
            only_1_3: false,
        })
    }

    /// Replaces all identities for new connections.
    ///
    /// # Errors
    ///
    /// Fails if there are no identities; nothing changes then.
    pub fn replace(&self, identities: impl IntoIterator<Item = Identity>) -> Result<(), TlsError> {
        self.certificates.replace(&some(identities)?);
        Ok(())
    }

    /// Requests certificates from clients.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::{ClientCertificates, Identity, ServerTls};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()])?;
    /// # let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let identity = Identity::from_pem(pem.as_bytes(), key.as_bytes())?;
    /// let tls = ServerTls::new([identity])?
    ///     .with_client_certificates(ClientCertificates::required(pem.as_bytes())?);
    /// # let _ = tls;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_client_certificates(mut self, clients: ClientCertificates) -> Self {
        self.clients = Some(clients.verifier);
        self
    }

    /// Accepts only TLS 1.3.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::{Identity, ServerTls};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()])?;
    /// # let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let identity = Identity::from_pem(pem.as_bytes(), key.as_bytes())?;
    /// let tls = ServerTls::new([identity])?.with_tls_1_3_only();
    /// # let _ = tls;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_tls_1_3_only(mut self) -> Self {
        self.only_1_3 = true;
        self
    }

    /// Creates the handshake for connections. `alpn` are the offered protocols, the
    /// preferred first. If it is empty, the client's protocols are ignored.
    pub(crate) fn handshake(&self, alpn: Vec<Vec<u8>>) -> Arc<dyn Handshake> {
        let versions: &[_] = if self.only_1_3 {
            &[&version::TLS13]
        } else {
            &[&version::TLS13, &version::TLS12]
        };
        #[expect(clippy::expect_used, reason = "the provider is our own")]
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("ring has suites for both versions");
        let builder = match &self.clients {
            Some(clients) => builder.with_client_cert_verifier(clients.clone()),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(self.certificates.clone());
        config.alpn_protocols = alpn;
        // Without random numbers there are no tickets, and each session begins with a full
        // handshake.
        if let Ok(ticketer) = Ticketer::new() {
            config.ticketer = ticketer;
        }
        Arc::new(Terminate {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificates: self.certificates.clone(),
        })
    }
}

fn some(identities: impl IntoIterator<Item = Identity>) -> Result<Vec<Identity>, TlsError> {
    let identities: Vec<Identity> = identities.into_iter().collect();
    if identities.is_empty() {
        return Err(TlsError::NoIdentity);
    }
    Ok(identities)
}

/// What is done with each connection.
struct Terminate {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl Handshake for Terminate {
    fn handshake(&self, stream: Stream) -> Handshaking<'_> {
        Box::pin(self.protect(stream))
    }
}

impl Terminate {
    async fn protect(&self, stream: Stream) -> io::Result<(Stream, TlsSession)> {
        let stream = self.acceptor.accept(stream).await?;
        let (_, agreed) = stream.get_ref();
        let version = match agreed.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "1.3",
        };
        let certificates = agreed.peer_certificates().unwrap_or_default();
        let certificates = certificates
            .iter()
            .map(|certificate| Bytes::copy_from_slice(certificate))
            .collect();
        let name = agreed.server_name().map(str::to_owned);
        let certified = self.certificates.hosts_of(name.as_deref());
        let session = TlsSession::new(name, certified, version, certificates);
        Ok((Stream::secured(stream), session))
    }
}

impl SecureBytes for TlsStream<Stream> {
    fn carrier(&self) -> &Stream {
        self.get_ref().0
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.get_ref().1.alpn_protocol()
    }
}

impl std::fmt::Debug for Terminate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminate").finish_non_exhaustive()
    }
}
