//! TLS for clients and for members: [`TlsConfig`], [`MemberTlsConfig`].

/// TLS for connections from clients.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Whether TLS is used (Apache: `SSLEngine`).
    pub enabled: Option<bool>,
    /// The PEM file with the certificate and its chain (Apache: `SSLCertificateFile`).
    pub certificate: Option<String>,
    /// The PEM file with the private key; by default, the certificate's file (Apache:
    /// `SSLCertificateKeyFile`).
    pub key: Option<String>,
}

/// TLS for connections to members with `https://`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct MemberTlsConfig {
    /// Whether members may be connected to with TLS (Apache: `SSLProxyEngine`).
    pub enabled: Option<bool>,
    /// Whether the certificates of members are verified, as they are by default (Apache:
    /// `SSLProxyVerify`).
    pub verify: Option<bool>,
    /// The PEM file with the certificates to trust; by default, those of the system
    /// (Apache: `SSLProxyCACertificateFile`).
    pub roots: Option<String>,
}
