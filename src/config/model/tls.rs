//! TLS on both sides: [`TlsConfig`], [`MemberTlsConfig`].

/// TLS towards clients.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Whether clients come by TLS (Apache: `SSLEngine`).
    pub enabled: Option<bool>,
    /// The file with the certificate and its chain, PEM (Apache: `SSLCertificateFile`).
    pub certificate: Option<String>,
    /// The file with its key, PEM; if there is none, the certificate's file has it
    /// (Apache: `SSLCertificateKeyFile`).
    pub key: Option<String>,
}

/// TLS towards members with `https://`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct MemberTlsConfig {
    /// Whether members may be reached by TLS (Apache: `SSLProxyEngine`).
    pub enabled: Option<bool>,
    /// Whether their certificates are verified (Apache: `SSLProxyVerify`); they are, by
    /// default.
    pub verify: Option<bool>,
    /// The file with the certificates to trust, PEM (Apache: `SSLProxyCACertificateFile`);
    /// those of the system, by default.
    pub roots: Option<String>,
}
