//! The open connections to one member: [`Pool`].
//!
//! Idle HTTP/1.1 connections are kept on a stack, so that surplus ones stay idle and are
//! closed. HTTP/2 connections are shared (`streams`). hyper-util's pool services are
//! similar, but they have no keys and do not limit an idle connection's lifetime.
//!
//! Not here: opening connections (`connect`).

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::member_connection::{Http1Connection, Http2Connection, MemberConnection};
use super::streams::{MemberStreams, StreamChoice};
use crate::service::{BoxError, Capacity};
use crate::sync::{AtomicU32, Mutex, Relaxed};

/// Open connections to one member.
#[derive(Debug)]
pub(super) struct Pool {
    open: Mutex<OpenConnections>,
    /// Held while a connection that can be shared is opened.
    opening: tokio::sync::Mutex<()>,
    /// The protocol of the last connection that was opened. If it is HTTP/2, other requests
    /// wait for it.
    // Relaxed: a hint; the connection itself is under a lock.
    protocol: AtomicU32,
    most: usize,
    /// How long a connection may be idle.
    idle_lifetime: Duration,
    /// The balancers that learn how many requests there is room for.
    pub(super) capacity: Capacity,
    /// Notified when a member has announced something about a connection, or has closed it.
    changed: Arc<Notify>,
}

/// The member's protocol, as far as it is known.
const HTTP_1: u32 = 1;
const HTTP_2: u32 = 2;
const UNKNOWN: u32 = 0;

/// Idle connections are checked this often per idle lifetime.
const CHECKS_PER_LIFETIME: u32 = 2;

#[derive(Debug)]
struct OpenConnections {
    /// Idle connections, each with the number of the check since which it is idle.
    idle: Vec<(Http1Connection, u32)>,
    /// Shared connections, if the member speaks HTTP/2.
    shared: MemberStreams,
    /// The number of checks so far.
    checks: u32,
    watched: bool,
}

/// Why there is no connection for a request.
#[derive(Debug)]
pub(super) enum NoConnection {
    Failed(BoxError),
    /// The maximum number of concurrent requests, which is reached.
    Full(u32),
}

impl From<BoxError> for NoConnection {
    fn from(error: BoxError) -> Self {
        Self::Failed(error)
    }
}

/// Balancers forget the limit of an endpoint that is gone: its member may have another.
impl Drop for Pool {
    fn drop(&mut self) {
        self.capacity.set(None);
    }
}

/// Which connections are suitable for a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ConnectionChoice {
    Any,
    /// For a request that was not processed on that connection: a younger one; any, if no
    /// more may be opened.
    After(u32),
    /// For a request to which this has happened more than once: a new one, on which it is
    /// the first.
    Own,
}

impl Pool {
    /// Keeps up to `most` idle connections; with 0, each request has its own. Up to
    /// `shared` connections are shared, if the member speaks HTTP/2.
    pub(super) fn new(
        most: usize,
        shared: usize,
        protocol: Option<bool>,
        idle_lifetime: Duration,
    ) -> Self {
        let open = OpenConnections {
            idle: Vec::new(),
            shared: MemberStreams::new(shared),
            checks: 0,
            watched: false,
        };
        let protocol = protocol.map_or(UNKNOWN, |two| if two { HTTP_2 } else { HTTP_1 });
        Self {
            open: Mutex::new(open),
            opening: tokio::sync::Mutex::default(),
            protocol: AtomicU32::new(protocol),
            most,
            idle_lifetime,
            capacity: Capacity::default(),
            changed: Arc::default(),
        }
    }

    /// Returns an open connection, if there is one.
    pub(super) fn take(&self) -> Option<MemberConnection> {
        if self.protocol.load(Relaxed) == HTTP_2 {
            return match self.find(None) {
                StreamChoice::Connection(connection) => Some(MemberConnection::Http2(connection)),
                _ => None,
            };
        }
        let mut open = self.open.lock();
        while let Some((connection, _)) = open.idle.pop() {
            if !connection.sender.is_closed() {
                return Some(MemberConnection::Http1(connection));
            }
        }
        None
    }

    /// Notified when something has changed.
    pub(super) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Reports changes in free capacity to the balancers that have met the limit.
    fn report_room(&self) {
        let mut gone = Vec::new();
        let room = self.open.lock().shared.room(&mut gone);
        drop(gone);
        self.capacity.set(room);
    }

    fn find(&self, after: Option<u32>) -> StreamChoice {
        let mut gone = Vec::new();
        let mut open = self.open.lock();
        let checks = open.checks;
        let found = open.shared.find(checks, after, &mut gone);
        drop(open);
        drop(gone);
        found
    }

    /// Drops the connections that the member has closed.
    pub(super) fn remove_closed(&self) {
        let mut open = self.open.lock();
        let dead = open.remove_unless(|_| true);
        drop(open);
        drop(dead);
    }

    /// Opens a connection, or uses one that was opened meanwhile. Only the opening of a
    /// connection that can be shared is waited for.
    pub(super) async fn open(
        &self,
        connect: impl Future<Output = Result<MemberConnection, BoxError>>,
        choice: ConnectionChoice,
    ) -> Result<MemberConnection, NoConnection> {
        let alone = self.most == 0 || choice == ConnectionChoice::Own;
        if alone || self.protocol.load(Relaxed) == HTTP_1 {
            return Ok(self.share(connect.await?));
        }
        let after = match choice {
            ConnectionChoice::After(number) => Some(number),
            ConnectionChoice::Any | ConnectionChoice::Own => None,
        };
        let opening = self.opening.lock().await;
        if self.protocol.load(Relaxed) == HTTP_1 {
            drop(opening);
            return Ok(self.share(connect.await?));
        }
        loop {
            match self.find(after) {
                StreamChoice::Connection(connection) => {
                    return Ok(MemberConnection::Http2(connection));
                }
                StreamChoice::New(peer) => peer.settle().await,
                StreamChoice::Full(allowed) => return Err(NoConnection::Full(allowed)),
                StreamChoice::None => return Ok(self.share(connect.await?)),
            }
        }
    }

    /// Shares a connection, if it can be shared; returns the handle for the request that
    /// opened it.
    fn share(&self, connection: MemberConnection) -> MemberConnection {
        let MemberConnection::Http2(connection) = connection else {
            self.protocol.store(HTTP_1, Relaxed);
            return connection;
        };
        self.protocol.store(HTTP_2, Relaxed);
        let own = connection.with_stream();
        if self.most > 0 {
            let mut open = self.open.lock();
            let checks = open.checks;
            open.shared.add(connection, checks);
        }
        MemberConnection::Http2(own)
    }

    /// Returns a connection to the pool for the next request, or closes it if it takes none.
    pub(super) fn put(self: &Arc<Self>, connection: Http1Connection) {
        if connection.is_last {
            return;
        }
        let mut open = self.open.lock();
        if open.idle.len() >= self.most || connection.sender.is_closed() {
            drop(open);
            return;
        }
        let checks = open.checks;
        open.idle.push((connection, checks));
        if !open.watched {
            drop(open);
            self.start_reaper();
        }
    }

    /// Starts the task that closes surplus connections.
    pub(super) fn start_reaper(self: &Arc<Self>) {
        let watched = std::mem::replace(&mut self.open.lock().watched, true);
        if !watched {
            tokio::spawn(watch(
                Arc::downgrade(self),
                self.changed(),
                self.idle_lifetime,
            ));
        }
    }
}

impl OpenConnections {
    /// Removes the connections that have been idle for too long, for the caller to drop.
    fn remove_idle(&mut self) -> ExpiredConnections {
        self.checks = self.checks.wrapping_add(1);
        let checks = self.checks;
        let is_young = |since: u32| checks.wrapping_sub(since) <= CHECKS_PER_LIFETIME;
        let mut gone = Vec::new();
        self.shared.remove_idle(checks, is_young, &mut gone);
        (self.remove_unless(is_young), gone)
    }

    /// Removes connections that are not to be kept, and those that the member has closed,
    /// which would go unnoticed otherwise.
    fn remove_unless(&mut self, keep: impl Fn(u32) -> bool) -> Vec<Http1Connection> {
        let mut weeded = Vec::new();
        for (mut connection, since) in std::mem::take(&mut self.idle) {
            if keep(since) && connection.is_alive() {
                self.idle.push((connection, since));
            } else {
                weeded.push(connection);
            }
        }
        weeded
    }
}

type ExpiredConnections = (Vec<Http1Connection>, Vec<Http2Connection>);

/// Returns the time between two checks. It is never zero, so that the checks do not loop
/// without a pause.
fn check_interval(idle_lifetime: Duration) -> Duration {
    (idle_lifetime / CHECKS_PER_LIFETIME).max(Duration::from_millis(10))
}

/// Closes connections that have been idle for too long, until none are left.
async fn watch(pool: Weak<Pool>, changed: Arc<Notify>, idle_lifetime: Duration) {
    let pause = check_interval(idle_lifetime);
    let mut next_check = Instant::now() + pause;
    loop {
        tokio::select! {
            () = sleep_until(next_check) => {}
            () = changed.notified() => {}
        }
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let mut done = false;
        if Instant::now() >= next_check {
            next_check = Instant::now() + pause;
            let mut open = pool.open.lock();
            let old = open.remove_idle();
            open.watched = !open.idle.is_empty() || !open.shared.is_empty();
            done = !open.watched;
            drop(open);
            drop(old);
        }
        pool.report_room();
        if done {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check_interval;
    use std::time::Duration;

    #[test]
    fn there_is_a_pause_between_looks_however_short_an_idle_life_is() {
        assert_eq!(check_interval(Duration::from_secs(15)).as_millis(), 7_500);
        assert_eq!(check_interval(Duration::ZERO).as_millis(), 10);
    }
}
