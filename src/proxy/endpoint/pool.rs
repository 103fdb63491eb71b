//! The connections to one member that are open: [`Pool`].
//!
//! HTTP/1.1 connections wait on a stack, so that those that are not needed stay idle and
//! are closed; those of HTTP/2 are shared (`streams`). hyper-util's pool services do the
//! same, but have no names to keep them by, and no end of an idle connection's life.
//!
//! What does not live here: opening them (`connect`).

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::line::{Http1Line, Http2Line, MemberConnection};
use super::streams::{MemberStreams, StreamChoice};
use crate::service::{BoxError, Capacity};
use crate::sync::{AtomicU32, Mutex, Relaxed};

/// Open connections to one member.
#[derive(Debug)]
pub(super) struct Pool {
    open: Mutex<OpenConnections>,
    /// Held while one that is shared is opened.
    opening: tokio::sync::Mutex<()>,
    /// What the last that was opened speaks: if it is HTTP/2, the others wait for it.
    // Relaxed: a hint; the connection itself is under a lock.
    speaks: AtomicU32,
    most: usize,
    /// How long a connection may be idle.
    life: Duration,
    /// The balancers that learn how many requests there is room for.
    pub(super) capacity: Capacity,
    /// A member has said something about a connection, or that is gone.
    changed: Arc<Notify>,
}

/// What a member speaks, as far as is known.
const HTTP_1: u32 = 1;
const HTTP_2: u32 = 2;
const UNKNOWN: u32 = 0;

/// Halves of an idle life between the looks at who has been idle for too long.
const LIVES: u32 = 2;

#[derive(Debug)]
struct OpenConnections {
    /// Those that nobody uses, and since which look.
    idle: Vec<(Http1Line, u32)>,
    /// Those that are shared, if the member speaks HTTP/2.
    shared: MemberStreams,
    /// How often somebody has looked.
    looks: u32,
    watched: bool,
}

/// Why there is no connection for a request.
#[derive(Debug)]
pub(super) enum NoLine {
    Failed(BoxError),
    /// The member takes no more requests than these at the same time.
    Full(u32),
}

impl From<BoxError> for NoLine {
    fn from(error: BoxError) -> Self {
        Self::Failed(error)
    }
}

/// Balancers do not keep the limit of an endpoint that is gone: its member may have another.
impl Drop for Pool {
    fn drop(&mut self) {
        self.capacity.set(None);
    }
}

/// Which requests a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum For {
    Any,
    /// A request that was not processed on that connection, and wants a younger one; any, if
    /// no more may be opened.
    After(u32),
    /// One that this has happened to more than once: it wants to be the first on its own.
    Itself,
}

impl Pool {
    /// Keeps so many idle connections at `most`; with 0, each request has its own. So many
    /// are shared at most, if the member speaks HTTP/2.
    pub(super) fn new(most: usize, shared: usize, speaks: Option<bool>, life: Duration) -> Self {
        let open = OpenConnections {
            idle: Vec::new(),
            shared: MemberStreams::new(shared),
            looks: 0,
            watched: false,
        };
        let speaks = speaks.map_or(UNKNOWN, |two| if two { HTTP_2 } else { HTTP_1 });
        Self {
            open: Mutex::new(open),
            opening: tokio::sync::Mutex::default(),
            speaks: AtomicU32::new(speaks),
            most,
            life,
            capacity: Capacity::default(),
            changed: Arc::default(),
        }
    }

    /// An open connection, if there is one.
    pub(super) fn take(&self) -> Option<MemberConnection> {
        if self.speaks.load(Relaxed) == HTTP_2 {
            return match self.find(None) {
                StreamChoice::Line(line) => Some(MemberConnection::Http2(line)),
                _ => None,
            };
        }
        let mut open = self.open.lock();
        while let Some((line, _)) = open.idle.pop() {
            if !line.sender.is_closed() {
                return Some(MemberConnection::Http1(line));
            }
        }
        None
    }

    /// Notified when something has changed.
    pub(super) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Tells the balancers that have met the limit if there is more room now, or less.
    fn tell_room(&self) {
        let mut gone = Vec::new();
        let room = self.open.lock().shared.room(&mut gone);
        drop(gone);
        self.capacity.set(room);
    }

    fn find(&self, after: Option<u32>) -> StreamChoice {
        let mut gone = Vec::new();
        let mut open = self.open.lock();
        let looks = open.looks;
        let found = open.shared.find(looks, after, &mut gone);
        drop(open);
        drop(gone);
        found
    }

    /// Closes those that the member has closed.
    pub(super) fn sort_out(&self) {
        let mut open = self.open.lock();
        let dead = open.weed(|_| true);
        drop(open);
        drop(dead);
    }

    /// Opens a connection, or has room on one that was opened meanwhile. Only one that may
    /// be shared is waited for.
    pub(super) async fn open(
        &self,
        connect: impl Future<Output = Result<MemberConnection, BoxError>>,
        whom: For,
    ) -> Result<MemberConnection, NoLine> {
        let alone = self.most == 0 || whom == For::Itself;
        if alone || self.speaks.load(Relaxed) == HTTP_1 {
            return Ok(self.share(connect.await?));
        }
        let after = match whom {
            For::After(number) => Some(number),
            For::Any | For::Itself => None,
        };
        let opening = self.opening.lock().await;
        if self.speaks.load(Relaxed) == HTTP_1 {
            drop(opening);
            return Ok(self.share(connect.await?));
        }
        loop {
            match self.find(after) {
                StreamChoice::Line(line) => return Ok(MemberConnection::Http2(line)),
                StreamChoice::New(peer) => peer.settle().await,
                StreamChoice::Full(allowed) => return Err(NoLine::Full(allowed)),
                StreamChoice::None => return Ok(self.share(connect.await?)),
            }
        }
    }

    /// Has others share a connection, if that is possible; returns the opener's handle.
    fn share(&self, line: MemberConnection) -> MemberConnection {
        let MemberConnection::Http2(line) = line else {
            self.speaks.store(HTTP_1, Relaxed);
            return line;
        };
        self.speaks.store(HTTP_2, Relaxed);
        let own = line.with_stream();
        if self.most > 0 {
            let mut open = self.open.lock();
            let looks = open.looks;
            open.shared.add(line, looks);
        }
        MemberConnection::Http2(own)
    }

    /// Lays a connection down for the next request.
    pub(super) fn put(self: &Arc<Self>, line: Http1Line) {
        let mut open = self.open.lock();
        if open.idle.len() >= self.most || line.sender.is_closed() {
            drop(open);
            return;
        }
        let looks = open.looks;
        open.idle.push((line, looks));
        if !open.watched {
            drop(open);
            self.see_to();
        }
    }

    /// Sees to it that connections that are needed no more are closed.
    pub(super) fn see_to(self: &Arc<Self>) {
        let watched = std::mem::replace(&mut self.open.lock().watched, true);
        if !watched {
            tokio::spawn(watch(Arc::downgrade(self), self.changed(), self.life));
        }
    }
}

impl OpenConnections {
    /// Takes out those that have been idle for too long, for the caller to drop.
    fn look(&mut self) -> Old {
        self.looks = self.looks.wrapping_add(1);
        let looks = self.looks;
        let is_young = |since: u32| looks.wrapping_sub(since) <= LIVES;
        let mut gone = Vec::new();
        self.shared.look(looks, is_young, &mut gone);
        (self.weed(is_young), gone)
    }

    /// Takes out those that are not to be kept, and those that the member has closed, which
    /// nobody else would notice.
    fn weed(&mut self, keep: impl Fn(u32) -> bool) -> Vec<Http1Line> {
        let mut weeded = Vec::new();
        for (mut line, since) in std::mem::take(&mut self.idle) {
            if keep(since) && line.is_alive() {
                self.idle.push((line, since));
            } else {
                weeded.push(line);
            }
        }
        weeded
    }
}

type Old = (Vec<Http1Line>, Vec<Http2Line>);

/// The time from one look to the next. A life of zero is none to look for without a pause.
fn between_looks(life: Duration) -> Duration {
    (life / LIVES).max(Duration::from_millis(10))
}

/// Closes connections that have been idle for too long, until there are none.
async fn watch(pool: Weak<Pool>, changed: Arc<Notify>, life: Duration) {
    let pause = between_looks(life);
    let mut look = Instant::now() + pause;
    loop {
        tokio::select! {
            () = sleep_until(look) => {}
            () = changed.notified() => {}
        }
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let mut done = false;
        if Instant::now() >= look {
            look = Instant::now() + pause;
            let mut open = pool.open.lock();
            let old = open.look();
            open.watched = !open.idle.is_empty() || !open.shared.is_empty();
            done = !open.watched;
            drop(open);
            drop(old);
        }
        pool.tell_room();
        if done {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::between_looks;
    use std::time::Duration;

    #[test]
    fn there_is_a_pause_between_looks_however_short_an_idle_life_is() {
        assert_eq!(between_looks(Duration::from_secs(15)).as_millis(), 7_500);
        assert_eq!(between_looks(Duration::ZERO).as_millis(), 10);
    }
}
