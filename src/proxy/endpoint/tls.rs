//! TLS to a member: [`EndpointBuilder::tls`].

use super::EndpointBuilder;
use crate::net::MemberTls;

impl EndpointBuilder {
    /// Sets the TLS settings for a member of `https`. Without it, the roots of the system
    /// are trusted.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::MemberTls;
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["internal".to_owned()])?;
    /// # let roots = made.cert.pem();
    /// let tls = MemberTls::with_roots(roots.as_bytes())?.with_server_name("app.internal")?;
    /// let member = Endpoint::builder(Uri::from_static("https://10.0.0.1:8443"))
    ///     .tls(&tls)
    ///     .build()?;
    /// # let _ = member;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tls(mut self, tls: &MemberTls) -> Self {
        self.secure = Some(tls.clone().into_secure());
        self
    }
}
