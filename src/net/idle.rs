//! Idle connections that can be closed when another client waits, like nginx's reusable
//! connections: [`IdleConnections`].
//!
//! Not here: when a connection is idle and how it ends. Its protocol decides
//! that ([`Evictable`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use crate::sync::Mutex;

/// A connection that can be idle.
pub(crate) trait Evictable: fmt::Debug + Send + Sync {
    /// Returns since when it has been idle; `None` if it is not idle or cannot be closed.
    fn idle_since(&self) -> Option<Instant>;

    /// Marks it as evicted. The caller wakes its task next, and the task ends it if it is
    /// still idle.
    fn evict(&self);

    fn is_evicted(&self) -> bool;
}

/// The number of longest-idle connections that are remembered, so that not every waiting
/// client causes a scan of all connections.
const REMEMBERED: usize = 32;

/// The connections of one listener that can be idle. Each connection enters once; its state
/// is only read when a client waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdleConnections(Arc<Mutex<Connections>>);

#[derive(Debug, Default)]
struct Connections {
    next: u64,
    all: HashMap<u64, Entered>,
    /// The connections that had been idle the longest, with the time since when; the
    /// longest is last.
    longest: Vec<(Instant, u64)>,
}

#[derive(Debug)]
struct Entered {
    connection: Arc<dyn Evictable>,
    /// The waker of the task that serves it.
    waker: Waker,
}

impl IdleConnections {
    /// Adds a connection until the entry is dropped.
    #[cfg_attr(
        not(any(test, feature = "proxy")),
        expect(dead_code, reason = "for HTTP")
    )]
    pub(crate) fn enter(&self, connection: Arc<dyn Evictable>, waker: &Waker) -> IdleEntry {
        let waker = waker.clone();
        let entered = Entered { connection, waker };
        let mut connections = self.0.lock();
        let number = connections.next;
        connections.next += 1;
        connections.all.insert(number, entered);
        IdleEntry {
            idle: self.clone(),
            number,
        }
    }

    /// Evicts the connection that has been idle the longest, if there is one. A connection
    /// that receives a request before its task wakes does not end.
    pub(super) fn evict_longest(&self) {
        let waker = self.0.lock().evict_longest();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Connections {
    fn evict_longest(&mut self) -> Option<Waker> {
        if let Some(waker) = self.evict_remembered() {
            return Some(waker);
        }
        self.look_at_all();
        self.evict_remembered()
    }

    fn evict_remembered(&mut self) -> Option<Waker> {
        while let Some((since, number)) = self.longest.pop() {
            if let Some(Entered { connection, waker }) = self.all.get(&number) {
                if connection.idle_since() == Some(since) && !connection.is_evicted() {
                    connection.evict();
                    return Some(waker.clone());
                }
            }
        }
        None
    }

    fn look_at_all(&mut self) {
        let idle = self.all.iter().filter_map(|(number, entered)| {
            let since = entered.connection.idle_since()?;
            (!entered.connection.is_evicted()).then_some((since, *number))
        });
        self.longest.extend(idle);
        if self.longest.len() > REMEMBERED {
            self.longest.select_nth_unstable(REMEMBERED);
            self.longest.truncate(REMEMBERED);
            self.longest.shrink_to(REMEMBERED);
        }
        self.longest.sort_unstable_by(|one, other| other.cmp(one));
    }
}

/// A connection among the [`IdleConnections`].
#[derive(Debug)]
pub(crate) struct IdleEntry {
    idle: IdleConnections,
    number: u64,
}

impl Drop for IdleEntry {
    fn drop(&mut self) {
        // Dropped outside the lock, because it contains a waker.
        let _left = self.idle.0.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::{Evictable, IdleConnections, IdleEntry, REMEMBERED};
    use crate::sync::Mutex;
    use std::sync::Arc;
    use std::task::Waker;
    use std::time::Duration;
    use tokio::time::{Instant, advance};

    /// Since when it has been idle, and whether it was evicted.
    #[derive(Debug, Default)]
    struct Connection(Mutex<(Option<Instant>, bool)>);

    impl Connection {
        fn rests(&self) {
            self.0.lock().0 = Some(Instant::now());
        }

        fn works(&self) {
            self.0.lock().0 = None;
        }
    }

    impl Evictable for Connection {
        fn idle_since(&self) -> Option<Instant> {
            self.0.lock().0
        }

        fn evict(&self) {
            self.0.lock().1 = true;
        }

        fn is_evicted(&self) -> bool {
            self.0.lock().1
        }
    }

    fn enter(idle: &IdleConnections) -> (Arc<Connection>, IdleEntry) {
        let connection = Arc::new(Connection::default());
        let entry = idle.enter(connection.clone(), Waker::noop());
        (connection, entry)
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_of_many_are_evicted_in_their_order() {
        let idle = IdleConnections::default();
        let many: Vec<_> = (0..3 * REMEMBERED).map(|_| enter(&idle)).collect();
        for (connection, _) in many.iter().rev() {
            advance(Duration::from_millis(10)).await;
            connection.rests();
        }
        for at in (0..many.len()).rev() {
            idle.evict_longest();
            let evicted = |(one, _): &(Arc<Connection>, IdleEntry)| one.is_evicted();
            assert_eq!(many.iter().position(evicted), Some(at));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_idle_or_has_left_is_not_evicted() {
        let idle = IdleConnections::default();
        let (busy, _busy) = enter(&idle);
        let (gone, left) = enter(&idle);
        let (back, _back) = enter(&idle);
        gone.rests();
        back.rests();
        drop(left);
        back.works();
        idle.evict_longest();
        assert!(![busy, gone, back].iter().any(|one| one.is_evicted()));
    }
}
