//! The floor of UDP: a socket for each client, and a task that returns what comes back. No
//! limit, no pick, no lease, and no end of a client that is quiet.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use equipoise::service::BoxError;
use tokio::net::UdpSocket;
use tokio::task::{LocalSet, spawn_local};

use crate::fleet::Fleet;

/// As long as a datagram can be.
const LONGEST: usize = 65_535;

#[derive(Clone)]
struct Relay {
    front: Rc<UdpSocket>,
    flows: Rc<RefCell<HashMap<SocketAddr, Rc<UdpSocket>>>>,
    ends_with_answer: bool,
}

/// Forwards until the process ends.
pub(crate) async fn serve(
    listen: SocketAddr,
    members: &[SocketAddr],
    one_answer: bool,
) -> Result<(), BoxError> {
    let relay = Relay {
        front: Rc::new(UdpSocket::bind(listen).await?),
        flows: Rc::default(),
        ends_with_answer: one_answer,
    };
    let fleet = Fleet::of(members);
    let serving = async {
        let mut memory = vec![0; LONGEST];
        loop {
            let (length, client) = relay.front.recv_from(&mut memory).await?;
            let socket = match relay.of(client) {
                Some(socket) => socket,
                None => relay.open(client, fleet.next()).await?,
            };
            socket.send(&memory[..length]).await?;
        }
    };
    LocalSet::new().run_until(serving).await
}

impl Relay {
    fn of(&self, client: SocketAddr) -> Option<Rc<UdpSocket>> {
        self.flows.borrow().get(&client).cloned()
    }

    async fn open(&self, client: SocketAddr, member: SocketAddr) -> io::Result<Rc<UdpSocket>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(member).await?;
        let socket = Rc::new(socket);
        self.flows.borrow_mut().insert(client, socket.clone());
        spawn_local(self.clone().answer(client, socket.clone()));
        Ok(socket)
    }

    async fn answer(self, client: SocketAddr, socket: Rc<UdpSocket>) {
        // Only as long as what is measured here, so that it stays in the task.
        let mut memory = [0; 1024];
        while let Ok(length) = socket.recv(&mut memory).await {
            if self.ends_with_answer {
                self.flows.borrow_mut().remove(&client);
            }
            let sent = self.front.send_to(&memory[..length], client).await;
            if sent.is_err() || self.ends_with_answer {
                break;
            }
        }
    }
}
