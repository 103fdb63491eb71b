//! The start of a client's connection: its PROXY header, and the TLS handshake.
//! [`Opening`].
//!
//! Not here: the format of the PROXY header (`preamble`), and TLS itself
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

/// The result of a handshake: the secured stream, and the properties of its TLS session.
pub(super) type Handshaking<'a> =
    Pin<Box<dyn Future<Output = io::Result<(Stream, TlsSession)>> + Send + 'a>>;

/// Secures a client's stream. The TLS implementation is behind its feature.
pub(crate) trait Handshake: fmt::Debug + Send + Sync {
    fn handshake(&self, stream: Stream) -> Handshaking<'_>;
}

/// What is done with each connection before its first byte of content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    /// The networks of the peers that send a PROXY header.
    proxy_header_peers: Vec<IpNet>,
    handshake: Option<Arc<dyn Handshake>>,
}

impl Opening {
    pub(crate) fn set_proxy_header_peers(&mut self, peers: impl IntoIterator<Item = IpNet>) {
        self.proxy_header_peers = peers.into_iter().map(canonical).collect();
    }

    #[cfg(feature = "tls")]
    pub(crate) fn set_handshake(&mut self, handshake: Arc<dyn Handshake>) {
        self.handshake = Some(handshake);
    }

    /// Reads the PROXY header of a peer that sends one, unless it has been read already,
    /// then does the TLS handshake.
    pub(crate) async fn open(&self, mut accepted: Accepted) -> io::Result<Accepted> {
        if accepted.header.is_none() && contain(&self.proxy_header_peers, accepted.peer) {
            accepted.header = Some(ProxyHeader::read(&mut accepted.stream).await?);
        }
        if let Some(handshake) = &self.handshake {
            let (stream, session) = handshake.handshake(accepted.stream).await?;
            accepted.stream = stream;
            accepted.session = Some(session);
            // This header described the TLS that ends here.
            accepted.passed = None;
        }
        Ok(accepted)
    }
}

#[cfg(all(test, feature = "forward"))]
mod tests {
    use super::{Accepted, Handshake, Handshaking, Opening, Stream, TlsSession};
    use std::sync::Arc;
    use tokio::net::{TcpListener, TcpStream};

    /// A handshake that succeeds at once.
    #[derive(Debug)]
    struct Agree;

    impl Handshake for Agree {
        fn handshake(&self, stream: Stream) -> Handshaking<'_> {
            let session = TlsSession::new(Some("a.test".to_owned()), None, "1.3", Vec::new());
            Box::pin(async { Ok((stream, session)) })
        }
    }

    #[tokio::test]
    async fn what_tls_that_ends_here_offered_is_not_told_to_a_member() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let mut accepted = Accepted::arrived(Stream::from(stream), Some(address));
        let passed = accepted.next_proxy_header().with_alpn(b"h2").unwrap();
        accepted.set_next_proxy_header(passed.clone());
        assert_eq!(accepted.next_proxy_header(), passed);

        let mut opening = Opening::default();
        let accepted = opening.open(accepted).await.unwrap();
        assert_eq!(accepted.next_proxy_header(), passed);
        opening.handshake = Some(Arc::new(Agree));
        let accepted = opening.open(accepted).await.unwrap();
        let told = accepted.next_proxy_header();
        assert_eq!((told.authority(), told.alpn()), (Some("a.test"), None));
    }
}
