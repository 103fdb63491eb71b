//! What comes before the bytes of a client's connection: its PROXY header, and TLS.
//! [`Opening`].
//!
//! What does not live here: the format of that header (`preamble`), and TLS itself
//! (`tls`).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use ipnet::IpNet;

use super::accepted::Accepted;
use super::networks::{canonical, contain};
use super::proxy_header::ProxyHeader;
use super::stream::Stream;
use super::tls_session::TlsSession;

/// A client's stream under protection, and what is known of the client then.
pub(super) type Handshaking<'a> =
    Pin<Box<dyn Future<Output = io::Result<(Stream, TlsSession)>> + Send + 'a>>;

/// Puts a client's stream under protection; what TLS is behind its feature.
pub(crate) trait Handshake: fmt::Debug + Send + Sync {
    fn handshake(&self, stream: Stream) -> Handshaking<'_>;
}

/// What is done with each connection before its first byte counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    /// The networks whose peers send a PROXY header.
    announcers: Vec<IpNet>,
    handshake: Option<Arc<dyn Handshake>>,
}

impl Opening {
    pub(crate) fn set_announcers(&mut self, peers: impl IntoIterator<Item = IpNet>) {
        self.announcers = peers.into_iter().map(canonical).collect();
    }

    #[cfg(feature = "tls")]
    pub(crate) fn set_handshake(&mut self, handshake: Arc<dyn Handshake>) {
        self.handshake = Some(handshake);
    }

    /// Reads the PROXY header of a peer that sends one, unless it has been read before, then does
    /// the handshake of TLS.
    pub(crate) async fn open(&self, mut accepted: Accepted) -> io::Result<Accepted> {
        if accepted.header.is_none() && contain(&self.announcers, accepted.peer) {
            accepted.header = Some(ProxyHeader::read(&mut accepted.stream).await?);
        }
        if let Some(handshake) = &self.handshake {
            let (stream, session) = handshake.handshake(accepted.stream).await?;
            accepted.stream = stream;
            accepted.session = Some(session);
            // What has been told was of the TLS that ends here.
            accepted.passed = None;
        }
        Ok(accepted)
    }
}
