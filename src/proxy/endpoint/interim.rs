//! A limit on the interim responses (1xx) to a request over HTTP/1.1: [`InterimLimited`]
//! counts and stops them where the bytes are read, [`InterimLimit`] begins the count anew
//! with each request.
//!
//! hyper reads interim responses in a loop within one poll. It can report them, but only by
//! a callback in the extensions of each request, which costs four allocations. A response
//! without interim ones costs a look at its first ten bytes here.
//!
//! Not here: interim responses over HTTP/2, which hyper does not show; the
//! time limits bound them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::EndpointError;
use crate::sync::{AtomicU32, Relaxed};

/// The number of interim responses to the current request of a connection.
#[derive(Clone, Debug)]
pub(super) struct InterimLimit(Arc<InterimCount>);

#[derive(Debug)]
struct InterimCount {
    // Relaxed: a request is handed to the task that reads after this was set to
    // `UNANSWERED`, and that task writes it from then on. Another task reads it only after
    // it was notified that the connection has ended.
    responses: AtomicU32,
    most: u32,
}

/// The count before the first byte of a response.
const UNANSWERED: u32 = u32::MAX;

impl InterimLimit {
    /// For a new connection with a limit of `most` per request.
    pub(super) fn new(most: u32) -> Self {
        Self(Arc::new(InterimCount {
            responses: AtomicU32::new(UNANSWERED),
            most,
        }))
    }

    /// Expects the response to another request.
    pub(super) fn restart(&self) {
        self.0.responses.store(UNANSWERED, Relaxed);
    }

    fn responses(&self) -> u32 {
        self.0.responses.load(Relaxed)
    }

    fn are_too_many(&self) -> bool {
        let responses = self.responses();
        responses != UNANSWERED && responses > self.0.most
    }

    /// Returns why an exchange broke off, if the limit was exceeded.
    pub(super) fn error(&self) -> Option<EndpointError> {
        let most = self.0.most;
        self.are_too_many()
            .then_some(EndpointError::TooManyInterim { most })
    }
}

/// Finds the interim heads at the beginning of a response, whose bytes may arrive in any
/// pieces. It accepts all that hyper accepts: empty lines before a head, and lines that end
/// without a carriage return.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HeadScan {
    /// This many bytes of a status line are those of an interim response.
    Status(usize),
    /// In the rest of an interim head.
    Line {
        /// The line has no bytes so far.
        empty: bool,
    },
    /// The final head has begun.
    Final,
}

/// The beginning of an interim response, of which one byte may differ.
const INTERIM: [u8; 10] = *b"HTTP/1.1 1";

/// The place of the minor version.
const MINOR: usize = 7;

impl HeadScan {
    const START: Self = Self::Status(0);

    /// Returns how many interim heads end in these bytes.
    fn heads_ended(&mut self, bytes: &[u8]) -> u32 {
        if let (Self::START, [b'H', _, _, _, _, _, _, _, b' ', hundreds, ..]) = (*self, bytes) {
            if *hundreds != b'1' {
                // So do most responses begin.
                *self = Self::Final;
            }
        }
        let mut heads = 0;
        for &byte in bytes {
            *self = match *self {
                Self::Status(0) if matches!(byte, b'\r' | b'\n') => Self::START,
                Self::Status(MINOR) if byte == b'0' => Self::Status(MINOR + 1),
                Self::Status(matched) => match (INTERIM.get(matched), byte) {
                    (Some(&expected), byte) if byte == expected => Self::Status(matched + 1),
                    // 101 is final: the protocol is switched.
                    (None, b'0') if matched == INTERIM.len() => Self::Status(matched + 1),
                    (None, b'1') if matched > INTERIM.len() => Self::Final,
                    (None, _) => Self::Line { empty: false },
                    (Some(_), _) => Self::Final,
                },
                Self::Line { empty: true } if byte == b'\n' => {
                    heads += 1;
                    Self::START
                }
                Self::Line { empty } => Self::Line {
                    empty: byte == b'\n' || empty && byte == b'\r',
                },
                Self::Final => return heads,
            };
        }
        heads
    }
}

/// A stream that fails after too many interim responses. After each read that contained
/// some, it yields to other tasks.
#[derive(Debug)]
pub(super) struct InterimLimited<I> {
    io: I,
    limit: InterimLimit,
    scan: HeadScan,
    pace: ReadPace,
}

/// How the next read is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReadPace {
    AtOnce,
    /// After other tasks had their turn.
    Later,
    /// Into a small buffer, because the read before contained interim responses.
    Little,
}

/// The size of a read after an interim response.
const LITTLE: usize = 1024;

impl<I> InterimLimited<I> {
    pub(super) fn new(io: I, limit: InterimLimit) -> Self {
        Self {
            io,
            limit,
            scan: HeadScan::Final,
            pace: ReadPace::AtOnce,
        }
    }

    /// Counts the interim responses that end in bytes that were read.
    fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut responses = self.limit.responses();
        if responses == UNANSWERED {
            self.scan = HeadScan::START;
            responses = 0;
        } else if self.scan == HeadScan::Final {
            return Ok(());
        }
        let more = self.scan.heads_ended(bytes);
        let all = responses.saturating_add(more).min(UNANSWERED - 1);
        self.limit.0.responses.store(all, Relaxed);
        if more > 0 {
            self.pace = ReadPace::Later;
        }
        self.check()
    }

    fn check(&self) -> io::Result<()> {
        if self.limit.are_too_many() {
            return Err(io::Error::other("too many interim responses"));
        }
        Ok(())
    }
}

impl<I> AsyncRead for InterimLimited<I>
where
    I: AsyncRead + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.pace {
            ReadPace::AtOnce => {
                let before = buffer.filled().len();
                ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
                Poll::Ready(this.count(buffer.filled().get(before..).unwrap_or_default()))
            }
            ReadPace::Later => {
                this.check()?;
                this.pace = ReadPace::Little;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            ReadPace::Little => {
                let mut little = [0; LITTLE];
                let length = little.len().min(buffer.remaining());
                let mut read = ReadBuf::new(little.split_at_mut(length).0);
                ready!(Pin::new(&mut this.io).poll_read(context, &mut read))?;
                this.pace = ReadPace::AtOnce;
                buffer.put_slice(read.filled());
                Poll::Ready(this.count(read.filled()))
            }
        }
    }
}

impl<I> AsyncWrite for InterimLimited<I>
where
    I: AsyncWrite + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, bytes)
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
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use tokio::io::{AsyncRead, ReadBuf};

    use super::{HeadScan, InterimLimit, InterimLimited};

    /// Bytes, and how many interim heads they begin with.
    const CASES: [(&str, u32); 14] = [
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", 0),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 1),
        (
            "HTTP/1.0 102\r\n\r\nHTTP/1.1 199 x\r\na: b\r\n\r\nHTTP/1.1 2",
            2,
        ),
        ("HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 100 no\r\n\r\n", 0),
        (
            "HTTP/1.1 103 Hints\nlink: a\nlink: b\n\nHTTP/1.1 500 x\n\n",
            1,
        ),
        ("HTTP/1.1 100\n\r\nHTTP/1.1 110\r\n\nHTTP/1.1 109 x\n\n", 3),
        (
            "\r\n\nHTTP/1.1 100 a\r\n\r\n\r\n\r\nHTTP/1.1 100 b\r\n\r\n",
            2,
        ),
        (
            "HTTP/1.1 100 a\r\nb: HTTP/1.1 100 c\r\n\r\nHTTP/1.1 204 d\r\n\r\n",
            1,
        ),
        (
            "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 101 b\r\n\r\nHTTP/1.1 100 c\r\n\r\n",
            1,
        ),
        ("HTTP/1.1 100 a\r\nb: c\r\n", 0),
        ("HTTP/1.2 100 a\r\n\r\n", 0),
        ("HTTP/1.1  100 a\r\n\r\n", 0),
        ("HTTP/1.1 1", 0),
        ("not http, 100\n\n", 0),
    ];

    #[test]
    fn interim_heads_are_found_wherever_the_bytes_are_split() {
        for (bytes, heads) in CASES {
            let bytes = bytes.as_bytes();
            for one in 0..=bytes.len() {
                for two in one..=bytes.len() {
                    let mut scan = HeadScan::START;
                    let pieces = [&bytes[..one], &bytes[one..two], &bytes[two..]];
                    let found: u32 = pieces.iter().map(|piece| scan.heads_ended(piece)).sum();
                    assert_eq!(found, heads, "{pieces:?}");
                }
            }
            let mut scan = HeadScan::START;
            let found: u32 = bytes.chunks(1).map(|byte| scan.heads_ended(byte)).sum();
            assert_eq!(found, heads);
        }
    }

    /// Reads everything, in pieces of up to `length` bytes; returns the bytes, how often it
    /// yielded, and the failure.
    fn read_all(
        stream: &mut InterimLimited<&[u8]>,
        length: usize,
    ) -> (Vec<u8>, u32, Option<std::io::Error>) {
        let mut context = Context::from_waker(Waker::noop());
        let (mut all, mut yields) = (Vec::new(), 0);
        loop {
            let mut piece = vec![0; length];
            let mut buffer = ReadBuf::new(&mut piece);
            match Pin::new(&mut *stream).poll_read(&mut context, &mut buffer) {
                Poll::Pending => yields += 1,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return (all, yields, None),
                Poll::Ready(Ok(())) => all.extend(buffer.filled()),
                Poll::Ready(Err(error)) => return (all, yields, Some(error)),
            }
        }
    }

    #[test]
    fn exactly_as_many_interim_responses_pass_as_are_allowed_to_each_request() {
        let response = [
            "HTTP/1.1 100 a\r\n\r\n".repeat(3).as_str(),
            "HTTP/1.1 200 b\r\n\r\n",
        ]
        .concat();
        for length in [1, 2, 7, 18, 20, 4096] {
            let limit = InterimLimit::new(3);
            let mut stream = InterimLimited::new(&b""[..], limit.clone());
            for _ in 0..2 {
                limit.restart();
                stream.io = response.as_bytes();
                let (bytes, yields, failed) = read_all(&mut stream, length);
                assert_eq!(bytes, response.as_bytes());
                assert!(yields > 0 && failed.is_none() && limit.error().is_none());
            }
            let limit = InterimLimit::new(2);
            let mut stream = InterimLimited::new(response.as_bytes(), limit.clone());
            let (bytes, _, failed) = read_all(&mut stream, length);
            assert!(bytes.len() < 3 * 18, "{length}: {bytes:?}");
            assert!(failed.is_some() && limit.error().is_some());
        }
    }

    #[test]
    fn a_body_that_looks_like_interim_responses_is_not_counted() {
        let response = [
            "HTTP/1.1 200 b\r\n\r\n",
            &"HTTP/1.1 100 a\r\n\r\n".repeat(9),
        ]
        .concat();
        let limit = InterimLimit::new(0);
        let mut stream = InterimLimited::new(response.as_bytes(), limit.clone());
        let (bytes, yields, failed) = read_all(&mut stream, 18);
        assert_eq!((bytes.len(), yields), (response.len(), 0));
        assert!(failed.is_none() && limit.error().is_none());
    }
}
