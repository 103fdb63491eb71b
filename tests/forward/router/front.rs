//! The router under test, and clients that tell by which member they are served.

use std::net::SocketAddr;

use equipoise::Balancer;
use equipoise::forward::{Address, StreamRouter, StreamTarget};
use equipoise::net::{Listener, Stopped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::hello::{ALPN, Hello, SERVER_NAME, one_name, protocols};
use crate::tcp::front::{name_of, named_echo, over};

/// A router that serves, until it is stopped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Stopped>,
}

impl Front {
    pub(crate) fn start(router: StreamRouter) -> Self {
        Self::at(router, listener())
    }

    pub(crate) fn at(router: StreamRouter, listener: Listener) -> Self {
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = oneshot::channel();
        let serving = router.serve(listener, async { drop(stopping.await) });
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

    /// Connects and sends.
    pub(crate) async fn sending(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Tells it to stop.
    pub(crate) fn stop(self) -> JoinHandle<Stopped> {
        drop(self.stop);
        self.ended
    }
}

pub(crate) fn listener() -> Listener {
    Listener::bind(([127, 0, 0, 1], 0).into()).unwrap()
}

/// A balancer over one member that begins with its name, and then returns what it gets.
pub(crate) async fn echo(name: &'static str) -> Balancer<Address> {
    over([(name, named_echo(name).await)])
}

pub(crate) async fn target(name: &'static str) -> StreamTarget {
    echo(name).await.into()
}

/// The name of the member that serves a client, which has been sent all that the client has.
pub(crate) async fn serves(mut stream: TcpStream, sent: &[u8]) -> String {
    let name = name_of(&mut stream).await;
    returns_all(stream, sent).await;
    name
}

/// Ends the client's side; the member has returned all that the client has sent.
pub(crate) async fn returns_all(mut stream: TcpStream, sent: &[u8]) {
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, sent);
}

/// Waits until the router has closed a connection without a byte.
pub(crate) async fn is_closed(mut stream: TcpStream) {
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    assert_eq!(got, b"");
}

/// The hello of a client that asks for a name and offers protocols.
pub(crate) fn hello(name: &str, offered: &[&[u8]]) -> Vec<u8> {
    let mut extensions = vec![(SERVER_NAME, one_name(name.as_bytes()))];
    if !offered.is_empty() {
        extensions.push((ALPN, protocols(offered)));
    }
    Hello::with(extensions).bytes()
}
