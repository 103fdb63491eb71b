//! The connections to one member that are open: [`Pool`].
//!
//! HTTP/1.1 connections wait on a stack, so that those that are not needed stay idle and
//! are closed; one HTTP/2 connection is shared by all. hyper-util's pool services do the
//! same, but have no names to keep them by, and no end of an idle connection's life.
//!
//! What does not live here: opening them (`connect`).

use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::client::conn::http2;

use super::Shared;
use super::line::{Http1Line, Line};
use super::outgoing::Outgoing;
use crate::service::BoxError;
use crate::sync::{AtomicU32, Mutex, Relaxed};

/// Open connections to one member.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Idle>,
    /// The one that all share, if the member speaks HTTP/2.
    shared: Mutex<Option<http2::SendRequest<Outgoing>>>,
    /// Held while that one is opened.
    opening: tokio::sync::Mutex<()>,
    /// Whether the last that was opened speaks HTTP/2: then the others wait for it.
    // Relaxed: a hint; the connection itself is under a lock.
    speaks_2: AtomicU32,
}

/// Halves of an idle life between the looks at who has been idle for too long.
const LIVES: u32 = 2;

#[derive(Debug, Default)]
struct Idle {
    lines: Vec<(Http1Line, u32)>,
    /// How often somebody has looked.
    looks: u32,
    watched: bool,
}

impl Pool {
    pub(super) fn new(expects_2: bool) -> Self {
        Self {
            idle: Mutex::default(),
            shared: Mutex::new(None),
            opening: tokio::sync::Mutex::default(),
            speaks_2: AtomicU32::new(u32::from(expects_2)),
        }
    }

    /// An open connection, if there is one.
    pub(super) fn take(&self) -> Option<Line> {
        if self.speaks_2.load(Relaxed) == 1 {
            return self.take_shared();
        }
        let mut idle = self.idle.lock();
        while let Some((line, _)) = idle.lines.pop() {
            if !line.sender.is_closed() {
                return Some(Line::Http1(line));
            }
        }
        None
    }

    fn take_shared(&self) -> Option<Line> {
        let mut shared = self.shared.lock();
        match &*shared {
            Some(sender) if !sender.is_closed() => Some(Line::Http2(sender.clone())),
            _ => {
                *shared = None;
                None
            }
        }
    }

    /// Opens a connection, or has one that somebody else has opened meanwhile.
    pub(super) async fn open(
        &self,
        connect: impl Future<Output = Result<Line, BoxError>>,
    ) -> Result<Line, BoxError> {
        if self.speaks_2.load(Relaxed) == 0 {
            let line = connect.await?;
            self.share(&line);
            return Ok(line);
        }
        let _opening = self.opening.lock().await;
        if let Some(line) = self.take_shared() {
            return Ok(line);
        }
        let line = connect.await?;
        self.share(&line);
        Ok(line)
    }

    fn share(&self, line: &Line) {
        if let Line::Http2(sender) = line {
            *self.shared.lock() = Some(sender.clone());
        }
        let speaks_2 = matches!(line, Line::Http2(_));
        self.speaks_2.store(u32::from(speaks_2), Relaxed);
    }
}

/// Lays a connection down for the next request.
pub(super) fn put(endpoint: &Arc<Shared>, line: Http1Line) {
    let (most, life) = (endpoint.max_idle, endpoint.idle_life);
    if most == 0 || line.sender.is_closed() {
        return;
    }
    let mut idle = endpoint.pool.idle.lock();
    if idle.lines.len() >= most {
        return;
    }
    let looks = idle.looks;
    idle.lines.push((line, looks));
    if !std::mem::replace(&mut idle.watched, true) {
        drop(idle);
        tokio::spawn(watch(Arc::downgrade(endpoint), life));
    }
}

/// Closes connections that have been idle for too long, until there are none.
async fn watch(endpoint: Weak<Shared>, life: Duration) {
    loop {
        tokio::time::sleep(life / LIVES).await;
        let Some(endpoint) = endpoint.upgrade() else {
            return;
        };
        let mut idle = endpoint.pool.idle.lock();
        idle.looks = idle.looks.wrapping_add(1);
        let looks = idle.looks;
        let is_young = |since: u32| looks.wrapping_sub(since) <= LIVES;
        let lines = std::mem::take(&mut idle.lines);
        let (young, old) = lines
            .into_iter()
            .partition::<Vec<_>, _>(|(line, since)| is_young(*since) && !line.sender.is_closed());
        idle.lines = young;
        let done = idle.lines.is_empty();
        if done {
            idle.watched = false;
        }
        drop(idle);
        drop(old);
        if done {
            return;
        }
    }
}
