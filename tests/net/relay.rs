//! The relay, the member behind it, and what a client does; and that bytes go both ways.

use std::net::SocketAddr;

use equipoise::net::{Accepted, Acceptor, Connector, Listener, Stopped, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, split};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::within;

/// What serves, until it is stopped.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    pub(crate) ended: JoinHandle<Stopped>,
}

impl Serving {
    /// Runs a task for each connection to a free port.
    pub(crate) fn start<F, T>(acceptor: Acceptor, task: F) -> Self
    where
        F: Fn(Accepted) -> T + Clone + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = oneshot::channel();
        let serving = acceptor.serve(listener, task, async { drop(stopping.await) });
        Self {
            address,
            stop,
            ended: tokio::spawn(serving),
        }
    }

    /// A member that returns what it gets.
    pub(crate) fn echo() -> Self {
        Self::start(Acceptor::new(), echo)
    }

    /// A relay to one member.
    pub(crate) fn relay(acceptor: Acceptor, to: Connector) -> Self {
        Self::start(acceptor, move |accepted| relay(accepted, to.clone()))
    }

    pub(crate) async fn connect(&self) -> Stream {
        Connector::tcp(self.address).connect().await.unwrap()
    }

    /// Tells it to stop.
    pub(crate) fn stop(self) -> JoinHandle<Stopped> {
        drop(self.stop);
        self.ended
    }
}

pub(crate) async fn echo(accepted: Accepted) {
    let (mut from, mut to) = split(accepted.into_stream());
    let _ = copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

pub(crate) async fn relay(accepted: Accepted, to: Connector) {
    let Ok(mut member) = to.connect().await else {
        return;
    };
    let mut client = accepted.into_stream();
    let _ = copy_bidirectional(&mut client, &mut member).await;
}

/// Sends a word on a connection that stays open, and reads as much.
pub(crate) async fn returns(stream: &mut Stream, word: &str) {
    stream.write_all(word.as_bytes()).await.unwrap();
    let mut back = vec![0; word.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, word.as_bytes());
}

/// Sends all there is, ends its side, and returns all that comes.
pub(crate) async fn exchange(mut stream: Stream, sent: &str) -> String {
    stream.write_all(sent.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).await.unwrap();
    got
}

#[tokio::test]
async fn bytes_go_both_ways_and_the_end_of_a_side_goes_through() {
    within(async {
        let member = Serving::echo();
        let front = Serving::relay(Acceptor::new(), Connector::tcp(member.address));
        let sent = "hello ".repeat(100_000);
        let mut stream = front.connect().await;
        returns(&mut stream, "first").await;
        let (mut from, mut to) = split(stream);
        let sending = async {
            to.write_all(sent.as_bytes()).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut got = String::new();
        let (_, read) = tokio::join!(sending, from.read_to_string(&mut got));
        read.unwrap();
        assert_eq!(got, sent);
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn both_sides_may_be_unix_sockets() {
    within(async {
        let path = |name| {
            let own = format!("equipoise-net-{}-{name}.sock", std::process::id());
            std::env::temp_dir().join(own)
        };
        let (front, member) = (path("front"), path("member"));
        let listening = Listener::unix(&member).unwrap();
        tokio::spawn(Acceptor::new().serve(listening, echo, std::future::pending()));
        let listening = Listener::unix(&front).unwrap();
        let to = Connector::unix(&member);
        let task = move |accepted: Accepted| {
            assert!(accepted.client_addr().is_none() && accepted.local_addr().is_none());
            relay(accepted, to.clone())
        };
        tokio::spawn(Acceptor::new().serve(listening, task, std::future::pending()));
        let stream = Connector::unix(&front).connect().await.unwrap();
        assert_eq!(exchange(stream, "hello").await, "hello");
        for path in [front, member] {
            std::fs::remove_file(path).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_whose_member_refuses_is_closed_and_others_are_served() {
    within(async {
        let gone = Serving::echo();
        let address = gone.address;
        gone.stop().await.unwrap();
        let front = Serving::relay(Acceptor::new(), Connector::tcp(address));
        for _ in 0..2 {
            let mut stream = front.connect().await;
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
        assert_eq!(front.stop().await.unwrap().cut(), 0);
    })
    .await;
}
