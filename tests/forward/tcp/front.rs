//! The forwarder under test, the members behind it, and what is asked of both.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::balancer::events::{EventKind, ObserverGuard};
use equipoise::forward::{Address, TcpForwarder};
use equipoise::net::{Listener, Stopped};
use equipoise::{Balancer, Event, MemberSpec, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A forwarder that serves, until it is stopped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Stopped>,
}

impl Front {
    pub(crate) fn start(forwarder: TcpForwarder) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), forwarder)
    }

    pub(crate) fn start_at(address: SocketAddr, forwarder: TcpForwarder) -> Self {
        let listener = Listener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = oneshot::channel();
        let serving = forwarder.serve(listener, async { drop(stopping.await) });
        let ended = tokio::spawn(serving);
        Self {
            address,
            stop,
            ended,
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Tells it to stop.
    pub(crate) fn stop(self) -> JoinHandle<Stopped> {
        drop(self.stop);
        self.ended
    }
}

/// A listener of a member, and its address.
pub(crate) async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address at which nothing listens.
pub(crate) async fn refusing() -> SocketAddr {
    listening().await.1
}

/// A member that begins with its name and a line break, and then returns what it gets.
pub(crate) async fn named_echo(name: &'static str) -> SocketAddr {
    let (listener, address) = listening().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(format!("{name}\n").as_bytes()).await?;
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await?;
                to.shutdown().await
            });
        }
    });
    address
}

/// A balancer over these members, as weighty as each other.
pub(crate) fn over<const N: usize>(members: [(&'static str, SocketAddr); N]) -> Balancer<Address> {
    Balancer::new(members.map(|(name, address)| (name, Address::from(address)))).unwrap()
}

/// A balancer over one member with a cap.
pub(crate) fn capped(address: SocketAddr, cap: u32) -> Balancer<Address> {
    let spec = MemberSpec::new().with_max_in_flight(cap);
    let member = Balancer::builder().member("a", Address::from(address), spec);
    member.build().unwrap()
}

/// Reads the line with which a member begins.
pub(crate) async fn name_of(stream: &mut TcpStream) -> String {
    let mut name = String::new();
    loop {
        match stream.read_u8().await.unwrap() {
            b'\n' => return name,
            byte => name.push(byte.into()),
        }
    }
}

/// Sends a word on a connection that stays open, and reads as much.
pub(crate) async fn returns(stream: &mut TcpStream, word: &str) {
    stream.write_all(word.as_bytes()).await.unwrap();
    let mut back = vec![0; word.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, word.as_bytes());
}

/// Waits until this holds: what a task of the forwarder does soon.
pub(crate) async fn soon(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("not in ten seconds: {what}");
}

/// Waits until no member has anything in flight.
pub(crate) async fn is_quiet(balancer: &Balancer<Address>) {
    let quiet = || {
        balancer
            .members()
            .iter()
            .all(|member| member.in_flight() == 0)
    };
    soon("nothing in flight", quiet).await;
}

/// How connections ended, in order: the member, the outcome and the cause.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<(String, Outcome, String)>>>);

impl Log {
    pub(crate) fn of(balancer: &Balancer<Address>) -> (Self, ObserverGuard) {
        let log = Self::default();
        let written = log.clone();
        let observing = balancer.observe(move |event: &Event<'_>| {
            if let (EventKind::Ended(ended), Some(member)) = (event.kind, event.member) {
                let cause = ended.cause.as_ref().map(ToString::to_string);
                let entry = (
                    member.name().into(),
                    ended.outcome,
                    cause.unwrap_or_default(),
                );
                written.0.lock().unwrap().push(entry);
            }
        });
        (log, observing)
    }

    /// Waits until so many have ended.
    pub(crate) async fn ends(&self, number: usize) -> Vec<(String, Outcome, String)> {
        soon("all ends", || self.0.lock().unwrap().len() >= number).await;
        self.0.lock().unwrap().clone()
    }
}

pub(crate) fn ended(member: &str, outcome: Outcome, cause: &str) -> (String, Outcome, String) {
    (member.to_owned(), outcome, cause.to_owned())
}

/// Makes the system reset the connection instead of ending it.
pub(crate) fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

/// A listener whose queue is full, so that the system answers nothing more.
pub(crate) async fn unanswering() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let patience = Duration::from_millis(200);
    let connects = || TcpStream::connect(address);
    while let Ok(Ok(stream)) = tokio::time::timeout(patience, connects()).await {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue has no end");
    }
    (listener, queued)
}
