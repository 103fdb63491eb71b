//! Observers that are added and dropped while requests begin and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::super::Balancer;
use super::super::events::{Event, EventKind, Interest, Observer};
use super::{check, join, one, picked, spawn};
use crate::member::MemberSpec;

/// Counts picks and ends. It is not modelled: it is read only after the threads have ended.
#[derive(Clone, Default)]
struct Count {
    wants: Interest,
    picks: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
}

impl Count {
    fn of(wants: Interest) -> Self {
        Self {
            wants,
            ..Self::default()
        }
    }

    fn take(&self) -> (u32, u32) {
        (self.picks.swap(0, Relaxed), self.ended.swap(0, Relaxed))
    }

    /// Whether the balancer has dropped it.
    fn is_gone(&self) -> bool {
        Arc::strong_count(&self.picks) == 1
    }
}

impl Observer for Count {
    fn observe(&self, event: &Event<'_>) {
        match event.kind {
            EventKind::Picked { .. } => self.picks.fetch_add(1, Relaxed),
            EventKind::Ended(_) => self.ended.fetch_add(1, Relaxed),
            _ => 0,
        };
    }

    fn interest(&self) -> Interest {
        self.wants
    }
}

const BOTH: Interest = Interest::PICKED.union(Interest::ENDED);

fn visit(balancer: &Balancer<()>) {
    drop(picked(balancer));
}

#[test]
fn loom_an_observer_added_during_a_request_receives_what_begins_afterwards() {
    check(|| {
        let (balancer, count) = (one(MemberSpec::new()), Count::of(BOTH));
        let other = balancer.clone();
        let visiting = spawn(move || visit(&other));
        let observing = balancer.observe(count.clone());
        visit(&balancer);
        join(visiting);

        let (picks, ended) = count.take();
        assert!((1..=2).contains(&picks) && (1..=2).contains(&ended));
        assert!(ended >= picks, "a reported pick has a reported end");
        drop(observing);
        visit(&balancer);
        assert_eq!(count.take(), (0, 0));
        assert!(count.is_gone());
    });
}

#[test]
fn loom_an_observer_dropped_during_events_receives_nothing_afterwards() {
    check(|| {
        let (balancer, count) = (one(MemberSpec::new()), Count::of(BOTH));
        let observing = balancer.observe(count.clone());
        let other = balancer.clone();
        let visiting = spawn(move || visit(&other));
        drop(observing);
        join(visiting);

        let (picks, ended) = count.take();
        assert!(ended <= picks && picks <= 1);
        visit(&balancer);
        assert_eq!(count.take(), (0, 0));
        assert!(count.is_gone());
    });
}

#[test]
fn loom_an_observer_added_while_another_is_dropped_receives_everything() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let (early, late) = (Count::of(BOTH), Count::of(Interest::ENDED));
        let observing = balancer.observe(early.clone());
        let dropping = spawn(move || drop(observing));
        balancer.observe(late.clone()).detach();
        visit(&balancer);
        join(dropping);

        assert_eq!(late.take(), (0, 1));
        assert!(early.is_gone());
        early.take();
        visit(&balancer);
        assert_eq!((early.take(), late.take()), ((0, 0), (0, 1)));
    });
}
