//! The servers behind the forwarders, all in one process; one of them alone is "direct". What
//! a client of TCP sends first is an [`Order`].

use std::io;
use std::net::SocketAddr;

use equipoise::service::BoxError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::side_by_side::program::listen_on;

/// How long an order and an answer are, and a datagram.
pub(crate) const MESSAGE: usize = 64;

/// What a client asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Each message is returned until the client ends.
    Echo,
    /// The message is returned with the member's port in it, and the connection ends.
    Once,
    /// So many bytes are sent, and the connection ends.
    Stream(u64),
}

impl Order {
    pub(crate) fn write(self) -> [u8; MESSAGE] {
        let mut message = [0; MESSAGE];
        let (kind, length) = match self {
            Self::Echo => (b'E', 0),
            Self::Once => (b'O', 0),
            Self::Stream(bytes) => (b'S', bytes),
        };
        message[0] = kind;
        message[8..16].copy_from_slice(&length.to_le_bytes());
        message
    }

    fn read(message: &[u8; MESSAGE]) -> Self {
        let length = message[8..16].try_into().map_or(0, u64::from_le_bytes);
        match message[0] {
            b'S' => Self::Stream(length),
            b'O' => Self::Once,
            _ => Self::Echo,
        }
    }
}

/// Which member an answer is from.
pub(crate) fn port_in(answer: &[u8; MESSAGE]) -> u16 {
    u16::from_le_bytes([answer[2], answer[3]])
}

fn sign(answer: &mut [u8; MESSAGE], port: u16) {
    answer[2..4].copy_from_slice(&port.to_le_bytes());
}

/// Serves all addresses until the process ends.
pub(crate) async fn serve(addresses: &[SocketAddr]) -> Result<(), BoxError> {
    let mut serving = JoinSet::new();
    for &address in addresses {
        serving.spawn(answer_datagrams(UdpSocket::bind(address).await?));
        serving.spawn(accept(listen_on(address)?, address.port()));
    }
    while let Some(ended) = serving.join_next().await {
        ended??;
    }
    Ok(())
}

async fn answer_datagrams(socket: UdpSocket) -> io::Result<()> {
    let port = socket.local_addr()?.port();
    let mut message = [0; MESSAGE];
    loop {
        // A report of a client that is gone is no reason to end.
        let Ok((MESSAGE, client)) = socket.recv_from(&mut message).await else {
            continue;
        };
        sign(&mut message, port);
        let _ = socket.send_to(&message, client).await;
    }
}

async fn accept(listener: TcpListener, port: u16) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // The load finds out what is missing.
        tokio::spawn(async move { drop(obey(stream, port).await) });
    }
}

static BYTES: [u8; 256 * 1024] = [b'b'; 256 * 1024];

async fn obey(mut stream: TcpStream, port: u16) -> io::Result<()> {
    let mut message = [0; MESSAGE];
    stream.read_exact(&mut message).await?;
    match Order::read(&message) {
        Order::Echo => loop {
            stream.write_all(&message).await?;
            stream.read_exact(&mut message).await?;
        },
        Order::Once => {
            sign(&mut message, port);
            stream.write_all(&message).await
        }
        Order::Stream(mut left) => {
            while left > 0 {
                let most = usize::try_from(left).map_or(BYTES.len(), |left| left.min(BYTES.len()));
                stream.write_all(&BYTES[..most]).await?;
                left -= most as u64;
            }
            Ok(())
        }
    }
}
