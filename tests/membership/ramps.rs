//! Weights that grow after a member has joined or recovered.

use crate::support::{fleet, pick, seconds};
use equipoise::clock::ManualClock;
use equipoise::member::Ramp;
use equipoise::{
    Balancer, ByBusyness, ByTraffic, Flag, MemberSpec, PickRequest, Scheduler, Weight,
};
use std::collections::BTreeMap;
use std::time::Duration;

fn ramping(scheduler: impl Scheduler, ramp: Ramp) -> (Balancer<()>, ManualClock) {
    let clock = ManualClock::new();
    let balancer = Balancer::builder()
        .clock(clock.clone())
        .scheduler(scheduler)
        .ramp(ramp)
        .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
        .build()
        .unwrap();
    (balancer, clock)
}

fn by_requests(ramp: Ramp) -> (Balancer<()>, ManualClock) {
    ramping(equipoise::ByRequests::new(), ramp)
}

/// The weights that count, in sixteenths of weight 1.
fn weights<W>(balancer: &Balancer<W>) -> Vec<u32> {
    let explanation = balancer.explain(&PickRequest::new());
    let members = explanation.members().iter();
    members
        .map(|it| it.effective_weight.units() / 100)
        .collect()
}

/// How often each member is elected in so many picks.
fn shares<W>(balancer: &Balancer<W>, count: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        let lease = pick(balancer).unwrap();
        *shares.entry(lease.member().name().to_owned()).or_default() += 1;
    }
    shares
}

#[test]
fn members_that_a_balancer_is_built_with_have_their_full_weight_at_once() {
    let (balancer, _) = by_requests(Ramp::over(seconds(16)));
    assert_eq!(weights(&balancer), [16, 16]);
    assert_eq!(balancer.next_timed_change(), None);
}

#[test]
fn a_member_that_joins_gets_at_each_step_exactly_the_share_of_its_weight() {
    let (balancer, clock) = by_requests(Ramp::over(seconds(16)));
    balancer.insert("c", (), MemberSpec::new()).unwrap();
    for sixteenths in 1..=16 {
        assert_eq!(weights(&balancer), [16, 16, sixteenths]);
        let period = 32 + sixteenths as usize;
        let found = shares(&balancer, period * 3);
        let off = found["c"].abs_diff(3 * sixteenths as usize);
        assert!(off <= 1, "{found:?} at {sixteenths} sixteenths");
        clock.advance(seconds(if sixteenths == 1 { 2 } else { 1 }));
    }
    assert_eq!(weights(&balancer), [16; 3]);
    assert_eq!(balancer.next_timed_change(), None, "it is over");
}

#[test]
fn a_ramp_begins_after_an_error_an_ejection_and_a_failed_check() {
    let (balancer, clock) = by_requests(Ramp::over(seconds(16)));
    let full_after = |balancer: &Balancer<()>, clock: &ManualClock| {
        assert_eq!(weights(balancer), [1, 16]);
        clock.advance(seconds(8));
        assert_eq!(weights(balancer), [8, 16]);
        balancer.apply_timed_changes();
        clock.advance(seconds(8));
        assert_eq!(weights(balancer), [16, 16]);
        balancer.apply_timed_changes();
    };
    balancer.set_flag("a", Flag::InError).unwrap();
    clock.advance(seconds(60));
    balancer.apply_timed_changes();
    full_after(&balancer, &clock);
    balancer.eject("a", seconds(5), "slow").unwrap();
    clock.advance(seconds(5));
    balancer.apply_timed_changes();
    full_after(&balancer, &clock);
    balancer.set_flag("a", Flag::FailedCheck).unwrap();
    clock.advance(seconds(5));
    balancer.clear_flag("a", Flag::FailedCheck).unwrap();
    full_after(&balancer, &clock);
    balancer.set_flag("a", Flag::Disabled).unwrap();
    balancer.clear_flag("a", Flag::Disabled).unwrap();
    assert_eq!(
        weights(&balancer),
        [16, 16],
        "an operator's flag is no outage"
    );
}

#[test]
fn the_explanation_shows_the_weight_that_counts() {
    let (balancer, clock) = by_requests(Ramp::over(seconds(16)));
    balancer
        .insert(
            "c",
            (),
            MemberSpec::new().with_weight(Weight::new(2).unwrap()),
        )
        .unwrap();
    clock.advance(seconds(4));
    let explanation = balancer.explain(&PickRequest::new());
    let c = &explanation.members()[2];
    assert_eq!(c.weight, Weight::new(2).unwrap());
    assert_eq!(c.effective_weight.units(), 800);
    let table = explanation.to_string();
    let line = "  c ramps up: weight 0.5 of 2";
    assert!(table.lines().any(|found| found == line), "{table}");
}

#[test]
fn a_ramp_of_its_own_holds_in_place_of_the_balancers() {
    let (balancer, clock) = by_requests(Ramp::over(seconds(16)));
    balancer
        .insert("c", (), MemberSpec::new().with_ramp(Ramp::NONE))
        .unwrap();
    let slow = Ramp::over(seconds(16)).with_aggression(0.5).unwrap();
    balancer
        .insert(
            "d",
            (),
            MemberSpec::new().with_ramp(slow.with_min_percent(25)),
        )
        .unwrap();
    assert_eq!(weights(&balancer), [16, 16, 16, 4]);
    clock.advance(seconds(12));
    assert_eq!(weights(&balancer), [16, 16, 16, 9], "(12/16)^2");
}

#[test]
fn members_that_recover_together_share_as_by_their_full_weights() {
    let (balancer, _) = by_requests(Ramp::over(seconds(16)));
    for name in ["a", "b"] {
        balancer.set_flag(name, Flag::InError).unwrap();
    }
    let found = shares(&balancer, 10);
    assert_eq!(weights(&balancer), [1, 1]);
    assert_eq!((found["a"], found["b"]), (5, 5));
}

#[test]
fn an_edit_of_another_member_leaves_a_ramp_as_it_is() {
    let (balancer, clock) = by_requests(Ramp::over(seconds(16)));
    balancer.insert("c", (), MemberSpec::new()).unwrap();
    clock.advance(seconds(4));
    balancer
        .insert("a", (), MemberSpec::new().with_tier(0))
        .unwrap();
    balancer.insert("c", (), MemberSpec::new()).unwrap();
    balancer.set_flag("b", Flag::Draining).unwrap();
    assert_eq!(weights(&balancer), [16, 16, 4]);
    let six = Weight::new(6).unwrap();
    balancer.override_member("c", |it| it.with_weight(six));
    assert_eq!(weights(&balancer), [16, 16, 24]);
}

#[test]
fn by_busyness_a_member_that_ramps_has_fewer_in_flight() {
    let (balancer, clock) = ramping(ByBusyness::new(), Ramp::over(seconds(16)));
    balancer.insert("c", (), MemberSpec::new()).unwrap();
    clock.advance(seconds(4));
    let leases: Vec<_> = (0..18).map(|_| pick(&balancer).unwrap()).collect();
    let member = |name: &str| balancer.member(name).unwrap().in_flight();
    assert_eq!(
        [member("a"), member("b"), member("c")],
        [6, 6, 6],
        "loads count first"
    );
    drop(leases);
    balancer.reset_standings();
    let found = shares(&balancer, 36 * 4);
    assert!(found["c"].abs_diff(16) <= 1, "then weights: {found:?}");
}

#[test]
fn by_traffic_no_step_of_a_ramp_is_a_debt() {
    let (balancer, clock) = ramping(ByTraffic::new(), Ramp::over(seconds(16)));
    let serve = |count: usize| {
        let mut shares: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..count {
            let mut lease = pick(&balancer).unwrap();
            lease.record_received(1_000);
            *shares.entry(lease.member().name().to_owned()).or_default() += 1;
        }
        shares.get("c").copied().unwrap_or(0)
    };
    serve(20_000);
    balancer.insert("c", (), MemberSpec::new()).unwrap();
    clock.advance(seconds(1));
    for sixteenths in 1..=16_usize {
        let off = serve((32 + sixteenths) * 10).abs_diff(sixteenths * 10);
        assert!(off <= 3, "{off} off at {sixteenths} sixteenths");
        clock.advance(seconds(1));
    }
}

#[test]
fn ten_thousand_ramps_cause_no_more_than_ten_renewals_a_second() {
    let clock = ManualClock::new();
    let builder = Balancer::builder().clock(clock.clone());
    let builder = builder
        .ramp(Ramp::over(seconds(30)))
        .member("a", (), MemberSpec::new());
    let balancer = builder.build().unwrap();
    for at in 0..200 {
        balancer
            .insert(format!("m{at}"), (), MemberSpec::new())
            .unwrap();
        clock.advance(Duration::from_millis(7));
    }
    let (mut renewals, mut last) = (0, balancer.next_timed_change());
    let begun = balancer.now();
    while let Some(due) = last {
        assert_eq!(due.as_nanos() % 100_000_000, 0);
        clock.set(due);
        balancer.apply_timed_changes();
        last = balancer.next_timed_change();
        renewals += 1;
    }
    let ended = balancer.now().since(begun);
    assert!(ended > seconds(28) && ended < seconds(31), "{ended:?}");
    assert!(renewals <= 320, "{renewals}");
    assert!(weights(&balancer).iter().all(|&weight| weight == 16));
}

#[test]
fn a_member_that_comes_back_ramps_and_one_that_is_only_updated_does_not() {
    let (balancer, clock) = fleet([("a", MemberSpec::new()), ("b", MemberSpec::new())]);
    let ramp = Ramp::over(seconds(16));
    balancer
        .insert("b", "b", MemberSpec::new().with_ramp(ramp))
        .unwrap();
    assert_eq!(weights(&balancer), [16, 16]);
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    balancer.remove("a").unwrap();
    balancer
        .insert("a", "a", MemberSpec::new().with_ramp(ramp))
        .unwrap();
    clock.advance(seconds(3));
    assert_eq!(weights(&balancer), [16, 3]);
    drop(lease);
}
