//! The members in turn, as the loops without a balancer take them: [`Fleet`].

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

pub(crate) struct Fleet {
    members: Box<[SocketAddr]>,
    turn: Cell<usize>,
}

impl Fleet {
    pub(crate) fn of(members: &[SocketAddr]) -> Self {
        Self {
            members: members.into(),
            turn: Cell::new(0),
        }
    }

    pub(crate) fn next(&self) -> SocketAddr {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.members.len());
        self.members[turn]
    }

    /// Connects to the next of them.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.next()).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
