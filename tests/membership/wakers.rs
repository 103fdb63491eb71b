//! Wakers run code of their executor's when they are woken and when they are dropped;
//! that code may use the balancer, as no lock is held meanwhile.

use crate::support::{capped, fleet, pick};
use equipoise::scheduler::{Candidates, Pick, PickContext};
use equipoise::{Balancer, Flag, MemberSpec, PickRequest, Scheduler};
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// Runs `test` on a thread of its own, so that a deadlock is a failure.
#[expect(
    clippy::disallowed_methods,
    reason = "a scope would wait for a thread that is stuck"
)]
fn without_deadlock(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    match ended.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a deadlock"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => thread.join().unwrap(),
    }
}

type Act = Box<dyn FnMut() + Send>;

/// A waker that does something as it is woken, and something else as it is dropped.
#[derive(Default)]
struct Meddler {
    on_wake: Mutex<Option<Act>>,
    on_drop: Mutex<Option<Act>>,
}

impl Meddler {
    fn as_it_is_woken(act: impl FnMut() + Send + 'static) -> Waker {
        let meddler = Self::default();
        *meddler.on_wake.lock().unwrap() = Some(Box::new(act));
        Waker::from(Arc::new(meddler))
    }

    fn as_it_is_dropped(act: impl FnMut() + Send + 'static) -> Waker {
        let meddler = Self::default();
        *meddler.on_drop.lock().unwrap() = Some(Box::new(act));
        Waker::from(Arc::new(meddler))
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        let act = self.on_wake.lock().unwrap().take();
        if let Some(mut act) = act {
            act();
        }
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        if let Some(act) = self.on_drop.get_mut().unwrap() {
            act();
        }
    }
}

/// A future in a box, whatever it resolves to.
type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

fn poll(waiting: &mut Waiting, waker: &Waker) -> Poll<()> {
    waiting.as_mut().poll(&mut Context::from_waker(waker))
}

/// A way to wait on a balancer whose only member is at its cap.
type Way = fn(&Balancer<&'static str>) -> Waiting;

fn in_line(balancer: &Balancer<&'static str>) -> Waiting {
    let wait = balancer.pick_wait(&PickRequest::new(), future::pending::<()>());
    Box::pin(async move { drop(wait.await) })
}

fn beside_the_line(balancer: &Balancer<&'static str>) -> Waiting {
    let request = PickRequest::new().with_session(Some("r"));
    let wait = balancer.pick_wait(&request.with_no_failover(), future::pending::<()>());
    Box::pin(async move { drop(wait.await) })
}

fn for_a_start(balancer: &Balancer<&'static str>) -> Waiting {
    Box::pin(balancer.wait_for_members(2))
}

fn each_way(test: impl Fn(&Balancer<&'static str>, Way) + Copy + Send + 'static) {
    for way in [in_line as Way, beside_the_line, for_a_start] {
        without_deadlock(move || {
            let (balancer, _) = fleet([("a", capped(1).with_route("r"))]);
            let held = pick(&balancer).unwrap();
            test(&balancer, way);
            drop(held);
            drop(pick(&balancer).unwrap());
        });
    }
}

/// What a waker does with another waiter: polls it with a new waker, and drops it.
fn meddling(balancer: &Balancer<&'static str>, way: Way) -> impl FnMut() + Send + use<> {
    let mut other = Some(way(balancer));
    let _ = poll(other.as_mut().unwrap(), Waker::noop());
    move || {
        if let Some(mut other) = other.take() {
            let waker = Meddler::as_it_is_dropped(|| {});
            let _ = poll(&mut other, &waker);
            drop(other);
        }
    }
}

#[test]
fn a_waker_that_is_replaced_may_use_another_waiter_as_it_is_dropped() {
    each_way(|balancer, way| {
        let mut waiting = way(balancer);
        let waker = Meddler::as_it_is_dropped(meddling(balancer, way));
        assert!(poll(&mut waiting, &waker).is_pending());
        drop(waker);
        assert!(poll(&mut waiting, Waker::noop()).is_pending());
    });
}

#[test]
fn a_waker_whose_waiter_leaves_may_use_another_as_it_is_dropped() {
    each_way(|balancer, way| {
        let mut waiting = way(balancer);
        let waker = Meddler::as_it_is_dropped(meddling(balancer, way));
        assert!(poll(&mut waiting, &waker).is_pending());
        drop(waker);
        drop(waiting);
    });
}

#[test]
fn a_waker_may_use_another_waiter_and_the_balancer_as_it_is_woken() {
    each_way(|balancer, way| {
        let mut waiting = way(balancer);
        assert!(
            poll(&mut waiting, Waker::noop()).is_pending(),
            "the first in line"
        );
        let woken = Arc::new(AtomicUsize::new(0));
        let waker = {
            let (balancer, woken) = (balancer.clone(), woken.clone());
            let mut meddle = meddling(&balancer, way);
            Meddler::as_it_is_woken(move || {
                meddle();
                balancer.insert("b", "b", MemberSpec::new()).unwrap();
                balancer.remove("b").unwrap();
                woken.fetch_add(1, SeqCst);
            })
        };
        assert!(poll(&mut waiting, &waker).is_pending());
        balancer.set_flag("a", Flag::Disabled).unwrap();
        assert_eq!(woken.load(SeqCst), 1);
        balancer.clear_flag("a", Flag::Disabled).unwrap();
    });
}

/// Elects nothing at the first look, and claims at the second without a word of it,
/// against its contract.
#[derive(Debug, Default)]
struct Forgetful(AtomicUsize);

impl Scheduler for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        if self.0.fetch_add(1, SeqCst) % 2 == 1 {
            drop(candidates.claim_first(candidates.iter()));
        }
        Pick::NoneUsable
    }
}

#[test]
fn a_claim_that_came_to_nothing_while_changes_wait_wakes_after_them() {
    without_deadlock(|| {
        let (balancer, _) = fleet([("a", MemberSpec::new())]);
        balancer.set_scheduler(Forgetful::default());
        let woken = Arc::new(AtomicUsize::new(0));
        let again = || {
            let (balancer, woken) = (balancer.clone(), woken.clone());
            Meddler::as_it_is_woken(move || {
                assert!(
                    balancer.member("a").is_some(),
                    "this takes the editor's lock"
                );
                woken.fetch_add(1, SeqCst);
            })
        };
        let mut watching: Waiting = Box::pin(balancer.wait_for_members(2));
        assert!(poll(&mut watching, &again()).is_pending());
        assert!(pick(&balancer).is_err());
        assert_eq!(woken.load(SeqCst), 1);
    });
}

/// A payload that uses the balancer as it is dropped.
struct Nosy(Mutex<Option<Balancer<Self>>>, Arc<AtomicUsize>);

impl Drop for Nosy {
    fn drop(&mut self) {
        if let Some(balancer) = self.0.get_mut().unwrap().take() {
            let _ = balancer.member("a");
            self.1.fetch_add(1, SeqCst);
        }
    }
}

/// Panics when it is told of a group, while it is told to.
#[derive(Clone, Debug, Default)]
struct Brittle(Arc<AtomicUsize>);

impl Scheduler for Brittle {
    fn name(&self) -> &'static str {
        "brittle"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        candidates.claim_first(candidates.iter())
    }

    fn on_group_change(&self, _: &equipoise::scheduler::GroupChange<'_>) {
        assert_eq!(self.0.load(SeqCst), 0, "as told");
    }
}

#[test]
fn a_payload_that_was_never_shown_is_dropped_outside_the_lock() {
    without_deadlock(|| {
        let brittle = Brittle::default();
        let balancer = Balancer::builder()
            .scheduler(brittle.clone())
            .build()
            .unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        let nosy = || Nosy(Mutex::new(Some(balancer.clone())), dropped.clone());
        brittle.0.store(1, SeqCst);
        let unseen =
            std::panic::AssertUnwindSafe(|| balancer.insert("a", nosy(), MemberSpec::new()));
        assert!(std::panic::catch_unwind(unseen).is_err());
        brittle.0.store(0, SeqCst);
        balancer.insert("a", nosy(), MemberSpec::new()).unwrap();
        assert_eq!(dropped.load(SeqCst), 1);

        brittle.0.store(1, SeqCst);
        let unseen =
            std::panic::AssertUnwindSafe(|| balancer.insert("b", nosy(), MemberSpec::new()));
        assert!(std::panic::catch_unwind(unseen).is_err());
        brittle.0.store(0, SeqCst);
        balancer.remove("b").unwrap();
        assert_eq!(dropped.load(SeqCst), 2);
    });
}
