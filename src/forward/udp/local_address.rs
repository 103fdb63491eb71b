//! The local address that a datagram was sent to, as Linux reports it (`IP_PKTINFO`), and
//! sending from such an address.
//!
//! The crate quinn-udp also does this, but it disables fragmentation of datagrams that
//! exceed the MTU of a link, and for IPv6 that cannot be reverted.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
};
use tokio::net::UdpSocket;

use super::flow_key::FlowKey;

/// Enables reporting of the local address of each datagram; returns whether it is enabled.
pub(super) fn report_local_address(socket: &UdpSocket, bound: IpAddr) -> io::Result<bool> {
    // A dual-stack socket reports IPv4 addresses as IPv6 addresses.
    match bound {
        IpAddr::V4(_) => setsockopt(socket, Ipv4PacketInfo, &true)?,
        IpAddr::V6(_) => setsockopt(socket, Ipv6RecvPacketInfo, &true)?,
    }
    Ok(true)
}

/// Returns memory for the system's information about one datagram.
pub(super) fn memory() -> Vec<u8> {
    // The structure for IPv4 is shorter.
    cmsg_space!(in6_pktinfo)
}

/// Receives a datagram, without waiting.
pub(super) fn receive(
    socket: &UdpSocket,
    memory: &mut [u8],
    notes: &mut [u8],
) -> io::Result<(usize, FlowKey)> {
    let mut parts = [IoSliceMut::new(memory)];
    let received = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(notes),
        MsgFlags::empty(),
    )?;
    let client = received.address.as_ref().and_then(socket_address);
    let client = client.ok_or(io::ErrorKind::InvalidData)?;
    let mut notes = received.cmsgs().into_iter().flatten();
    let local = notes.find_map(|note| local_of(&note));
    Ok((received.bytes, FlowKey { client, local }))
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|it| (*it).into());
    v4.or_else(|| address.as_sockaddr_in6().map(|it| (*it).into()))
}

/// Returns `None` if the address cannot be sent from.
fn local_of(note: &ControlMessageOwned) -> Option<IpAddr> {
    let ip: IpAddr = match note {
        ControlMessageOwned::Ipv4PacketInfo(it) => {
            // For a multicast or broadcast datagram, this is the address that the system
            // would send from. It is unknown for a datagram that arrived before reporting
            // was enabled.
            let own = Ipv4Addr::from(it.ipi_spec_dst.s_addr.to_ne_bytes());
            let to = Ipv4Addr::from(it.ipi_addr.s_addr.to_ne_bytes());
            (if own.is_unspecified() { to } else { own }).into()
        }
        ControlMessageOwned::Ipv6PacketInfo(it) => Ipv6Addr::from(it.ipi6_addr.s6_addr).into(),
        _ => return None,
    };
    let bare = ip.to_canonical();
    let is_broadcast = bare == IpAddr::V4(Ipv4Addr::BROADCAST);
    (!bare.is_unspecified() && !bare.is_multicast() && !is_broadcast).then_some(ip)
}

/// Sends a datagram from an address of this machine, without waiting.
pub(super) fn send(
    socket: &UdpSocket,
    datagram: &[u8],
    to: SocketAddr,
    from: IpAddr,
) -> io::Result<()> {
    let v4;
    let v6;
    let from = match from {
        IpAddr::V4(ip) => {
            v4 = in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr {
                    s_addr: u32::from_ne_bytes(ip.octets()),
                },
                ipi_addr: in_addr { s_addr: 0 },
            };
            ControlMessage::Ipv4PacketInfo(&v4)
        }
        IpAddr::V6(ip) => {
            v6 = in6_pktinfo {
                ipi6_addr: in6_addr {
                    s6_addr: ip.octets(),
                },
                ipi6_ifindex: 0,
            };
            ControlMessage::Ipv6PacketInfo(&v6)
        }
    };
    let (to, parts) = (SockaddrStorage::from(to), [IoSlice::new(datagram)]);
    sendmsg(
        socket.as_raw_fd(),
        &parts,
        &[from],
        MsgFlags::empty(),
        Some(&to),
    )?;
    Ok(())
}
