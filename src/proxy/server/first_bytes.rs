//! Detects HTTP/2 by the first bytes of a connection, if TLS has not negotiated a version.

use std::io::{self, ErrorKind};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The beginning of every HTTP/2 connection (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until it is clear whether the connection is HTTP/2; also returns the bytes that
/// were read.
pub(super) async fn first_bytes<R>(stream: &mut R) -> io::Result<(Bytes, bool)>
where
    R: AsyncRead + Unpin,
{
    let mut first = BytesMut::with_capacity(1024);
    loop {
        if stream.read_buf(&mut first).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let length = first.len().min(PREFACE.len());
        let alike = first[..length] == PREFACE[..length];
        if !alike || length == PREFACE.len() {
            return Ok((first.freeze(), alike));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first_bytes;
    use proptest::prelude::*;

    fn block<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn no_bytes_panic(sent: Vec<u8>, cut in 0..=24_usize) {
            let sent = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..cut], &sent].concat();
            let _ = block(first_bytes(&mut sent.as_slice()));
        }
    }

    #[test]
    fn http_2_is_detected_by_its_preface() {
        let two = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore";
        for (sent, is_two) in [
            (two.as_slice(), true),
            (b"PRI * HTTP/1.1\r\n", false),
            (b"GET / HTTP/1.1\r\n", false),
        ] {
            let (first, two) = block(first_bytes(&mut &sent[..])).unwrap();
            assert_eq!((&first[..], two), (sent, is_two));
        }
        block(first_bytes(&mut &b"PRI *"[..])).unwrap_err();
    }
}
