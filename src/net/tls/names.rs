//! The certificate for a client by the name it requests (SNI), and the hosts of that
//! certificate: [`Certificates`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Identity;
use crate::net::names::ByName;
use crate::net::tls_session::CertifiedHosts;
use crate::sync::Published;

/// The identities of a server; they can be replaced while it serves.
pub(super) struct Certificates {
    known: Published<CertificateTable>,
}

/// By name. A client that requests another name, or none, gets the first.
struct CertificateTable {
    named: ByName<ServedCertificate>,
    first: Option<ServedCertificate>,
}

/// A certificate for clients, and its names.
#[derive(Clone)]
struct ServedCertificate {
    key: Arc<CertifiedKey>,
    names: Arc<[String]>,
}

impl ServedCertificate {
    fn new(identity: &Identity) -> Self {
        Self {
            key: identity.key.clone(),
            names: identity.names().into(),
        }
    }
}

impl CertifiedHosts for ServedCertificate {
    fn contain(&self, host: &str) -> bool {
        let address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if let Ok(address) = address.unwrap_or(host).parse::<IpAddr>() {
            return is_for_address(&self.key, address);
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(behind) => parent.is_some_and(|parent| parent.eq_ignore_ascii_case(behind)),
            None => host.eq_ignore_ascii_case(name),
        })
    }
}

/// The names in a certificate do not include its addresses.
fn is_for_address(key: &CertifiedKey, address: IpAddr) -> bool {
    let own = key.cert.first().map(webpki::EndEntityCert::try_from);
    let address = ServerName::from(address);
    matches!(own, Some(Ok(own)) if own.verify_is_valid_for_subject_name(&address).is_ok())
}

impl fmt::Debug for ServedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServedCertificate")
            .field(&self.names)
            .finish()
    }
}

impl Certificates {
    pub(super) fn new(identities: &[Identity]) -> Self {
        Self {
            known: Published::new(CertificateTable::new(identities)),
        }
    }

    pub(super) fn replace(&self, identities: &[Identity]) {
        drop(self.known.swap(CertificateTable::new(identities)));
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        self.known
            .load()
            .find(name)
            .map(|certificate| certificate.key)
    }

    /// Returns the hosts of the certificate that is sent to a client which requests this
    /// name.
    pub(super) fn hosts_of(&self, name: Option<&str>) -> Option<Arc<dyn CertifiedHosts>> {
        let certificate = self.known.load().find(name)?;
        Some(Arc::new(certificate))
    }
}

impl CertificateTable {
    fn new(identities: &[Identity]) -> Self {
        let mut known = Self {
            named: ByName::new(),
            first: identities.first().map(ServedCertificate::new),
        };
        for identity in identities {
            let certificate = ServedCertificate::new(identity);
            for name in identity.names() {
                // The first certificate for a name is used.
                known
                    .named
                    .entry(name)
                    .or_insert_with(|| certificate.clone());
            }
        }
        known
    }

    fn find(&self, name: Option<&str>) -> Option<ServedCertificate> {
        let found = name.and_then(|name| self.named.find(name).next());
        found.or(self.first.as_ref()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(client.server_name())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Certificates, Identity};
    use std::sync::Arc;

    fn identity(names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = made.signing_key.serialize_pem();
        Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap()
    }

    #[test]
    fn a_name_has_its_certificate_and_any_other_the_first() {
        let identities = [
            identity(&["shop.example.com"]),
            identity(&["*.example.com", "other.test"]),
            identity(&["other.test"]),
        ];
        let certificates = Certificates::new(&identities);
        for (name, at) in [
            (Some("shop.example.com"), 0),
            (Some("SHOP.example.com"), 0),
            (Some("api.example.com"), 1),
            (Some("a.b.example.com"), 0),
            (Some("example.com"), 0),
            (Some("other.test"), 1),
            (None, 0),
        ] {
            let found = certificates.find(name).unwrap();
            assert!(Arc::ptr_eq(&found, &identities[at].key), "{name:?}");
        }
        let new = identity(&["shop.example.com"]);
        certificates.replace(std::slice::from_ref(&new));
        let found = certificates.find(Some("other.test")).unwrap();
        assert!(Arc::ptr_eq(&found, &new.key));
    }
}
