//! The certificate of a measurement, and TLS for the contenders and the load that are ours to
//! write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use equipoise::service::BoxError;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// Writes a certificate for this machine and its key, both into one file.
pub(crate) fn make(file: PathBuf) -> Result<PathBuf, BoxError> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let text = [made.cert.pem(), made.signing_key.serialize_pem()].concat();
    std::fs::write(&file, text)?;
    Ok(file)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(crate) fn acceptor(file: &Path) -> Result<TlsAcceptor, BoxError> {
    let chain = CertificateDer::pem_file_iter(file)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(file)?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Trusts the certificate in that file only.
pub(crate) fn client(file: &Path, resumes: bool) -> Result<Arc<ClientConfig>, BoxError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !resumes {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}
