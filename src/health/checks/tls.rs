//! A probe that completes a TLS handshake: [`TlsProbe`].
//!
//! Not here: TLS (`net`).

use super::{Probe, ProbeError, ProbeTarget, Probing};
use crate::net::MemberTls;

/// Connects, completes a TLS handshake, and closes the connection. The certificate is
/// verified as for requests: an expired certificate, or one for another name, fails the
/// check.
///
/// # Examples
///
/// ```
/// use equipoise::health::{Check, TlsProbe};
///
/// // For members with TLS; the settings are the members' own:
/// let check = Check::builder(TlsProbe::new()).build()?;
/// # let _ = check;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TlsProbe {
    tls: Option<MemberTls>,
}

impl TlsProbe {
    /// Creates a probe that uses the TLS settings of each member.
    #[must_use]
    pub const fn new() -> Self {
        Self { tls: None }
    }

    /// Creates a probe with TLS settings of its own, for members whose TLS is passed
    /// through.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::TlsProbe;
    /// use equipoise::net::MemberTls;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["internal".to_owned()])?;
    /// # let roots = made.cert.pem();
    /// let tls = MemberTls::with_roots(roots.as_bytes())?.with_server_name("shop.example.org")?;
    /// let probe = TlsProbe::with_settings(tls);
    /// # let _ = probe;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn with_settings(tls: MemberTls) -> Self {
        Self { tls: Some(tls) }
    }
}

impl Probe for TlsProbe {
    fn probe(&self, target: ProbeTarget) -> Probing {
        let tls = self.tls.clone();
        Box::pin(async move {
            let connector = target.connector().clone();
            let connector = match &tls {
                Some(tls) => connector
                    .tls(tls)
                    .map_err(|source| ProbeError::caused_by("the TLS handshake failed", source))?,
                None if connector.is_secured() => connector,
                None => {
                    return Err("the member has no TLS settings: use a probe with its own".into());
                }
            };
            connector.open(Vec::new()).await?;
            Ok(())
        })
    }

    fn name(&self) -> &str {
        "TLS"
    }
}
