//! A scheduler that withholds room: whether and when requests that wait look again.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Task, pick};
use equipoise::scheduler::{Candidates, Needs, Pick, PickContext, Scheduler};
use equipoise::{Balancer, Flag, MemberSpec, PickError, PickRequest};

/// Elects while the gate is open, and fewer than `most` are in flight over all members.
#[derive(Clone, Debug)]
struct Withholds {
    most: u32,
    open: Arc<AtomicBool>,
    needs: Needs,
}

impl Withholds {
    fn new(most: u32) -> Self {
        Self {
            most,
            open: Arc::new(AtomicBool::new(true)),
            needs: Needs::WAKE_ON_END,
        }
    }

    fn open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }
}

impl Scheduler for Withholds {
    fn name(&self) -> &'static str {
        "withholds"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        let in_flight: u32 = candidates.iter().map(|one| one.state().in_flight()).sum();
        if in_flight >= self.most || !self.open.load(Ordering::SeqCst) {
            return Pick::AtCapacity;
        }
        candidates.claim_first(candidates.iter())
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}

fn balancer(scheduler: Withholds) -> Balancer<()> {
    Balancer::builder()
        .scheduler(scheduler)
        .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
        .build()
        .unwrap()
}

type Waiting = Task<equipoise::balancer::PickWait<'static, (), future::Pending<()>>>;

fn waiting(balancer: &Balancer<()>) -> Waiting {
    Task::pending(balancer.pick_wait(&PickRequest::new(), future::pending()))
}

#[test]
fn a_pick_fails_at_capacity_though_a_member_has_room() {
    let balancer = balancer(Withholds::new(0));
    assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
    assert!(
        balancer
            .members()
            .iter()
            .all(|member| member.in_flight() == 0)
    );
}

#[test]
fn each_end_of_a_request_lets_the_line_look_again() {
    let balancer = balancer(Withholds::new(2));
    let [first, second] = [pick(&balancer).unwrap(), pick(&balancer).unwrap()];
    let (mut one, mut two) = (waiting(&balancer), waiting(&balancer));
    drop(first);
    let served = one.run().expect("an end makes room").unwrap();
    assert!(two.run().is_none(), "there is no more room");
    drop(second);
    assert!(two.run().expect("an end makes room").is_ok());
    drop(served);
}

#[test]
fn a_request_beside_the_line_looks_again_too() {
    let balancer = balancer(Withholds::new(2));
    let [first, second] = [pick(&balancer).unwrap(), pick(&balancer).unwrap()];
    let tried = [balancer.member("b").unwrap().id()];
    let request = PickRequest::new().with_tried(&tried);
    let mut beside = Task::pending(balancer.pick_wait(&request, future::pending()));
    drop(first);
    assert!(beside.run().expect("an end makes room").is_ok());
    drop(second);
}

#[test]
fn room_that_shows_by_no_end_is_found_when_the_balancer_is_told() {
    let scheduler = Withholds::new(9);
    let balancer = balancer(scheduler.clone());
    scheduler.open(false);
    let (mut one, mut two) = (waiting(&balancer), waiting(&balancer));
    balancer.wake_waiting();
    assert!(one.run().is_none(), "it is still withheld");
    scheduler.open(true);
    assert!(one.run().is_none(), "nothing is in flight, so nothing ends");
    balancer.wake_waiting();
    assert!(one.run().unwrap().is_ok());
    assert!(two.run().expect("its turn is passed on").is_ok());
}

#[test]
fn a_change_of_the_membership_lets_the_line_look_again() {
    let scheduler = Withholds::new(9);
    let balancer = balancer(scheduler.clone());
    scheduler.open(false);
    let mut waiting = waiting(&balancer);
    scheduler.open(true);
    balancer.set_flag("b", Flag::Disabled).unwrap();
    assert!(waiting.run().unwrap().is_ok());
}

#[test]
fn a_wait_for_room_that_is_withheld_ends_with_its_deadline() {
    let balancer = balancer(Withholds::new(0));
    let wait = balancer.pick_wait(&PickRequest::new(), future::ready(()));
    assert!(matches!(
        Task::new(wait).poll(),
        std::task::Poll::Ready(Err(PickError::AtCapacity))
    ));
}

#[test]
fn what_looks_again_is_asked_of_the_scheduler_that_is_there() {
    let plain = Withholds {
        needs: Needs::NONE,
        ..Withholds::new(1)
    };
    let balancer = balancer(plain);
    let lease = pick(&balancer).unwrap();
    let mut one = waiting(&balancer);
    drop(lease);
    assert!(one.run().is_none(), "no member was at its cap");
    balancer.wake_waiting();
    let lease = one.run().unwrap().unwrap();

    balancer.set_scheduler(Withholds::new(1));
    let mut two = waiting(&balancer);
    drop(lease);
    assert!(two.run().expect("an end makes room").is_ok());
}
