//! A limit on HTTP/2 frames that carry no content: [`FrameBudget`] counts them against the
//! frames of responses, and [`FrameCounter`] wraps the stream to read the frames.
//!
//! hyper and h2 respond to any number of them or ignore them, and do not expose them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::proxy::frames::{FrameHead, FramePiece, Frames};

/// The number of such frames that a client may send at once.
const BURST: u32 = 10_000;
/// The number of further frames per second.
const PER_SECOND: u32 = 1_000;
/// The number of further frames for each frame of a response: two WINDOW_UPDATE and a PING
/// for the received data, the HEADERS of the request, and RST_STREAM or PRIORITY for
/// another.
const PER_ANSWER: u32 = 4;
/// One further frame is allowed for this number of bytes of a response: Go's client sends
/// two WINDOW_UPDATE for each 4 KiB that it reads.
const BYTES: u32 = 1024;

/// ENHANCE_YOUR_CALM (RFC 9113, 7).
const CALM: u8 = 0xb;

/// The number of frames that a client may still send on one connection.
#[derive(Debug)]
pub(super) struct FrameBudget {
    read: Frames,
    written: Frames,
    left: u32,
    /// When the frames per second were last added.
    refilled: Instant,
    last_stream: u32,
}

impl FrameBudget {
    pub(super) fn new() -> Self {
        Self {
            read: Frames::of_client(),
            written: Frames::of_server(),
            left: BURST,
            refilled: Instant::now(),
            last_stream: 0,
        }
    }

    /// Counts what the client has sent; returns `false` once it exceeds the limit.
    pub(super) fn has_read(&mut self, mut bytes: &[u8]) -> bool {
        while let Some(piece) = self.read.next(&mut bytes) {
            if let FramePiece::Head(head) = piece {
                if head.kind == FrameHead::HEADERS {
                    self.last_stream = self.last_stream.max(head.stream);
                }
                if !is_content(head) && !self.spend() {
                    return false;
                }
            }
        }
        true
    }

    fn spend(&mut self) -> bool {
        if self.left == 0 {
            // The clock is read only now: most connections never get here.
            let now = Instant::now();
            let millis = now.duration_since(self.refilled).as_millis();
            let more = u32::try_from(millis).unwrap_or(u32::MAX) / (1_000 / PER_SECOND);
            self.left = more.min(BURST);
            self.refilled = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return false,
        }
        true
    }

    /// Counts what was written to the client.
    fn has_written(&mut self, mut bytes: &[u8]) {
        while let Some(piece) = self.written.next(&mut bytes) {
            match piece {
                FramePiece::Head(head) if is_answer(head) => {
                    let more = PER_ANSWER + head.length / BYTES;
                    self.left = self.left.saturating_add(more).min(BURST);
                }
                _ => {}
            }
        }
    }

    /// Returns the GOAWAY frame that ends the connection, if the written bytes end at the
    /// end of a frame.
    fn go_away_frame(&self) -> Option<[u8; 17]> {
        let mut frame = [
            0,
            0,
            8,
            FrameHead::GOAWAY,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            CALM,
        ];
        frame
            .get_mut(9..13)?
            .copy_from_slice(&self.last_stream.to_be_bytes());
        self.written.is_between_frames().then_some(frame)
    }
}

/// Returns whether a client's frame carries a part of a request, or ends it.
fn is_content(head: FrameHead) -> bool {
    head.kind == FrameHead::DATA && (head.length > 0 || head.flags & FrameHead::END_STREAM != 0)
}

/// Returns whether a frame is part of a response.
fn is_answer(head: FrameHead) -> bool {
    head.kind == FrameHead::HEADERS || head.kind == FrameHead::DATA && head.length > 0
}

/// A stream whose frames are counted, if there is a `FrameBudget`.
#[derive(Debug)]
pub(super) struct FrameCounter<I> {
    io: I,
    control: Option<Box<FrameBudget>>,
}

impl<I> FrameCounter<I> {
    pub(super) fn new(io: I, control: Option<Box<FrameBudget>>) -> Self {
        Self { io, control }
    }

    pub(super) fn get_ref(&self) -> &I {
        &self.io
    }

    pub(super) fn get_mut(&mut self) -> &mut I {
        &mut self.io
    }
}

pub(super) fn too_many_frames() -> io::Error {
    io::Error::other("the client sent too many HTTP/2 frames without content")
}

impl<I> AsyncRead for FrameCounter<I>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        let Some(control) = &mut this.control else {
            return Poll::Ready(Ok(()));
        };
        let came = buffer.filled().get(before..).unwrap_or_default();
        if control.has_read(came) {
            return Poll::Ready(Ok(()));
        }
        if let Some(frame) = control.go_away_frame() {
            // If there is no room, the frame is dropped: the connection ends in any case.
            let _ = Pin::new(&mut this.io).poll_write(context, &frame);
        }
        Poll::Ready(Err(too_many_frames()))
    }
}

impl<I> AsyncWrite for FrameCounter<I>
where
    I: AsyncWrite + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = ready!(Pin::new(&mut this.io).poll_write(context, bytes))?;
        if let Some(control) = &mut this.control {
            control.has_written(bytes.get(..written).unwrap_or_default());
        }
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(context, bytes))?;
        if let Some(control) = &mut this.control {
            let mut left = written;
            for slice in bytes {
                let length = left.min(slice.len());
                control.has_written(slice.get(..length).unwrap_or_default());
                left -= length;
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, FrameBudget, PER_SECOND};
    use std::time::Duration;
    use tokio::time::advance;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let mut bytes = vec![0, high, low, kind, 0, 0, 0, 0, 1];
        bytes.resize(9 + usize::from(length), 0);
        bytes
    }

    fn opened() -> FrameBudget {
        let mut control = FrameBudget::new();
        assert!(control.has_read(PREFACE));
        control
    }

    /// Returns how many of these frames a client may send at once; no more than a hundred
    /// thousand.
    fn at_once(control: &mut FrameBudget, bytes: &[u8]) -> u32 {
        let mut sent = 0;
        while sent < 100_000 && control.has_read(bytes) {
            sent += 1;
        }
        sent
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_carry_nothing_are_bounded() {
        for kind in [
            DATA,
            HEADERS,
            RST_STREAM,
            PING,
            WINDOW_UPDATE,
            2,
            4,
            9,
            77,
            255,
        ] {
            let mut control = opened();
            assert_eq!(at_once(&mut control, &frame(kind, 0)), BURST, "{kind}");
            advance(Duration::from_secs(1)).await;
            let next = at_once(&mut control, &frame(kind, 0));
            assert_eq!(next, PER_SECOND, "{kind}");
            advance(Duration::from_secs(100)).await;
            assert_eq!(at_once(&mut control, &frame(kind, 0)), BURST, "{kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_in_small_pieces_is_not_bounded_here() {
        assert_eq!(at_once(&mut opened(), &frame(DATA, 1)), 100_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_acknowledge_each_frame_that_it_gets() {
        let mut control = opened();
        let replies = [
            frame(WINDOW_UPDATE, 4),
            frame(WINDOW_UPDATE, 4),
            frame(PING, 8),
        ];
        for _ in 0..100_000 {
            control.has_written(&frame(DATA, 10));
            assert!(control.has_read(&replies.concat()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_acknowledge_each_4_kib_of_a_large_download() {
        let mut control = opened();
        // For the stream and for the connection, as Go's client sends them.
        let replies = [frame(WINDOW_UPDATE, 4), frame(WINDOW_UPDATE, 4)].concat();
        for _ in 0..10_000 {
            control.has_written(&frame(DATA, 16 * 1024));
            assert!(control.has_read(&replies.repeat(4)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_answered_are_not_bounded_and_those_that_are_reset_are() {
        let mut control = opened();
        for _ in 0..100_000 {
            assert!(control.has_read(&frame(HEADERS, 20)));
            control.has_written(&frame(HEADERS, 20));
        }
        let reset = [frame(HEADERS, 20), frame(RST_STREAM, 4)].concat();
        assert_eq!(at_once(&mut control, &reset), BURST / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_about_the_connection_allow_a_client_no_further_frames() {
        let mut control = opened();
        let mut sent = 0;
        while control.has_read(&frame(PING, 8)) {
            control.has_written(&frame(PING, 8));
            sent += 1;
        }
        assert_eq!(sent, BURST);
    }
}
