//! The socket that clients send to, and that answers are sent from: [`Inbound`].
//!
//! What does not live here: how the system tells to which of its addresses a datagram was sent
//! (`local_address`).

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::flow_key::FlowKey;
use super::local_address;

/// The socket that clients send to. An answer is sent from the address that the client has sent
/// to, also if the socket is bound to all addresses (`0.0.0.0` or `[::]`).
#[derive(Debug)]
pub(super) struct Inbound {
    socket: UdpSocket,
    here: SocketAddr,
    /// Whether the system tells the local address of each datagram.
    is_told: bool,
}

impl Inbound {
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let here = socket.local_addr()?;
        let is_told = here.ip().is_unspecified() && local_address::ask_for(&socket, here.ip())?;
        Ok(Self {
            socket,
            here,
            is_told,
        })
    }

    /// The address that the socket is bound to.
    pub(super) fn here(&self) -> SocketAddr {
        self.here
    }

    /// Where the client of a flow sends to.
    pub(super) fn local(&self, key: FlowKey) -> SocketAddr {
        let ip = key.local.unwrap_or(self.here.ip());
        SocketAddr::new(ip, self.here.port())
    }

    /// Resolves when there may be a datagram, or an error to take.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Receives a datagram, without waiting. `notes` is memory of
    /// [`local_address::memory`] for what the system tells of it.
    pub(super) fn receive(
        &self,
        memory: &mut [u8],
        notes: &mut [u8],
    ) -> io::Result<(usize, FlowKey)> {
        if self.is_told {
            return self.socket.try_io(Interest::READABLE, || {
                local_address::receive(&self.socket, memory, notes)
            });
        }
        let (length, client) = self.socket.try_recv_from(memory)?;
        let local = None;
        Ok((length, FlowKey { client, local }))
    }

    /// Sends an answer to the client of a flow, without waiting.
    pub(super) fn send(&self, datagram: &[u8], key: FlowKey) -> io::Result<()> {
        if let Some(local) = key.local {
            match local_address::send(&self.socket, datagram, key.client, local) {
                // It is no address to send from, such as that of a broadcast. The system
                // chooses one.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                sent => return sent,
            }
        }
        // Not by tokio, which waits for the system to tell that there is room even if there is.
        let sent = SockRef::from(&self.socket).send_to(datagram, &key.client.into());
        sent.map(drop)
    }
}
