//! The replacement of `local_address` on systems other than Linux: the local address of a
//! datagram is unknown.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

use super::flow_key::FlowKey;

pub(super) fn report_local_address(_: &UdpSocket, _: IpAddr) -> io::Result<bool> {
    Ok(false)
}

pub(super) fn memory() -> Vec<u8> {
    Vec::new()
}

pub(super) fn receive(_: &UdpSocket, _: &mut [u8], _: &mut [u8]) -> io::Result<(usize, FlowKey)> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn send(_: &UdpSocket, _: &[u8], _: SocketAddr, _: IpAddr) -> io::Result<()> {
    Err(io::ErrorKind::InvalidInput.into())
}
