//! Moving bytes from one TCP connection to another through a kernel pipe, without copying
//! them into this process: [`Pipes`] and [`LentPipe`].
//!
//! A direction has a pipe only while bytes are in it or available, so that few pipes serve
//! many streams. If no pipe is left, one is taken from a direction whose sink has accepted
//! nothing for a while: the bytes in the pipe are copied into memory once, and the
//! direction continues from there. So slow readers do not keep a pipe from another
//! direction. If no pipe can be taken, bytes are copied.
//!
//! Not here: when a stream should use a pipe (`pump`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::net::{Stream, StreamCarrier};
use crate::sync::Mutex;

/// The requested capacity of a pipe; the system may allow less.
const WANTED: usize = 256 * 1024;
/// The capacity below which a pipe is slower than copying. The system makes pipes that
/// small for a user that has too many.
const LEAST: usize = 64 * 1024;
/// The number of bytes that are moved at once into the last free pipe. They may have to be
/// copied out again, and the last pipe may go from one slow sink to the next. With so few
/// bytes in each pipe, a large stream needs a fifth more CPU time.
const FILL_OF_LAST: usize = 64 * 1024;

/// A sink that has accepted nothing for this time is slow, and its pipe may be taken.
const SLOW: Duration = Duration::from_millis(50);
/// After a failure, no pipe is created or taken from a slow sink for this time.
const PAUSE: Duration = Duration::from_millis(10);

fn is_recent(failure: Option<Instant>, now: Instant) -> bool {
    failure.is_some_and(|then| now.saturating_duration_since(then) < PAUSE)
}

/// The pipes of a forwarder. Each is lent to one direction of one connection at a time.
#[derive(Debug)]
pub(super) struct Pipes {
    most: usize,
    state: Mutex<PipeState>,
}

#[derive(Debug, Default)]
struct PipeState {
    spare: Vec<Pipe>,
    /// The holder of each pipe, by the number of the pipe.
    holders: Vec<Option<Arc<Holder>>>,
    /// Numbers of pipes that do not exist.
    free: Vec<usize>,
    /// When creating a pipe failed last.
    failed: Option<Instant>,
    /// When the last search for a slow sink found none.
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Pipe {
    number: usize,
    from: OwnedFd,
    to: OwnedFd,
}

impl Pipe {
    fn new(number: usize) -> Option<Self> {
        // Fails if no descriptor is left.
        let (from, to) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        let size = fcntl_setpipe_size(&to, WANTED).or_else(|_| fcntl_getpipe_size(&to));
        let is_fit = size.is_ok_and(|size| size >= LEAST);
        is_fit.then_some(Self { number, from, to })
    }

    /// Reads all bytes in the pipe.
    fn read(&self, filled: usize) -> io::Result<Box<[u8]>> {
        let mut memory: Box<[u8]> = vec![0; filled].into();
        let mut at = 0;
        while at < filled {
            match rustix::io::read(&self.from, &mut memory[at..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => at += read,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(memory)
    }
}

/// The holder of a pipe. The direction locks it while it moves bytes; others only try the
/// lock.
#[derive(Debug)]
struct Holder {
    load: Mutex<PipeLoad>,
}

#[derive(Debug)]
struct PipeLoad {
    /// `None` once the pipe was taken.
    pipe: Option<Pipe>,
    filled: usize,
    /// Since when the sink has accepted nothing.
    blocked: Option<Instant>,
    /// The bytes that were in the pipe when it was taken.
    taken: Option<io::Result<Box<[u8]>>>,
}

impl Holder {
    fn of(pipe: Pipe) -> Self {
        Self {
            load: Mutex::new(PipeLoad {
                pipe: Some(pipe),
                filled: 0,
                blocked: None,
                taken: None,
            }),
        }
    }

    /// Takes the pipe if the sink is slow.
    fn take_if_slow(&self, now: Instant) -> Option<Pipe> {
        let mut load = self.load.try_lock()?;
        let blocked = load.blocked?;
        if now.saturating_duration_since(blocked) < SLOW {
            return None;
        }
        let pipe = load.pipe.take()?;
        let taken = pipe.read(load.filled);
        let is_empty = taken.is_ok();
        load.filled = 0;
        load.taken = Some(taken);
        // A pipe that cannot be read is closed, and its number is never used again.
        is_empty.then_some(pipe)
    }
}

impl Pipes {
    /// Creates a pool of at most `most` pipes; `None` for zero.
    pub(super) fn new(most: usize) -> Option<Arc<Self>> {
        (most > 0).then(|| {
            Arc::new(Self {
                most,
                state: Mutex::new(PipeState::default()),
            })
        })
    }

    /// Lends a pipe, if one is available.
    fn lend(self: &Arc<Self>) -> Option<LentPipe> {
        let spare = self.state.lock().spare.pop();
        let pipe = spare.or_else(|| {
            let now = Instant::now();
            self.make(now).or_else(|| self.take_from_slow(now))
        })?;
        let number = pipe.number;
        let holder = Arc::new(Holder::of(pipe));
        let mut state = self.state.lock();
        state.holders[number] = Some(holder.clone());
        let is_last =
            state.spare.is_empty() && state.free.is_empty() && state.holders.len() >= self.most;
        drop(state);
        Some(LentPipe {
            fill: if is_last { FILL_OF_LAST } else { WANTED },
            holder,
            pipes: self.clone(),
        })
    }

    fn make(&self, now: Instant) -> Option<Pipe> {
        let mut state = self.state.lock();
        if is_recent(state.failed, now) {
            return None;
        }
        let number = match state.free.pop() {
            Some(number) => number,
            None if state.holders.len() >= self.most => return None,
            None => {
                state.holders.push(None);
                state.holders.len() - 1
            }
        };
        drop(state);
        let pipe = Pipe::new(number);
        if pipe.is_none() {
            let mut state = self.state.lock();
            state.free.push(number);
            state.failed = Some(now);
        }
        pipe
    }

    fn take_from_slow(&self, now: Instant) -> Option<Pipe> {
        if is_recent(self.state.lock().looked, now) {
            return None;
        }
        for number in 0..self.most {
            let holder = match self.state.lock().holders.get(number) {
                Some(holder) => holder.clone(),
                None => break,
            };
            if let Some(pipe) = holder.and_then(|holder| holder.take_if_slow(now)) {
                return Some(pipe);
            }
        }
        self.state.lock().looked = Some(now);
        None
    }

    #[cfg(test)]
    fn made(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.holders.len() - state.free.len(), state.spare.len())
    }
}

/// The result of splicing.
#[derive(Debug)]
pub(super) enum Spliced {
    /// No bytes can be read now; the task is woken when there are.
    WouldBlock,
    Ended,
    SinkFailed(io::Error),
    SourceFailed,
    /// Another direction has taken the pipe; these bytes were in it.
    Taken(Box<[u8]>),
    /// The system cannot splice these connections.
    Unsupported,
}

/// A pipe, lent to one direction. On drop it is returned if it is empty, otherwise closed.
#[derive(Debug)]
pub(super) struct LentPipe {
    /// The number of bytes that are moved into it at once.
    fill: usize,
    holder: Arc<Holder>,
    pipes: Arc<Pipes>,
}

impl LentPipe {
    /// Lends a pipe for these two streams, if both are plain TCP and bytes are available.
    /// Returns `Pending` if none are.
    pub(super) fn poll_for(
        pipes: &Arc<Pipes>,
        source: &Stream,
        sink: &Stream,
        context: &mut Context<'_>,
    ) -> Poll<Option<Self>> {
        let (StreamCarrier::Tcp(source), StreamCarrier::Tcp(_)) =
            (source.carrier(), sink.carrier())
        else {
            return Poll::Ready(None);
        };
        // The following read returns the error.
        let _ = ready!(source.poll_read_ready(context));
        Poll::Ready(pipes.lend())
    }

    /// Moves bytes as long as possible, and adds them to `read` and `written`.
    pub(super) fn poll(
        &mut self,
        source: &Stream,
        sink: &Stream,
        context: &mut Context<'_>,
        (read, written): (&mut u64, &mut u64),
    ) -> Poll<Spliced> {
        let load = &mut *self.holder.load.lock();
        match load.taken.take() {
            Some(Ok(bytes)) => return Poll::Ready(Spliced::Taken(bytes)),
            Some(Err(error)) => return Poll::Ready(Spliced::SinkFailed(error)),
            None => {}
        }
        let (StreamCarrier::Tcp(source), StreamCarrier::Tcp(sink), Some(pipe)) =
            (source.carrier(), sink.carrier(), &load.pipe)
        else {
            return Poll::Ready(Spliced::Unsupported);
        };
        loop {
            while load.filled > 0 {
                let Poll::Ready(emptied) = empty(pipe, load.filled, sink, context) else {
                    load.blocked.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                };
                match emptied {
                    Ok(moved) if moved > 0 => {
                        load.filled -= moved.min(load.filled);
                        load.blocked = None;
                        *written += moved as u64;
                    }
                    Ok(_) => {
                        let error = io::ErrorKind::WriteZero.into();
                        return Poll::Ready(Spliced::SinkFailed(error));
                    }
                    Err(error) => return Poll::Ready(Spliced::SinkFailed(error)),
                }
            }
            let Poll::Ready(filled) = fill(pipe, self.fill, source, context) else {
                return Poll::Ready(Spliced::WouldBlock);
            };
            match filled {
                Ok(0) => return Poll::Ready(Spliced::Ended),
                Ok(moved) => {
                    load.filled = moved;
                    *read += moved as u64;
                }
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    return Poll::Ready(Spliced::Unsupported);
                }
                Err(_) => return Poll::Ready(Spliced::SourceFailed),
            }
        }
    }
}

/// Moves bytes from a connection into an empty pipe.
fn fill(
    pipe: &Pipe,
    most: usize,
    source: &TcpStream,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(source.poll_read_ready(context))?;
        let filled = source.try_io(Interest::READABLE, || moved(source.as_fd(), &pipe.to, most));
        match filled {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            filled => return Poll::Ready(filled),
        }
    }
}

/// Moves bytes from a pipe to a connection.
fn empty(
    pipe: &Pipe,
    filled: usize,
    sink: &TcpStream,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(sink.poll_write_ready(context))?;
        let emptied = sink.try_io(Interest::WRITABLE, || {
            moved(&pipe.from, sink.as_fd(), filled)
        });
        match emptied {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            emptied => return Poll::Ready(emptied),
        }
    }
}

fn moved(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    loop {
        match splice(&from, None, &to, None, most, flags) {
            Err(Errno::INTR) => {}
            moved => return Ok(moved?),
        }
    }
}

impl Drop for LentPipe {
    fn drop(&mut self) {
        let mut load = self.holder.load.lock();
        let (pipe, filled) = (load.pipe.take(), load.filled);
        drop(load);
        // If it was taken, it is lent to another direction.
        let Some(pipe) = pipe else {
            return;
        };
        let number = pipe.number;
        // A pipe with bytes in it is closed before another replaces it.
        let spare = (filled == 0).then_some(pipe);
        let mut state = self.pipes.state.lock();
        state.holders[number] = None;
        match spare {
            Some(pipe) => state.spare.push(pipe),
            None => state.free.push(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Instant, Pipes, SLOW};

    #[test]
    fn pipes_are_bounded_and_lent_again() {
        assert!(Pipes::new(0).is_none());
        let pipes = Pipes::new(2).unwrap();
        let (one, two) = (pipes.lend().unwrap(), pipes.lend().unwrap());
        assert!(pipes.lend().is_none());
        assert_eq!(pipes.made(), (2, 0));
        drop(one);
        assert_eq!(pipes.made(), (2, 1));
        let again = pipes.lend().unwrap();
        assert_eq!(pipes.made(), (2, 0));
        drop((again, two));
        assert_eq!(pipes.made(), (2, 2));
    }

    #[test]
    fn a_pipe_with_bytes_in_it_is_closed() {
        let pipes = Pipes::new(1).unwrap();
        let lent = pipes.lend().unwrap();
        lent.holder.load.lock().filled = 1;
        drop(lent);
        assert_eq!(pipes.made(), (0, 0));
        assert!(pipes.lend().is_some());
    }

    #[test]
    fn a_pipe_is_taken_from_a_slow_sink_with_its_bytes_kept_and_from_no_other() {
        let pipes = Pipes::new(1).unwrap();
        let slow = pipes.lend().unwrap();
        let now = Instant::now();
        {
            let mut load = slow.holder.load.lock();
            let pipe = load.pipe.as_ref().unwrap();
            assert_eq!(rustix::io::write(&pipe.to, b"hello"), Ok(5));
            load.filled = 5;
            load.blocked = Some(now);
        }
        assert!(
            slow.holder.take_if_slow(now).is_none(),
            "it is not slow yet"
        );
        slow.holder.load.lock().blocked = Some(now - SLOW);
        let quick = pipes.lend().unwrap();
        assert_eq!(pipes.made(), (1, 0));
        let taken = slow.holder.load.lock().taken.take();
        assert_eq!(&*taken.unwrap().unwrap(), b"hello");
        // It is not returned twice.
        drop(slow);
        assert_eq!(pipes.made(), (1, 0));
        drop(quick);
        assert_eq!(pipes.made(), (1, 1));
    }
}
