//! Clients that stay on their members, by a hash of their addresses or by a stick table; and the
//! members and clients of these tests.

mod hash;
mod stick_tcp;
mod stick_udp;

use std::net::{Ipv4Addr, SocketAddr};

use equipoise::Balancer;
use equipoise::balancer::Builder;
use equipoise::forward::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};

use crate::tcp::front::{Front, name_of};
use crate::udp;

/// A member that answers with its name, until it is ended.
struct Member {
    name: &'static str,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Member {
    async fn tcp(name: &'static str) -> Self {
        Self::tcp_at(name, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    async fn tcp_at(name: &'static str, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            // They end with it.
            let mut open = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                open.spawn(async move {
                    let _ = stream.write_all(format!("{name}\n").as_bytes()).await;
                    // Until the client's end.
                    let _ = stream.read(&mut [0]).await;
                });
            }
        });
        Self {
            name,
            address,
            task,
        }
    }

    async fn udp(name: &'static str) -> Self {
        Self::udp_at(name, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    async fn udp_at(name: &'static str, address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut buffer).await {
                let _ = socket.send_to(name.as_bytes(), from).await;
            }
        });
        Self {
            name,
            address,
            task,
        }
    }

    /// Ends it. From then on its system refuses what comes.
    async fn end(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

fn over<W: From<SocketAddr> + Send + Sync + 'static, const N: usize>(
    builder: Builder<W>,
    members: [&Member; N],
) -> Balancer<W> {
    let add = |builder: Builder<W>, member: &Member| {
        builder.member(member.name, member.address.into(), Default::default())
    };
    let builder = members.into_iter().fold(builder, add);
    builder.build().unwrap()
}

fn tcp_over<const N: usize>(members: [&Member; N]) -> Balancer<Address> {
    over(Balancer::builder(), members)
}

/// The address of a client, of which there are 250.
fn client(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, number)
}

async fn connect(front: &Front, number: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((client(number), 0).into()).unwrap();
    socket.connect(front.address).await.unwrap()
}

/// A connection of a client that ends at once; the name of its member.
async fn visit(front: &Front, number: u8) -> String {
    name_of(&mut connect(front, number).await).await
}

/// A connection of each of so many clients.
async fn visits(front: &Front, clients: u8) -> Vec<String> {
    let mut names = Vec::new();
    for number in 0..clients {
        names.push(visit(front, number).await);
    }
    names
}

/// A new flow of a client; the name of its member.
async fn ask(front: &udp::Front, number: u8) -> String {
    let client = front.client_at(&client(number).to_string()).await;
    String::from_utf8(client.ask_until_answered(b"who").await).unwrap()
}

/// A new flow of each of so many clients.
async fn asks(front: &udp::Front, clients: u8) -> Vec<String> {
    let mut names = Vec::new();
    for number in 0..clients {
        names.push(ask(front, number).await);
    }
    names
}

/// Asserts that all clients but those of one member are where they were, and those elsewhere.
fn only_those_of(lost: &str, before: &[String], after: &[String]) {
    assert!(before.iter().any(|name| name == lost), "it had no client");
    for (number, (was, is)) in before.iter().zip(after).enumerate() {
        assert_eq!(was == lost, was != is, "client {number}: {was}, then {is}");
    }
}
