//! The two addresses of a flow: [`FlowKey`].

use std::net::{IpAddr, SocketAddr};

/// The key of a flow. A client that sends from one port to two addresses of this machine
/// has two flows, because it only accepts responses from the address that it has sent to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct FlowKey {
    pub(super) client: SocketAddr,
    /// The address of this machine that the client sends to; `None` if the socket is bound
    /// to that address, or the system does not report it.
    pub(super) local: Option<IpAddr>,
}
