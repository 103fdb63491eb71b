//! Parses frame heads of HTTP/2 in the bytes of one direction of a connection: [`Frames`].
//!
//! hyper does not expose what a peer announces about its connection as a whole, so code
//! that needs it parses the bytes, too. The parser buffers nine bytes at most, and accepts
//! the bytes in any pieces. It leaves protocol errors to hyper.
//!
//! Not here: I/O, and reactions to a frame (`endpoint/peer`, `server`).

/// The first bytes of a client (RFC 9113, 3.4).
const PREFACE: u32 = 24;

/// The head of a frame (RFC 9113, 4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FrameHead {
    /// The length of its payload in bytes.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0 for the connection as a whole.
    pub(super) stream: u32,
}

#[allow(dead_code, reason = "the two sides of the proxy count different kinds")]
impl FrameHead {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PUSH_PROMISE: u8 = 5;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;

    /// The flag of `SETTINGS` and `PING`.
    pub(super) const ACK: u8 = 1;
    /// The flag of `DATA` and `HEADERS`.
    pub(super) const END_STREAM: u8 = 1;

    pub(super) const fn is_ack(self) -> bool {
        self.flags & Self::ACK != 0
    }

    fn parse(bytes: &[u8; 9]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes;
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        }
    }
}

/// The next part of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FramePiece<'b> {
    Head(FrameHead),
    /// A part of the payload that belongs to the last head; never empty.
    Payload(&'b [u8]),
}

/// The position within the frames of one direction.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    head: [u8; 9],
    /// The number of bytes of the next head that have arrived.
    filled: usize,
    /// The number of payload bytes that are still to come.
    payload: u32,
    /// The number of bytes before the first frame.
    preface: u32,
}

impl Frames {
    /// Creates a parser for the bytes that a client sends.
    #[allow(dead_code, reason = "for the side of clients")]
    pub(super) const fn of_client() -> Self {
        Self::after(PREFACE)
    }

    /// Creates a parser for the bytes that a server sends.
    pub(super) const fn of_server() -> Self {
        Self::after(0)
    }

    const fn after(preface: u32) -> Self {
        Self {
            head: [0; 9],
            filled: 0,
            payload: 0,
            preface,
        }
    }

    /// Returns whether the bytes so far end at the end of a frame.
    pub(super) const fn is_between_frames(&self) -> bool {
        self.filled == 0 && self.payload == 0 && self.preface == 0
    }

    /// Takes the next piece off the bytes; `None` once they are used up.
    pub(super) fn next<'b>(&mut self, bytes: &mut &'b [u8]) -> Option<FramePiece<'b>> {
        take(bytes, &mut self.preface);
        if self.payload > 0 {
            let part = take(bytes, &mut self.payload);
            return (!part.is_empty()).then_some(FramePiece::Payload(part));
        }
        let (_, room) = self.head.split_at_mut_checked(self.filled)?;
        let length = room.len().min(bytes.len());
        let (part, rest) = bytes.split_at_checked(length)?;
        room.get_mut(..length)?.copy_from_slice(part);
        *bytes = rest;
        self.filled += length;
        if self.filled < self.head.len() {
            return None;
        }
        self.filled = 0;
        let head = FrameHead::parse(&self.head);
        self.payload = head.length;
        Some(FramePiece::Head(head))
    }
}

/// Takes up to `left` bytes off, and reduces `left` by their number.
fn take<'b>(bytes: &mut &'b [u8], left: &mut u32) -> &'b [u8] {
    let wanted = usize::try_from(*left).unwrap_or(usize::MAX);
    let (part, rest) = bytes
        .split_at_checked(wanted)
        .unwrap_or_else(|| bytes.split_at(bytes.len()));
    *bytes = rest;
    let taken = u32::try_from(part.len()).unwrap_or(u32::MAX);
    *left = left.saturating_sub(taken);
    part
}

#[cfg(test)]
mod tests {
    use super::{FrameHead, FramePiece, Frames};
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any};
    use proptest::{prop_assert, prop_assert_eq, proptest};

    type Frame = (FrameHead, Vec<u8>);

    fn written((head, payload): &Frame) -> Vec<u8> {
        let mut bytes = payload.len().to_be_bytes()[5..].to_vec();
        bytes.extend([head.kind, head.flags]);
        bytes.extend((head.stream | 0x8000_0000).to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// Parses bytes that arrive in pieces of these lengths, in a cycle.
    fn read(mut frames: Frames, mut bytes: &[u8], pieces: &[usize]) -> Vec<Frame> {
        let mut found: Vec<Frame> = Vec::new();
        let mut lengths = pieces.iter().copied().cycle();
        while !bytes.is_empty() {
            let (mut piece, rest) = bytes.split_at(lengths.next().unwrap().min(bytes.len()));
            bytes = rest;
            while let Some(next) = frames.next(&mut piece) {
                match next {
                    FramePiece::Head(head) => found.push((head, Vec::new())),
                    FramePiece::Payload(part) => {
                        assert!(!part.is_empty());
                        found.last_mut().unwrap().1.extend(part);
                    }
                }
            }
            assert!(piece.is_empty());
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn frames_are_found_however_the_bytes_arrive(
            frames in vec((any::<u8>(), any::<u8>(), 0_u32..=0x7fff_ffff, vec(any::<u8>(), 0..40)), 0..12),
            pieces in vec(1_usize..30, 1..9),
            client in any::<bool>(),
        ) {
            let frames: Vec<Frame> = frames
                .into_iter()
                .map(|(kind, flags, stream, payload)| {
                    let length = u32::try_from(payload.len()).unwrap();
                    (FrameHead { length, kind, flags, stream }, payload)
                })
                .collect();
            let mut bytes = Vec::new();
            if client {
                bytes.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            }
            bytes.extend(frames.iter().flat_map(written));
            let reader = if client { Frames::of_client() } else { Frames::of_server() };
            prop_assert_eq!(read(reader, &bytes, &pieces), frames);
        }

        #[test]
        fn any_bytes_are_used_up(bytes in vec(any::<u8>(), 0..300), pieces in vec(1_usize..30, 1..9)) {
            let found = read(Frames::of_server(), &bytes, &pieces);
            prop_assert!(found.len() <= bytes.len() / 9);
        }
    }
}
