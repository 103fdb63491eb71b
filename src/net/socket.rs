//! Options of an open socket: how it closes, and how the system detects that the other side
//! is gone.
//!
//! Not here: reading and writing (`stream`).

use std::time::Duration;

use super::stream::Stream;

/// How the system detects that the other side of a connection is gone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SocketLiveness {
    /// After this time without traffic, and then repeatedly, a probe is sent to the other
    /// side.
    pub(crate) keep_alive: Option<Duration>,
    /// How long bytes that were sent may stay unacknowledged.
    pub(crate) user_timeout: Option<Duration>,
}

impl SocketLiveness {
    const fn is_empty(self) -> bool {
        self.keep_alive.is_none() && self.user_timeout.is_none()
    }
}

impl Stream {
    /// Makes the system reset the connection when it is dropped, so that the other side
    /// does not take it for a clean end. A unix socket, and a system without this option,
    /// ends as usual.
    pub(crate) fn reset_when_dropped(&self) {
        #[cfg(unix)]
        if let Some(tcp) = self.tcp() {
            // A connection that is gone already needs no reset.
            let _ = rustix::net::sockopt::set_socket_linger(tcp, Some(Duration::ZERO));
        }
    }

    /// Returns whether the other side has reset the connection. The system reports it only
    /// once; reads return an end afterwards.
    #[cfg(feature = "forward")]
    pub(crate) fn is_broken(&self) -> bool {
        let error = self.tcp().map(tokio::net::TcpStream::take_error);
        matches!(error, Some(Ok(Some(_))))
    }

    /// Makes the system watch the connection. Errors are ignored: the connection works
    /// without it.
    pub(crate) fn watch(&self, liveness: SocketLiveness) {
        if liveness.is_empty() {
            return;
        }
        #[cfg(unix)]
        if let Some(tcp) = self.tcp() {
            use rustix::net::sockopt;
            if let Some(silence) = liveness.keep_alive {
                let _ = sockopt::set_socket_keepalive(tcp, true);
                #[cfg(not(any(target_os = "haiku", target_os = "nto", target_os = "openbsd")))]
                let _ = sockopt::set_tcp_keepidle(tcp, silence);
                #[cfg(not(any(
                    target_os = "haiku",
                    target_os = "nto",
                    target_os = "openbsd",
                    target_os = "redox"
                )))]
                let _ = sockopt::set_tcp_keepintvl(tcp, silence);
            }
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if let Some(limit) = liveness.user_timeout {
                let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
                let _ = sockopt::set_tcp_user_timeout(tcp, limit);
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::SocketLiveness;
    use crate::net::Stream;
    use rustix::net::sockopt;
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpStream};

    #[cfg(feature = "forward")]
    #[tokio::test]
    async fn a_reset_is_told_and_an_end_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for is_reset in [false, true] {
            let peer = TcpStream::connect(address).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let stream = Stream::from(stream);
            assert!(!stream.is_broken());
            if is_reset {
                peer.set_zero_linger().unwrap();
            }
            drop(peer);
            stream.tcp().unwrap().readable().await.unwrap();
            assert_eq!(stream.is_broken(), is_reset);
        }
    }

    #[tokio::test]
    async fn a_connection_is_watched_as_it_is_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = Stream::from(TcpStream::connect(address).await.unwrap());
        let tcp = stream.tcp().unwrap();
        stream.watch(SocketLiveness::default());
        assert!(!sockopt::socket_keepalive(tcp).unwrap());
        stream.watch(SocketLiveness {
            keep_alive: Some(Duration::from_secs(30)),
            user_timeout: Some(Duration::from_secs(120)),
        });
        assert!(sockopt::socket_keepalive(tcp).unwrap());
        let silence = Duration::from_secs(30);
        assert_eq!(sockopt::tcp_keepidle(tcp).unwrap(), silence);
        assert_eq!(sockopt::tcp_keepintvl(tcp).unwrap(), silence);
        #[cfg(target_os = "linux")]
        assert_eq!(sockopt::tcp_user_timeout(tcp).unwrap(), 120_000);
    }
}
