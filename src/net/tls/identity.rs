//! A certificate and its private key: [`Identity`]; and reading PEM.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsError;

/// A certificate chain and its private key, of a server or of a client that must present
/// one.
///
/// # Examples
///
/// ```
/// use equipoise::net::Identity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()])?;
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes())?;
/// assert_eq!(identity.names(), ["shop.example.com"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    names: Vec<String>,
}

impl Identity {
    /// Reads a certificate chain, the own certificate first, and a key, both in PEM.
    ///
    /// # Errors
    ///
    /// Fails if one of them is missing or cannot be read, or if they do not match.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates_in(certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| match source {
            pem::Error::NoItemsFound => TlsError::Missing {
                what: "private key",
            },
            source => TlsError::Pem {
                what: "private key",
                source,
            },
        })?;
        let names = names_in(&chain);
        let key = CertifiedKey::from_der(chain, key, &provider());
        let key = key.map_err(|source| TlsError::Identity { source })?;
        Ok(Self {
            key: Arc::new(key),
            names,
        })
    }

    /// Reads a certificate chain and a key from PEM files.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, and as for [`from_pem`](Self::from_pem).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Identity;
    ///
    /// let error = Identity::from_pem_files("missing.crt", "missing.key").unwrap_err();
    /// assert_eq!(error.to_string(), "cannot read missing.crt");
    /// ```
    pub fn from_pem_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::File {
                path: path.to_owned(),
                source,
            })
        };
        Self::from_pem(&read(certificates.as_ref())?, &read(key.as_ref())?)
    }

    /// Returns the host names of the certificate, including wildcard names (`*.`).
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// The key is not certificate.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// The crypto provider is chosen here, independent of the default of the process.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) fn certificates_in(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let what = "certificate";
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|source| TlsError::Pem { what, source })?;
    if certificates.is_empty() {
        return Err(TlsError::Missing { what });
    }
    Ok(certificates)
}

fn names_in(chain: &[CertificateDer<'static>]) -> Vec<String> {
    let own = chain.first().map(webpki::EndEntityCert::try_from);
    let Some(Ok(own)) = own else {
        return Vec::new();
    };
    own.valid_dns_names().map(str::to_lowercase).collect()
}
