//! A future that applies timed changes: what becomes due sooner than it expects wakes it,
//! or it sees that itself.

use std::time::Duration;

use super::super::{Balancer, Expected, TimeKeeper};
use super::{Task, check, empty, join, picked, spawn};
use crate::member::MemberSpec;

/// Looks each time that it is woken, and resolves when the balancer is gone.
struct Keeping {
    keeper: TimeKeeper<()>,
    expected: Expected,
}

impl Future for Keeping {
    type Output = ();

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        self.expected = self.keeper.look(context.waker());
        match self.expected {
            Expected::Gone => std::task::Poll::Ready(()),
            _ => std::task::Poll::Pending,
        }
    }
}

fn keeping(balancer: &Balancer<()>) -> Task<Keeping> {
    Task::new(Keeping {
        keeper: TimeKeeper::new(balancer),
        expected: Expected::Nothing,
    })
}

fn two() -> Balancer<()> {
    let members = ["a", "b"].map(|name| (name, (), MemberSpec::new()));
    empty()
        .forced_recovery(false)
        .members(members)
        .build()
        .unwrap()
}

/// Returns what it expects once it has nothing more to do.
fn settled(task: &mut Task<Keeping>) -> Expected {
    while task.is_woken() {
        assert!(task.resume().is_pending());
    }
    task.future.expected
}

#[test]
fn loom_an_error_wakes_a_keeper_that_did_not_expect_it() {
    check(|| {
        let balancer = two();
        let lease = picked(&balancer);
        let mut task = keeping(&balancer);
        let failing = spawn(move || lease.put_in_error());
        assert!(task.poll().is_pending());
        join(failing);

        let minute = Duration::from_secs(60);
        let looks_soon = settled(&mut task) == Expected::After(Duration::ZERO);
        assert!(looks_soon || task.future.expected == Expected::After(minute));
    });
}

#[test]
fn loom_an_ejection_wakes_a_keeper_that_expects_something_later() {
    check(|| {
        let balancer = two();
        let (long, short) = (Duration::from_secs(60), Duration::from_secs(1));
        balancer.eject("a", long, "slow").unwrap();
        let mut task = keeping(&balancer);
        let other = balancer.clone();
        let ejecting = spawn(move || drop(other.eject("b", short, "slow")));
        assert!(task.poll().is_pending());
        join(ejecting);

        let expected = settled(&mut task);
        assert!(
            [Duration::ZERO, short]
                .map(Expected::After)
                .contains(&expected)
        );
    });
}

#[test]
fn loom_a_keeper_sees_that_its_balancer_is_gone() {
    check(|| {
        let balancer = two();
        let mut task = keeping(&balancer);
        let dropping = spawn(move || drop(balancer));
        let polled = task.poll();
        join(dropping);

        assert!(polled.is_ready() || task.resume().is_ready());
    });
}
