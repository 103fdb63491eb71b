//! Between which two addresses a flow is: [`FlowKey`].

use std::net::{IpAddr, SocketAddr};

/// What tells one flow from another. A client that sends from one port to two addresses of this
/// machine has two flows, as it takes answers only from the address that it has sent to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct FlowKey {
    pub(super) client: SocketAddr,
    /// The address of this machine that the client sends to; `None` if that is the one that the
    /// socket is bound to, or the system does not tell it.
    pub(super) local: Option<IpAddr>,
}
