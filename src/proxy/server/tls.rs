//! TLS for a server: [`Server::tls`], and the HTTP versions to negotiate.

use super::Server;
use crate::net::ServerTls;

impl Server {
    /// Enables TLS. HTTP/2 and HTTP/1.1 are offered (ALPN). The extensions of each request
    /// contain a [`TlsSession`](crate::net::TlsSession), and members get the scheme `https`
    /// in forwarding headers.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::{Identity, ServerTls};
    /// use equipoise::proxy::Server;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()])?;
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let read = || Identity::from_pem(certificate.as_bytes(), key.as_bytes());
    /// let tls = ServerTls::new([read()?])?;
    /// let server = Server::new().tls(&tls);
    ///
    /// // Later, when the files have changed: no connection is dropped.
    /// tls.replace([read()?])?;
    /// # let _ = server;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// In a service:
    ///
    /// ```
    /// use equipoise::net::TlsSession;
    ///
    /// fn has_certificate<B>(request: &http::Request<B>) -> bool {
    ///     let session = request.extensions().get::<TlsSession>();
    ///     session.is_some_and(|session| !session.certificates().is_empty())
    /// }
    /// # assert!(!has_certificate(&http::Request::new(())));
    /// ```
    pub fn tls(mut self, tls: &ServerTls) -> Self {
        let offered = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        self.options.opening.set_handshake(tls.handshake(offered));
        self
    }
}
