//! TLS to members: [`MemberTls`].

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::identity::provider;
use super::terminate::roots_in;
use super::{Identity, TlsError};
use crate::net::secure::{Secure, Securing};
use crate::net::stream::{SecureBytes, Stream};

/// TLS 1.2 and 1.3 to members: the accepted certificates, and the certificate presented to
/// them.
///
/// # Examples
///
/// ```
/// use equipoise::net::{Connector, MemberTls};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["internal".to_owned()])?;
/// # let roots = made.cert.pem();
/// let tls = MemberTls::with_roots(roots.as_bytes())?.with_server_name("app.internal")?;
/// let member = Connector::tcp(([10, 0, 0, 1], 8443).into()).tls(&tls)?;
/// # let _ = member;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct MemberTls {
    trusted: TrustedCertificates,
    identity: Option<Identity>,
    name: Option<ServerName<'static>>,
}

#[derive(Clone)]
enum TrustedCertificates {
    Any,
    Roots(Arc<RootCertStore>),
}

impl MemberTls {
    /// Trusts the root certificates of the system, which are read now.
    ///
    /// # Errors
    ///
    /// Fails if the system has none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use equipoise::net::MemberTls;
    ///
    /// let tls = MemberTls::new()?.with_server_name("app.example.com")?;
    /// # let _ = tls;
    /// # Ok::<(), equipoise::net::TlsError>(())
    /// ```
    pub fn new() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Some systems contain outdated roots that cannot be used; the others can.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = match found.errors.first() {
                Some(error) => error.to_string(),
                None => "install the system's root certificates, or use `MemberTls::with_roots`"
                    .to_owned(),
            };
            return Err(TlsError::Roots { why });
        }
        Ok(Self::trusting(TrustedCertificates::Roots(Arc::new(roots))))
    }

    /// Trusts only these root certificates, in PEM.
    ///
    /// # Errors
    ///
    /// Fails if none of them can be used.
    pub fn with_roots(pem: &[u8]) -> Result<Self, TlsError> {
        let roots = Arc::new(roots_in(pem)?);
        Ok(Self::trusting(TrustedCertificates::Roots(roots)))
    }

    /// Accepts any certificate. The connection is encrypted, but an attacker on the path
    /// can read and change all of it. For tests, and for networks that are safe without
    /// TLS.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::MemberTls;
    ///
    /// let tls = MemberTls::dangerously_without_verification();
    /// # let _ = tls;
    /// ```
    pub fn dangerously_without_verification() -> Self {
        Self::trusting(TrustedCertificates::Any)
    }

    fn trusting(trusted: TrustedCertificates) -> Self {
        Self {
            trusted,
            identity: None,
            name: None,
        }
    }

    /// Presents a certificate to members that request one.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::{Identity, MemberTls};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["edge-1".to_owned()])?;
    /// # let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// let ourselves = Identity::from_pem(pem.as_bytes(), key.as_bytes())?;
    /// let tls = MemberTls::with_roots(pem.as_bytes())?.with_identity(ourselves);
    /// # let _ = tls;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_identity(self, identity: Identity) -> Self {
        Self {
            identity: Some(identity),
            ..self
        }
    }

    /// Requests this name (SNI) and requires it in the certificate, regardless of the
    /// member's address or URI.
    ///
    /// # Errors
    ///
    /// Fails if it is neither a host name nor an IP address.
    pub fn with_server_name(self, name: &str) -> Result<Self, TlsError> {
        let parsed = ServerName::try_from(name.to_owned());
        let name = parsed.map_err(|_| TlsError::Name {
            name: name.to_owned(),
        })?;
        Ok(Self {
            name: Some(name),
            ..self
        })
    }

    /// Checks that there is a name to request, given the host of the connection.
    pub(in crate::net) fn check_name(&self, host: &str) -> Result<(), TlsError> {
        if self.name.is_none() && ServerName::try_from(host).is_err() {
            return Err(TlsError::Name {
                name: host.to_owned(),
            });
        }
        Ok(())
    }

    pub(crate) fn into_secure(self) -> Arc<dyn Secure> {
        #[expect(clippy::expect_used, reason = "the provider is our own")]
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has suites for both versions");
        let builder = match self.trusted {
            TrustedCertificates::Roots(roots) => builder.with_root_certificates(roots),
            TrustedCertificates::Any => {
                let verifier = Arc::new(AcceptAnyCertificate(provider()));
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
            }
        };
        let config = match self.identity {
            Some(identity) => {
                let own = SingleCertAndKey::from((*identity.key).clone());
                builder.with_client_cert_resolver(Arc::new(own))
            }
            None => builder.with_no_client_auth(),
        };
        Arc::new(Connect {
            connector: TlsConnector::from(Arc::new(config)),
            name: self.name,
        })
    }
}

impl fmt::Debug for MemberTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verified = matches!(self.trusted, TrustedCertificates::Roots(_));
        f.debug_struct("MemberTls")
            .field("verified", &verified)
            .field("identity", &self.identity)
            .field("name", &self.name)
            .finish()
    }
}

/// What is done with each connection.
struct Connect {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl Secure for Connect {
    fn secure<'a>(&'a self, stream: Stream, host: &'a str, alpn: Vec<Vec<u8>>) -> Securing<'a> {
        Box::pin(self.protect(stream, host, alpn))
    }

    fn is_refusal(&self, error: &(dyn Error + 'static)) -> bool {
        matches!(
            error.downcast_ref::<rustls::Error>(),
            Some(rustls::Error::AlertReceived(
                AlertDescription::AccessDenied
                    | AlertDescription::BadCertificate
                    | AlertDescription::CertificateExpired
                    | AlertDescription::CertificateRequired
                    | AlertDescription::CertificateRevoked
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::DecryptError
                    | AlertDescription::HandshakeFailure
                    | AlertDescription::UnknownCA
                    | AlertDescription::UnsupportedCertificate
            ))
        )
    }
}

impl Connect {
    async fn protect(&self, stream: Stream, host: &str, alpn: Vec<Vec<u8>>) -> io::Result<Stream> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        let connector = self.connector.with_alpn(alpn);
        Ok(Stream::secured(connector.connect(name, stream).await?))
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

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Verifies only that the other side holds the key of its certificate.
#[derive(Debug)]
struct AcceptAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
