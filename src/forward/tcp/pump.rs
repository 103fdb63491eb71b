//! One direction of a connection: bytes read from one stream are written to the other, and
//! its end is passed on. [`Pump`].
//!
//! Not here: how the two directions interact (`join`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::splice::{LentPipe, Pipes, Spliced};
use crate::forward::scratch;
use crate::net::Stream;

/// A stream uses a pipe after this many bytes.
const LARGE: u64 = 1024 * 1024;

/// The stage of a direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PumpStage {
    Open,
    /// The source has ended, and its end has not been passed on yet.
    SourceEnded,
    Ended,
}

/// Bytes that were read and are not written yet.
#[derive(Debug)]
struct HeldBytes {
    memory: Box<[u8]>,
    start: usize,
    end: usize,
}

impl HeldBytes {
    /// Reduces the memory to at most twice the remaining bytes.
    fn shrink(&mut self) {
        let rest = &self.memory[self.start..self.end];
        if rest.len() < self.memory.len() / 2 {
            let rest: Box<[u8]> = rest.into();
            (self.start, self.end) = (0, rest.len());
            scratch::put_back(std::mem::replace(&mut self.memory, rest));
        }
    }
}

/// The result of polling a direction.
#[derive(Debug)]
pub(super) enum PumpProgress {
    /// The end of the source was passed on.
    Ended,
    /// The source has ended without a byte. Only reported if requested.
    EndedSilent,
    /// Reading failed.
    SourceFailed,
    /// Writing failed, because the connection failed.
    SinkFailed,
    /// Nothing more can be written, because the sink has ended or failed before.
    SinkClosed,
}

impl PumpProgress {
    /// Interprets an error of a write. The system reports a reset to one call only, and a
    /// later read looks like an end. If the peer had ended before it failed, the error is a
    /// broken pipe.
    fn by_write(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::SinkClosed,
            _ => Self::SinkFailed,
        }
    }
}

/// One direction. It reads again only when all that it has read is written.
#[derive(Debug)]
pub(super) struct Pump {
    held: Option<HeldBytes>,
    is_flushed: bool,
    stage: PumpStage,
    reports_silence: bool,
    has_source_failed: bool,
    read: u64,
    written: u64,
    /// The pool of pipes, if bytes may go through one.
    pipes: Option<Arc<Pipes>>,
    /// A pipe is used after this many bytes.
    pipe_from: u64,
    lent: Option<LentPipe>,
}

impl Pump {
    pub(super) const fn new(pipes: Option<Arc<Pipes>>) -> Self {
        Self {
            pipes,
            pipe_from: LARGE,
            lent: None,
            held: None,
            is_flushed: true,
            stage: PumpStage::Open,
            reports_silence: false,
            has_source_failed: false,
            read: 0,
            written: 0,
        }
    }

    /// Makes the pump report the end of a source that has sent nothing, instead of passing
    /// it on.
    pub(super) const fn reporting_silence(mut self) -> Self {
        self.reports_silence = true;
        self
    }

    /// Passes on such an end after it was reported.
    pub(super) const fn pass_silence_on(&mut self) {
        self.reports_silence = false;
    }

    /// Returns how many bytes were read.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// Returns how many bytes were written.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Replaces the sink, to which nothing has been written; if the source has ended, the
    /// end is passed on again.
    pub(super) fn replace_sink(&mut self) {
        if self.stage == PumpStage::Ended {
            self.stage = PumpStage::SourceEnded;
        }
    }

    /// Records that the other direction has found that the source failed: its bytes are
    /// passed on, but no end.
    pub(super) const fn fail_source(&mut self) {
        self.has_source_failed = true;
    }

    pub(super) fn has_source_ended(&self) -> bool {
        self.stage != PumpStage::Open
    }

    /// Returns whether the sink has not accepted all bytes, so that the source is not read.
    pub(super) const fn is_held_up(&self) -> bool {
        self.held.is_some() || self.lent.is_some()
    }

    /// Copies the available bytes.
    pub(super) fn poll(
        &mut self,
        source: &mut Stream,
        sink: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<PumpProgress> {
        loop {
            match ready!(self.poll_write(sink, context)) {
                Ok(()) => {}
                Err(error) => return Poll::Ready(PumpProgress::by_write(&error)),
            }
            match self.stage {
                PumpStage::Open if self.lent.is_some() => {
                    match ready!(self.poll_splice(source, sink, context)) {
                        Spliced::WouldBlock => return Poll::Pending,
                        Spliced::Ended => self.stage = PumpStage::SourceEnded,
                        Spliced::SinkFailed(error) => {
                            return Poll::Ready(PumpProgress::by_write(&error));
                        }
                        Spliced::SourceFailed => return Poll::Ready(PumpProgress::SourceFailed),
                        Spliced::Taken(memory) => {
                            let (start, end) = (0, memory.len());
                            self.held = Some(HeldBytes { memory, start, end });
                            self.pipe_from = self.read + LARGE;
                        }
                        Spliced::Unsupported => self.pipes = None,
                    }
                }
                PumpStage::Open => match self.poll_read(source, sink, context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(PumpProgress::SourceFailed),
                    Poll::Pending if self.is_flushed => return Poll::Pending,
                    Poll::Pending => match ready!(Pin::new(&mut *sink).poll_flush(context)) {
                        Ok(()) => {
                            self.is_flushed = true;
                            return Poll::Pending;
                        }
                        Err(error) => return Poll::Ready(PumpProgress::by_write(&error)),
                    },
                },
                PumpStage::SourceEnded if self.has_source_failed => {
                    return Poll::Ready(PumpProgress::SourceFailed);
                }
                PumpStage::SourceEnded if self.reports_silence && self.read == 0 => {
                    return Poll::Ready(PumpProgress::EndedSilent);
                }
                PumpStage::SourceEnded => match ready!(Pin::new(&mut *sink).poll_shutdown(context))
                {
                    Ok(()) => self.stage = PumpStage::Ended,
                    // The connection is gone already; the other direction finds out how.
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        self.stage = PumpStage::Ended;
                    }
                    Err(error) => return Poll::Ready(PumpProgress::by_write(&error)),
                },
                PumpStage::Ended => return Poll::Ready(PumpProgress::Ended),
            }
        }
    }

    /// Moves bytes through the pipe. The pipe is returned when no more bytes are available.
    fn poll_splice(
        &mut self,
        source: &Stream,
        sink: &Stream,
        context: &mut Context<'_>,
    ) -> Poll<Spliced> {
        let Some(lent) = &mut self.lent else {
            return Poll::Ready(Spliced::Unsupported);
        };
        let counted = (&mut self.read, &mut self.written);
        let spliced = ready!(lent.poll(source, sink, context, counted));
        self.lent = None;
        Poll::Ready(spliced)
    }

    /// Writes all held bytes.
    fn poll_write(&mut self, sink: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(held) = &mut self.held else {
            return Poll::Ready(Ok(()));
        };
        while held.start < held.end {
            let bytes = &held.memory[held.start..held.end];
            let polled = Pin::new(&mut *sink).poll_write(context, bytes)?;
            let Poll::Ready(written) = polled else {
                held.shrink();
                return Poll::Pending;
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            held.start += written;
            self.written += written as u64;
            self.is_flushed = false;
        }
        if let Some(held) = self.held.take() {
            scratch::put_back(held.memory);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into the thread's buffer, which the pump only keeps if bytes were read, or
    /// borrows a pipe instead.
    fn poll_read(
        &mut self,
        source: &mut Stream,
        sink: &Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(pipes) = self.pipes.as_ref().filter(|_| self.read >= self.pipe_from) {
            self.lent = ready!(LentPipe::poll_for(pipes, source, sink, context));
            if self.lent.is_some() {
                return Poll::Ready(Ok(()));
            }
        }
        let mut memory = scratch::take();
        let mut buffer = ReadBuf::new(&mut memory);
        let polled = Pin::new(source).poll_read(context, &mut buffer);
        let end = buffer.filled().len();
        match polled {
            Poll::Ready(Ok(())) if end > 0 => {
                self.read += end as u64;
                let start = 0;
                self.held = Some(HeldBytes { memory, start, end });
            }
            Poll::Ready(Ok(())) => {
                scratch::put_back(memory);
                self.stage = PumpStage::SourceEnded;
            }
            _ => scratch::put_back(memory),
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::{HeldBytes, scratch};

    #[test]
    fn what_is_held_for_long_takes_no_more_memory_than_it_needs() {
        let mut memory = scratch::take();
        let size = memory.len();
        memory[1_000..1_003].copy_from_slice(b"abc");
        let (start, end) = (10, size);
        let mut held = HeldBytes { memory, start, end };
        held.shrink();
        assert_eq!((held.memory.len(), held.start), (size, 10));

        (held.start, held.end) = (1_000, 1_003);
        held.shrink();
        assert_eq!(&*held.memory, b"abc");
        assert_eq!((held.start, held.end), (0, 3));
        // A buffer of its own is not shared with other streams.
        scratch::put_back(held.memory);
        assert_eq!(scratch::take().len(), size);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod pipe_tests {
    use super::{LARGE, Pipes, Pump, PumpProgress};
    use crate::net::Stream;
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    /// Returns a peer, and the stream at the other end.
    async fn pair() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (peer.unwrap(), accepted.unwrap().0.into())
    }

    #[tokio::test]
    async fn a_slow_reader_keeps_no_pipe_from_a_fast_stream_and_loses_no_byte() {
        const WHOLE: usize = 48 << 20;
        let test = async {
            let pipes = Pipes::new(1);
            let sent: Vec<u8> = (0..251u8).cycle().take(WHOLE).collect();
            let (mut member, mut source) = pair().await;
            let (mut client, mut sink) = pair().await;
            let (mut slow, expected) = (Pump::new(pipes.clone()), sent.clone());
            tokio::spawn(async move { member.write_all(&sent).await });
            // The client reads nothing, so the pipe fills up.
            poll_fn(|context| match slow.poll(&mut source, &mut sink, context) {
                Poll::Pending if slow.lent.is_none() => Poll::Pending,
                _ => Poll::Ready(()),
            })
            .await;
            assert!(slow.read() >= LARGE && slow.written() < slow.read());

            let (mut fast_member, mut fast_source) = pair().await;
            let (mut fast_client, mut fast_sink) = pair().await;
            let mut fast = Pump::new(pipes);
            let writing = tokio::spawn(async move {
                let piece = vec![0; 1 << 20];
                while fast_member.write_all(&piece).await.is_ok() {}
            });
            let reading = tokio::spawn(async move {
                let mut piece = vec![0; 1 << 20];
                while fast_client.read(&mut piece).await.is_ok() {}
            });
            poll_fn(|context| {
                let passed = fast.poll(&mut fast_source, &mut fast_sink, context);
                assert!(passed.is_pending(), "{passed:?}");
                let passed = slow.poll(&mut source, &mut sink, context);
                assert!(passed.is_pending(), "{passed:?}");
                match &slow.lent {
                    Some(_) => Poll::Pending,
                    None => Poll::Ready(()),
                }
            })
            .await;
            writing.abort();
            reading.abort();
            // The bytes of the pipe are in memory, and no others.
            let kept = slow.held.as_ref().unwrap().memory.len() as u64;
            assert_eq!(kept, slow.read() - slow.written());
            assert!(kept <= 64 * 1024, "{kept} bytes");

            let mut got = Vec::with_capacity(WHOLE);
            let reading = client.read_to_end(&mut got);
            let pumping = poll_fn(|context| slow.poll(&mut source, &mut sink, context));
            let (passed, read) = tokio::join!(pumping, reading);
            assert!(matches!(passed, PumpProgress::Ended), "{passed:?}");
            read.unwrap();
            assert!(got == expected, "{} bytes of {WHOLE}", got.len());
        };
        timeout(Duration::from_secs(30), test).await.unwrap();
    }
}
