//! Observers that panic.

use crate::support::assert_sound;
use equipoise::balancer::events::{EventKind, Interest};
use equipoise::scheduler::Maglev;
use equipoise::{Balancer, Event, Flag, MemberSpec, Observer, PickRequest};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Panics at the next event of this kind.
#[derive(Clone)]
struct Nervous(Arc<Mutex<Interest>>);

impl Nervous {
    fn at(kind: Interest) -> Self {
        Self(Arc::new(Mutex::new(kind)))
    }
}

impl Observer for Nervous {
    fn observe(&self, event: &Event<'_>) {
        let here = {
            let mut next = self.0.lock().unwrap();
            let here = *next == event.kind.interest();
            if here {
                *next = Interest::NONE;
            }
            here
        };
        assert!(!here, "as arranged: {event}");
    }
}

/// Adds up what it is told.
#[derive(Clone, Debug, Default)]
struct Calm(Arc<Mutex<Interest>>);

impl Observer for Calm {
    fn observe(&self, event: &Event<'_>) {
        let mut told = self.0.lock().unwrap();
        *told |= event.kind.interest();
    }
}

fn panics(act: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(act)).is_err(), "no panic");
}

/// Does something that is told as an event of this kind.
fn cause(balancer: &Balancer<()>, kind: Interest) {
    let session = PickRequest::new().with_session(None);
    if kind == Interest::CHANGED {
        drop(balancer.set_flag("A", Flag::Draining));
    } else if kind == Interest::JOINED {
        balancer.insert("B", (), MemberSpec::new()).unwrap();
    } else if kind == Interest::LEFT {
        drop(balancer.remove("A"));
    } else if kind == Interest::REFUSED {
        let tried = [balancer.member("A").unwrap().id()];
        drop(balancer.pick(&session.with_tried(&tried)));
    } else {
        let mut lease = balancer.pick(&session).unwrap();
        lease.record_head(Some(200));
    }
}

const KINDS: [Interest; 8] = [
    Interest::RESPONDED,
    Interest::CHANGED,
    Interest::PICKED,
    Interest::ENDED,
    Interest::JOINED,
    Interest::LEFT,
    Interest::REFUSED,
    Interest::SESSION,
];

#[test]
fn an_observer_that_panics_costs_no_count_and_no_other_its_event() {
    for kind in KINDS {
        let (nervous, calm) = (Nervous::at(kind), Calm::default());
        let balancer = Balancer::builder()
            .member("A", (), MemberSpec::new())
            .build()
            .unwrap();
        balancer.observe(nervous).detach();
        balancer.observe(calm.clone()).detach();
        panics(|| cause(&balancer, kind));
        assert!(calm.0.lock().unwrap().contains(kind), "{kind:?}");
        assert_sound(&balancer);
    }
}

#[test]
fn an_observer_that_panics_at_each_of_many_events_is_told_all_of_them() {
    let told = Arc::new(AtomicU32::new(0));
    let count = told.clone();
    let balancer = Balancer::<()>::builder().build().unwrap();
    let observing = balancer.observe(move |event: &Event<'_>| {
        if matches!(event.kind, EventKind::Joined) {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("at each");
        }
    });
    let members = (0..100).map(|at| (format!("m{at}"), (), MemberSpec::new()));
    panics(|| drop(balancer.replace_all(members)));
    assert_eq!(told.load(Ordering::SeqCst), 100);
    assert_eq!(balancer.len(), 100, "the change was made before");
    drop(observing);
    assert_sound(&balancer);
}

#[test]
fn a_panic_of_an_observer_while_another_unwinds_ends_nothing_else() {
    let told = Arc::new(AtomicU32::new(0));
    let count = told.clone();
    let balancer = Balancer::builder()
        .member("A", (), MemberSpec::new())
        .build()
        .unwrap();
    let observing = balancer.observe(move |event: &Event<'_>| {
        if matches!(event.kind, EventKind::Ended(_)) {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("in a drop while the thread unwinds");
        }
    });
    panics(|| {
        let _lease = balancer.pick(&PickRequest::new()).unwrap();
        panic!("the request's own");
    });
    assert_eq!(told.load(Ordering::SeqCst), 1, "and the process goes on");
    assert_eq!(balancer.member("A").unwrap().in_flight(), 0);
    drop(observing);
}

#[test]
fn an_observer_that_panics_at_a_change_keeps_no_plan_from_being_made() {
    let balancer = Balancer::builder()
        .scheduler(Maglev::new())
        .member("A", (), MemberSpec::new())
        .build()
        .unwrap();
    let observing = balancer.observe(Nervous::at(Interest::JOINED));
    panics(|| drop(balancer.insert("B", (), MemberSpec::new())));
    let of_b = (0..100).filter(|&key| {
        let lease = balancer.pick(&PickRequest::new().with_hash(key)).unwrap();
        lease.member().name() == "B"
    });
    assert!(of_b.count() > 30, "B has no keys");
    drop(observing);
}
