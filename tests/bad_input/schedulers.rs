//! Schedulers of users that break their contract without panicking.

use crate::support::assert_sound;
use equipoise::scheduler::{Candidates, ClaimError, Pick, PickContext};
use equipoise::{Balancer, MemberSpec, PickError, PickRequest, Scheduler};
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};
use std::thread;

/// A scheduler out of one function.
struct Custom<F>(F);

impl<F> std::fmt::Debug for Custom<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Custom")
    }
}

impl<F> Scheduler for Custom<F>
where
    F: for<'c> Fn(&Candidates<'c>) -> Pick<'c> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "custom"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        (self.0)(candidates)
    }
}

/// Members A and B, one request at a time each.
fn balancer<F>(pick: F) -> Balancer<()>
where
    F: for<'c> Fn(&Candidates<'c>) -> Pick<'c> + Send + Sync + 'static,
{
    let spec = || MemberSpec::new().with_max_in_flight(1);
    Balancer::builder()
        .scheduler(Custom(pick))
        .member("A", (), spec().with_route("A"))
        .member("B", (), spec().with_route("B"))
        .build()
        .unwrap()
}

fn first<'c>(candidates: &Candidates<'c>) -> Pick<'c> {
    candidates.claim_first(candidates.iter())
}

fn claim_and_forget(candidates: &Candidates<'_>) {
    if let Some(candidate) = candidates.iter().next() {
        drop(candidates.claim(candidate.id()));
    }
}

#[test]
fn one_that_elects_nobody_leaves_nobody() {
    let balancer = balancer(|_| Pick::NoneUsable);
    let error = balancer.pick(&PickRequest::new()).unwrap_err();
    assert!(matches!(error, PickError::NoneUsable { members: 2, .. }));
    assert_sound(&balancer);
}

#[test]
fn one_that_is_always_at_capacity_is_believed() {
    let balancer = balancer(|_| Pick::AtCapacity);
    let error = balancer.pick(&PickRequest::new()).unwrap_err();
    assert_eq!(error, PickError::AtCapacity);
    assert_sound(&balancer);
}

#[test]
fn one_that_finds_everything_stale_is_asked_a_limited_number_of_times() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let balancer = balancer(move |candidates| {
        counter.fetch_add(1, Ordering::SeqCst);
        claim_and_forget(candidates);
        Pick::Stale
    });
    let error = balancer.pick(&PickRequest::new()).unwrap_err();
    assert!(matches!(error, PickError::NoneUsable { .. }));
    assert!(asked.load(Ordering::SeqCst) <= 100);
    assert_sound(&balancer);
}

#[test]
fn a_claim_that_is_dropped_is_given_back() {
    let picks: [for<'c> fn(&Candidates<'c>) -> Pick<'c>; 2] = [
        |candidates| {
            claim_and_forget(candidates);
            Pick::NoneUsable
        },
        |candidates| {
            claim_and_forget(candidates);
            Pick::AtCapacity
        },
    ];
    for pick in picks {
        let balancer = balancer(pick);
        for _ in 0..3 {
            assert!(balancer.pick(&PickRequest::new()).is_err());
        }
        assert_sound(&balancer);
    }
}

#[test]
fn only_one_claim_is_made_in_one_pick() {
    let balancer = balancer(|candidates| {
        let mut members = candidates.iter().map(|candidate| candidate.id());
        let (a, b) = (members.next().unwrap(), members.next().unwrap());
        let claim = candidates.claim(a).unwrap();
        assert_eq!(candidates.claim(b).unwrap_err(), ClaimError::OnePerPick);
        assert_eq!(candidates.claim(a).unwrap_err(), ClaimError::OnePerPick);
        Pick::Claimed(claim)
    });
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    assert_eq!(lease.member().name(), "A");
    drop(lease);
    balancer.set_scheduler(Custom(first));
    assert_sound(&balancer);
}

#[test]
fn nobody_is_claimed_who_was_tried_is_unknown_or_cannot_serve() {
    let stranger = Balancer::new([("x", ())])
        .unwrap()
        .member("x")
        .unwrap()
        .id();
    let balancer = balancer(move |candidates| {
        assert_eq!(
            candidates.claim(stranger).unwrap_err(),
            ClaimError::NotEligible
        );
        for &tried in candidates.tried() {
            assert_eq!(
                candidates.claim(tried).unwrap_err(),
                ClaimError::NotEligible
            );
        }
        first(candidates)
    });
    let tried = [balancer.member("A").unwrap().id()];
    let request = PickRequest::new().with_tried(&tried);
    let lease = balancer.pick(&request).unwrap();
    assert_eq!(lease.member().name(), "B");
    assert_eq!(balancer.pick(&request).unwrap_err(), PickError::AtCapacity);
    drop(lease);
    assert_sound(&balancer);
}

/// A scheduler that stops at its next pick until it is let go on; with the claim it
/// has made meanwhile it does what `then` says.
struct Gate {
    entered: Mutex<Sender<()>>,
    go_on: Mutex<Receiver<()>>,
    closed: AtomicBool,
}

fn gated(
    then: for<'c> fn(&Candidates<'c>, Pick<'c>) -> Pick<'c>,
) -> (Balancer<()>, Receiver<()>, Sender<()>) {
    let ((entered, is_in), (let_go, go_on)) = (channel(), channel());
    let gate = Gate {
        entered: Mutex::new(entered),
        go_on: Mutex::new(go_on),
        closed: AtomicBool::new(true),
    };
    let balancer = balancer(move |candidates| {
        let pick = first(candidates);
        if !gate.closed.swap(false, Ordering::SeqCst) {
            return pick;
        }
        gate.entered.lock().unwrap().send(()).unwrap();
        gate.go_on.lock().unwrap().recv().unwrap();
        then(candidates, pick)
    });
    (balancer, is_in, let_go)
}

#[test]
fn a_slow_one_holds_nobody_up() {
    let (balancer, is_in, let_go) = gated(|_, pick| pick);
    thread::scope(|scope| {
        let slow = scope.spawn(|| balancer.pick(&PickRequest::new()).map(|l| l.member().id()));
        is_in.recv().unwrap();
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().name(), "B", "A is claimed by the slow one");
        balancer
            .insert("C", (), MemberSpec::new().with_route("C"))
            .unwrap();
        let session = PickRequest::new().with_session(Some("C"));
        assert_eq!(balancer.pick(&session).unwrap().member().name(), "C");
        let removed = balancer.remove("A").unwrap();
        assert_eq!(removed.in_flight(), 1);
        let_go.send(()).unwrap();
        assert_eq!(
            slow.join().unwrap().unwrap(),
            removed.id(),
            "it began before"
        );
        assert_eq!(removed.in_flight(), 0);
    });
    assert_sound(&balancer);
}

#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Polls until pending, runs `between`, and then only if woken.
fn resolves_after<F: Future>(future: F, between: impl FnOnce()) -> bool {
    let mut future = pin!(future);
    let alarm = Arc::new(Alarm::default());
    let waker = alarm.clone().into();
    let mut context = Context::from_waker(&waker);
    assert!(future.as_mut().poll(&mut context).is_pending());
    between();
    let woken = alarm.0.load(Ordering::SeqCst);
    woken && matches!(future.as_mut().poll(&mut context), Poll::Ready(_))
}

#[test]
fn a_claim_that_is_dropped_ends_the_wait_for_a_removed_member() {
    let (balancer, is_in, let_go) = gated(|_, _| Pick::NoneUsable);
    thread::scope(|scope| {
        // It looks once more, and finds somebody then.
        let slow = scope.spawn(|| drop(balancer.pick(&PickRequest::new())));
        is_in.recv().unwrap();
        let removed = balancer.remove("A").unwrap();
        assert_eq!(removed.in_flight(), 1, "claimed at this moment");
        let drained = resolves_after(removed.drained(), || {
            let_go.send(()).unwrap();
            slow.join().unwrap();
        });
        assert_eq!(removed.in_flight(), 0);
        assert!(drained, "whoever waits for it has to be woken");
    });
}

#[test]
fn a_claim_that_is_dropped_wakes_whoever_waits_for_the_place() {
    let any = PickRequest::new();
    let in_line_and_beside = [any, any.with_session(Some("A")).with_no_failover()];
    for request in in_line_and_beside {
        let (balancer, is_in, let_go) = gated(|_, _| Pick::NoneUsable);
        let _b = balancer.pick(&any.with_session(Some("B"))).unwrap();
        let served = thread::scope(|scope| {
            let slow = scope.spawn(|| drop(balancer.pick(&any)));
            is_in.recv().unwrap();
            resolves_after(balancer.pick_wait(&request, pending()), || {
                let_go.send(()).unwrap();
                slow.join().unwrap();
            })
        });
        assert!(served, "{request:?}");
    }
}
