//! From bytes, as they come, to a ClientHello: [`Records`]. It may be cut over any number of
//! records, and these over any number of reads.
//!
//! What does not live here: reading (`read`), and what the message tells (`client_hello`).

use bytes::Bytes;

use super::client_hello::ClientHello;
use super::error::{GreetingError, Malformed};

/// The type of records with messages of the handshake.
const HANDSHAKE: u8 = 0x16;
/// The type of the message; the one of SSL 2.0 has the same.
const CLIENT_HELLO: u8 = 1;
/// The most that there can be in one record without protection.
const LONGEST: usize = 1 << 14;

/// What the bytes so far show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum GreetingKind {
    Hello(ClientHello),
    More,
    NotTls,
    Ssl2,
}

/// The records that have been put together so far. Each byte is looked at once.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// How many of the bytes have been looked at.
    done: usize,
    /// How many are left of the present record.
    left: usize,
    /// Whether it has begun like TLS.
    begun: bool,
    message: Vec<u8>,
}

impl Records {
    /// Looks at all that has been read, of which what it has seen before is unchanged. `limit` is
    /// the most that will be read.
    pub(super) fn look(
        &mut self,
        read: &[u8],
        limit: usize,
    ) -> Result<GreetingKind, GreetingError> {
        match begin(read) {
            Begin::NotTls => return Ok(GreetingKind::NotTls),
            Begin::Ssl2 => return Ok(GreetingKind::Ssl2),
            Begin::More => return Ok(GreetingKind::More),
            Begin::Tls => self.begun = true,
        }
        loop {
            if self.left == 0 {
                let Some(head) = read[self.done..].first_chunk() else {
                    return Ok(GreetingKind::More);
                };
                self.left = length_of_record(*head)?;
                self.done += head.len();
            }
            let come = &read[self.done..];
            let come = &come[..come.len().min(self.left)];
            self.message.extend_from_slice(come);
            self.done += come.len();
            self.left -= come.len();
            if let Some(hello) = self.hello(limit)? {
                return Ok(GreetingKind::Hello(hello));
            }
            if self.left > 0 {
                return Ok(GreetingKind::More);
            }
        }
    }

    /// Whether it is TLS, as far as is known.
    pub(super) const fn is_tls(&self) -> bool {
        self.begun
    }

    /// The message, if it is whole.
    fn hello(&self, limit: usize) -> Result<Option<ClientHello>, GreetingError> {
        if self
            .message
            .first()
            .is_some_and(|&kind| kind != CLIENT_HELLO)
        {
            return Err(Malformed("the first message is another one").into());
        }
        let Some((&[_, a, b, c], body)) = self.message.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([0, a, b, c]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        // It is told at once, not after all of that has been read.
        if length > limit {
            return Err(GreetingError::TooLong { limit });
        }
        let Some(body) = body.get(..length) else {
            return Ok(None);
        };
        let hello = ClientHello::parse(&Bytes::copy_from_slice(body))?;
        Ok(Some(hello))
    }
}

fn length_of_record(head: [u8; 5]) -> Result<usize, Malformed> {
    let [kind, major, _, high, low] = head;
    if kind != HANDSHAKE || major != 3 {
        return Err(Malformed("a record is none of a handshake"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !(1..=LONGEST).contains(&length) {
        return Err(Malformed("a record has a wrong length"));
    }
    Ok(length)
}

/// What the first bytes of a connection are.
#[derive(Debug, Eq, PartialEq)]
enum Begin {
    More,
    NotTls,
    Ssl2,
    Tls,
}

/// It is known as early as it can be: no other protocol waits for bytes that a client of that
/// protocol does not send before it is answered.
fn begin(read: &[u8]) -> Begin {
    match *read {
        [] | [HANDSHAKE] => Begin::More,
        [HANDSHAKE, 3, ..] => Begin::Tls,
        // A hello in the form of SSL 2.0, for any version: two bytes of length, of which the
        // highest bit is set, type, version.
        [0x80..=0xff, _, CLIENT_HELLO, 0, 2, ..] | [0x80..=0xff, _, CLIENT_HELLO, 3, ..] => {
            Begin::Ssl2
        }
        [0x80..=0xff]
        | [0x80..=0xff, _]
        | [0x80..=0xff, _, CLIENT_HELLO]
        | [0x80..=0xff, _, CLIENT_HELLO, 0] => Begin::More,
        _ => Begin::NotTls,
    }
}

#[cfg(test)]
mod tests {
    use super::{Begin, begin};

    #[test]
    fn what_is_not_tls_is_known_by_its_first_bytes() {
        for (read, expected) in [
            (&[][..], Begin::More),
            (b"G", Begin::NotTls),
            (b"\x16", Begin::More),
            (b"\x16\x02", Begin::NotTls),
            (b"\x16\x03", Begin::Tls),
            // What a client of SSH, HTTP, PostgreSQL and RDP begins with.
            (b"SSH-2.0", Begin::NotTls),
            (b"PRI * HTTP/2.0", Begin::NotTls),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Begin::NotTls),
            (b"\x03\x00\x00\x2c", Begin::NotTls),
            (b"\x80", Begin::More),
            (b"\x80\x2e", Begin::More),
            (b"\x80\x2e\x01", Begin::More),
            (b"\x80\x2e\x01\x00", Begin::More),
            (b"\x80\x2e\x01\x00\x02", Begin::Ssl2),
            (b"\x80\x2e\x01\x03", Begin::Ssl2),
            (b"\x80\x2e\x01\x00\x03", Begin::NotTls),
            (b"\x80\x2e\x02", Begin::NotTls),
            (b"\x80\x2e\x01\x04", Begin::NotTls),
        ] {
            assert_eq!(begin(read), expected, "{}", read.escape_ascii());
        }
    }
}
