//! UDP sockets for multicast groups and single addresses, by the means of the system.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// How a sender reaches a multicast group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Multicast {
    /// An address of the IPv4 interface; if unspecified, the system selects the interface.
    pub(super) interface: Ipv4Addr,
    /// The number of hops of a datagram to a group, including this machine.
    pub(super) hops: u8,
}

/// Returns a socket that receives datagrams to an address or a group.
pub(super) fn receiving(address: SocketAddr, interface: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = open(address)?;
    if !address.ip().is_multicast() {
        socket.bind(&address.into())?;
        return UdpSocket::from_std(socket.into());
    }
    // Others on this machine may listen to the group as well.
    socket.set_reuse_address(true)?;
    bind_to_group(&socket, address)?;
    match address {
        SocketAddr::V4(group) => socket.join_multicast_v4(group.ip(), &interface)?,
        SocketAddr::V6(group) => socket.join_multicast_v6(group.ip(), group.scope_id())?,
    }
    UdpSocket::from_std(socket.into())
}

/// Binds to the group itself: datagrams to other groups, or to this machine alone, are not
/// received.
#[cfg(unix)]
fn bind_to_group(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.bind(&address.into())
}

/// This system cannot bind to a group.
#[cfg(not(unix))]
fn bind_to_group(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.bind(&any(address, address.port()).into())
}

/// Returns a socket that sends to an address or a group. Datagrams to a group are also
/// received on this machine.
///
/// It is a socket of the standard library and does not block: a datagram is sent at once or
/// not at all.
pub(super) fn sending(target: SocketAddr, way: Multicast) -> io::Result<std::net::UdpSocket> {
    let socket = open(target)?;
    if target.ip().is_multicast() {
        match target {
            SocketAddr::V4(_) => {
                socket.set_multicast_if_v4(&way.interface)?;
                socket.set_multicast_ttl_v4(way.hops.into())?;
                socket.set_multicast_loop_v4(true)?;
            }
            SocketAddr::V6(group) => {
                socket.set_multicast_if_v6(group.scope_id())?;
                socket.set_multicast_hops_v6(way.hops.into())?;
                socket.set_multicast_loop_v6(true)?;
            }
        }
    }
    socket.bind(&any(target, 0).into())?;
    Ok(socket.into())
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Returns the unspecified address of the same IP version.
fn any(like: SocketAddr, port: u16) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
    }
}
