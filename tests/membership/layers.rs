//! What a source says of a member, what an operator overrides, and its health: three
//! layers, none of which a change of another undoes.
//!
//! That they hold under any course of changes is shown against a model, in `tests/laws`.

use crate::support::{Scribe, capped, fleet, pick, picks};
use equipoise::balancer::{MAX_ABSENT_OVERRIDES, SettingLayer};
use equipoise::member::Overrides;
use equipoise::{Balancer, Flag, MemberSpec, PickRequest, Weight};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn spec() -> MemberSpec {
    MemberSpec::new()
}

fn status(balancer: &Balancer<&str>, name: &str) -> String {
    balancer.member(name).unwrap().status().to_string()
}

#[test]
fn a_drained_member_drains_on_whatever_its_source_does() {
    let (balancer, _) = fleet([("a", spec()), ("b", spec()), ("c", spec())]);
    balancer.set_flag("a", Flag::Draining).unwrap();
    balancer.set_flag("b", Flag::Disabled).unwrap();
    let holds = |what: &str| {
        assert_eq!(status(&balancer, "a"), "draining", "{what}");
        assert_eq!(status(&balancer, "b"), "disabled", "{what}");
        assert_eq!(picks(&balancer, 2), "cc", "{what}");
    };
    holds("set");
    let same = ["a", "b", "c"].map(|name| (name, name, spec()));
    balancer.replace_all(same).unwrap();
    holds("replace_all");
    balancer
        .insert("a", "a", spec().with_tier(0).with_route("r"))
        .unwrap();
    holds("insert");
    balancer
        .update("b", |spec| spec.with_weight(Weight::new(9).unwrap()))
        .unwrap();
    holds("update");
    balancer.remove("a").unwrap();
    balancer.remove("b").unwrap();
    balancer.insert("b", "b", spec()).unwrap();
    balancer.insert("a", "a", spec()).unwrap();
    holds("a return");
}

#[test]
fn a_flag_of_the_source_that_is_cleared_stays_cleared() {
    let off = spec().with_flag(Flag::Disabled);
    let (balancer, _) = fleet([("a", off.clone())]);
    balancer.clear_flag("a", Flag::Disabled).unwrap();
    balancer.insert("a", "a", off.clone()).unwrap();
    assert_eq!(status(&balancer, "a"), "ok");
    balancer.clear_overrides("a");
    assert_eq!(status(&balancer, "a"), "disabled");
    assert_eq!(balancer.source_spec("a"), Some(off));
}

#[test]
fn overrides_neither_hide_nor_end_an_error() {
    let (balancer, _) = fleet([("a", spec()), ("b", spec())]);
    pick(&balancer).unwrap().put_in_error();
    balancer.set_flag("a", Flag::HotStandby).unwrap();
    balancer.override_member("a", |it| it.with_flag_off(Flag::InError).with_tier(0));
    balancer.clear_overrides("a");
    balancer.insert("a", "a", spec()).unwrap();
    assert_eq!(status(&balancer, "a"), "in error");
    balancer.clear_flag("a", Flag::InError).unwrap();
    assert_eq!(status(&balancer, "a"), "ok");
    assert!(balancer.overrides().is_empty(), "health is no override");
}

#[test]
fn an_update_of_the_source_neither_ends_nor_begins_an_error() {
    let (balancer, _) = fleet([("a", spec()), ("b", spec())]);
    balancer.set_flag("a", Flag::InError).unwrap();
    balancer.set_flag("a", Flag::FailedCheck).unwrap();
    balancer.update("a", |_| spec().with_tier(1)).unwrap();
    assert_eq!(status(&balancer, "a"), "failed check, in error");
    let failed = |spec: MemberSpec| spec.with_flag(Flag::InError).with_flag(Flag::FailedCheck);
    balancer.update("b", failed).unwrap();
    assert_eq!(status(&balancer, "b"), "ok");
    assert_eq!(balancer.source_spec("b"), Some(spec()));
}

#[test]
fn overrides_wait_for_a_member_that_has_never_come() {
    let (balancer, _) = fleet([("a", spec())]);
    balancer.override_member("b", |it| it.with_flag(Flag::Draining).with_max_in_flight(3));
    balancer.insert("b", "b", capped(9)).unwrap();
    assert_eq!(status(&balancer, "b"), "draining");
    assert_eq!(balancer.member("b").unwrap().max_in_flight(), 3);
    balancer.remove("b").unwrap();
    assert_eq!(balancer.overrides().len(), 1);
    let cleared = balancer.clear_overrides("b").unwrap();
    assert!(cleared.flags().0.contains(Flag::Draining));
    assert!(balancer.overrides().is_empty());
    assert_eq!(balancer.clear_overrides("b"), None);
}

#[test]
fn overrides_of_names_that_never_come_have_a_bound_and_the_oldest_go_first() {
    let (balancer, _) = fleet([("here", spec())]);
    balancer.set_flag("here", Flag::Draining).unwrap();
    for at in 0..MAX_ABSENT_OVERRIDES + 10 {
        balancer.override_member(format!("n{at}"), |it| it.with_tier(1));
    }
    let overrides = balancer.overrides();
    assert_eq!(overrides.len(), MAX_ABSENT_OVERRIDES + 1);
    assert!(overrides.contains_key("here"), "a member is not forgotten");
    assert!(!overrides.contains_key("n9"));
    assert!(overrides.contains_key("n10"));
}

#[test]
fn a_change_of_the_overrides_may_use_the_balancer_and_misses_no_other() {
    let (balancer, _) = fleet([("a", spec())]);
    let first = AtomicBool::new(true);
    balancer.override_member("a", |it| {
        if first.swap(false, Ordering::Relaxed) {
            balancer.set_flag("a", Flag::Draining).unwrap();
            balancer.override_member("b", |it| it.with_tier(7));
        }
        it.with_tier(2)
    });
    assert_eq!(status(&balancer, "a"), "draining");
    assert_eq!(balancer.spec("a").unwrap().tier(), 2);
}

#[test]
fn overrides_by_many_threads_are_all_kept() {
    let (balancer, _) = fleet([("a", spec())]);
    let flags = [
        Flag::Disabled,
        Flag::Draining,
        Flag::HotSpare,
        Flag::HotStandby,
        Flag::IgnoreErrors,
        Flag::Stopped,
    ];
    thread::scope(|scope| {
        for flag in flags {
            let balancer = &balancer;
            scope.spawn(move || balancer.set_flag("a", flag).unwrap());
        }
        for tier in 0..20 {
            balancer.update("a", |spec| spec.with_tier(tier)).unwrap();
        }
    });
    let status = balancer.member("a").unwrap().status();
    assert!(flags.into_iter().all(|flag| status.contains(flag)));
    assert_eq!(balancer.spec("a").unwrap().tier(), 19);
}

#[test]
fn a_member_that_joins_has_its_overrides_from_the_first() {
    let scribe = Arc::new(Scribe::default());
    let builder = Balancer::builder().observer(scribe.clone());
    let balancer = builder.build().unwrap();
    balancer.override_member("a", |it| it.with_flag(Flag::Draining));
    balancer.insert("a", (), spec()).unwrap();
    assert!(scribe.take().is_empty(), "it was never anything else");
    assert_eq!(balancer.spec("a"), Some(spec().with_flag(Flag::Draining)));
}

#[test]
fn what_is_overridden_can_be_read() {
    let weight = Weight::new(7).unwrap();
    let overrides = Overrides::new()
        .with_weight(weight)
        .with_tier(3)
        .with_route("")
        .with_max_in_flight(9);
    assert_eq!(overrides.weight(), Some(weight));
    assert_eq!(overrides.tier(), Some(3));
    assert_eq!(
        overrides.route(),
        Some(""),
        "none, whatever the source says"
    );
    assert_eq!(overrides.redirect_route(), None, "what the source says");
    assert_eq!(overrides.max_in_flight(), Some(9));
}

#[test]
fn the_explanation_says_which_layer_has_set_a_flag() {
    let (balancer, _) = fleet([("a", spec().with_flag(Flag::HotStandby)), ("b", spec())]);
    balancer.set_flag("a", Flag::Draining).unwrap();
    balancer.set_flag("a", Flag::FailedCheck).unwrap();
    let explanation = balancer.explain(&PickRequest::new());
    let a = &explanation.members()[0];
    assert_eq!(a.layer(Flag::Draining), Some(SettingLayer::Operator));
    assert_eq!(a.layer(Flag::HotStandby), Some(SettingLayer::Source));
    assert_eq!(a.layer(Flag::FailedCheck), Some(SettingLayer::Health));
    assert_eq!(a.layer(Flag::Stopped), None);
    let table = explanation.to_string();
    assert!(
        table.contains("draining by operator, failed check, hot standby"),
        "{table}"
    );
}

#[test]
fn the_explanation_lists_all_that_an_operator_has_decided() {
    let (balancer, _) = fleet([("a", spec().with_flag(Flag::Disabled)), ("b", spec())]);
    balancer.override_member("a", |it| {
        it.with_weight(Weight::new(5).unwrap())
            .with_tier(0)
            .with_route("r9")
            .with_redirect_route("")
            .with_max_in_flight(4)
            .with_flag(Flag::Draining)
            .with_flag_off(Flag::Disabled)
    });
    let table = balancer.explain(&PickRequest::new()).to_string();
    let last = table.lines().last().unwrap();
    let expected = "  overrides of a: weight 5, tier 0, route \"r9\", no redirect route, \
                    at most 4 in flight, draining, not disabled";
    assert_eq!(last, expected, "{table}");
}
