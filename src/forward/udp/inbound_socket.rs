//! The socket that clients send to and that responses are sent from: [`InboundSocket`].
//!
//! Not here: how the system reports the local address of a datagram
//! (`local_address`).

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::flow_key::FlowKey;
use super::local_address;

/// The socket that clients send to. A response is sent from the address that the client has
/// sent to, even if the socket is bound to all addresses (`0.0.0.0` or `[::]`).
#[derive(Debug)]
pub(super) struct InboundSocket {
    socket: UdpSocket,
    here: SocketAddr,
    /// Whether the system reports the local address of each datagram.
    reports_local: bool,
}

impl InboundSocket {
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let here = socket.local_addr()?;
        let reports_local =
            here.ip().is_unspecified() && local_address::report_local_address(&socket, here.ip())?;
        Ok(Self {
            socket,
            here,
            reports_local,
        })
    }

    /// Returns the address that the socket is bound to.
    pub(super) fn here(&self) -> SocketAddr {
        self.here
    }

    /// Returns the local address that the client of a flow sends to.
    pub(super) fn local(&self, key: FlowKey) -> SocketAddr {
        let ip = key.local.unwrap_or(self.here.ip());
        SocketAddr::new(ip, self.here.port())
    }

    /// Resolves when a datagram or an error may be available.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Receives a datagram, without waiting. `notes` is memory from
    /// [`local_address::memory`] for the system's information about it.
    pub(super) fn receive(
        &self,
        memory: &mut [u8],
        notes: &mut [u8],
    ) -> io::Result<(usize, FlowKey)> {
        if self.reports_local {
            return self.socket.try_io(Interest::READABLE, || {
                local_address::receive(&self.socket, memory, notes)
            });
        }
        let (length, client) = self.socket.try_recv_from(memory)?;
        let local = None;
        Ok((length, FlowKey { client, local }))
    }

    /// Sends a response to the client of a flow, without waiting.
    pub(super) fn send(&self, datagram: &[u8], key: FlowKey) -> io::Result<()> {
        if let Some(local) = key.local {
            match local_address::send(&self.socket, datagram, key.client, local) {
                // The address cannot be sent from, for example a broadcast address. The
                // system chooses one.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                sent => return sent,
            }
        }
        // Not with tokio, which waits for the system to report free space even if there is
        // some.
        let sent = SockRef::from(&self.socket).send_to(datagram, &key.client.into());
        sent.map(drop)
    }
}
