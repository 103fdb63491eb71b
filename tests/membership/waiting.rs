//! What ends a wait: room, a change, a recovery, the deadline.

use crate::support::{Task, capped, fleet, in_flight, pick, plain, seconds};
use equipoise::clock::{Clock, ManualClock};
use equipoise::{Balancer, Flag, MemberSpec, PickError, PickRequest};
use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::task::Poll;

/// Nobody can be elected until A's delay of five seconds is over.
fn failed() -> (Balancer<&'static str>, ManualClock) {
    let clock = ManualClock::new();
    let spec = MemberSpec::new().with_recovery_delay(seconds(5));
    let balancer = Balancer::builder()
        .clock(clock.clone())
        .forced_recovery(false)
        .member("a", "a", spec.with_flag(Flag::InError))
        .build();
    (balancer.unwrap(), clock)
}

#[test]
fn who_need_not_wait_does_not() {
    let balancer = plain(["a"]);
    let lease = Task::new(balancer.pick_wait(&PickRequest::new(), pending())).poll();
    assert!(matches!(lease, Poll::Ready(Ok(_))));
}

#[test]
fn a_recovery_wakes_who_waits() {
    let (balancer, clock) = failed();
    let mut waiting = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    assert_eq!(balancer.next_timed_change(), Some(clock.now() + seconds(5)));
    clock.advance(seconds(4));
    balancer.apply_timed_changes();
    assert!(waiting.run().is_none());
    clock.advance(seconds(1));
    balancer.apply_timed_changes();
    assert!(waiting.run().expect("woken").is_ok());
}

#[test]
fn a_recovery_is_also_seen_by_whoever_is_polled_or_picks_first() {
    let (balancer, clock) = failed();
    let mut waiting = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    clock.advance(seconds(5));
    assert!(waiting.poll().is_ready());

    let (balancer, clock) = failed();
    let mut waiting = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    clock.advance(seconds(5));
    assert_eq!(
        pick(&balancer).unwrap_err(),
        PickError::AtCapacity,
        "it is in line"
    );
    assert!(waiting.run().expect("woken by the one behind").is_ok());
}

#[test]
fn every_change_that_may_help_wakes_who_waits() {
    type Change = fn(&Balancer<&'static str>);
    let changes: [(&str, Change); 6] = [
        ("insert", |balancer| {
            balancer.insert("b", "b", MemberSpec::new()).unwrap();
        }),
        ("insert over it", |balancer| {
            balancer.insert("a", "a", MemberSpec::new()).unwrap();
        }),
        ("a higher cap", |balancer| {
            balancer
                .update("a", |spec| spec.with_max_in_flight(2))
                .unwrap();
        }),
        ("no cap", |balancer| {
            balancer
                .update("a", MemberSpec::without_max_in_flight)
                .unwrap();
        }),
        ("a standby that may serve", |balancer| {
            balancer.set_flag("a", Flag::Draining).unwrap();
            balancer
                .insert("s", "s", MemberSpec::new().with_flag(Flag::HotStandby))
                .unwrap();
        }),
        ("replacement", |balancer| {
            drop(
                balancer
                    .replace_all([("c", "c", MemberSpec::new())])
                    .unwrap(),
            );
        }),
    ];
    for (what, change) in changes {
        let (balancer, _) = fleet([("a", capped(1))]);
        let _held = pick(&balancer).unwrap();
        let mut waiting = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
        change(&balancer);
        assert!(waiting.run().expect(what).is_ok(), "{what}");
    }
}

#[test]
fn an_empty_balancer_is_waited_for() {
    let balancer = plain([]);
    let mut waiting = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    balancer.insert("a", "a", MemberSpec::new()).unwrap();
    assert_eq!(*waiting.run().unwrap().unwrap(), "a");
}

#[test]
fn the_deadline_gives_the_error_of_the_last_look() {
    let over = || ready(());
    let wait = |balancer: &Balancer<&'static str>| match Task::new(
        balancer.pick_wait(&PickRequest::new(), over()),
    )
    .poll()
    {
        Poll::Ready(result) => result.map(drop),
        Poll::Pending => panic!("the deadline is over"),
    };
    assert_eq!(wait(&plain([])), Err(PickError::Empty));
    let (balancer, _) = failed();
    let error = wait(&balancer).unwrap_err();
    assert_eq!(error.retry_after(), Some(seconds(5)));
    let (balancer, _) = fleet([("a", capped(1))]);
    let held = pick(&balancer).unwrap();
    assert_eq!(wait(&balancer), Err(PickError::AtCapacity));
    drop(held);
    assert_eq!(
        wait(&balancer),
        Ok(()),
        "what is there goes before the deadline"
    );
}

#[test]
fn the_deadline_is_looked_at_in_line_too_and_its_place_is_given_up() {
    let (balancer, _) = fleet([("a", capped(1))]);
    let held = pick(&balancer).unwrap();
    let over = Cell::new(false);
    let deadline = poll_fn(|_| {
        if over.get() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let mut first = Task::pending(balancer.pick_wait(&PickRequest::new(), deadline));
    let mut second = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    over.set(true);
    assert!(matches!(
        first.poll(),
        Poll::Ready(Err(PickError::AtCapacity))
    ));
    drop(held);
    assert!(
        second.run().is_some() || first.is_woken(),
        "the turn is the second's"
    );
    drop(first);
    drop(second);
    assert_eq!(in_flight(&balancer, "a"), 0);
    assert!(pick(&balancer).is_ok());
}

#[test]
fn who_waited_in_vain_and_is_kept_holds_nobody_up() {
    let (balancer, _) = fleet([("a", capped(1))]);
    let held = pick(&balancer).unwrap();
    let mut first = Task::new(balancer.pick_wait(&PickRequest::new(), ready(())));
    assert!(first.poll().is_ready());
    let mut second = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    drop(held);
    assert!(second.run().is_some(), "though the first still exists");
    drop(first);
}

#[test]
fn a_lost_session_is_not_waited_for() {
    let balancer = plain(["a", "b"]);
    balancer
        .update("a", |spec| spec.with_route("r").with_flag(Flag::Disabled))
        .unwrap();
    let request = PickRequest::new()
        .with_session(Some("r"))
        .with_no_failover();
    let result = Task::new(balancer.pick_wait(&request, pending())).poll();
    assert!(matches!(
        result,
        Poll::Ready(Err(PickError::SessionLost { .. }))
    ));
    assert!(pick(&balancer).is_ok());
}

#[test]
fn a_guard_or_a_lost_lease_makes_room_as_a_finished_one_does() {
    let (balancer, _) = fleet([("a", capped(1))]);
    let guard = pick(&balancer).unwrap().into_guard();
    let mut waiting = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    drop(guard);
    let lease = waiting.run().unwrap().unwrap();
    let mut waiting = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    lease.finish(equipoise::Outcome::Failure);
    assert!(waiting.run().is_some());
}

#[test]
fn many_threads_wait_for_one_place_and_all_get_it() {
    let (balancer, _) = fleet([("a", capped(1))]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let lease = block_on(balancer.pick_wait(&PickRequest::new(), pending()));
                    assert_eq!(lease.unwrap().member().in_flight(), 1);
                }
            });
        }
    });
    let member = balancer.member("a").unwrap();
    assert_eq!((member.in_flight(), member.picked()), (0, 800));
}

/// Parks the thread between polls.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        let polled = future
            .as_mut()
            .poll(&mut std::task::Context::from_waker(&waker));
        if let Poll::Ready(output) = polled {
            return output;
        }
        std::thread::park();
    }
}
