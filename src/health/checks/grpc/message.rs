//! Encodes and decodes the two messages of the gRPC health checking protocol. Pure.
//!
//! ```text
//! 0 │ length (4 bytes, big-endian) │ 0x0a, length (varint), the service      the request
//! 0 │ length                       │ 0x08, status (varint)                   the response
//! ```
//!
//! Not here: sending them (`grpc`).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

/// The status in a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HealthReply {
    NotServing,
    Other(u64),
    ServiceUnknown,
    Serving,
    Unknown,
}

impl fmt::Display for HealthReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotServing => f.write_str("NOT_SERVING"),
            Self::Other(number) => write!(f, "{number}"),
            Self::ServiceUnknown => f.write_str("SERVICE_UNKNOWN"),
            Self::Serving => f.write_str("SERVING"),
            Self::Unknown => f.write_str("UNKNOWN"),
        }
    }
}

/// Returns a request for a service, in its frame.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    frame.freeze()
}

/// Reads a response in its frame.
pub(super) fn read(body: &[u8]) -> Result<HealthReply, &'static str> {
    let broken = "the response is not a gRPC message";
    let Some((head, message)) = body.split_first_chunk::<5>() else {
        return Err("the response has no message");
    };
    let [flag, length @ ..] = *head;
    if flag == 1 {
        return Err("the response is compressed");
    }
    if flag != 0 || u64::from(u32::from_be_bytes(length)) != message.len() as u64 {
        return Err(broken);
    }
    status(message).ok_or(broken)
}

/// Reads the first field, a number. Unknown fields are skipped; the last value counts.
fn status(mut message: &[u8]) -> Option<HealthReply> {
    let mut status = 0;
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            0 => {
                let number = take_varint(&mut message)?;
                if key >> 3 == 1 {
                    status = number;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(match status {
        0 => HealthReply::Unknown,
        1 => HealthReply::Serving,
        2 => HealthReply::NotServing,
        3 => HealthReply::ServiceUnknown,
        other => HealthReply::Other(other),
    })
}

fn put_varint(to: &mut BytesMut, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            to.put_u8(low & 0x7f);
            return;
        }
        to.put_u8(low | 0x80);
    }
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{HealthReply, put_varint, read, request, take_varint};
    use bytes::BytesMut;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_a_frame_of_one_field() {
        assert_eq!(&request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&request("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn a_response_is_one_number() {
        let parsed = |message: &[u8]| {
            let mut body = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
            body.extend_from_slice(message);
            read(&body)
        };
        assert_eq!(parsed(&[8, 1]), Ok(HealthReply::Serving));
        assert_eq!(parsed(&[8, 2]), Ok(HealthReply::NotServing));
        assert_eq!(parsed(&[8, 3]), Ok(HealthReply::ServiceUnknown));
        assert_eq!(parsed(&[]), Ok(HealthReply::Unknown));
        assert_eq!(parsed(&[8, 0x81, 1]), Ok(HealthReply::Other(129)));
        // Unknown fields are skipped.
        assert_eq!(
            parsed(b"\x12\x02ab\x08\x01\x1d1234\x2112345678"),
            Ok(HealthReply::Serving)
        );
        for broken in [&[8][..], &[8, 0x80], &[0x12, 9, 1], &[0x0b], &[0xff; 12]] {
            assert!(parsed(broken).is_err(), "{broken:?}");
        }
        assert!(read(&[]).is_err() && read(&[0, 0, 0, 0, 9, 8, 1]).is_err());
        assert_eq!(
            read(&[1, 0, 0, 0, 2, 8, 1]),
            Err("the response is compressed")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&body);
        }

        #[test]
        fn a_number_is_read_as_it_was_written(number in any::<u64>()) {
            let mut written = BytesMut::new();
            put_varint(&mut written, number);
            let mut rest = &written[..];
            prop_assert_eq!(take_varint(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
        }
    }
}
