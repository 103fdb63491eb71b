//! Connections of a server that can be closed when another client waits for a place:
//! [`IdleConnections`], as nginx does with its reusable connections.
//!
//! What does not live here: when a connection is idle (`line`), and how it ends
//! (`connection`).

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use super::line::Line;
use crate::sync::Mutex;

/// So many of those that have been idle the longest are remembered, so that not each client
/// that waits has all connections looked at.
const REMEMBERED: usize = 32;

/// All connections of a server whose HTTP has begun. A connection enters once; what it does
/// after that is read from its [`Line`] only when a place is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct IdleConnections(Arc<Mutex<Connections>>);

#[derive(Debug, Default)]
struct Connections {
    next: u64,
    all: HashMap<u64, Entered>,
    /// Those that had been idle the longest, and since when; the longest last.
    longest: Vec<(Instant, u64)>,
}

#[derive(Debug)]
struct Entered {
    line: Arc<Line>,
    /// Of the task that serves it.
    waker: Waker,
}

impl IdleConnections {
    /// Adds a connection until the entry is dropped.
    pub(super) fn enter(&self, line: &Arc<Line>, waker: &Waker) -> Entry {
        let (line, waker) = (line.clone(), waker.clone());
        let entered = Entered { line, waker };
        let mut connections = self.0.lock();
        let number = connections.next;
        connections.next += 1;
        connections.all.insert(number, entered);
        Entry {
            idle: self.clone(),
            number,
        }
    }

    /// Tells the connection that has been idle the longest to end, if there is one. If a
    /// request arrives there first, it does not end.
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
            if let Some(Entered { line, waker }) = self.all.get(&number) {
                if line.idle_since() == Some(since) && !line.is_evicted() {
                    line.evict();
                    return Some(waker.clone());
                }
            }
        }
        None
    }

    fn look_at_all(&mut self) {
        let idle = self.all.iter().filter_map(|(number, entered)| {
            let since = entered.line.idle_since()?;
            (!entered.line.is_evicted()).then_some((since, *number))
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
pub(super) struct Entry {
    idle: IdleConnections,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Dropped without the lock: there is a waker in it.
        let _left = self.idle.0.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, IdleConnections, REMEMBERED};
    use crate::proxy::server::line::{Line, Patience};
    use std::sync::Arc;
    use std::task::Waker;
    use std::time::Duration;
    use tokio::time::advance;

    fn enter(idle: &IdleConnections) -> (Arc<Line>, Entry) {
        let limit = Duration::from_secs(60);
        let patience = Patience {
            head: limit,
            idle: limit,
            reading: limit,
            half_closed: limit,
        };
        let line = Arc::new(Line::new(patience, u32::MAX, 0));
        let entry = idle.enter(&line, Waker::noop());
        (line, entry)
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_of_many_are_evicted_in_their_order() {
        let idle = IdleConnections::default();
        let many: Vec<_> = (0..3 * REMEMBERED).map(|_| enter(&idle)).collect();
        for (line, _) in many.iter().rev() {
            advance(Duration::from_millis(10)).await;
            line.request_begins();
            line.request_ends();
        }
        for at in (0..many.len()).rev() {
            idle.evict_longest();
            let evicted = |(line, _): &(Arc<Line>, Entry)| line.is_evicted();
            assert_eq!(many.iter().position(evicted), Some(at));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_sent_nothing_or_is_answered_or_has_left_is_not_evicted() {
        let idle = IdleConnections::default();
        let (new, _new) = enter(&idle);
        let (busy, _busy) = enter(&idle);
        busy.request_begins();
        let (gone, left) = enter(&idle);
        let (back, _back) = enter(&idle);
        for line in [&gone, &back] {
            line.request_begins();
            line.request_ends();
        }
        drop(left);
        back.request_begins();
        idle.evict_longest();
        assert!(![new, busy, gone, back].iter().any(|line| line.is_evicted()));
    }
}
