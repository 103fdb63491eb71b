//! Why no connection to a member came about: its name has no address, or the TLS handshake
//! failed. Everything else is an I/O error of the socket.
//!
//! What does not live here: opening one (`connect.rs`).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiFuture, GaiResolver, Name};
use tower_service::Service;

use crate::member::Cause;
use crate::service::{BoxError, cause, is_exhaustion};

/// The TLS handshake with a member failed.
#[derive(Debug, thiserror::Error)]
#[error("the TLS handshake failed")]
pub(super) struct HandshakeFailed(#[source] pub(super) BoxError);

/// The name of a member has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address")]
pub(super) struct Unresolved(#[source] io::Error);

/// Returns what kept a connection from being opened; `None` if it is none of these.
pub(super) fn cause_of(error: &BoxError) -> Option<Cause> {
    if cause::<HandshakeFailed>(&**error).is_some() {
        return Some(Cause::Tls);
    }
    if cause::<Unresolved>(&**error).is_some() {
        return Some(Cause::Unresolved);
    }
    match cause::<io::Error>(&**error)? {
        error if is_exhaustion(error) => None,
        error if error.kind() == io::ErrorKind::TimedOut => Some(Cause::TimedOut),
        _ => Some(Cause::Refused),
    }
}

/// The resolver of the system; its errors are [`Unresolved`].
#[derive(Clone, Debug)]
pub(super) struct Resolver(GaiResolver);

impl Resolver {
    pub(super) fn new() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = Unresolved;
    type Future = Resolving;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        self.0.poll_ready(context).map_err(Unresolved)
    }

    fn call(&mut self, name: Name) -> Resolving {
        Resolving(self.0.call(name))
    }
}

/// A name being resolved.
#[derive(Debug)]
pub(super) struct Resolving(GaiFuture);

impl Future for Resolving {
    type Output = Result<GaiAddrs, Unresolved>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(Unresolved)
    }
}

#[cfg(test)]
mod tests {
    use super::{HandshakeFailed, Unresolved, cause_of};
    use crate::member::Cause;
    use std::io::{self, ErrorKind};

    #[test]
    fn what_kept_a_connection_from_being_opened_has_a_name() {
        let io = |kind: ErrorKind| io::Error::from(kind);
        let handshake = HandshakeFailed(io(ErrorKind::UnexpectedEof).into());
        assert_eq!(cause_of(&handshake.into()), Some(Cause::Tls));
        let unresolved = io::Error::other(Unresolved(io(ErrorKind::NotFound)));
        assert_eq!(cause_of(&unresolved.into()), Some(Cause::Unresolved));
        for (kind, cause) in [
            (ErrorKind::TimedOut, Cause::TimedOut),
            (ErrorKind::ConnectionRefused, Cause::Refused),
            (ErrorKind::HostUnreachable, Cause::Refused),
        ] {
            assert_eq!(cause_of(&io(kind).into()), Some(cause));
        }
        assert_eq!(cause_of(&io(ErrorKind::AddrNotAvailable).into()), None);
        assert_eq!(cause_of(&"it does not speak HTTP/2".into()), None);
    }
}
