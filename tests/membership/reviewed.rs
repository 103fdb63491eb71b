//! What an independent reader found, each as short as it can be told.

use crate::support::{Task, capped, fleet, pick, picks, plain};
use equipoise::balancer::events::Interest;
use equipoise::scheduler::{Candidates, GroupChange, HeartbeatReading, Pick, PickContext};
use equipoise::{
    Balancer, ByBusyness, ByRequests, Event, Flag, Heartbeat, HeartbeatReadings, MemberSpec,
    MemberState, Observer, PickError, PickRequest, Scheduler, StickySession,
};
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

fn flag(flag: Flag) -> MemberSpec {
    MemberSpec::new().with_flag(flag)
}

#[test]
fn a_pick_finds_the_standby_while_others_change_and_renew() {
    let (balancer, _) = fleet([("a", MemberSpec::new()), ("b", flag(Flag::HotStandby))]);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let lease = pick(&balancer).expect("b can always serve");
                    if lease.member().name() == "a" {
                        lease.put_in_error();
                    }
                }
            });
        }
        for _ in 0..2_000 {
            balancer.clear_flag("a", Flag::InError).unwrap();
            drop(balancer.spec("a"));
        }
    });
}

#[test]
fn a_spare_does_not_keep_a_later_tier_from_serving() {
    let tier = MemberSpec::new().with_tier(1);
    let (balancer, _) = fleet([
        ("s", flag(Flag::HotSpare)),
        ("a", tier.clone()),
        ("b", tier),
    ]);
    assert_eq!(picks(&balancer, 4), "abab");
    balancer.set_flag("a", Flag::Disabled).unwrap();
    balancer.set_flag("b", Flag::Disabled).unwrap();
    assert_eq!(picks(&balancer, 2), "ss");
}

#[test]
fn an_error_wakes_who_can_be_served_by_the_standby() {
    let (balancer, _) = fleet([("a", capped(1)), ("b", flag(Flag::HotStandby))]);
    let lease = pick(&balancer).unwrap();
    let mut waiter = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    lease.put_in_error();
    assert!(waiter.is_woken());
    assert!(waiter.poll().is_ready());
}

#[test]
fn a_plain_pick_lets_the_first_in_line_look() {
    let readings = HeartbeatReadings::new();
    let balancer = Balancer::builder()
        .scheduler(Heartbeat::new(&readings).without_fallback())
        .clock(equipoise::clock::ManualClock::new())
        .member("a", (), MemberSpec::new())
        .build()
        .unwrap();
    let mut waiter = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    let reading = HeartbeatReading { ready: 1, busy: 1 };
    readings
        .report("a", reading, equipoise::clock::Timestamp::ORIGIN)
        .unwrap();
    assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
    assert!(waiter.is_woken());
    assert!(waiter.poll().is_ready());
}

#[test]
fn reports_find_their_members_after_slots_were_used_again() {
    let readings = HeartbeatReadings::new();
    let balancer = Balancer::builder()
        .scheduler(Heartbeat::new(&readings))
        .clock(equipoise::clock::ManualClock::new())
        .build()
        .unwrap();
    let names: Vec<String> = (0..40).map(|at| format!("m{at}")).collect();
    for _ in 0..2 {
        for name in &names {
            balancer
                .insert(name.as_str(), (), MemberSpec::new())
                .unwrap();
        }
        for name in &names {
            drop(balancer.remove(name));
        }
    }
    for name in names.iter().rev() {
        balancer
            .insert(name.as_str(), (), MemberSpec::new())
            .unwrap();
    }
    for name in &names {
        let reading = HeartbeatReading { ready: 9, busy: 1 };
        readings
            .report(name, reading, equipoise::clock::Timestamp::ORIGIN)
            .unwrap();
        assert_eq!(balancer.standing(name), Some(9), "{name}");
    }
}

#[test]
fn a_member_that_is_silent_does_not_stand_in_for_one_at_its_cap() {
    let readings = HeartbeatReadings::new();
    let balancer = Balancer::builder()
        .scheduler(Heartbeat::new(&readings))
        .clock(equipoise::clock::ManualClock::new())
        .member("alive", (), capped(1))
        .member("silent", (), MemberSpec::new())
        .build()
        .unwrap();
    let reading = HeartbeatReading { ready: 9, busy: 1 };
    readings
        .report("alive", reading, equipoise::clock::Timestamp::ORIGIN)
        .unwrap();
    let lease = pick(&balancer).unwrap();
    assert_eq!(lease.member().name(), "alive");
    assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
}

#[test]
fn a_session_cookie_that_forbids_failover_is_heeded() {
    let (balancer, _) = fleet([
        ("a", flag(Flag::Disabled).with_route("a")),
        ("b", MemberSpec::new().with_route("b")),
    ]);
    let sticky = StickySession::new("SID").unwrap().with_no_failover();
    let request = http::Request::get("/").header("cookie", "SID=1.a");
    let request = request.body(()).unwrap();
    let presented = sticky.find(request.uri(), request.headers());
    let wanted = PickRequest::new().with_sticky(&sticky, presented.as_ref());
    let refused = balancer.pick(&wanted).unwrap_err();
    assert_eq!(refused, PickError::SessionLost { route: "a".into() });
}

#[test]
fn an_insert_does_not_bring_a_failed_check_back() {
    let spec = flag(Flag::FailedCheck);
    let (balancer, _) = fleet([("a", spec.clone())]);
    balancer.clear_flag("a", Flag::FailedCheck).unwrap();
    balancer.replace_all([("a", "a", spec)]).unwrap();
    assert_eq!(picks(&balancer, 1), "a");
}

/// A payload that calls the balancer when it goes.
struct Caller(Arc<OnceLock<Balancer<Self>>>);

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(balancer) = self.0.get() {
            drop(balancer.member("b"));
        }
    }
}

#[test]
fn a_payload_may_call_the_balancer_as_it_is_dropped() {
    let own = Arc::new(OnceLock::new());
    let balancer = Balancer::new(["a", "b"].map(|name| (name, Caller(own.clone())))).unwrap();
    assert!(own.set(balancer.clone()).is_ok());
    assert!(balancer.remove("a").is_ok());
    balancer
        .insert("b", Caller(own.clone()), MemberSpec::new())
        .unwrap();
    assert_eq!(picks(&balancer, 1), "b");
}

/// Panics when it is first told of its group.
#[derive(Debug, Default)]
struct Nervous(ByRequests, AtomicBool);

impl Scheduler for Nervous {
    fn name(&self) -> &'static str {
        "nervous"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.0.pick(candidates, context)
    }

    fn on_room(&self, member: &MemberState) {
        self.0.on_room(member);
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        assert!(self.1.swap(true, Ordering::SeqCst), "the first time");
        self.0.on_group_change(group);
    }
}

#[test]
fn a_scheduler_that_panics_as_it_is_set_is_told_everything_the_next_time() {
    let balancer = plain(["a", "b"]);
    let set = || balancer.set_scheduler(Nervous::default());
    assert!(catch_unwind(AssertUnwindSafe(set)).is_err());
    balancer.insert("c", "c", MemberSpec::new()).unwrap();
    assert_eq!(balancer.scheduler_name(), "nervous");
    assert_eq!(picks(&balancer, 6), "abcabc");
}

/// `ByBusyness` in a wrapper that panics once after it has passed a change on.
#[derive(Debug, Default)]
struct Late(ByBusyness, Arc<AtomicBool>);

impl Scheduler for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.0.pick(candidates, context)
    }

    fn on_room(&self, member: &MemberState) {
        self.0.on_room(member);
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.0.on_group_change(group);
        assert!(!self.1.swap(false, Ordering::SeqCst), "once");
    }
}

#[test]
fn picks_go_on_in_order_although_a_scheduler_panics_after_it_was_told() {
    let balancer = plain(["a", "b"]);
    let panics = Arc::new(AtomicBool::new(false));
    balancer.set_scheduler(Late(ByBusyness::new(), panics.clone()));
    panics.store(true, Ordering::SeqCst);
    let insert = || balancer.insert("c", "c", MemberSpec::new());
    assert!(catch_unwind(AssertUnwindSafe(insert)).is_err());
    assert_eq!(picks(&balancer, 6), "abcabc", "they publish the change");
}

#[derive(Debug, Default)]
struct Refusals(AtomicUsize);

impl Observer for Refusals {
    fn observe(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn interest(&self) -> Interest {
        Interest::REFUSED
    }
}

#[test]
fn only_who_gets_nobody_is_told_of() {
    let heard = Arc::new(Refusals::default());
    let balancer = Balancer::builder()
        .observer(heard.clone())
        .member("a", (), capped(1))
        .build()
        .unwrap();
    let lease = pick(&balancer).unwrap();
    let mut waiter = Task::pending(balancer.pick_wait(&PickRequest::new(), pending()));
    assert!(waiter.poll().is_pending());
    drop(lease);
    let served = waiter.poll();
    assert!(served.is_ready());
    assert_eq!(heard.0.load(Ordering::Relaxed), 0, "it was served");
    let mut late = Task::new(balancer.pick_wait(&PickRequest::new(), ready(())));
    assert!(late.poll().is_ready());
    assert_eq!(heard.0.load(Ordering::Relaxed), 1);
}

#[test]
fn no_recovery_is_promised_that_makes_nobody_usable() {
    let spec = flag(Flag::Disabled).with_flag(Flag::InError);
    let (balancer, _) = fleet([("a", spec)]);
    assert_eq!(pick(&balancer).unwrap_err().retry_after(), None);
}
