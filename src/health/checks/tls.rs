//! Does a TLS handshake come to its end, with a certificate that holds? [`TlsProbe`].
//!
//! What does not live here: TLS (`net`).

use super::{Probe, ProbeError, ProbeTarget, Probing};
use crate::net::MemberTls;

/// Connects, does a TLS handshake, and closes the connection. The certificate is verified as it
/// is for requests: one that is out of date, or for another name, fails.
///
/// # Examples
///
/// ```
/// use equipoise::health::{Check, TlsProbe};
///
/// // For members whose connections are secured, by their own settings:
/// let check = Check::builder(TlsProbe::new()).build()?;
/// # let _ = check;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TlsProbe {
    tls: Option<MemberTls>,
}

impl TlsProbe {
    /// Makes one that takes the settings of each member.
    #[must_use]
    pub const fn new() -> Self {
        Self { tls: None }
    }

    /// Makes one with settings of its own, for members that are passed through unopened.
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
                    .map_err(|source| ProbeError::caused_by("no TLS", source))?,
                None if connector.is_secured() => connector,
                None => return Err("the member's connections are not secured".into()),
            };
            connector.open(Vec::new()).await?;
            Ok(())
        })
    }

    fn name(&self) -> &str {
        "TLS"
    }
}
