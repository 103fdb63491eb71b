//! The header of the PROXY protocol, by which a balancer in front names the client of a
//! connection, and nothing after it.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The 12 bytes that version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// How long a line of version 1 can be, its end included.
const LINE: usize = 107;

/// Reads a PROXY header, version 1 or 2, and not a byte more. `None` if it names no client
/// that came by TCP: then the peer is the client.
pub(super) async fn announced<R>(stream: &mut R) -> io::Result<Option<SocketAddr>>
where
    R: AsyncRead + Unpin,
{
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        let mut rest = [0; 4];
        stream.read_exact(&mut rest).await?;
        header.extend_from_slice(&rest);
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let head = header.len();
        header.resize(head + length, 0);
        stream.read_exact(&mut header[head..]).await?;
    } else {
        if !header.starts_with(b"PROXY ") {
            return Err(malformed());
        }
        // Byte by byte: what comes after it is not ours to read.
        while !header.ends_with(b"\r\n") {
            if header.len() == LINE {
                return Err(malformed());
            }
            header.push(stream.read_u8().await?);
        }
    }
    match HeaderResult::parse(&header) {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(it) => Some((it.source_address, it.source_port).into()),
            v1::Addresses::Tcp6(it) => Some((it.source_address, it.source_port).into()),
        }),
        HeaderResult::V2(Ok(header)) => Ok(match (header.command, header.addresses) {
            // The balancer itself, to see how we are.
            (v2::Command::Local, _) => None,
            (_, v2::Addresses::IPv4(it)) => Some((it.source_address, it.source_port).into()),
            (_, v2::Addresses::IPv6(it)) => Some((it.source_address, it.source_port).into()),
            (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
        }),
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "there is no PROXY header")
}

#[cfg(test)]
mod tests {
    use super::announced;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    fn block<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn both_versions_say_who_the_client_is_and_leave_the_rest() {
        let client: SocketAddr = "203.0.113.7:5000".parse().unwrap();
        let server: SocketAddr = "10.0.0.1:80".parse().unwrap();
        let two = ppp::v2::Builder::with_addresses(
            ppp::v2::Version::Two | ppp::v2::Command::Proxy,
            ppp::v2::Protocol::Stream,
            (client, server),
        );
        let two = two.write_tlv(ppp::v2::Type::NoOp, b"more").unwrap();
        for header in [
            b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\n".to_vec(),
            two.build().unwrap(),
        ] {
            let sent = [header.as_slice(), b"GET / HTTP/1.1\r\n"].concat();
            let mut stream = sent.as_slice();
            assert_eq!(block(announced(&mut stream)).unwrap(), Some(client));
            assert_eq!(stream, b"GET / HTTP/1.1\r\n");
        }
    }

    #[test]
    fn a_balancer_may_speak_for_itself() {
        let local = [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x20, 0, 0, 0]].concat();
        for header in [b"PROXY UNKNOWN\r\n".as_slice(), &local] {
            assert_eq!(block(announced(&mut &header[..])).unwrap(), None);
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        for sent in [
            b"GET / HTTP/1.1\r\n\r\n".as_slice(),
            b"PROXY TCP4 here there 1 2\r\n",
            b"PROXY TCP4 203.0.113.7",
            &endless,
        ] {
            block(announced(&mut &sent[..])).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(sent: Vec<u8>, version in 0_usize..3) {
            let begins = [b"".as_slice(), b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"][version];
            let sent = [begins, &sent].concat();
            let _ = block(announced(&mut sent.as_slice()));
        }
    }
}
