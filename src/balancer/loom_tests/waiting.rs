//! Waiting: no wake is lost when other requests join, leave or are served meanwhile.

use std::future;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};

use super::super::{Balancer, MembersReady, PickRequest};
use super::{InLine, Task, capped, check, empty, in_flight, in_line, join, one, picked, spawn};
use crate::member::{Flag, MemberSpec};

#[test]
fn loom_a_waiter_that_joins_while_the_last_place_is_given_back_is_served() {
    check(|| {
        let balancer = one(capped(1));
        let lease = picked(&balancer);
        let ending = spawn(move || drop(lease));
        let mut waiter = in_line(&balancer);
        let mut served = waiter.poll();
        join(ending);

        if served.is_pending() {
            assert!(waiter.is_woken());
            served = waiter.poll();
        }
        assert!(matches!(served, Poll::Ready(Ok(_))));
        assert_eq!(in_flight(&balancer, "a"), 1);
        drop((served, waiter));
        drop(picked(&balancer));
        assert_eq!(in_flight(&balancer, "a"), 0);
    });
}

#[test]
fn loom_a_waiter_that_joins_while_a_learned_limit_is_raised_is_served() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let limit = balancer.learned_limit("a").unwrap();
        limit.set(Some(0));
        let raising = spawn(move || limit.set(Some(1)));
        let mut waiter = in_line(&balancer);
        let mut served = waiter.poll();
        join(raising);

        if served.is_pending() {
            assert!(waiter.is_woken());
            served = waiter.poll();
        }
        assert!(matches!(served, Poll::Ready(Ok(_))));
    });
}

#[test]
fn loom_a_session_that_waits_beside_the_line_is_woken_for_the_last_place() {
    check(|| {
        let balancer = one(capped(1).with_route("r"));
        let request = PickRequest::new()
            .with_session(Some("r"))
            .with_no_failover();
        is_served_beside_the_line(&balancer, request);
    });
}

#[test]
fn loom_a_request_that_has_tried_a_member_is_woken_for_the_last_place() {
    check(|| {
        let balancer = empty()
            .member("a", (), capped(1))
            .member("b", (), MemberSpec::new())
            .build()
            .unwrap();
        let tried = [balancer.member("b").unwrap().id()];
        is_served_beside_the_line(&balancer, PickRequest::new().with_tried(&tried));
    });
}

/// The last place is that of "a", which is first in line for a pick.
fn is_served_beside_the_line(balancer: &Balancer<()>, request: PickRequest<'_>) {
    let lease = picked(balancer);
    assert_eq!(lease.member().name(), "a");
    let ending = spawn(move || drop(lease));
    let mut waiter = Task::new(balancer.pick_wait(&request, future::pending()));
    let mut served = waiter.poll();
    join(ending);

    if served.is_pending() {
        assert!(waiter.is_woken());
        served = waiter.poll();
    }
    assert!(matches!(served, Poll::Ready(Ok(_))));
    drop((served, waiter));
    assert_eq!(in_flight(balancer, "a"), 0);
}

#[test]
fn loom_a_waiter_that_is_dropped_while_it_is_woken_passes_its_turn_on() {
    check(|| {
        let balancer = one(capped(1));
        let lease = picked(&balancer);
        let (mut first, mut second) = (in_line(&balancer), in_line(&balancer));
        assert!(first.poll().is_pending());
        assert!(second.poll().is_pending());
        let ending = spawn(move || drop(lease));
        drop(first);
        join(ending);

        assert!(second.is_woken());
        assert!(matches!(second.poll(), Poll::Ready(Ok(_))));
        drop(second);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_the_second_in_line_is_served_when_the_first_goes_while_it_looks() {
    check(|| {
        let balancer = one(capped(1));
        let (mut first, mut second) = (in_line(&balancer), in_line(&balancer));
        let lease = picked(&balancer);
        assert!(first.poll().is_pending());
        assert!(second.poll().is_pending());
        drop(lease);
        let going = spawn(move || drop(first));
        let mut served = second.poll();
        join(going);

        if served.is_pending() {
            assert!(second.is_woken());
            served = second.poll();
        }
        assert!(matches!(served, Poll::Ready(Ok(_))));
    });
}

#[test]
fn loom_both_in_line_are_served_when_two_places_are_given_back_at_once() {
    check(|| {
        let balancer = one(capped(2));
        let (mine, theirs) = (picked(&balancer), picked(&balancer));
        let (mut first, mut second) = (in_line(&balancer), in_line(&balancer));
        assert!(first.poll().is_pending());
        assert!(second.poll().is_pending());
        let ending = spawn(move || drop(theirs));
        drop(mine);
        join(ending);

        let first = first.resume();
        assert!(matches!(first, Poll::Ready(Ok(_))));
        let second = second.resume();
        assert!(matches!(second, Poll::Ready(Ok(_))));
        assert_eq!(in_flight(&balancer, "a"), 2);
    });
}

#[test]
fn loom_a_waiter_that_joins_while_a_member_comes_is_served() {
    check(|| {
        let balancer = empty().build().unwrap();
        let other = balancer.clone();
        let coming = spawn(move || {
            other.insert("a", (), MemberSpec::new()).unwrap();
        });
        let mut waiter = in_line(&balancer);
        let mut served = waiter.poll();
        join(coming);

        if served.is_pending() {
            assert!(waiter.is_woken());
            served = waiter.poll();
        }
        assert!(matches!(served, Poll::Ready(Ok(_))));
    });
}

#[test]
fn loom_a_future_that_waits_for_members_sees_the_last_one_it_needs() {
    check(|| {
        let balancer = empty().build().unwrap();
        let other = balancer.clone();
        let coming = spawn(move || {
            other.insert("a", (), MemberSpec::new()).unwrap();
        });
        let mut ready = Task::new(balancer.wait_for_members(1));
        let at_once = ready.poll();
        join(coming);

        if at_once.is_pending() {
            assert_eq!(ready.resume(), Poll::Ready(()));
        }
    });
}

#[test]
fn loom_a_waiter_is_woken_when_an_error_makes_the_standby_eligible() {
    check(|| {
        let balancer = empty()
            .member("a", (), capped(1))
            .member("b", (), MemberSpec::new().with_flag(Flag::HotStandby))
            .build()
            .unwrap();
        let lease = picked(&balancer);
        let failing = spawn(move || {
            lease.put_in_error();
            lease
        });
        let mut waiter = in_line(&balancer);
        let mut served = waiter.poll();
        let _still_in_flight = join(failing);

        if served.is_pending() {
            assert!(waiter.is_woken());
            served = waiter.poll();
        }
        assert!(matches!(served, Poll::Ready(Ok(lease)) if lease.member().name() == "b"));
    });
}

/// Drops and polls waiters when it is dropped, as an executor may that drops a task.
struct Executor(Mutex<Vec<InLine>>);

impl Wake for Executor {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Executor {
    fn drop(&mut self) {
        for mut waiter in self.0.get_mut().unwrap().drain(..) {
            drop(waiter.poll());
        }
    }
}

#[test]
fn loom_a_waker_that_is_dropped_while_a_place_is_given_back_may_poll_and_drop_waiters() {
    check(|| {
        let balancer = one(capped(1));
        let lease = picked(&balancer);
        let (mut first, mut second) = (in_line(&balancer), in_line(&balancer));
        let mut third = in_line(&balancer);
        for waiter in [&mut first, &mut second, &mut third] {
            assert!(waiter.poll().is_pending());
        }
        // The waker of the first holds the only reference to the second.
        let waker = Waker::from(Arc::new(Executor(Mutex::new(vec![second]))));
        assert!(first.poll_with(&waker).is_pending());
        drop(waker);
        let ending = spawn(move || drop(lease));
        drop(first);
        join(ending);

        assert!(matches!(third.resume(), Poll::Ready(Ok(_))));
        assert_eq!(in_flight(&balancer, "a"), 0);
    });
}

#[test]
fn loom_a_watchers_waker_may_drop_another_watcher_while_a_member_comes() {
    check(|| {
        let balancer = empty().build().unwrap();
        let mut other = Task::new(balancer.wait_for_members(2));
        assert!(other.poll().is_pending());
        let waker = Waker::from(Arc::new(Keeper(Mutex::new(Some(other)))));
        let mut watcher = Task::new(balancer.wait_for_members(1));
        assert!(watcher.poll_with(&waker).is_pending());
        drop(waker);
        let changed = balancer.clone();
        let coming = spawn(move || {
            changed.insert("a", (), MemberSpec::new()).unwrap();
        });
        let mine = watcher.poll();
        join(coming);

        if mine.is_pending() {
            assert_eq!(watcher.resume(), Poll::Ready(()));
        }
    });
}

/// Keeps a watcher until it is dropped.
struct Keeper(Mutex<Option<Task<MembersReady<()>>>>);

impl Wake for Keeper {
    fn wake(self: Arc<Self>) {}
}
