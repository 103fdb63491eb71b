//! Using a TCP forwarder as a target of a router.

use super::TcpForwarder;
use crate::balancer::Balancer;
use crate::forward::Address;
use crate::net::stream_target::StreamTarget;

/// Forwards connections. If the forwarder's acceptor terminates TLS, so does the target. If
/// it reads PROXY headers, the target reads those that the router has not read.
impl From<TcpForwarder> for StreamTarget {
    fn from(forwarder: TcpForwarder) -> Self {
        let (acceptor, forwarder_task) = forwarder.begin();
        acceptor.into_target(move |accepted| forwarder_task.forward(accepted))
    }
}

/// Forwards connections as [`TcpForwarder::new`] does.
impl From<Balancer<Address>> for StreamTarget {
    fn from(balancer: Balancer<Address>) -> Self {
        TcpForwarder::new(balancer).into()
    }
}
