//! How a stream to a member is put under protection: [`Secure`].
//!
//! What does not live here: TLS, which does it (`tls`).

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;

use super::stream::Stream;

/// A stream under protection.
pub(crate) type Securing<'a> = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + 'a>>;

/// Puts a stream to a member under protection; what TLS is behind its feature.
pub(crate) trait Secure: fmt::Debug + Send + Sync {
    /// `alpn` are the protocols that are offered, the best first.
    fn secure<'a>(&'a self, stream: Stream, host: &'a str, alpn: Vec<Vec<u8>>) -> Securing<'a>;

    /// Whether an error, its causes aside, says that the other side does not accept who we
    /// are. It may find out only after we have gone on: then it has looked at nothing that was
    /// sent.
    #[cfg_attr(not(feature = "proxy"), expect(dead_code, reason = "the proxy's"))]
    fn is_refusal(&self, error: &(dyn Error + 'static)) -> bool;
}
