//! Securing a stream to a member: [`Secure`].
//!
//! Not here: TLS, which implements it (`tls`).

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;

use super::stream::Stream;

/// A secured stream.
pub(crate) type Securing<'a> = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + 'a>>;

/// Secures a stream to a member. The TLS implementation is behind its feature.
pub(crate) trait Secure: fmt::Debug + Send + Sync {
    /// `alpn` are the offered protocols, the preferred first.
    fn secure<'a>(&'a self, stream: Stream, host: &'a str, alpn: Vec<Vec<u8>>) -> Securing<'a>;

    /// Returns whether an error, ignoring its causes, means that the other side rejects our
    /// certificate. With TLS 1.3 that can be reported after data was sent; the other side
    /// has not processed any of it then.
    #[cfg_attr(not(feature = "proxy"), expect(dead_code, reason = "the proxy's"))]
    fn is_refusal(&self, error: &(dyn Error + 'static)) -> bool;
}
