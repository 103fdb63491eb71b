//! What serves connections that have been accepted elsewhere: [`StreamTarget`].
//!
//! It is here, and not with the router that uses it, so that what serves HTTP can be one without
//! standing on that router.
//!
//! What does not live here: which connection goes to which target.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::accept::Arrived;

/// The serving of one connection, to its end.
pub(crate) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves connections that have been accepted elsewhere.
pub(crate) trait ServeArrived: fmt::Debug + Send + Sync {
    /// Serves one. What is known of it holds, so that a PROXY header is not read again; it keeps
    /// its place until it has ended, and takes part in the end of the loop that has accepted it.
    fn serve(self: Arc<Self>, arrived: Arrived) -> Serving;
}

const _: Option<&dyn ServeArrived> = None;

/// What a [`StreamRouter`](crate::forward::StreamRouter) gives a connection to.
///
/// | made of | connections | shared by all that is given to it |
/// |---|---|---|
/// | a [`TcpForwarder`](crate::forward::TcpForwarder), or a balancer of addresses (`From`) | go to a member | its cap for each client, its pipes, the connections that wait for a member |
/// | a `Server` with its service (`proxy::Server::into_target`, feature `proxy`) | are served by HTTP | its limit for the heads that are held |
/// | a [task](Self::task) | are handed to your closure | |
///
/// How many connections there may be, and how long they may go on after the stop, is the router's:
/// what a target has been told of it ([`Acceptor::max_connections`](super::Acceptor::max_connections),
/// [`drain_timeout`](super::Acceptor::drain_timeout), and the same of a `Server`) is passed over.
/// If a target terminates TLS, it does so with the bytes that the router has read already, and in
/// a time of its own. It reads a PROXY header only if the router has read none.
///
/// Clones are the same target.
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
