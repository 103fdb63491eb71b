//! Assembling a ClientHello from bytes as they arrive: [`Records`]. It can be split over
//! any number of records, and these over any number of reads.
//!
//! Not here: reading (`read`), and parsing the message (`client_hello`).

use bytes::Bytes;

use super::client_hello::ClientHello;
use super::error::{GreetingError, Malformed};

/// The type of records with handshake messages.
const HANDSHAKE: u8 = 0x16;
/// The type of the message; the same number is used in SSL 2.0.
const CLIENT_HELLO: u8 = 1;
/// The maximum length of an unencrypted record.
const LONGEST: usize = 1 << 14;

/// What is known from the bytes so far.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum GreetingKind {
    Hello(ClientHello),
    More,
    NotTls,
    Ssl2,
}

/// The records assembled so far. Each byte is processed once.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The number of processed bytes.
    done: usize,
    /// The number of bytes left in the current record.
    left: usize,
    /// Whether the connection has begun like TLS.
    begun: bool,
    message: Vec<u8>,
}

impl Records {
    /// Processes all bytes read so far; the bytes of earlier calls must be unchanged.
    /// `limit` is the most that will be read.
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

    /// Returns whether it is TLS, as far as is known.
    pub(super) const fn is_tls(&self) -> bool {
        self.begun
    }

    /// Returns the message, if it is complete.
    fn hello(&self, limit: usize) -> Result<Option<ClientHello>, GreetingError> {
        if self
            .message
            .first()
            .is_some_and(|&kind| kind != CLIENT_HELLO)
        {
            return Err(Malformed("the first message is not a ClientHello").into());
        }
        let Some((&[_, a, b, c], body)) = self.message.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([0, a, b, c]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        // Reported at once, not after all of that has been read.
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
        return Err(Malformed("a record is not of the handshake type"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !(1..=LONGEST).contains(&length) {
        return Err(Malformed("a record has an invalid length"));
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

/// Decides as early as possible: in other protocols, a client may send no more bytes before
/// it gets a response.
fn begin(read: &[u8]) -> Begin {
    match *read {
        [] | [HANDSHAKE] => Begin::More,
        [HANDSHAKE, 3, ..] => Begin::Tls,
        // A hello in the form of SSL 2.0, for any version: two bytes of length with the
        // highest bit set, then type and version.
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
            // The first bytes of clients of SSH, HTTP, PostgreSQL and RDP.
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
