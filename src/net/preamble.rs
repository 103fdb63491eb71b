//! Reading a PROXY protocol header, by which a balancer in front announces the client of a
//! connection. Nothing after the header is read.
//!
//! Not here: what the header contains, and how one is written
//! (`proxy_header`).

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use bytes::Bytes;
use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::proxy_header::{ProxyHeader, SIGNATURE};

/// The maximum length of a line of version 1, including its end.
const LINE: usize = 107;

impl ProxyHeader {
    /// Reads a header of version 1 or 2, and not a byte more.
    ///
    /// A line of version 1 has at most 107 bytes. A header of version 2 has at most 64 KiB,
    /// which are stored as they arrive. Addresses of unix sockets are ignored: such a
    /// header is read as [unknown](Self::unknown). A checksum is not verified.
    ///
    /// It does not limit the time; [`Acceptor`](super::Acceptor) does.
    ///
    /// # Errors
    ///
    /// Fails if there is no such header, or the stream fails or ends before the header is
    /// complete.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe. If the future is dropped, a part of the header may have been read,
    /// and the stream cannot be used any more.
    pub async fn read<R>(stream: &mut R) -> io::Result<Self>
    where
        R: AsyncRead + Unpin,
    {
        let header = bytes_of_header(stream).await?;
        parse(&header)
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "there is no PROXY header"))
    }
}

/// Reads all bytes of the header, as its length requires, or enough to see that there is
/// none.
async fn bytes_of_header<R>(stream: &mut R) -> io::Result<Bytes>
where
    R: AsyncRead + Unpin,
{
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        let mut rest = [0; 4];
        stream.read_exact(&mut rest).await?;
        header.extend_from_slice(&rest);
        let length = u16::from_be_bytes([rest[2], rest[3]]);
        // Memory is allocated for bytes that have arrived, not for the announced length.
        let read = stream.take(length.into()).read_to_end(&mut header).await?;
        if read < length.into() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    } else if header.starts_with(b"PROXY ") {
        // Byte by byte, because the bytes after the header belong to the connection. A line
        // that ends without `\r` is malformed, and reading stops there.
        while !header.ends_with(b"\n") && header.len() < LINE {
            header.push(stream.read_u8().await?);
        }
    }
    Ok(header.into())
}

fn parse(header: &Bytes) -> Option<ProxyHeader> {
    match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(line)) => {
            let addresses = match line.addresses {
                v1::Addresses::Unknown => None,
                v1::Addresses::Tcp4(it) => Some(pair(
                    (it.source_address, it.source_port),
                    (it.destination_address, it.destination_port),
                )),
                v1::Addresses::Tcp6(it) => Some(pair(
                    (it.source_address, it.source_port),
                    (it.destination_address, it.destination_port),
                )),
            };
            ProxyHeader::received(addresses, Bytes::new())
        }
        HeaderResult::V2(Ok(binary)) => {
            let addresses = match binary.addresses {
                v2::Addresses::IPv4(it) => Some(pair(
                    (it.source_address, it.source_port),
                    (it.destination_address, it.destination_port),
                )),
                v2::Addresses::IPv6(it) => Some(pair(
                    (it.source_address, it.source_port),
                    (it.destination_address, it.destination_port),
                )),
                v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
            };
            // The sender's own connection. Without addresses, all that would follow them is
            // ignored, as the specification requires.
            if binary.command == v2::Command::Local
                || binary.addresses == v2::Addresses::Unspecified
            {
                return Some(ProxyHeader::unknown());
            }
            ProxyHeader::received(addresses, header.slice_ref(binary.tlv_bytes()))
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => None,
    }
}

fn pair(
    source: impl Into<SocketAddr>,
    destination: impl Into<SocketAddr>,
) -> (SocketAddr, SocketAddr) {
    (source.into(), destination.into())
}

#[cfg(test)]
mod tests {
    use crate::net::proxy_header::{ProxyHeader, ProxyVersion};
    use proptest::prelude::*;
    use std::io;
    use std::net::SocketAddr;
    use tokio::io::AsyncReadExt;

    fn block<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    fn read(mut sent: &[u8]) -> io::Result<ProxyHeader> {
        block(ProxyHeader::read(&mut sent))
    }

    #[test]
    fn a_line_without_a_carriage_return_is_refused_at_its_end() {
        let error = read(b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 443\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
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
        for (header, values) in [
            (
                b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\n".to_vec(),
                None,
            ),
            (two.build().unwrap(), Some(&b"more"[..])),
        ] {
            let sent = [header.as_slice(), b"GET / HTTP/1.1\r\n"].concat();
            let mut stream = sent.as_slice();
            let header = block(ProxyHeader::read(&mut stream)).unwrap();
            assert_eq!(header.source(), Some(client));
            assert_eq!(header.destination(), Some(server));
            assert_eq!(header.values().next().map(|(_, value)| value), values);
            assert_eq!(stream, b"GET / HTTP/1.1\r\n");
        }
    }

    #[test]
    fn a_balancer_may_speak_for_itself() {
        let signature = b"\r\n\r\n\0\r\nQUIT\n".as_slice();
        let addresses = &[&[0x20, 0x11, 0, 12][..], &[7; 12]].concat();
        for sent in [
            [signature, &[0x20, 0, 0, 0]].concat(),
            [signature, addresses].concat(),
            [signature, &[0x21, 0, 0, 1, 0xff]].concat(),
            b"PROXY UNKNOWN ::1 ::1 1 2\r\n".to_vec(),
        ] {
            assert_eq!(read(&sent).unwrap(), ProxyHeader::unknown());
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        let short = [
            b"\r\n\r\n\0\r\nQUIT\n".as_slice(),
            &[0x21, 0x11, 0xff, 0xff, 1],
        ]
        .concat();
        for sent in [
            b"GET / HTTP/1.1\r\n\r\n".as_slice(),
            b"PROXY TCP4 here there 1 2\r\n",
            b"PROXY TCP4 203.0.113.7",
            &endless,
            &short,
        ] {
            read(sent).unwrap_err();
        }
    }

    #[test]
    fn a_line_without_end_is_read_no_further_than_a_line_can_be() {
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        let mut stream = endless.as_slice();
        block(ProxyHeader::read(&mut stream)).unwrap_err();
        assert_eq!(endless.len() - stream.len(), 107);
    }

    #[test]
    fn a_value_that_is_cut_short_is_an_error() {
        let whole = ProxyHeader::new(([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let whole = whole.with_alpn(b"h2").unwrap().encode(ProxyVersion::V2);
        assert_eq!(read(&whole).unwrap().alpn(), Some(&b"h2"[..]));
        let mut longer = whole.to_vec();
        longer[15] += 1;
        longer.push(7);
        read(&longer).unwrap_err();
    }

    proptest! {
        #[test]
        fn no_bytes_panic(sent: Vec<u8>, version in 0_usize..3) {
            let begins = [b"".as_slice(), b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"][version];
            let sent = [begins, &sent].concat();
            let _ = read(&sent);
        }

        #[test]
        fn no_more_than_the_header_is_read(values: Vec<u8>, family in 0_u8..4, rest: Vec<u8>) {
            let begin = b"\r\n\r\n\0\r\nQUIT\n\x21".as_slice();
            let length = u16::try_from(values.len()).unwrap().to_be_bytes();
            let sent = [begin, &[family << 4 | 1], &length[..], &values, &rest].concat();
            let mut stream = sent.as_slice();
            let _ = block(ProxyHeader::read(&mut stream));
            let mut left = Vec::new();
            block(stream.read_to_end(&mut left)).unwrap();
            prop_assert_eq!(left, rest);
        }
    }
}
