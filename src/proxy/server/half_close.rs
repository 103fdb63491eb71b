//! A client that shuts down its sending side and waits for the response: [`HalfClose`]
//! detects this, and also detects when such a client is gone.
//!
//! Over TCP, a shut-down side and a closed connection look the same; a reset does not. What
//! does not live here: how long the response to such a client continues (`connection_state`).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::connection_state::ConnectionState;
use crate::net::{Stream, StreamCarrier};

/// Whether a client has shut down its sending side while it is owed a response.
#[derive(Debug, Default)]
pub(super) struct HalfClose(Option<ClientGone>);

impl HalfClose {
    pub(super) fn is_seen(&self) -> bool {
        self.0.is_some()
    }

    /// Checks whether the client is still connected while hyper does not read. Returns an
    /// error if it is not.
    pub(super) fn check(
        &mut self,
        stream: &mut Stream,
        ahead: &mut Bytes,
        connection: &ConnectionState,
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        if self.0.is_none() {
            if !has_ended(stream, ahead, connection.unread.is_whole(), context)? {
                return Ok(());
            }
            if !connection.note_half_close() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        let gone = self.0.get_or_insert_with(|| ClientGone::of(stream));
        gone.poll(context)
    }
}

/// Returns whether the client has shut down its sending side, or fails if the connection
/// was reset. Further bytes stay in the socket, or, if they cannot, are added to `ahead`;
/// that happens only once the request is `whole`.
fn has_ended(
    stream: &mut Stream,
    ahead: &mut Bytes,
    whole: bool,
    context: &mut Context<'_>,
) -> io::Result<bool> {
    let mut piece = [0; 64];
    if let StreamCarrier::Tcp(tcp) = stream.carrier() {
        let mut buffer = ReadBuf::new(&mut piece[..1]);
        return match tcp.poll_peek(context, &mut buffer) {
            Poll::Ready(length) => Ok(length? == 0),
            Poll::Pending => Ok(false),
        };
    }
    if !whole || !ahead.is_empty() {
        return Ok(false);
    }
    let mut buffer = ReadBuf::new(&mut piece);
    let Poll::Ready(read) = Pin::new(stream).poll_read(context, &mut buffer) else {
        return Ok(false);
    };
    match read {
        // With TLS, many clients close without `close_notify`. An attacker could cause
        // that, too, but the request is complete, so nothing of it can be missing.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(true),
        read => read?,
    }
    *ahead = Bytes::copy_from_slice(buffer.filled());
    Ok(ahead.is_empty())
}

/// Waits for the reset of a connection whose end has been read. A reset is all that a
/// socket can then report, and a read does not show it.
struct ClientGone(Option<Reset>);

type Reset = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl ClientGone {
    /// Watches a second descriptor of the same socket. Without one, for lack of descriptors
    /// or with TLS, only a write shows that the client is gone.
    #[cfg(target_os = "linux")]
    fn of(stream: &Stream) -> Self {
        use std::os::fd::AsFd;
        use tokio::io::Interest;
        use tokio::net::{TcpStream, UnixStream};

        let reset: Option<Reset> = match stream.carrier() {
            StreamCarrier::Tcp(stream) => {
                stream.as_fd().try_clone_to_owned().ok().and_then(|socket| {
                    let socket = TcpStream::from_std(socket.into()).ok()?;
                    Some(
                        Box::pin(async move { drop(socket.ready(Interest::ERROR).await) }) as Reset,
                    )
                })
            }
            StreamCarrier::Unix(stream) => {
                stream.as_fd().try_clone_to_owned().ok().and_then(|socket| {
                    let socket = UnixStream::from_std(socket.into()).ok()?;
                    Some(
                        Box::pin(async move { drop(socket.ready(Interest::ERROR).await) }) as Reset,
                    )
                })
            }
            StreamCarrier::Replayed(_) | StreamCarrier::Secured(_) => None,
        };
        Self(reset)
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_: &Stream) -> Self {
        Self(None)
    }

    /// Fails once the connection was reset.
    fn poll(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(reset) = &mut self.0 else {
            return Ok(());
        };
        if reset.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        self.0 = None;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl std::fmt::Debug for ClientGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientGone").finish_non_exhaustive()
    }
}
