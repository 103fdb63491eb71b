//! The error of certificates, keys and roots: [`TlsError`].

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;

/// The reason why certificates, keys or roots cannot be used.
///
/// # Examples
///
/// ```
/// use equipoise::net::Identity;
///
/// let error = Identity::from_pem(b"", b"").unwrap_err();
/// assert_eq!(error.to_string(), "there is no certificate in the PEM text");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The certificate and the key do not match, or are of an unknown kind.
    #[error("the certificate and its key cannot be used")]
    Identity {
        /// The cause.
        source: rustls::Error,
    },
    /// A server needs at least one identity.
    #[error("a server needs at least one certificate and its key, and none was given")]
    NoIdentity,
    /// The PEM text does not contain an item of this kind.
    #[error("there is no {what} in the PEM text")]
    Missing {
        /// The kind of item.
        what: &'static str,
    },
    /// A name that cannot occur in a certificate.
    #[error("{name:?} is not a server name: use a host name or an IP address")]
    Name {
        /// The name as given.
        name: String,
    },
    /// The text is not valid PEM.
    #[error("the {what} cannot be read from the PEM text")]
    Pem {
        /// The kind of item that was expected.
        what: &'static str,
        /// The cause.
        source: pem::Error,
    },
    /// None of the root certificates can be used, or there are none.
    #[error("no usable root certificates: {why}")]
    Roots {
        /// What to do about it.
        why: String,
    },
}
