//! The floor of what does not copy: a pipe of the system for each direction, from the first
//! byte on. Pipes are taken from a store without a bound, and only while there are bytes. No
//! limit, no pick, no lease, and a failed connection is given up.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use equipoise::service::BoxError;
use rustix::net::{Shutdown, shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};

use crate::fleet::Fleet;
use crate::side_by_side::program::listen_on;

/// How much a pipe holds, and how much is moved at once.
const SIZE: usize = 256 * 1024;

struct Pipe {
    from: OwnedFd,
    to: OwnedFd,
}

#[derive(Default)]
struct Store(RefCell<Vec<Pipe>>);

impl Store {
    fn take(&self) -> io::Result<Pipe> {
        let spare = self.0.borrow_mut().pop();
        if let Some(spare) = spare {
            return Ok(spare);
        }
        let (from, to) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        fcntl_setpipe_size(&to, SIZE)?;
        Ok(Pipe { from, to })
    }

    fn put_back(&self, pipe: Pipe) {
        self.0.borrow_mut().push(pipe);
    }
}

/// Forwards until the process ends.
pub(crate) async fn serve(listen: SocketAddr, members: &[SocketAddr]) -> Result<(), BoxError> {
    let listener = listen_on(listen)?;
    let (fleet, store) = (Rc::new(Fleet::of(members)), Rc::new(Store::default()));
    let accepting = async {
        loop {
            let (client, _) = listener.accept().await?;
            client.set_nodelay(true)?;
            let (fleet, store) = (fleet.clone(), store.clone());
            spawn_local(async move {
                if let Ok(member) = fleet.connect().await {
                    let up = pass(&client, &member, &store);
                    let down = pass(&member, &client, &store);
                    drop(tokio::try_join!(up, down));
                }
            });
        }
    };
    LocalSet::new().run_until(accepting).await
}

/// Passes one direction on, to its end.
async fn pass(source: &TcpStream, sink: &TcpStream, store: &Store) -> io::Result<()> {
    loop {
        source.readable().await?;
        let pipe = store.take()?;
        match source.try_io(Interest::READABLE, || moved(source, &pipe.to, SIZE)) {
            Ok(0) => {
                store.put_back(pipe);
                return Ok(shutdown(sink, Shutdown::Write)?);
            }
            Ok(filled) => empty(&pipe, filled, sink).await?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        store.put_back(pipe);
    }
}

async fn empty(pipe: &Pipe, mut filled: usize, sink: &TcpStream) -> io::Result<()> {
    while filled > 0 {
        match sink.try_io(Interest::WRITABLE, || moved(&pipe.from, sink, filled)) {
            Ok(moved) => filled -= moved,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sink.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn moved(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(splice(from, None, to, None, most, flags)?)
}
