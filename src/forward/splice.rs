//! Bytes that go from one TCP connection to another through a pipe of the system, without a
//! copy into this process: [`Pipes`] and [`Lent`].
//!
//! A direction has a pipe only while there are bytes in it or to be had, so few pipes serve
//! many streams. Where none is left, bytes are copied.
//!
//! What does not live here: when a stream is worth it (`pump`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::net::{Carrier, Stream};
use crate::sync::Mutex;

/// How much a pipe should hold; what the system allows counts.
const WANTED: usize = 256 * 1024;
/// What a pipe holds if nothing is asked for.
const USUAL: usize = 64 * 1024;

/// The pipes of a forwarder, each lent to one direction of one connection at a time.
#[derive(Debug)]
pub(super) struct Pipes {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spare: Vec<Pipe>,
    /// Spare or lent.
    made: usize,
}

#[derive(Debug)]
struct Pipe {
    from: OwnedFd,
    to: OwnedFd,
    size: usize,
}

impl Pipe {
    fn new() -> Option<Self> {
        // Without a descriptor to spare, there is none.
        let (from, to) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        let size = fcntl_setpipe_size(&to, WANTED).unwrap_or(USUAL);
        Some(Self { from, to, size })
    }
}

impl Pipes {
    /// There will be `most` pipes at most; with none, there is no splicing.
    pub(super) fn new(most: usize) -> Option<Arc<Self>> {
        (most > 0).then(|| {
            Arc::new(Self {
                most,
                state: Mutex::new(State::default()),
            })
        })
    }

    /// Lends a pipe, if there is one to lend.
    fn lend(self: &Arc<Self>) -> Option<Lent> {
        let mut state = self.state.lock();
        let spare = state.spare.pop();
        if spare.is_none() {
            if state.made >= self.most {
                return None;
            }
            state.made += 1;
        }
        drop(state);
        // It counts as made already, and is put back as gone if it cannot be made.
        let mut lent = Lent {
            pipe: spare,
            filled: 0,
            pipes: self.clone(),
        };
        if lent.pipe.is_none() {
            lent.pipe = Some(Pipe::new()?);
        }
        Some(lent)
    }

    #[cfg(test)]
    fn made(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.made, state.spare.len())
    }
}

/// How splicing fared.
#[derive(Debug)]
pub(super) enum Spliced {
    /// There is nothing to be read now; the task is woken when there is.
    Dry,
    Ended,
    SinkFailed(io::Error),
    SourceBroke,
    /// The system cannot do this with these connections.
    Unfit,
}

/// A pipe, lent to one direction. It is given back if it is empty, otherwise closed.
#[derive(Debug)]
pub(super) struct Lent {
    pipe: Option<Pipe>,
    filled: usize,
    pipes: Arc<Pipes>,
}

impl Lent {
    /// Lends a pipe for these two, if both are plain TCP and there is something to be read.
    /// `Pending` if there is not.
    pub(super) fn poll_for(
        pipes: &Arc<Pipes>,
        source: &Stream,
        sink: &Stream,
        context: &mut Context<'_>,
    ) -> Poll<Option<Self>> {
        let (Carrier::Tcp(source), Carrier::Tcp(_)) = (source.carrier(), sink.carrier()) else {
            return Poll::Ready(None);
        };
        // The read that follows finds an error.
        let _ = ready!(source.poll_read_ready(context));
        Poll::Ready(pipes.lend())
    }

    /// Moves bytes as long as it can. `read` and `written` grow by them.
    pub(super) fn poll(
        &mut self,
        source: &Stream,
        sink: &Stream,
        context: &mut Context<'_>,
        (read, written): (&mut u64, &mut u64),
    ) -> Poll<Spliced> {
        let (Carrier::Tcp(source), Carrier::Tcp(sink), Some(pipe)) =
            (source.carrier(), sink.carrier(), &self.pipe)
        else {
            return Poll::Ready(Spliced::Unfit);
        };
        loop {
            while self.filled > 0 {
                match ready!(empty(pipe, self.filled, sink, context)) {
                    Ok(moved) if moved > 0 => {
                        self.filled -= moved.min(self.filled);
                        *written += moved as u64;
                    }
                    Ok(_) => {
                        let error = io::ErrorKind::WriteZero.into();
                        return Poll::Ready(Spliced::SinkFailed(error));
                    }
                    Err(error) => return Poll::Ready(Spliced::SinkFailed(error)),
                }
            }
            let Poll::Ready(filled) = fill(pipe, source, context) else {
                return Poll::Ready(Spliced::Dry);
            };
            match filled {
                Ok(0) => return Poll::Ready(Spliced::Ended),
                Ok(moved) => {
                    self.filled = moved;
                    *read += moved as u64;
                }
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    return Poll::Ready(Spliced::Unfit);
                }
                Err(_) => return Poll::Ready(Spliced::SourceBroke),
            }
        }
    }
}

/// Moves what a connection has into an empty pipe.
fn fill(pipe: &Pipe, source: &TcpStream, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
    loop {
        ready!(source.poll_read_ready(context))?;
        let filled = source.try_io(Interest::READABLE, || {
            moved(source.as_fd(), &pipe.to, pipe.size)
        });
        match filled {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            filled => return Poll::Ready(filled),
        }
    }
}

/// Moves what a pipe has to a connection.
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

impl Drop for Lent {
    fn drop(&mut self) {
        // One with bytes in it is closed, after the lock is given back.
        let pipe = self.pipe.take();
        let (spare, closed) = match self.filled {
            0 => (pipe, None),
            _ => (None, pipe),
        };
        let mut state = self.pipes.state.lock();
        match spare {
            Some(pipe) => state.spare.push(pipe),
            None => state.made -= 1,
        }
        drop(state);
        drop(closed);
    }
}

#[cfg(test)]
mod tests {
    use super::Pipes;

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
        let mut lent = pipes.lend().unwrap();
        lent.filled = 1;
        drop(lent);
        assert_eq!(pipes.made(), (0, 0));
        assert!(pipes.lend().is_some());
    }
}
