//! What a member announces about an HTTP/2 connection as a whole: [`Peer`], and the stream
//! wrapper that reads it, [`ObservedStream`].
//!
//! hyper obeys these frames but does not expose them: how many streams the member allows,
//! and that it is going to close the connection.
//!
//! Not here: the choice of a connection for a request (`streams`).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, watch};

use crate::net::Stream;
use crate::proxy::frames::{FrameHead, FramePiece, Frames};

/// `SETTINGS_MAX_CONCURRENT_STREAMS` (RFC 9113, 6.5.2).
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// What is known about a connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct PeerState {
    /// How many streams the member allows; `None` before its first `SETTINGS`.
    pub(super) allowed: Option<u32>,
    /// The last stream that the member processes, if it is going to close the connection
    /// (`GOAWAY`): then it takes no new requests.
    pub(super) last: Option<u32>,
    /// The connection is closed.
    pub(super) gone: bool,
}

/// What the member has announced so far. It is behind a lock that is held for a copy only.
#[derive(Clone, Debug)]
pub(super) struct Peer(watch::Receiver<PeerState>);

impl Peer {
    /// Wraps a stream, and returns a view of what the member announces on it. `changed` is
    /// notified of each change, and of the end.
    pub(super) fn watch(stream: Stream, changed: Arc<Notify>) -> (ObservedStream, Self) {
        let (reader, peer) = Self::reader(changed);
        (ObservedStream { stream, reader }, peer)
    }

    fn reader(changed: Arc<Notify>) -> (FrameObserver, Self) {
        let (state, peer) = watch::channel(PeerState::default());
        let reader = FrameObserver {
            frames: Frames::of_server(),
            head: None,
            entry: ([0; 6], 0),
            allowed: None,
            state,
            changed,
        };
        (reader, Self(peer))
    }

    pub(super) fn state(&self) -> PeerState {
        *self.0.borrow()
    }

    /// Waits for the member's first settings, or for the end of the connection.
    pub(super) async fn settle(&self) {
        let mut state = self.0.clone();
        let settled = |state: &PeerState| state.allowed.is_some() || state.gone;
        // The reader sets `gone` before it is dropped.
        let _ = state.wait_for(settled).await;
    }
}

/// Reads the frames that a member sends.
#[derive(Debug)]
struct FrameObserver {
    frames: Frames,
    /// The frame whose payload is being read, if it is of interest.
    head: Option<FrameHead>,
    /// A setting or the beginning of a `GOAWAY`, and how many of its bytes have arrived.
    entry: ([u8; 6], usize),
    /// The limit in the settings that are being read.
    allowed: Option<u32>,
    state: watch::Sender<PeerState>,
    changed: Arc<Notify>,
}

impl Drop for FrameObserver {
    fn drop(&mut self) {
        // Set before the pool checks: hyper's own handles may notice it later.
        self.tell(|state| state.gone = true);
    }
}

impl FrameObserver {
    fn read(&mut self, mut bytes: &[u8]) {
        while let Some(piece) = self.frames.next(&mut bytes) {
            match piece {
                FramePiece::Head(head) => self.begin(head),
                FramePiece::Payload(part) => self.go_on(part),
            }
        }
    }

    fn begin(&mut self, head: FrameHead) {
        self.head = None;
        match head.kind {
            FrameHead::GOAWAY => {
                // The number of the last stream follows in the payload.
                self.tell(|state| state.last = Some(state.last.unwrap_or(0)));
                self.read_payload_of(head);
            }
            FrameHead::SETTINGS if !head.is_ack() => {
                self.allowed = None;
                self.read_payload_of(head);
                if head.length == 0 {
                    self.settled();
                }
            }
            _ => {}
        }
    }

    fn read_payload_of(&mut self, head: FrameHead) {
        self.entry.1 = 0;
        self.head = Some(head);
    }

    fn go_on(&mut self, part: &[u8]) {
        let Some(FrameHead { kind, length, .. }) = self.head else {
            return;
        };
        for byte in part {
            let (entry, filled) = &mut self.entry;
            if let Some(place) = entry.get_mut(*filled) {
                *place = *byte;
            }
            *filled += 1;
            if *filled == entry.len() {
                self.entry.1 = 0;
                self.entry_of(kind);
            }
            if self.head.is_none() {
                return;
            }
        }
        let read = u32::try_from(part.len()).unwrap_or(u32::MAX);
        let length = length.saturating_sub(read);
        self.head = self.head.map(|head| FrameHead { length, ..head });
        if length == 0 && kind == FrameHead::SETTINGS {
            self.settled();
        }
    }

    fn entry_of(&mut self, kind: u8) {
        let (entry, _) = self.entry;
        if kind == FrameHead::GOAWAY {
            let [s0, s1, s2, s3, ..] = entry;
            let last = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
            self.tell(|state| state.last = Some(last));
            self.head = None;
            return;
        }
        let [i0, i1, v0, v1, v2, v3] = entry;
        if u16::from_be_bytes([i0, i1]) == MAX_CONCURRENT_STREAMS {
            self.allowed = Some(u32::from_be_bytes([v0, v1, v2, v3]));
        }
    }

    /// Ends a SETTINGS frame. A setting that it does not contain is unchanged; initially,
    /// there is no limit.
    fn settled(&mut self) {
        self.head = None;
        let allowed = self.allowed;
        self.tell(|state| state.allowed = allowed.or(state.allowed).or(Some(u32::MAX)));
    }

    fn tell(&self, change: impl FnOnce(&mut PeerState)) {
        let changed = self.state.send_if_modified(|state| {
            let before = *state;
            change(state);
            *state != before
        });
        if changed {
            self.changed.notify_one();
        }
    }
}

/// A stream to a member whose incoming frames are observed.
#[derive(Debug)]
pub(super) struct ObservedStream {
    stream: Stream,
    reader: FrameObserver,
}

impl AsyncRead for ObservedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if polled.is_ready() {
            this.reader
                .read(buffer.filled().get(before..).unwrap_or_default());
        }
        polled
    }
}

impl AsyncWrite for ObservedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::{Peer, PeerState};

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = payload.len().to_be_bytes()[5..].to_vec();
        bytes.extend([kind, flags, 0, 0, 0, 0]);
        bytes.extend(payload);
        bytes
    }

    /// What is known after each frame, when the bytes arrive in pieces of `length`.
    fn state(frames: &[Vec<u8>], length: usize) -> Vec<PeerState> {
        let (mut reader, peer) = Peer::reader(Arc::default());
        let mut all = Vec::new();
        for frame in frames {
            for piece in frame.chunks(length) {
                reader.read(piece);
            }
            all.push(peer.state());
        }
        all
    }

    #[test]
    fn the_settings_and_the_end_of_a_connection_are_known() {
        let frames = [
            frame(0, 0, b"none of this"),
            frame(
                4,
                0,
                &[0, 4, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 5, 0, 0, 64, 0],
            ),
            frame(4, 1, &[]),
            frame(4, 0, &[0, 4, 0, 2, 0, 0]),
            frame(4, 0, &[0, 3, 0, 0, 1, 0]),
            frame(7, 0, &[0, 0, 0, 9, 0, 0, 0, 0]),
        ];
        for length in [1, 4, 9, 100] {
            let state = state(&frames, length);
            let allowed: Vec<Option<u32>> = state.iter().map(|state| state.allowed).collect();
            assert_eq!(
                allowed,
                [None, Some(5), Some(5), Some(5), Some(256), Some(256)]
            );
            let last: Vec<Option<u32>> = state.iter().map(|state| state.last).collect();
            assert_eq!(last, [None, None, None, None, None, Some(9)]);
        }
    }

    #[tokio::test]
    async fn a_closed_connection_is_known_to_be_closed_before_the_pool_is_notified() {
        let changed = Arc::new(Notify::new());
        let (reader, peer) = Peer::reader(changed.clone());
        assert!(!peer.state().gone);
        drop(reader);
        changed.notified().await;
        assert!(peer.state().gone);
        // A wait for the settings ends.
        peer.settle().await;
    }

    #[test]
    fn settings_that_mention_no_limit_set_none() {
        let other = frame(4, 0, &[0, 4, 0, 1, 0, 0]);
        for settings in [frame(4, 0, &[]), other] {
            assert_eq!(state(&[settings], 3)[0].allowed, Some(u32::MAX));
        }
    }
}
