//! Members of HTTP/2 that are a socket and a script: frames by hand, where no server would
//! send them.

use std::net::SocketAddr;

use equipoise::proxy::{Endpoint, EndpointBuilder, HttpVersions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::frame::{ACK, frame};
pub(crate) use super::frame::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;

/// `:status: 200`, from the static table of HPACK.
pub(crate) const OK: &[u8] = &[0x88];

/// `POST http://x/`, from the static table of HPACK but for the authority.
pub(crate) const POST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 1, b'x'];

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// A connection, from the member's side.
#[derive(Debug)]
pub(crate) struct Framed {
    stream: TcpStream,
    /// How many connections there were before.
    pub(crate) earlier: usize,
}

impl Framed {
    /// A connection from a client's side, with the preface.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        stream.write_all(preface).await.unwrap();
        let mut connection = Self { stream, earlier: 0 };
        connection.settings(None).await;
        connection
    }

    pub(crate) async fn say(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let bytes = frame(kind, flags, stream, payload);
        let _ = self.stream.write_all(&bytes).await;
    }

    /// Says how many streams there may be; without a number, nothing about it.
    pub(crate) async fn settings(&mut self, streams: Option<u32>) {
        let entry = streams.map(|streams| [&[0, 3][..], &streams.to_be_bytes()].concat());
        self.say(SETTINGS, 0, 0, &entry.unwrap_or_default()).await;
    }

    pub(crate) async fn answer(&mut self, stream: u32) {
        self.say(HEADERS, END_HEADERS, stream, OK).await;
        self.say(DATA, END_STREAM, stream, b"ok").await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, code: u32) {
        self.say(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    /// Says that it ends after this stream.
    pub(crate) async fn go_away(&mut self, last: u32) {
        let payload = [last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat();
        self.say(GOAWAY, 0, 0, &payload).await;
    }

    /// The next frame that is about a stream; `None` at the end. Others are acknowledged.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let (kind, flags) = (head[3], head[4]);
            match kind {
                SETTINGS if flags & ACK == 0 => self.say(SETTINGS, ACK, 0, &[]).await,
                PING if flags & ACK == 0 => self.say(PING, ACK, 0, &payload).await,
                SETTINGS | PING | WINDOW_UPDATE | GOAWAY => {}
                _ => {
                    return Some(Frame {
                        kind,
                        flags,
                        stream,
                        payload,
                    });
                }
            }
        }
    }

    /// The head of the next request: its stream, and whether it has no body.
    pub(crate) async fn request(&mut self) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.kind == HEADERS {
                return Some(frame);
            }
        }
    }

    /// The next request whole: its stream and its body.
    pub(crate) async fn whole_request(&mut self) -> Option<(u32, Vec<u8>)> {
        let head = self.request().await?;
        let mut body = Vec::new();
        let mut ended = head.ends();
        while !ended {
            let frame = self.frame().await?;
            if frame.stream == head.stream {
                ended = frame.ends();
                body.extend(frame.payload);
            }
        }
        Some((head.stream, body))
    }

    /// Stays until the other side goes.
    pub(crate) async fn until_gone(&mut self) {
        while self.frame().await.is_some() {}
    }
}

/// It dies when it is dropped.
#[derive(Debug)]
pub(crate) struct FramedMember {
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl FramedMember {
    /// One whose connections each follow a script, after the preface, and are closed at its
    /// end.
    pub(crate) async fn scripted<F, T>(script: F) -> Self
    where
        F: Fn(Framed) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            let mut talks = JoinSet::new();
            for earlier in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut preface = [0; 24];
                if stream.read_exact(&mut preface).await.is_ok() {
                    talks.spawn(script(Framed { stream, earlier }));
                }
            }
        });
        Self { address, accepting }
    }

    pub(crate) fn endpoint(&self) -> EndpointBuilder {
        let uri = format!("http://{}", self.address);
        Endpoint::builder(uri.parse().unwrap()).versions(HttpVersions::Http2)
    }
}

impl Drop for FramedMember {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
