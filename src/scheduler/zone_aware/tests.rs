//! Zones with real balancers: which requests stay, where the others go, and what the
//! schedulers inside see.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "numbers are small, and clippy does not know helpers of tests"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ZoneAware;
use crate::balancer::{Balancer, Lease, PickError, PickRequest};
use crate::member::{Ended, Flag, MemberId, MemberSpec, MemberState, Weight};
use crate::random::Random;
use crate::scheduler::{
    ByBusyness, ByRequests, Candidates, First, GroupChange, Maglev, Needs, Pick, PickContext,
    PickDetails, Plan, PlanMembers, Scheduler,
};

fn spec(zone: &str) -> MemberSpec {
    MemberSpec::new().with_label("zone", zone)
}

/// Members `a0`, `a1` …, in zone `a` and so on.
fn members(zones: &[(&'static str, usize)]) -> Vec<(String, (), MemberSpec)> {
    let zones = zones.iter();
    let members = zones.flat_map(|&(zone, count)| {
        (0..count).map(move |at| (format!("{zone}{at}"), (), spec(zone)))
    });
    members.collect()
}

fn balancer(scheduler: impl Scheduler, zones: &[(&'static str, usize)]) -> Balancer<()> {
    let builder = Balancer::builder().scheduler(scheduler).seed(7);
    let builder = builder.forced_recovery(false).members(members(zones));
    builder.build().unwrap()
}

fn name(lease: &Lease<()>) -> String {
    lease.member().name().to_owned()
}

fn picked(balancer: &Balancer<()>) -> String {
    name(&balancer.pick(&PickRequest::new()).unwrap())
}

#[test]
fn requests_stay_in_the_zone_while_it_has_its_share_of_the_capacity() {
    let scheduler = ZoneAware::new("b", ByRequests::new);
    let balancer = balancer(scheduler, &[("a", 2), ("b", 3), ("c", 3)]);
    let names: Vec<String> = (0..6).map(|_| picked(&balancer)).collect();
    assert_eq!(names, ["b0", "b1", "b2", "b0", "b1", "b2"]);
    // A member of another zone that is gone changes nothing here.
    balancer.set_flag("a0", Flag::Disabled).unwrap();
    let names: Vec<String> = (0..3).map(|_| picked(&balancer)).collect();
    assert_eq!(names, ["b0", "b1", "b2"], "the turns go on");
}

#[test]
fn each_zone_gets_requests_in_proportion_to_its_capacity() {
    let zones = [("a", 4), ("b", 4), ("c", 4)];
    let callers = ["a", "b", "c"].map(|own| {
        let balancer = balancer(ZoneAware::new(own, ByRequests::new), &zones);
        for name in ["a0", "a1", "a2", "b0"] {
            balancer.set_flag(name, Flag::Disabled).unwrap();
        }
        let weight = Weight::new(3).unwrap();
        balancer
            .update("c0", |spec| spec.with_weight(weight))
            .unwrap();
        balancer
    });
    // Capacities: 1, 3 and 6.
    let mut counts = [0_usize; 3];
    let mut near = 0;
    for (own, balancer) in callers.iter().enumerate() {
        for _ in 0..4_000 {
            let zone = usize::from(picked(balancer).as_bytes()[0] - b'a');
            counts[zone] += 1;
            near += usize::from(zone == own);
        }
    }
    for (count, expected) in counts.into_iter().zip([1_200, 3_600, 7_200_usize]) {
        assert!(count.abs_diff(expected) < 200, "{counts:?}");
    }
    // As many stay as the capacities allow: 0.1 + 0.3 + 1/3 of all.
    assert!(near.abs_diff(8_800) < 200, "{near}");
}

#[test]
fn callers_by_zone_change_the_shares() {
    let zones = [("a", 2), ("b", 2)];
    let scheduler = ZoneAware::new("a", ByRequests::new).with_callers([("a", 3), ("b", 1)]);
    let all_from_three_quarters = balancer(scheduler, &zones);
    let near = (0..3_000).filter(|_| picked(&all_from_three_quarters).starts_with('a'));
    let near = near.count();
    assert!(near.abs_diff(2_000) < 150, "half of three quarters: {near}");
    let scheduler = ZoneAware::new("elsewhere", ByRequests::new);
    let without_members = balancer(scheduler, &zones);
    let first = (0..3_000).filter(|_| picked(&without_members).starts_with('a'));
    let first = first.count();
    assert!(first.abs_diff(1_500) < 150, "{first}");
}

#[test]
fn a_key_stays_with_its_member_while_its_zone_is_unchanged() {
    let scheduler = ZoneAware::new("a", Maglev::new);
    let balancer = balancer(scheduler, &[("a", 2), ("b", 6), ("c", 6)]);
    let owner = |key| name(&balancer.pick(&PickRequest::new().with_hash(key)).unwrap());
    let owners: Vec<String> = (0..500).map(owner).collect();
    let again: Vec<String> = (0..500).map(owner).collect();
    assert_eq!(owners, again);
    let near = owners.iter().filter(|owner| owner.starts_with('a')).count();
    // 2 / 14 of the capacity, a third of the callers.
    assert!(near.abs_diff(214) < 50, "{near}");
    for key in 0..100 {
        let explained = balancer.explain(&PickRequest::new().with_hash(key));
        assert_eq!(*explained.picked().unwrap().name, *owners[key as usize]);
        let position = explained.details().position.unwrap();
        assert_eq!(position.len, 65_537, "the table of the zone");
    }
}

#[test]
fn a_change_of_one_zone_moves_no_key_between_two_others() {
    for (own, zones) in [
        ("a", [("a", 2), ("b", 6), ("c", 6), ("d", 6)]),
        ("elsewhere", [("a", 10), ("b", 10), ("c", 10), ("d", 10)]),
    ] {
        let balancer = balancer(ZoneAware::new(own, Maglev::new), &zones);
        let owners = || -> Vec<String> {
            let owner = |key| name(&balancer.pick(&PickRequest::new().with_hash(key)).unwrap());
            (0..4_000).map(owner).collect()
        };
        let before = owners();
        balancer.set_flag("b0", Flag::Disabled).unwrap();
        let after = owners();
        let mut moved = 0;
        for (before, after) in before.iter().zip(&after).filter(|(one, two)| one != two) {
            let expected = before.starts_with('b') || after.starts_with(own);
            assert!(expected, "{own}: {before} to {after}");
            moved += 1;
        }
        // Those of the member itself, those that its zone gives up, and those that stay now.
        assert!((50..1_200).contains(&moved), "{moved}");
        balancer.clear_flag("b0", Flag::Disabled).unwrap();
        assert_eq!(owners(), before);
    }
}

#[test]
fn full_and_tried_members_send_requests_to_other_zones() {
    let scheduler = ZoneAware::new("a", ByBusyness::new);
    let balancer = balancer(scheduler, &[("a", 2), ("b", 1), ("c", 1)]);
    let ids = ["a0", "a1", "b0", "c0"].map(|name| balancer.member(name).unwrap().id());
    let request = PickRequest::new();
    let mut others = [0_usize; 2];
    for _ in 0..400 {
        let lease = balancer.pick(&request.with_tried(&ids[..2])).unwrap();
        others[usize::from(name(&lease) == "c0")] += 1;
    }
    assert!(
        others.iter().all(|count| count.abs_diff(200) < 60),
        "{others:?}"
    );
    let error = balancer.pick(&request.with_tried(&ids)).unwrap_err();
    assert!(matches!(error, PickError::NoneUsable { .. }), "{error:?}");
    for name in ["a0", "a1", "b0", "c0"] {
        balancer
            .update(name, |spec| spec.with_max_in_flight(1))
            .unwrap();
    }
    let mut held: Vec<Lease<()>> = Vec::new();
    for _ in 0..4 {
        let explained = balancer.explain(&request);
        held.push(balancer.pick(&request).unwrap());
        assert!(explained.picked().is_some());
    }
    assert_eq!(["a0", "a1"], [name(&held[0]), name(&held[1])]);
    assert_eq!(balancer.pick(&request).unwrap_err(), PickError::AtCapacity);
    drop(held.remove(0));
    assert_eq!(picked(&balancer), "a0", "it has room again");
}

#[test]
fn members_that_change_zones_keep_the_books_right() {
    let scheduler = ZoneAware::new("a", ByBusyness::new).with_callers([("a", 1), ("b", 1)]);
    let balancer = balancer(scheduler, &[("a", 3), ("b", 3)]);
    let random = Random::seeded(3);
    let names = ["a0", "a1", "a2", "b0", "b1", "b2"];
    let mut held: Vec<Lease<()>> = Vec::new();
    for _ in 0..2_000 {
        match random.below(8) {
            0 => {
                // Two at once, so that they may change places.
                let mut edit = Vec::new();
                for name in names {
                    let zone = ["a", "b"][random.below(2) as usize];
                    edit.push((name, (), spec(zone)));
                }
                balancer.replace_all(edit).unwrap();
            }
            1 => {
                let name = names[random.below(6) as usize];
                let status = balancer.member(name).unwrap().status();
                if status.contains(Flag::Disabled) {
                    balancer.clear_flag(name, Flag::Disabled).unwrap();
                } else if random.below(3) == 0 {
                    balancer.set_flag(name, Flag::Disabled).unwrap();
                }
            }
            2..4 if !held.is_empty() => {
                drop(held.swap_remove(random.below(held.len() as u64) as usize));
            }
            _ => {
                let explained = balancer.explain(&PickRequest::new());
                let expected = explained.picked().map(|one| one.id);
                let Ok(lease) = balancer.pick(&PickRequest::new()) else {
                    assert!(expected.is_none());
                    continue;
                };
                assert_eq!(Some(lease.member().id()), expected, "{explained}");
                // No other member of its zone has fewer in flight.
                let zone = |one: &crate::balancer::MemberExplanation| {
                    one.labels.get("zone").map(str::to_owned)
                };
                let rows = explained.members();
                let own = rows
                    .iter()
                    .find(|one| one.id == lease.member().id())
                    .unwrap();
                let rivals = rows
                    .iter()
                    .filter(|one| zone(one) == zone(own) && !one.status.contains(Flag::Disabled));
                assert!(rivals.clone().all(|one| one.in_flight >= own.in_flight));
                held.push(lease);
                if held.len() > 40 {
                    held.clear();
                }
            }
        }
    }
}

#[test]
fn a_zone_that_was_empty_has_its_standings_again() {
    let scheduler = ZoneAware::new("a", ByRequests::new);
    let balancer = balancer(scheduler, &[("a", 3), ("b", 1)]);
    assert_eq!([picked(&balancer), picked(&balancer)], ["a0", "a1"]);
    for name in ["a0", "a1", "a2"] {
        balancer.set_flag(name, Flag::Disabled).unwrap();
    }
    assert_eq!(picked(&balancer), "b0");
    for name in ["a0", "a1", "a2"] {
        balancer.clear_flag(name, Flag::Disabled).unwrap();
    }
    assert_eq!(picked(&balancer), "a2");
    assert_eq!(balancer.standing("a0"), balancer.standing("a1"));
    assert_ne!(balancer.standing("a0"), None);
}

#[test]
fn sessions_count_in_their_zone() {
    let scheduler = ZoneAware::new("a", ByRequests::new);
    let balancer = balancer(scheduler, &[("a", 2), ("b", 2)]);
    balancer.update("a0", |spec| spec.with_route("r")).unwrap();
    let session = PickRequest::new().with_session(Some("r"));
    drop(balancer.pick(&session).unwrap());
    assert_eq!([picked(&balancer), picked(&balancer)], ["a1", "a0"]);
}

/// Counts what it is notified of.
#[derive(Debug, Default)]
struct Counting {
    ended: Arc<AtomicUsize>,
}

impl Scheduler for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let pick = candidates.claim_first(candidates.iter());
        assert!(context.facts::<&str>().is_none(), "a panic after the claim");
        pick
    }

    fn on_ended(&self, _: &MemberState, _: &Ended) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn needs(&self) -> Needs {
        Needs::ENDED
    }
}

#[test]
fn ends_are_passed_on_also_of_members_that_have_left() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let scheduler = ZoneAware::new("a", move || Counting {
        ended: count.clone(),
    });
    let balancer = balancer(scheduler, &[("a", 2), ("b", 1)]);
    let held: Vec<_> = (0..3)
        .map(|_| balancer.pick(&PickRequest::new()).unwrap())
        .collect();
    balancer.set_flag("a0", Flag::Disabled).unwrap();
    balancer.set_flag("a1", Flag::Disabled).unwrap();
    drop(held);
    assert_eq!(ended.load(Ordering::Relaxed), 3);
}

#[test]
fn a_claim_of_a_scheduler_that_panics_is_released() {
    let scheduler = ZoneAware::new("a", Counting::default);
    let balancer = balancer(scheduler, &[("a", 1), ("b", 1)]);
    let facts = "panic";
    let request = PickRequest::new().with_facts(&facts);
    let picked = catch_unwind(AssertUnwindSafe(|| balancer.pick(&request).map(drop)));
    assert!(picked.is_err());
    assert_eq!(balancer.member("a0").unwrap().in_flight(), 0);
    assert_eq!(self::picked(&balancer), "a0");
}

/// A wrapper that passes on nothing but picks.
#[derive(Debug)]
struct Forgetful(ZoneAware<First>);

impl Scheduler for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.0.pick(candidates, context)
    }

    fn on_group_change(&self, _: &GroupChange<'_>) {}

    fn standing(&self, _: MemberId) -> Option<i64> {
        None
    }
}

#[test]
fn zones_are_found_also_without_notice_of_the_group() {
    let scheduler = Forgetful(ZoneAware::new("b", First::new));
    let balancer = balancer(scheduler, &[("a", 1), ("b", 1)]);
    assert_eq!(picked(&balancer), "b0");
}

/// A wrapper whose plan lacks the zone `c`, as a plan does that is older than the group.
#[derive(Debug)]
struct Outdated(ZoneAware<First>);

impl Scheduler for Outdated {
    fn name(&self) -> &'static str {
        "outdated"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.0.pick(candidates, context)
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        self.0.explain(candidates, context)
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.0.on_group_change(group);
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        let members = members.iter();
        let known = members.filter(|one| one.label("zone") != Some("c"));
        self.0.plan(&PlanMembers::part(&known.collect::<Vec<_>>()))
    }

    fn needs(&self) -> Needs {
        self.0.needs()
    }
}

#[test]
fn a_zone_that_is_newer_than_the_plan_has_callers() {
    let scheduler = Outdated(ZoneAware::new("a", First::new));
    let balancer = balancer(scheduler, &[("a", 2), ("b", 2), ("c", 2)]);
    let explained = balancer.explain(&PickRequest::new());
    let expected = "the own zone \"a\" has 33.3 % of the capacity and 33.3 % of the callers, and \
                    keeps 100.0 % of its requests";
    let notes = &explained.details().notes;
    assert!(notes.iter().any(|note| **note == *expected), "{notes:?}");
}

#[test]
fn zones_nest() {
    let scheduler = ZoneAware::new("b", || {
        ZoneAware::new("near", ByRequests::new)
            .with_label("rack")
            .with_callers([("near", 1), ("far", 1)])
    });
    let balancer = balancer(scheduler, &[("a", 2), ("b", 4)]);
    for (name, rack) in [("b0", "far"), ("b1", "near"), ("b2", "near"), ("b3", "far")] {
        let with_rack = |spec: MemberSpec| spec.with_label("rack", rack);
        balancer.update(name, with_rack).unwrap();
    }
    let names = [picked(&balancer), picked(&balancer), picked(&balancer)];
    assert_eq!(names, ["b1", "b2", "b1"]);
}

#[test]
fn members_without_the_label_are_a_zone() {
    let scheduler = ZoneAware::new("a", ByRequests::new);
    let balancer = balancer(scheduler, &[("a", 1)]);
    balancer.insert("plain", (), MemberSpec::new()).unwrap();
    assert_eq!([picked(&balancer), picked(&balancer)], ["a0", "a0"]);
    balancer.set_flag("a0", Flag::Disabled).unwrap();
    assert_eq!(picked(&balancer), "plain");
    let explained = balancer.explain(&PickRequest::new());
    assert_eq!(
        explained.details().notes[..],
        [
            "the own zone \"a\" has 0.0 % of the capacity and 50.0 % of the callers, and keeps \
             0.0 % of its requests",
            "this request goes to zone \"\"",
        ]
    );
}

#[test]
fn an_explanation_foretells_drawn_zones() {
    let scheduler = ZoneAware::new("a", ByRequests::new);
    let balancer = balancer(scheduler, &[("a", 1), ("b", 3), ("c", 2)]);
    for _ in 0..200 {
        let explained = balancer.explain(&PickRequest::new());
        assert_eq!(*explained.picked().unwrap().name, *picked(&balancer));
    }
}

#[test]
fn a_pick_allocates_nothing() {
    let scheduler = ZoneAware::new("a", Maglev::new);
    let balancer = balancer(scheduler, &[("a", 2), ("b", 9), ("c", 9)]);
    balancer
        .update("a0", |spec| spec.with_max_in_flight(1))
        .unwrap();
    let held = balancer.pick(&PickRequest::new()).unwrap();
    let tried = [balancer.member("a1").unwrap().id()];
    let counted = allocation_counter::measure(|| {
        for key in 0..200 {
            drop(balancer.pick(&PickRequest::new().with_hash(key)).unwrap());
            drop(balancer.pick(&PickRequest::new()).unwrap());
            drop(
                balancer
                    .pick(&PickRequest::new().with_tried(&tried))
                    .unwrap(),
            );
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    drop(held);
}
