//! Schedulers and edits that panic.

use crate::support::assert_sound;
use equipoise::balancer::events::EventKind;
use equipoise::clock::ManualClock;
use equipoise::scheduler::{Candidates, GroupChange, Needs, Pick, PickContext};
use equipoise::{
    Balancer, ByRequests, Ended, Event, Flag, MemberSpec, MemberState, Outcome, PickError,
    PickRequest, Scheduler,
};
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// Where the next panic happens; once.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum At {
    Nowhere,
    BeforeTheClaim,
    AfterTheClaim,
    OnEnded,
    OnRoom,
    OnGroup,
    OnRouted,
}

#[derive(Clone, Debug, Default)]
struct Fuse(Arc<AtomicU8>);

impl Fuse {
    fn set(&self, at: At) {
        self.0.store(at as u8, Ordering::SeqCst);
    }

    fn blow(&self, at: At) {
        let here = (at as u8, At::Nowhere as u8);
        let hit = self
            .0
            .compare_exchange(here.0, here.1, Ordering::SeqCst, Ordering::SeqCst);
        assert!(hit.is_err(), "as arranged: {at:?}");
    }
}

/// By requests, with a fuse.
#[derive(Debug)]
struct Fused {
    inner: ByRequests,
    fuse: Fuse,
}

impl Scheduler for Fused {
    fn name(&self) -> &'static str {
        "fused"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.fuse.blow(At::BeforeTheClaim);
        let pick = self.inner.pick(candidates, context);
        self.fuse.blow(At::AfterTheClaim);
        pick
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        self.fuse.blow(At::OnRouted);
        self.inner.on_session_pick(candidates, member);
    }

    fn on_ended(&self, _: &MemberState, _: &Ended) {
        self.fuse.blow(At::OnEnded);
    }

    fn on_room(&self, member: &MemberState) {
        self.inner.on_room(member);
        self.fuse.blow(At::OnRoom);
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.inner.on_group_change(group);
        self.fuse.blow(At::OnGroup);
    }

    fn needs(&self) -> Needs {
        Needs::ENDED
    }
}

struct Fleet {
    balancer: Balancer<()>,
    fuse: Fuse,
    clock: ManualClock,
}

/// Members A and B with a cap of one each, and a fuse.
fn fleet() -> Fleet {
    let (fuse, clock) = (Fuse::default(), ManualClock::new());
    let scheduler = Fused {
        inner: ByRequests::new(),
        fuse: fuse.clone(),
    };
    let member = |name: &'static str| {
        let spec = MemberSpec::new().with_max_in_flight(1);
        (name, (), spec.with_route(name))
    };
    let builder = Balancer::builder()
        .scheduler(scheduler)
        .clock(clock.clone());
    Fleet {
        balancer: builder.members(["A", "B"].map(member)).build().unwrap(),
        fuse,
        clock,
    }
}

fn panics<T>(act: impl FnOnce() -> T) {
    let result = catch_unwind(AssertUnwindSafe(act));
    assert!(result.is_err(), "the panic reaches the caller");
}

#[test]
fn a_panic_during_an_election_reaches_the_caller_and_leaves_nothing_in_flight() {
    let session = PickRequest::new().with_session(Some("A"));
    let rows = [
        (At::BeforeTheClaim, PickRequest::new()),
        (At::AfterTheClaim, PickRequest::new()),
        (At::OnRouted, session),
    ];
    for (at, request) in rows {
        let Fleet { balancer, fuse, .. } = fleet();
        fuse.set(at);
        panics(|| balancer.pick(&request));
        let leases = [(); 2].map(|()| balancer.pick(&PickRequest::new()).unwrap());
        assert_eq!(
            balancer.pick(&PickRequest::new()).unwrap_err(),
            PickError::AtCapacity
        );
        drop(leases);
        assert_sound(&balancer);
    }
}

#[test]
fn a_panic_at_the_end_of_a_request_comes_after_its_count_is_given_back() {
    for at in [At::OnEnded, At::OnRoom] {
        let Fleet { balancer, fuse, .. } = fleet();
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        fuse.set(at);
        panics(|| lease.finish(Outcome::Success));
        assert_sound(&balancer);
        fuse.set(at);
        panics(|| drop(balancer.pick(&PickRequest::new()).unwrap().into_guard()));
        assert_sound(&balancer);
    }
}

#[test]
fn a_panic_at_the_end_of_a_request_costs_no_observer_its_event() {
    for at in [At::OnEnded, At::OnRoom] {
        let Fleet { balancer, fuse, .. } = fleet();
        let told = Arc::new(AtomicU8::new(0));
        let count = told.clone();
        let observing = balancer.observe(move |event: &Event<'_>| {
            if matches!(event.kind, EventKind::Ended(_)) {
                assert_eq!(event.member.map(MemberState::in_flight), Some(0));
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        fuse.set(at);
        panics(|| lease.finish(Outcome::Success));
        assert_eq!(told.load(Ordering::SeqCst), 1, "{at:?}");
        drop(observing);
        assert_sound(&balancer);
    }
}

/// Both members are full, and their method knows it.
fn full(balancer: &Balancer<()>) -> [equipoise::Lease<()>; 2] {
    let leases = [(); 2].map(|()| balancer.pick(&PickRequest::new()).unwrap());
    assert_eq!(
        balancer.pick(&PickRequest::new()).unwrap_err(),
        PickError::AtCapacity
    );
    leases
}

#[test]
fn a_panic_in_one_hook_does_not_keep_the_room_from_the_method() {
    let Fleet { balancer, fuse, .. } = fleet();
    let [first, second] = full(&balancer);
    fuse.set(At::OnEnded);
    panics(|| drop(first));
    let lease = balancer.pick(&PickRequest::new()).expect("A has room");
    assert_eq!(lease.member().name(), "A");
    drop((lease, second));
    assert_sound(&balancer);
}

#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_panic_at_the_end_of_a_request_wakes_who_waits_for_its_place() {
    for at in [At::OnEnded, At::OnRoom] {
        let Fleet { balancer, fuse, .. } = fleet();
        let [first, _second] = full(&balancer);
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(alarm.clone());
        let mut waiting = pin!(balancer.pick_wait(&PickRequest::new(), pending()));
        let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        fuse.set(at);
        panics(|| drop(first));
        assert!(
            alarm.0.load(Ordering::SeqCst),
            "{at:?}: there is room, and nobody knows"
        );
    }
}

#[test]
fn a_panic_while_the_method_hears_of_a_change_leaves_the_change_to_the_next() {
    let Fleet { balancer, fuse, .. } = fleet();
    fuse.set(At::OnGroup);
    panics(|| balancer.insert("C", (), MemberSpec::new()));
    balancer.apply_timed_changes();
    balancer.set_flag("A", Flag::Disabled).unwrap();
    let leases: Vec<_> = (0..2)
        .map(|_| balancer.pick(&PickRequest::new()).unwrap())
        .collect();
    let names: Vec<&str> = leases.iter().map(|lease| lease.member().name()).collect();
    assert_eq!(names, ["B", "C"]);
    drop(leases);
    assert_sound(&balancer);
}

#[test]
fn a_panic_while_a_failure_is_noticed_does_not_keep_the_member_out_for_ever() {
    let Fleet {
        balancer,
        fuse,
        clock,
    } = fleet();
    balancer.pick(&PickRequest::new()).unwrap().put_in_error();
    fuse.set(At::OnGroup);
    panics(|| balancer.pick(&PickRequest::new()));
    assert_eq!(
        balancer.pick(&PickRequest::new()).unwrap().member().name(),
        "B"
    );
    clock.advance(Duration::from_secs(60));
    balancer.apply_timed_changes();
    assert!(
        balancer.member("A").unwrap().status().is_usable(),
        "its delay is over"
    );
}

#[test]
fn an_edit_that_panics_changes_nothing() {
    let Fleet { balancer, .. } = fleet();
    panics(|| balancer.update("A", |_| panic!("while editing")));
    assert_eq!(balancer.spec("A").unwrap().max_in_flight(), Some(1));
    let members = std::iter::from_fn(|| -> Option<(&str, (), MemberSpec)> { panic!("halfway") });
    panics(|| balancer.replace_all(members).map(drop));
    assert_eq!(balancer.len(), 2);
    assert_sound(&balancer);
}
