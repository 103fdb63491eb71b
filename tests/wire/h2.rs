//! HTTP/2 by frames, for what no client sends: [`Peer`].

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) use super::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, frame,
};
use super::front::Front;
use super::line::within;

/// A number of HPACK (RFC 7541, 5.1) behind `first`, whose low `bits` are free.
fn number(value: usize, bits: u32, first: u8) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if value < most {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![first | u8::try_from(most).unwrap()];
    let mut left = value - most;
    while left >= 128 {
        bytes.push(u8::try_from(left % 128 + 128).unwrap());
        left /= 128;
    }
    bytes.push(u8::try_from(left).unwrap());
    bytes
}

/// A header as a literal, without Huffman's code and outside of the table; or, `kept`, in it.
pub(crate) fn header(name: &str, value: &str, kept: bool) -> Vec<u8> {
    let mut bytes = vec![if kept { 0x40 } else { 0 }];
    for text in [name, value] {
        bytes.extend(number(text.len(), 7, 0));
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The last header that was kept, once more.
pub(crate) const REPEATED: u8 = 0x80 | 62;

/// What a request cannot do without.
pub(crate) fn pseudo(method: &str, path: &str) -> Vec<u8> {
    let parts = [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a"),
    ];
    parts
        .iter()
        .flat_map(|(name, value)| header(name, value, false))
        .collect()
}

/// A frame that came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Came {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Came {
    /// The code of an error, in a GOAWAY or a RST_STREAM.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A client that sends the frames that it is told to.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
    next: u32,
}

impl Peer {
    /// Connects, with these settings, which are six bytes each.
    pub(crate) async fn new(front: &Front, settings: &[(u16, u32)]) -> Self {
        Self::on(front.client().await.stream, settings).await
    }

    pub(crate) async fn on(stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let mut peer = Self {
            stream,
            read: Vec::new(),
            next: 1,
        };
        peer.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        peer.say(frame(SETTINGS, 0, 0, payload)).await;
        peer
    }

    /// Sends bytes; `false` if the other side is gone.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        within(self.stream.write_all(bytes.as_ref())).await.is_ok()
    }

    /// Sends a `GET`; tells its stream.
    pub(crate) async fn get(&mut self, path: &str) -> u32 {
        self.head(pseudo("GET", path), END_STREAM).await
    }

    /// Sends the head of a request; tells its stream.
    pub(crate) async fn head(&mut self, block: impl AsRef<[u8]>, flags: u8) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.say(frame(HEADERS, flags | END_HEADERS, stream, block))
            .await;
        stream
    }

    /// Lets the server send so many more bytes on a stream, or on the connection (0).
    pub(crate) async fn widen(&mut self, stream: u32, bytes: u32) -> bool {
        self.say(frame(WINDOW_UPDATE, 0, stream, bytes.to_be_bytes()))
            .await
    }

    /// The next frame; `None` if the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Came> {
        within(self.next_ever()).await
    }

    /// The next frame, if it comes in time.
    pub(crate) async fn next_within(&mut self, limit: Duration) -> Option<Came> {
        let next = tokio::time::timeout(limit, self.next_ever()).await;
        next.ok().flatten()
    }

    async fn next_ever(&mut self) -> Option<Came> {
        loop {
            if let [a, b, c, kind, flags, d, e, f, g, ..] = self.read[..] {
                let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
                if self.read.len() >= 9 + length {
                    let payload = self.read[9..9 + length].to_vec();
                    self.read.drain(..9 + length);
                    return Some(Came {
                        kind,
                        flags,
                        stream: u32::from_be_bytes([d, e, f, g]),
                        payload,
                    });
                }
            }
            if !matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// The next frame of this kind on this stream; `None` if the connection has ended.
    pub(crate) async fn wait_for(&mut self, kind: u8, stream: u32) -> Option<Came> {
        loop {
            let came = self.next().await?;
            if came.kind == kind && came.stream == stream {
                return Some(came);
            }
        }
    }
}
