//! WebSockets on both ends of a tunnel: a member that echoes, and a client. They are
//! written as conversations, on threads that may block.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, accept, client};

pub(crate) type Socket = WebSocket<TcpStream>;

/// Whoever waits for longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(10);

/// A member that says everything again, apart from `close`, upon which it closes, and
/// `vanish`, upon which it is gone without a word.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    /// A message for each connection that has ended.
    pub(crate) ended: mpsc::UnboundedReceiver<()>,
    accepting: JoinHandle<()>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (over, ended) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = stream.into_std().unwrap();
                let over = over.clone();
                spawn_blocking(move || {
                    echo(blocking(stream));
                    let _ = over.send(());
                });
            }
        });
        Self {
            address,
            ended,
            accepting,
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn blocking(stream: TcpStream) -> TcpStream {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn echo(stream: TcpStream) {
    let mut socket = accept(stream).unwrap();
    while let Ok(message) = socket.read() {
        match message {
            Message::Text(text) if text.as_str() == "close" => socket.close(None).unwrap(),
            Message::Text(text) if text.as_str() == "vanish" => return,
            Message::Text(_) | Message::Binary(_) if socket.send(message.clone()).is_err() => {
                return;
            }
            _ => {}
        }
    }
}

/// Opens a WebSocket, and has a conversation over it.
pub(crate) async fn talk<T: Send + 'static>(
    address: SocketAddr,
    conversation: impl FnOnce(&mut Socket) -> T + Send + 'static,
) -> T {
    let talking = spawn_blocking(move || {
        let stream = blocking(TcpStream::connect(address).unwrap());
        let (mut socket, _) = client("ws://www.example.com/chat", stream).unwrap();
        conversation(&mut socket)
    });
    talking.await.unwrap()
}

/// Says something, and hears it again.
pub(crate) fn hear_again(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text(text));
}

/// Waits for the other side to break off.
pub(crate) fn hear_the_end(socket: &mut Socket) {
    match socket.read() {
        Err(Error::Io(error)) => assert!(
            !matches!(
                error.kind(),
                std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock
            ),
            "it goes on"
        ),
        Err(_) => {}
        Ok(message) => panic!("{message:?}"),
    }
}
