//! A forwarder of datagrams, the members behind it, and its clients; and that answers reach
//! the client that has asked.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use equipoise::forward::{Address, UdpForwarder, UdpStatistics};
use equipoise::net::Stopped;
use equipoise::scheduler::Maglev;
use equipoise::{Balancer, MemberSpec};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::within;

/// Resolves when it is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(1)).await;
    }
}

/// A server, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Sends what `answers` makes of a datagram.
    pub(crate) async fn start(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                for answer in answers(&buffer[..length]) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { address, task }
    }

    /// Returns what it gets.
    pub(crate) async fn echo() -> Self {
        Self::start(|datagram| vec![datagram.to_vec()]).await
    }

    /// Answers with its name.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::start(move |_| vec![name.into()]).await
    }

    /// Takes all and answers nothing.
    pub(crate) async fn silent() -> Self {
        Self::start(|_| Vec::new()).await
    }

    /// Ends it; from then on its system refuses datagrams.
    pub(crate) async fn end(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A balancer of servers that are called a, b, and so on.
pub(crate) fn balancer<const N: usize>(servers: [&Server; N]) -> Balancer<Address> {
    let named = ["a", "b", "c"].into_iter().zip(servers);
    Balancer::new(named.map(|(name, server)| (name, server.address.into()))).unwrap()
}

/// A forwarder that serves, until it is told to stop.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) statistics: UdpStatistics,
    stop: oneshot::Sender<()>,
    pub(crate) ended: JoinHandle<io::Result<Stopped>>,
}

impl Front {
    pub(crate) async fn start(forwarder: UdpForwarder) -> Self {
        Self::start_at("127.0.0.1:0", forwarder).await
    }

    pub(crate) async fn start_at(address: &str, forwarder: UdpForwarder) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        let statistics = forwarder.statistics();
        let (stop, stopping) = oneshot::channel();
        let serving = forwarder.serve(socket, async { drop(stopping.await) });
        Self {
            address,
            statistics,
            stop,
            ended: tokio::spawn(serving),
        }
    }

    /// Tells it to stop.
    pub(crate) fn stop(self) -> JoinHandle<io::Result<Stopped>> {
        drop(self.stop);
        self.ended
    }

    pub(crate) async fn client(&self) -> Client {
        self.client_at("127.0.0.1").await
    }

    /// A client with an address of its own.
    pub(crate) async fn client_at(&self, address: &str) -> Client {
        let socket = UdpSocket::bind((address, 0)).await.unwrap();
        socket.connect(self.address).await.unwrap();
        Client { socket }
    }
}

pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
}

impl Client {
    pub(crate) async fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).await.unwrap();
    }

    pub(crate) async fn answer(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer).await.unwrap();
        buffer.truncate(length);
        buffer
    }

    pub(crate) async fn ask(&self, datagram: &[u8]) -> Vec<u8> {
        self.send(datagram).await;
        self.answer().await
    }

    /// Asks again until there is an answer, as clients of UDP have to.
    pub(crate) async fn ask_until_answered(&self, datagram: &[u8]) -> Vec<u8> {
        loop {
            let asked = timeout(Duration::from_millis(100), self.ask(datagram));
            if let Ok(answer) = asked.await {
                return answer;
            }
        }
    }
}

#[tokio::test]
async fn each_client_gets_the_answers_to_what_it_has_asked() {
    within(async {
        let server = Server::echo().await;
        let front = Front::start(UdpForwarder::new(balancer([&server]))).await;
        let (one, other) = (front.client().await, front.client().await);
        for round in 0..20 {
            let (first, second) = (format!("one {round}"), format!("other {round}"));
            one.send(first.as_bytes()).await;
            other.send(second.as_bytes()).await;
            assert_eq!(other.answer().await, second.as_bytes());
            assert_eq!(one.answer().await, first.as_bytes());
        }
        assert_eq!(front.statistics.flows(), 2);
        assert_eq!(front.statistics.opened(), 2);
        assert_eq!(front.statistics.to_members(), 40);
        assert_eq!(front.statistics.to_clients(), 40);
    })
    .await;
}

#[tokio::test]
async fn a_flow_stays_with_its_member_and_counts_as_one_request_with_its_bytes() {
    within(async {
        let (a, b) = (Server::named("a").await, Server::named("b").await);
        let balancer = balancer([&a, &b]);
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        let clients = [front.client().await, front.client().await];
        for _ in 0..5 {
            for (client, name) in clients.iter().zip(["a", "b"]) {
                assert_eq!(client.ask(b"hello").await, name.as_bytes());
            }
        }
        for member in balancer.members() {
            assert_eq!((member.in_flight(), member.picked()), (1, 1));
            assert_eq!((member.bytes_sent(), member.bytes_received()), (25, 5));
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_client_sends_in_one_go_goes_by_one_flow_and_none_is_lost() {
    within(async {
        let server = Server::echo().await;
        let front = Front::start(UdpForwarder::new(balancer([&server]))).await;
        let client = front.client().await;
        for number in 0..50 {
            client.send(&[number]).await;
        }
        for number in 0..50 {
            assert_eq!(client.answer().await, [number]);
        }
        assert_eq!(front.statistics.opened(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_datagram_may_have_65_507_bytes_or_none() {
    within(async {
        let server = Server::echo().await;
        let front = Front::start(UdpForwarder::new(balancer([&server]))).await;
        let client = front.client().await;
        for length in [65_507, 0, 1] {
            let datagram: Vec<u8> = (0..=250).cycle().take(length).collect();
            assert_eq!(client.ask(&datagram).await, datagram);
        }
    })
    .await;
}

#[tokio::test]
async fn a_datagram_may_have_several_answers() {
    within(async {
        let server = Server::start(|_| vec![b"1".into(), b"2".into(), b"3".into()]).await;
        let front = Front::start(UdpForwarder::new(balancer([&server]))).await;
        let client = front.client().await;
        client.send(b"count").await;
        for number in [b"1", b"2", b"3"] {
            assert_eq!(client.answer().await, number);
        }
    })
    .await;
}

#[tokio::test]
async fn a_hashing_scheduler_gives_all_flows_of_an_address_one_member() {
    within(async {
        let servers = ["a", "b", "c"].map(Server::named);
        let mut balancer = Balancer::builder().scheduler(Maglev::new());
        let mut running = Vec::new();
        for (name, server) in ["a", "b", "c"].into_iter().zip(servers) {
            let server = server.await;
            balancer = balancer.member(name, server.address.into(), MemberSpec::new());
            running.push(server);
        }
        let front = Front::start(UdpForwarder::new(balancer.build().unwrap())).await;
        let expected = front.client().await.ask(b"who").await;
        for _ in 0..20 {
            assert_eq!(front.client().await.ask(b"who").await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn clients_of_ipv6_reach_members_of_ipv4() {
    within(async {
        let server = Server::echo().await;
        let forwarder = UdpForwarder::new(balancer([&server]));
        let front = Front::start_at("[::1]:0", forwarder).await;
        let client = front.client_at("::1").await;
        assert_eq!(client.ask(b"hello").await, b"hello");
    })
    .await;
}
