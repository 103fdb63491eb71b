//! The state of a request body that may be sent again, shared by the attempts that read it:
//! the client's body itself, what was read of it, and which attempt reads.
//!
//! All of it is under one lock, except that the client's body is taken out while it is
//! polled. So no protocol between atomics needs a model check.

use std::pin::Pin;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::SizeHint;

pub(super) struct ReplayBuffer<B> {
    pub(super) size: SizeHint,
    pub(super) source: BodySource<B>,
    pub(super) trailers: Option<HeaderMap>,
    kept: KeptChunks,
    /// The maximum number of bytes that are kept.
    limit: usize,
    /// The number of bytes that were read from the source.
    read: usize,
    /// More was read than is kept.
    lost: bool,
    /// The attempt that may read from the source.
    owner: u64,
    /// The waker of the last task that found nothing to read.
    waiting: Option<Waker>,
}

/// The client's body. It is polled outside the lock.
pub(super) enum BodySource<B> {
    Ended,
    Failed,
    Idle(Pin<Box<B>>),
    Polled,
}

/// What an attempt can read at its position.
pub(super) enum BufferRead<B> {
    Data(Bytes),
    End(Option<HeaderMap>),
    /// The next bytes were not kept, or the body failed.
    Gone,
    /// This attempt reads from the source now.
    ReadOn(Pin<Box<B>>),
    Superseded,
    /// Another attempt is polling the source.
    Wait,
}

impl<B> ReplayBuffer<B> {
    pub(super) fn new(body: B, size: SizeHint, limit: usize) -> Self {
        Self {
            size,
            source: BodySource::Idle(Box::pin(body)),
            trailers: None,
            kept: KeptChunks::default(),
            limit,
            read: 0,
            lost: false,
            owner: 0,
            waiting: None,
        }
    }

    /// Returns whether the whole body is in the buffer.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.source, BodySource::Ended) && !self.lost
    }

    pub(super) fn can_be_rewound(&self) -> bool {
        !self.lost && !matches!(self.source, BodySource::Failed)
    }

    /// Starts another attempt. Returns its number, and the waker of the former attempt,
    /// which must learn of it.
    pub(super) fn rewind(&mut self) -> (u64, Option<Waker>) {
        if self.is_complete() {
            return (self.owner, None);
        }
        self.owner += 1;
        (self.owner, self.waiting.take())
    }

    pub(super) fn find(&mut self, attempt: u64, position: usize) -> BufferRead<B> {
        if let Some(data) = self.kept.at(position) {
            return BufferRead::Data(data);
        }
        if self.is_complete() {
            return BufferRead::End(self.trailers.clone());
        }
        if self.owner != attempt {
            return BufferRead::Superseded;
        }
        if position < self.read {
            return BufferRead::Gone;
        }
        match std::mem::replace(&mut self.source, BodySource::Polled) {
            BodySource::Idle(source) => BufferRead::ReadOn(source),
            BodySource::Polled => BufferRead::Wait,
            BodySource::Ended => {
                self.source = BodySource::Ended;
                BufferRead::End(self.trailers.clone())
            }
            BodySource::Failed => {
                self.source = BodySource::Failed;
                BufferRead::Gone
            }
        }
    }

    /// Keeps data if there is room for it; returns the number of bytes read so far.
    pub(super) fn note(&mut self, data: &Bytes) -> usize {
        self.read += data.len();
        if self.read > self.limit {
            self.lost = true;
            self.kept = KeptChunks::default();
        } else if !self.lost {
            self.kept.push(data);
        }
        self.read
    }

    /// Stops keeping data, as no other attempt will follow. What is kept is dropped with
    /// the next data: only then is it certain that it has been read.
    pub(super) fn keep_no_more(&mut self) {
        self.limit = 0;
    }

    /// Stores the waker of a task that found nothing to read; returns the waker that it
    /// replaces.
    pub(super) fn sleep(&mut self, waker: &Waker) -> Option<Waker> {
        match &mut self.waiting {
            Some(waiting) if waiting.will_wake(waker) => None,
            waiting => waiting.replace(waker.clone()),
        }
    }

    /// Takes what was read, and the rest of the body, which is `None` if all of it was read.
    /// Attempts that read it read an error from now on. Returns `None` if something is
    /// missing, or while an attempt polls the body.
    pub(super) fn take(&mut self) -> Option<(Bytes, Option<Pin<Box<B>>>)> {
        if self.lost || self.trailers.is_some() {
            return None;
        }
        let rest = match std::mem::replace(&mut self.source, BodySource::Failed) {
            BodySource::Idle(rest) => Some(rest),
            BodySource::Ended => None,
            other => {
                self.source = other;
                return None;
            }
        };
        self.owner += 1;
        Some((std::mem::take(&mut self.kept).into_whole(), rest))
    }

    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        self.waiting.take()
    }

    /// Returns the waker to wake after data has arrived, unless it is that of the current
    /// task.
    pub(super) fn wake(&mut self, current: &Waker) -> Option<Waker> {
        let waiting = self.waiting.take();
        waiting.filter(|waiting| !waiting.will_wake(current))
    }
}

/// Shorter chunks are copied, as they would keep a larger buffer alive.
const SHORT: usize = 16 << 10;

/// Bytes from the start of the body, the last of them in a buffer that grows.
#[derive(Default)]
struct KeptChunks {
    /// With the position of their first byte.
    chunks: Vec<(usize, Bytes)>,
    tail_from: usize,
    tail: BytesMut,
}

impl KeptChunks {
    fn push(&mut self, data: &Bytes) {
        if data.len() < SHORT {
            self.tail.extend_from_slice(data);
            return;
        }
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            let from = self.tail_from;
            self.tail_from += tail.len();
            self.chunks.push((from, tail));
        }
        self.chunks.push((self.tail_from, data.clone()));
        self.tail_from += data.len();
    }

    fn into_whole(mut self) -> Bytes {
        if self.chunks.is_empty() {
            return self.tail.freeze();
        }
        let mut whole = BytesMut::with_capacity(self.tail_from + self.tail.len());
        for (_, chunk) in self.chunks.drain(..) {
            whole.extend_from_slice(&chunk);
        }
        whole.extend_from_slice(&self.tail);
        whole.freeze()
    }

    /// Returns what is kept from `position` on, up to the end of one chunk.
    fn at(&self, position: usize) -> Option<Bytes> {
        if let Some(at) = position.checked_sub(self.tail_from) {
            let rest = self.tail.get(at..)?;
            return (!rest.is_empty()).then(|| Bytes::copy_from_slice(rest));
        }
        let after = self.chunks.partition_point(|&(from, _)| from <= position);
        let (from, chunk) = self.chunks.get(after.checked_sub(1)?)?;
        Some(chunk.slice(position - from..))
    }
}

#[cfg(test)]
mod tests {
    use super::{KeptChunks, SHORT};
    use bytes::Bytes;

    #[test]
    fn what_was_kept_is_read_from_any_position() {
        let mut kept = KeptChunks::default();
        let mut whole = Vec::new();
        for (length, byte) in [
            (1, b'a'),
            (2, b'b'),
            (SHORT, b'c'),
            (3, b'd'),
            (2 * SHORT, b'e'),
        ] {
            let data = Bytes::from(vec![byte; length]);
            kept.push(&data);
            whole.extend_from_slice(&data);
        }
        kept.push(&Bytes::new());
        for start in [0, 1, 2, 3, 4, SHORT + 2, SHORT + 3, SHORT + 6, whole.len()] {
            let mut read = Vec::new();
            while let Some(data) = kept.at(start + read.len()) {
                assert!(!data.is_empty());
                read.extend_from_slice(&data);
            }
            assert_eq!(read, whole[start..], "{start}");
        }
        assert!(kept.at(whole.len() + 1).is_none());
        assert_eq!(kept.into_whole(), whole);
    }
}
