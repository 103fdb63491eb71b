//! The proxy under test: a real server before a reverse proxy, and what clients do to it.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::Balancer;
use equipoise::net::{Listener, Stopped};
use equipoise::proxy::{Endpoint, ReverseProxy, Server};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::line::{Line, within};

/// A limit that passes within a test.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// A proxy that serves.
#[derive(Debug)]
pub(crate) struct Front {
    address: SocketAddr,
    balancer: Balancer<Endpoint>,
    serving: JoinHandle<Stopped>,
    stop: oneshot::Sender<()>,
}

impl Front {
    /// Serves before these members, which are called `a`, `b` and so on.
    pub(crate) fn before(server: Server, members: impl IntoIterator<Item = Endpoint>) -> Self {
        let names = ["a", "b", "c"].into_iter();
        let balancer = Balancer::new(names.zip(members)).unwrap();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let proxy = ReverseProxy::new(balancer.clone());
        let server = server.drain_timeout(Duration::from_secs(5));
        let serving = tokio::spawn(async move {
            let stop = async { stopped.await.unwrap_or_default() };
            server.serve(listener, proxy, stop).await
        });
        Self {
            address,
            balancer,
            serving,
            stop,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn client(&self) -> Line {
        Line::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends these bytes on a new connection, and reads until that is closed.
    pub(crate) async fn told(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.client().await;
        client.say(bytes).await;
        let told = client.all_the_rest().await;
        String::from_utf8_lossy(&told).into_owned()
    }

    /// How many requests are in flight, at all members.
    pub(crate) fn in_flight(&self) -> u32 {
        let members = self.balancer.members();
        members.iter().map(|member| member.in_flight()).sum()
    }

    /// How many bytes of bodies were sent, to all members.
    pub(crate) fn sent(&self) -> u64 {
        let members = self.balancer.members();
        members.iter().map(|member| member.bytes_sent()).sum()
    }

    /// Waits until so many requests are in flight.
    pub(crate) async fn in_flight_is(&self, expected: u32) {
        within(async {
            while self.in_flight() != expected {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Asserts that nothing is left of what was done: no request in flight, and no
    /// connection of a client that had to be cut.
    pub(crate) async fn at_rest(self) {
        for member in self.balancer.members() {
            let removed = self.balancer.remove(member.name()).unwrap();
            within(removed.drained()).await;
            assert_eq!(removed.in_flight(), 0);
        }
        self.stop.send(()).unwrap();
        let stopped = within(self.serving).await.unwrap();
        assert_eq!(stopped.cut(), 0, "a connection went on");
    }
}

/// Asserts that a limit has passed since then, and not long ago.
pub(crate) fn took_about(limit: Duration, since: Instant) {
    let took = since.elapsed();
    assert!(took >= limit.mul_f32(0.9), "it took only {took:?}");
    assert!(took < limit + Duration::from_secs(2), "it took {took:?}");
}

/// The statuses of the answers among these bytes.
pub(crate) fn statuses(told: &str) -> Vec<u16> {
    let heads = told.split("HTTP/1.").skip(1);
    heads.map(|head| head[2..5].parse().unwrap()).collect()
}
