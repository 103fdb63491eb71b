//! The connections to one member that are open: [`Pool`].
//!
//! HTTP/1.1 connections wait on a stack, so that those that are not needed stay idle and
//! are closed; one HTTP/2 connection is shared by all. hyper-util's pool services do the
//! same, but have no names to keep them by, and no end of an idle connection's life.
//!
//! What does not live here: opening them (`connect`).

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Shared;
use super::line::{Http1Line, Http2Line, Line};
use crate::service::BoxError;
use crate::sync::{AtomicU32, Mutex, Relaxed};

/// Open connections to one member.
#[derive(Debug)]
pub(super) struct Pool {
    open: Mutex<Open>,
    /// Held while the one that all share is opened.
    opening: tokio::sync::Mutex<()>,
    /// Whether the last that was opened speaks HTTP/2: then the others wait for it.
    // Relaxed: a hint; the connection itself is under a lock.
    speaks_2: AtomicU32,
    most: usize,
}

/// Halves of an idle life between the looks at who has been idle for too long.
const LIVES: u32 = 2;

#[derive(Debug, Default)]
struct Open {
    /// Those that nobody uses, and since which look.
    idle: Vec<(Http1Line, u32)>,
    /// The one that all share, if the member speaks HTTP/2, and when it was last seen in
    /// use.
    shared: Option<(Http2Line, u32)>,
    /// How often somebody has looked.
    looks: u32,
    watched: bool,
}

impl Pool {
    /// Keeps so many idle connections at `most`; with 0, each request has its own.
    pub(super) fn new(most: usize, expects_2: bool) -> Self {
        Self {
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            speaks_2: AtomicU32::new(u32::from(expects_2)),
            most,
        }
    }

    /// An open connection, if there is one.
    pub(super) fn take(&self) -> Option<Line> {
        let mut open = self.open.lock();
        if self.speaks_2.load(Relaxed) == 1 {
            return open.take_shared();
        }
        while let Some((line, _)) = open.idle.pop() {
            if !line.sender.is_closed() {
                return Some(Line::Http1(line));
            }
        }
        None
    }

    /// Shares a connection no more that is at its end.
    pub(super) fn forget(&self, line: &Http2Line) {
        let mut open = self.open.lock();
        let forgotten = open.shared.take_if(|(shared, _)| shared.is(line));
        drop(open);
        drop(forgotten);
    }

    /// Closes those that the member has closed.
    pub(super) fn sort_out(&self) {
        let mut open = self.open.lock();
        let dead = open.weed(|_| true);
        drop(open);
        drop(dead);
    }

    /// Opens a connection, or has one that somebody else has opened meanwhile.
    pub(super) async fn open(
        &self,
        connect: impl Future<Output = Result<Line, BoxError>>,
    ) -> Result<Line, BoxError> {
        if self.speaks_2.load(Relaxed) == 0 || self.most == 0 {
            let line = connect.await?;
            self.share(&line);
            return Ok(line);
        }
        let _opening = self.opening.lock().await;
        if let Some(line) = self.open.lock().take_shared() {
            return Ok(line);
        }
        let line = connect.await?;
        self.share(&line);
        Ok(line)
    }

    fn share(&self, line: &Line) {
        let speaks_2 = matches!(line, Line::Http2(_));
        self.speaks_2.store(u32::from(speaks_2), Relaxed);
        if let (Line::Http2(line), true) = (line, self.most > 0) {
            let mut open = self.open.lock();
            let looks = open.looks;
            open.shared = Some((line.clone(), looks));
        }
    }
}

impl Open {
    fn take_shared(&mut self) -> Option<Line> {
        let (line, used) = self.shared.as_mut()?;
        if line.sender.is_closed() {
            self.shared = None;
            return None;
        }
        *used = self.looks;
        Some(Line::Http2(line.clone()))
    }

    /// Takes out those that have been idle for too long, for the caller to drop.
    fn look(&mut self) -> Old {
        self.looks = self.looks.wrapping_add(1);
        let looks = self.looks;
        let is_young = |since: u32| looks.wrapping_sub(since) <= LIVES;
        let old = self.weed(is_young);
        if let Some((line, used)) = &mut self.shared {
            if line.is_in_use() {
                *used = looks;
            }
        }
        let is_old =
            |(line, used): &mut (Http2Line, u32)| !is_young(*used) || line.sender.is_closed();
        (old, self.shared.take_if(is_old))
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

type Old = (Vec<Http1Line>, Option<(Http2Line, u32)>);

/// Lays a connection down for the next request.
pub(super) fn put(endpoint: &Arc<Shared>, line: Http1Line) {
    let pool = &endpoint.pool;
    let mut open = pool.open.lock();
    if open.idle.len() >= pool.most || line.sender.is_closed() {
        drop(open);
        return;
    }
    let looks = open.looks;
    open.idle.push((line, looks));
    if !open.watched {
        drop(open);
        see_to(endpoint);
    }
}

/// Sees to it that connections which nobody needs any more are closed.
pub(super) fn see_to(endpoint: &Arc<Shared>) {
    let watched = std::mem::replace(&mut endpoint.pool.open.lock().watched, true);
    if !watched {
        tokio::spawn(watch(Arc::downgrade(endpoint), endpoint.idle_life));
    }
}

/// Closes connections that have been idle for too long, until there are none.
async fn watch(endpoint: Weak<Shared>, life: Duration) {
    loop {
        tokio::time::sleep(life / LIVES).await;
        let Some(endpoint) = endpoint.upgrade() else {
            return;
        };
        let mut open = endpoint.pool.open.lock();
        let old = open.look();
        open.watched = !open.idle.is_empty() || open.shared.is_some();
        let done = !open.watched;
        drop(open);
        drop(old);
        if done {
            return;
        }
    }
}
