//! Several observers, added and dropped while the balancer runs.

use crate::support::{Scribe, pick, plain};
use equipoise::balancer::WeakBalancer;
use equipoise::balancer::events::{Event, EventKind, Interest, ObserverGuard};
use equipoise::member::Cause;
use equipoise::{Balancer, Flag, MemberSpec, Observer, PickRequest};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Counts what it is told.
#[derive(Clone, Default)]
struct Count {
    events: Arc<AtomicUsize>,
    wants: Interest,
}

impl Count {
    fn of(wants: Interest) -> Self {
        let events = Arc::default();
        Self { events, wants }
    }

    fn take(&self) -> usize {
        self.events.swap(0, Ordering::SeqCst)
    }
}

impl Observer for Count {
    fn observe(&self, event: &Event<'_>) {
        assert!(
            self.wants.contains(event.kind.interest()),
            "not wanted: {event}"
        );
        self.events.fetch_add(1, Ordering::SeqCst);
    }

    fn interest(&self) -> Interest {
        self.wants
    }
}

#[test]
fn each_observer_is_told_what_it_wants_in_the_order_of_adding() {
    let book = Arc::new(Mutex::new(Vec::new()));
    let named = |name: &'static str| {
        let book = book.clone();
        move |event: &Event<'_>| {
            let line = format!("{name}: {event}");
            book.lock().unwrap().push(line);
        }
    };
    let ends = Count::of(Interest::ENDED);
    let balancer = Balancer::builder()
        .observer(named("first"))
        .observer(ends.clone())
        .observer(named("second"))
        .member("a", (), MemberSpec::new())
        .build()
        .unwrap();
    balancer.observe(named("third")).detach();
    book.lock().unwrap().clear();
    let lease = pick(&balancer).unwrap();
    let lines = ["first", "second", "third"].map(|name| format!("{name}: member \"a\" picked"));
    assert_eq!(*book.lock().unwrap(), lines);
    assert_eq!(ends.take(), 0);
    drop(lease);
    assert_eq!(ends.take(), 1);
}

#[test]
fn an_observer_is_told_what_happens_between_its_adding_and_its_drop() {
    let balancer = plain(["a", "b"]);
    let (one, two) = (Count::of(Interest::ALL), Count::of(Interest::ENDED));
    drop(pick(&balancer).unwrap());
    let first = balancer.observe(one.clone());
    drop(pick(&balancer).unwrap());
    let second = balancer.observe(two.clone());
    drop(pick(&balancer).unwrap());
    assert_eq!((one.take(), two.take()), (4, 1));
    drop(first);
    drop(pick(&balancer).unwrap());
    balancer.set_flag("a", Flag::Draining).unwrap();
    assert_eq!((one.take(), two.take()), (0, 1));
    drop(second);
    drop(pick(&balancer).unwrap());
    assert_eq!((one.take(), two.take()), (0, 0));
    assert_eq!(Arc::strong_count(&one.events), 1, "its observer is gone");
}

#[test]
fn an_observer_that_is_kept_lives_as_long_as_its_balancer() {
    let count = Count::of(Interest::PICKED);
    let balancer = plain(["a"]);
    balancer.observe(count.clone()).detach();
    let lease = pick(&balancer).unwrap();
    drop(balancer);
    assert_eq!(Arc::strong_count(&count.events), 2, "a lease is left");
    drop(lease);
    assert_eq!((count.take(), Arc::strong_count(&count.events)), (1, 1));
}

#[test]
fn an_observing_outlives_its_balancer() {
    let balancer = plain(["a"]);
    let count = Count::of(Interest::ALL);
    let observing = balancer.observe(count.clone());
    drop(balancer);
    assert_eq!(Arc::strong_count(&count.events), 1);
    drop(observing);
}

/// Drains what has failed, by a handle that does not keep the balancer alive.
struct Drains(WeakBalancer<&'static str>);

impl Observer for Drains {
    fn observe(&self, event: &Event<'_>) {
        if let (EventKind::Changed { after, .. }, Some(member)) = (event.kind, event.member) {
            if after.contains(Flag::InError) && !after.contains(Flag::Draining) {
                let balancer = self.0.upgrade().unwrap();
                balancer.set_flag(member.name(), Flag::Draining).unwrap();
                // Everything may be called: no lock is held.
                balancer
                    .insert("late", "late", MemberSpec::new().with_tier(1))
                    .unwrap();
                drop(balancer.explain(&PickRequest::new()));
                drop(pick(&balancer));
            }
        }
    }
}

#[test]
fn an_observer_acts_on_its_balancer_and_does_not_keep_it_alive() {
    let balancer = plain(["a", "b"]);
    let weak = balancer.downgrade();
    balancer.observe(Drains(weak.clone())).detach();
    let lease = pick(&balancer).unwrap();
    lease.put_in_error();
    assert!(lease.member().status().contains(Flag::Draining));
    assert_eq!(balancer.len(), 3);
    drop(lease);
    drop(balancer);
    assert!(weak.upgrade().is_none());
}

/// Calls the balancer at every event of a request or a change.
struct Meddles(WeakBalancer<&'static str>);

impl Observer for Meddles {
    fn observe(&self, event: &Event<'_>) {
        let Some(balancer) = self.0.upgrade() else {
            return;
        };
        if !matches!(event.kind, EventKind::Joined | EventKind::Left) {
            balancer
                .insert("late", "late", MemberSpec::new().with_tier(1))
                .unwrap();
        }
        let name = event.member.map_or("a", |member| member.name());
        let _ = balancer.update(name, |spec| spec.with_tier(0));
        drop(balancer.explain(&PickRequest::new()));
    }
}

#[test]
fn events_are_told_outside_every_lock() {
    let balancer = plain(["a"]);
    balancer.observe(Meddles(balancer.downgrade())).detach();
    let session = PickRequest::new().with_session(Some("x"));
    let mut lease = balancer.pick(&session).unwrap();
    lease.record_head(Some(200));
    lease.put_in_error();
    drop(lease);
    balancer.set_flag("a", Flag::Draining).unwrap();
    let tried: Vec<_> = balancer.members().iter().map(|it| it.id()).collect();
    drop(balancer.pick(&session.with_tried(&tried)));
    drop(
        balancer
            .replace_all([("b", "b", MemberSpec::new())])
            .unwrap(),
    );
    drop(balancer.remove("b"));
}

#[test]
fn a_handle_is_weak_while_a_request_is_in_flight() {
    let balancer = plain(["a"]);
    let (weak, lease) = (balancer.downgrade(), pick(&balancer).unwrap());
    drop(balancer);
    assert!(weak.clone().upgrade().is_none());
    drop(lease);
}

/// What a registration is kept in, for those that drop their own.
type Slot = Arc<Mutex<Option<ObserverGuard>>>;

#[test]
fn an_observer_that_drops_itself_while_it_is_told_is_told_no_more() {
    let balancer = plain(["a"]);
    let (slot, events) = (Slot::default(), Arc::new(AtomicUsize::new(0)));
    let (own, counted) = (slot.clone(), events.clone());
    let other = Count::of(Interest::PICKED);
    let observing = balancer.observe(move |_: &Event<'_>| {
        counted.fetch_add(1, Ordering::SeqCst);
        let observing = own.lock().unwrap().take();
        drop(observing);
    });
    *slot.lock().unwrap() = Some(observing);
    balancer.observe(other.clone()).detach();
    for _ in 0..3 {
        drop(pick(&balancer).unwrap());
    }
    assert_eq!(events.load(Ordering::SeqCst), 1);
    assert_eq!(Arc::strong_count(&events), 1, "it is gone");
    assert_eq!(other.take(), 3, "the others are told as before");
}

#[test]
fn an_observer_that_adds_another_while_it_is_told_has_it_told_from_the_next_event_on() {
    let balancer = plain(["a"]);
    let (weak, late) = (balancer.downgrade(), Count::of(Interest::PICKED));
    let add = late.clone();
    let first = AtomicUsize::new(0);
    let adds = balancer.observe(move |event: &Event<'_>| {
        let elected = matches!(event.kind, EventKind::Picked { .. });
        if elected && first.fetch_add(1, Ordering::SeqCst) == 0 {
            weak.upgrade().unwrap().observe(add.clone()).detach();
        }
    });
    let lease = pick(&balancer).unwrap();
    assert_eq!(late.take(), 0, "that event was under way");
    drop(lease);
    drop(pick(&balancer).unwrap());
    assert_eq!(late.take(), 1);
    drop(adds);
}

#[test]
fn what_no_observer_wants_is_not_measured() {
    let scribe = Scribe::of(Interest::ENDED);
    let balancer = plain(["a"]);
    balancer.observe(scribe.clone()).detach();
    drop(pick(&balancer).unwrap());
    let times = balancer.observe(Count::of(Interest::ELAPSED));
    drop(pick(&balancer).unwrap());
    drop(times);
    drop(pick(&balancer).unwrap());
    let expected = ["None", "Some(0)", "None"]
        .map(|elapsed| format!("ended a Cancelled {elapsed} 0/0 with 0 left"));
    assert_eq!(scribe.take(), expected);
}

#[test]
fn what_no_observer_wants_allocates_nothing() {
    let balancer = plain(["a", "b"]);
    let others = balancer.observe(Count::of(Interest::JOINED));
    let (first, second) = (pick(&balancer).unwrap(), pick(&balancer).unwrap());
    first.put_in_error_because(Cause::Refused);
    let tried = [first.member().id(), second.member().id()];
    let nobody = PickRequest::new().with_tried(&tried);
    drop((pick(&balancer), balancer.pick(&nobody)));
    let counted = allocation_counter::measure(|| {
        for _ in 0..50 {
            let mut lease = pick(&balancer).unwrap();
            lease.record_head(Some(503));
            lease.fail(Cause::Status(503));
            first.put_in_error_because(Cause::Refused);
            assert!(balancer.pick(&nobody).is_err());
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    drop((first, second, others));
}
