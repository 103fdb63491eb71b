//! What can be wrong with certificates and keys: [`TlsError`].

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;

/// Why certificates, keys or roots cannot be used.
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
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate and the key are not for each other, or not of a kind that is known.
    #[error("the certificate and its key cannot be used")]
    Identity {
        /// Why.
        source: rustls::Error,
    },
    /// A server needs one at least.
    #[error("there is no identity: a server needs a certificate and its key")]
    NoIdentity,
    /// Nothing of the kind that was looked for.
    #[error("there is no {what} in the PEM text")]
    Missing {
        /// What was looked for.
        what: &'static str,
    },
    /// A name that no certificate could be for.
    #[error("{name:?} is no name of a server: take a host name or an IP address")]
    Name {
        /// As it was given.
        name: String,
    },
    /// It is not PEM.
    #[error("the {what} cannot be read from the PEM text")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// Why.
        source: pem::Error,
    },
    /// Root certificates that cannot be used, or none.
    #[error("there are no root certificates that can be used: {why}")]
    Roots {
        /// What to do about it.
        why: String,
    },
}
