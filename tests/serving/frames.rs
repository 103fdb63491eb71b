//! HTTP/2 by hand, for what no client sends: frames, and header blocks without compression.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::frame::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS, frame};

/// What came for a stream first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Came {
    Status(u16),
    Reset(u32),
    /// The connection was closed.
    Nothing,
}

/// Literal fields that are not indexed (RFC 7541, 6.2.2), of less than 127 bytes each.
fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text);
        }
    }
    block
}

/// The fields of a GET, without those that are called as ones of `fields`, and these.
pub(crate) fn get<'f>(fields: &[(&'f str, &'f str)]) -> Vec<(&'f [u8], &'f [u8])> {
    let usual = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ];
    let is_usual = |name: &str| fields.iter().all(|field| field.0 != name);
    let usual = usual.into_iter().filter(|field| is_usual(field.0));
    // An empty pseudo-field is left out.
    let fields = fields.iter().copied().filter(|field| !field.1.is_empty());
    let (pseudo, others): (Vec<_>, Vec<_>) =
        usual.chain(fields).partition(|it| it.0.starts_with(':'));
    let all = pseudo.into_iter().chain(others);
    all.map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect()
}

/// Sends a head, data and trailers, each if there are any, on a connection of its own.
pub(crate) async fn send(
    to: SocketAddr,
    head: &[(&[u8], &[u8])],
    data: &[u8],
    trailers: &[(&[u8], &[u8])],
) -> Came {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, []));
    let ends = |over: bool| if over { END_STREAM } else { 0 };
    let (no_data, no_trailers) = (data.is_empty(), trailers.is_empty());
    bytes.extend(frame(
        HEADERS,
        END_HEADERS | ends(no_data && no_trailers),
        1,
        block(head),
    ));
    if !no_data {
        bytes.extend(frame(DATA, ends(no_trailers), 1, data));
    }
    if !no_trailers {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(trailers)));
    }
    stream.write_all(&bytes).await.unwrap();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        match (head[3], head[8]) {
            (HEADERS, 1) => return Came::Status(status(&payload)),
            (RST_STREAM, 1) => {
                return Came::Reset(u32::from_be_bytes(payload[..4].try_into().unwrap()));
            }
            _ => {}
        }
    }
    Came::Nothing
}

/// The status with which a block begins: one of the static table, or three digits, which
/// are compressed by a code in which each takes five or six bits.
fn status(block: &[u8]) -> u16 {
    const LISTED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    if let 0x88..=0x8e = block[0] {
        return LISTED[usize::from(block[0] - 0x88)];
    }
    assert!([0x08, 0x48].contains(&block[0]), "{block:x?}");
    let length = usize::from(block[1] & 0x7f);
    let bits: String = block[2..2 + length]
        .iter()
        .map(|byte| format!("{byte:08b}"))
        .collect();
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        let digit = match u16::from_str_radix(&bits[at..at + 5], 2).unwrap() {
            digit @ 0..=2 => (digit, 5),
            _ => (
                u16::from_str_radix(&bits[at..at + 6], 2).unwrap() - 0b01_1001 + 3,
                6,
            ),
        };
        status = status * 10 + digit.0;
        at += digit.1;
    }
    status
}
