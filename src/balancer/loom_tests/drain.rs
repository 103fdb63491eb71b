//! Draining: the last end and the withdrawal of a drain are not missed, and a member that
//! serves a session is not removed.

use std::task::Poll;

use super::super::{DrainOutcome, PickRequest};
use super::{Task, check, in_flight, join, one, picked, spawn};
use crate::member::{Flag, MemberSpec};

#[test]
fn loom_a_drain_that_is_polled_while_the_last_request_ends_is_over() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let lease = picked(&balancer);
        let mut drain = Task::new(balancer.drain("a").unwrap());
        let ending = spawn(move || drop(lease));
        let at_once = drain.poll();
        join(ending);

        if at_once.is_pending() {
            assert!(drain.is_woken());
            assert_eq!(drain.poll(), Poll::Ready(DrainOutcome::Emptied));
        }
    });
}

#[test]
fn loom_a_member_is_not_drained_while_a_session_that_came_at_the_last_moment_is_served() {
    check(|| {
        let balancer = one(MemberSpec::new().with_route("r"));
        let state = balancer.member("a").unwrap();
        let mut drain = Task::new(balancer.drain("a").unwrap().then_remove());
        let other = balancer.clone();
        let coming = spawn(move || {
            let request = PickRequest::new().with_session(Some("r"));
            other.pick(&request).ok()
        });
        let mut end = drain.poll();
        let lease = join(coming);

        if end.is_pending() {
            assert!(lease.is_some(), "nothing else is waited for");
            drop(lease);
            assert!(drain.is_woken());
            end = drain.poll();
        } else {
            assert!(lease.is_none(), "it is served by a member that is gone");
        }
        assert_eq!(end, Poll::Ready(DrainOutcome::Removed));
        assert_eq!(state.in_flight(), 0);
        assert!(balancer.is_empty());
    });
}

#[test]
fn loom_a_drain_sees_that_it_is_withdrawn_while_it_checks() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let lease = picked(&balancer);
        let mut drain = Task::new(balancer.drain("a").unwrap().then_remove());
        let other = balancer.clone();
        let clearing = spawn(move || {
            other.clear_flag("a", Flag::Draining).unwrap();
        });
        let at_once = drain.poll();
        join(clearing);

        if at_once.is_pending() {
            assert_eq!(drain.resume(), Poll::Ready(DrainOutcome::Resumed));
        }
        drop(lease);
        assert_eq!(in_flight(&balancer, "a"), 0);
    });
}
