//! The receivers of connections that were accepted elsewhere: [`StreamTarget`].
//!
//! They are defined here, and not next to the router that uses them, so that the HTTP
//! server can be one without depending on the router.
//!
//! Not here: which connection goes to which target.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::accept::Arrived;

/// The future that serves one connection until it ends.
pub(crate) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves connections that were accepted elsewhere.
pub(crate) trait ServeArrived: fmt::Debug + Send + Sync {
    /// Serves one connection. What is already known about it is kept, so a PROXY header is
    /// not read again. The connection holds its permit until it ends, and takes part in the
    /// shutdown of the loop that accepted it.
    fn serve(self: Arc<Self>, arrived: Arrived) -> Serving;
}

const _: Option<&dyn ServeArrived> = None;

/// A receiver of connections for a [`StreamRouter`](crate::forward::StreamRouter).
///
/// | created from | its connections | shared by all of its connections |
/// |---|---|---|
/// | a [`TcpForwarder`](crate::forward::TcpForwarder), or a balancer of addresses (`From`) | are forwarded to a member | its limit per client, its pipes, its queue for a member |
/// | a `Server` with its service (`proxy::Server::into_target`, feature `proxy`) | are served by HTTP | its limit for buffered request heads |
/// | a [task](Self::task) | are passed to your closure | |
///
/// The router decides how many connections there may be, and how long they may continue
/// after the stop. A target's own settings for that
/// ([`Acceptor::max_connections`](super::Acceptor::max_connections),
/// [`drain_timeout`](super::Acceptor::drain_timeout), and those of a `Server`) are ignored.
/// A target that terminates TLS replays the bytes that the router has read, and applies its
/// own time limit. It reads a PROXY header only if the router has not read one.
///
/// Clones share the same target.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::forward::{Address, StreamTarget, TcpForwarder};
///
/// let balancer = Balancer::new([("db", Address::host("db.internal", Some(5432)))])?;
/// let target = StreamTarget::from(TcpForwarder::new(balancer).max_per_client(20));
/// # let _ = target;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone)]
pub struct StreamTarget {
    serve: Arc<dyn ServeArrived>,
}

impl StreamTarget {
    pub(crate) fn new(serve: impl ServeArrived + 'static) -> Self {
        Self {
            serve: Arc::new(serve),
        }
    }

    pub(crate) fn serve(&self, arrived: Arrived) -> Serving {
        self.serve.clone().serve(arrived)
    }
}

impl fmt::Debug for StreamTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamTarget").field(&self.serve).finish()
    }
}
