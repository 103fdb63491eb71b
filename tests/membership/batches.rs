//! Many changes as one: what an edit comes to, and that it is all or nothing.

use crate::support::{Scribe, capped, fleet, in_flight, pick, picks, plain};
use equipoise::member::Overrides;
use equipoise::scheduler::{ByRequests, Candidates, GroupChange, Pick, PickContext, Scheduler};
use equipoise::{Balancer, EditError, Flag, MemberSpec, Weight};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

fn spec() -> MemberSpec {
    MemberSpec::new()
}

fn names<W>(balancer: &Balancer<W>) -> Vec<String> {
    let members = balancer.members();
    members.iter().map(|it| it.name().to_owned()).collect()
}

/// Elects as `byrequests`, and counts how often it is told of a change.
#[derive(Debug, Default)]
struct Counting {
    inner: ByRequests,
    told: Arc<AtomicUsize>,
}

impl Scheduler for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.inner.pick(candidates, context)
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.told.fetch_add(1, Relaxed);
        self.inner.on_group_change(group);
    }
}

#[test]
fn an_edit_is_one_change_to_the_scheduler_and_nothing_before_it_is_applied() {
    let scheduler = Counting::default();
    let told = scheduler.told.clone();
    let members = ["a", "b"].map(|name| (name, name, spec()));
    let builder = Balancer::builder().scheduler(scheduler).members(members);
    let balancer = builder.build().unwrap();
    told.store(0, Relaxed);
    let mut edit = balancer.edit();
    edit.insert("c", "c", spec());
    edit.insert("d", "d", spec());
    edit.remove("a");
    edit.set_flag("b", Flag::Draining);
    edit.override_member("d", |it: Overrides| it.with_flag(Flag::Disabled));
    assert_eq!((told.load(Relaxed), names(&balancer).len()), (0, 2));
    let edited = edit.apply().unwrap();
    assert_eq!(told.load(Relaxed), 1);
    assert_eq!(names(&balancer), ["b", "c", "d"]);
    assert_eq!(picks(&balancer, 3), "ccc");
    assert_eq!(edited.inserted.len(), 2);
    assert_eq!(edited.updated, [balancer.member("b").unwrap().id()]);
    assert_eq!(edited.removed[0].name(), "a");
    drop(balancer.edit().apply().unwrap());
    assert_eq!(told.load(Relaxed), 1, "an empty edit is no change");
}

#[test]
fn members_come_into_ties_in_the_order_in_which_they_are_inserted() {
    let balancer = plain([]);
    let mut edit = balancer.edit();
    edit.override_member("b", |it: Overrides| it.with_tier(0));
    edit.insert("a", "a", spec());
    edit.insert("b", "b", spec());
    edit.apply().unwrap();
    assert_eq!(picks(&balancer, 4), "abab");
}

#[test]
fn each_operation_sees_what_the_ones_before_it_have_left() {
    let balancer = plain(["a"]);
    let mut edit = balancer.edit();
    edit.insert("b", "b", spec().with_tier(1));
    edit.update("b", |spec: MemberSpec| {
        let tier = spec.tier() + 1;
        spec.with_tier(tier)
    });
    edit.update("b", |spec: MemberSpec| {
        let tier = spec.tier() + 10;
        spec.with_tier(tier)
    });
    edit.set_flag("b", Flag::Draining);
    edit.set_flag("b", Flag::InError);
    edit.clear_overrides("b");
    edit.set_flag("b", Flag::HotStandby);
    let edited = edit.apply().unwrap();
    assert_eq!(balancer.source_spec("b"), Some(spec().with_tier(12)));
    let status = balancer.member("b").unwrap().status();
    assert_eq!(status.to_string(), "hot standby, in error");
    let cleared = Overrides::new().with_flag(Flag::Draining);
    assert_eq!(edited.cleared, [("b".into(), cleared)]);
}

#[test]
fn a_member_that_is_removed_and_inserted_again_is_updated() {
    let (balancer, _) = fleet([("a", capped(1)), ("b", spec())]);
    let lease = pick(&balancer).unwrap();
    balancer.set_flag("a", Flag::HotSpare).unwrap();
    let id = lease.member().id();
    let mut edit = balancer.edit();
    edit.remove("a");
    edit.insert("a", "again", capped(2));
    let edited = edit.apply().unwrap();
    assert_eq!(edited.updated, [id]);
    assert!(edited.removed.is_empty() && edited.inserted.is_empty());
    assert_eq!(names(&balancer), ["a", "b"], "it keeps its place");
    assert_eq!(in_flight(&balancer, "a"), 1);
    assert_eq!(balancer.overrides().len(), 1);
    assert_eq!(*balancer.payload("a").unwrap(), "again");
}

#[test]
fn a_member_that_is_inserted_and_removed_again_never_was() {
    let scribe = Arc::new(Scribe::default());
    let builder = Balancer::builder().observer(scribe.clone());
    let balancer = builder.member("a", (), spec()).build().unwrap();
    let mut edit = balancer.edit();
    edit.insert("b", (), spec());
    edit.set_flag("b", Flag::Draining);
    edit.remove("b");
    let edited = edit.apply().unwrap();
    assert_eq!(edited.inserted.len() + edited.removed.len(), 0);
    assert_eq!(names(&balancer), ["a"]);
    assert!(scribe.take().is_empty());
    assert_eq!(balancer.overrides().len(), 1, "an operator's word is kept");
}

#[test]
fn a_replacement_within_an_edit_removes_what_was_inserted_before_it() {
    let balancer = plain(["a", "b"]);
    let mut edit = balancer.edit();
    edit.insert("x", "x", spec());
    edit.replace_all([("b", "b", spec()), ("c", "c", spec())]);
    edit.insert("d", "d", spec());
    let edited = edit.apply().unwrap();
    assert_eq!(names(&balancer), ["b", "c", "d"]);
    assert_eq!((edited.inserted.len(), edited.updated.len()), (2, 1));
    assert_eq!(edited.removed.len(), 1);
}

#[test]
fn a_refused_edit_changes_nothing_and_names_the_member() {
    let duplicate = EditError::DuplicateName { name: "n".into() };
    let unknown = EditError::UnknownMember { name: "n".into() };
    type Record = fn(&mut equipoise::balancer::Edit<'_, &'static str>);
    let refused: [(&str, Record, &EditError); 8] = [
        (
            "twice",
            |it| {
                it.insert("n", "n", spec());
                it.insert("n", "n", spec());
            },
            &duplicate,
        ),
        (
            "removed between",
            |it| {
                it.insert("n", "n", spec());
                it.remove("n");
                it.insert("n", "n", spec());
            },
            &duplicate,
        ),
        (
            "listed and inserted",
            |it| {
                it.replace_all([("n", "n", spec())]);
                it.insert("n", "n", spec());
            },
            &duplicate,
        ),
        ("removed", |it| it.remove("n"), &unknown),
        (
            "removed twice",
            |it| {
                it.insert("n", "n", spec());
                it.remove("n");
                it.remove("n");
            },
            &unknown,
        ),
        (
            "updated",
            |it| it.update("n", |spec: MemberSpec| spec),
            &unknown,
        ),
        ("flagged", |it| it.set_flag("n", Flag::Disabled), &unknown),
        (
            "cleared of an error",
            |it| it.clear_flag("n", Flag::InError),
            &unknown,
        ),
    ];
    let balancer = plain(["a", "b"]);
    for (what, record, error) in refused {
        let mut edit = balancer.edit();
        edit.remove("a");
        edit.insert("c", "c", spec());
        edit.update("b", |it: MemberSpec| {
            it.with_weight(Weight::new(3).unwrap())
        });
        edit.set_flag("b", Flag::Draining);
        edit.override_member("later", |it: Overrides| it.with_tier(2));
        record(&mut edit);
        assert_eq!(edit.apply().unwrap_err(), *error, "{what}");
        assert_eq!(names(&balancer), ["a", "b"], "{what}");
        assert_eq!(balancer.spec("b"), Some(spec()), "{what}");
        assert!(balancer.overrides().is_empty(), "{what}");
    }
    assert_eq!(picks(&balancer, 2), "ab");
}

#[test]
fn an_edit_that_is_given_up_half_way_changes_nothing() {
    let balancer = plain(["a"]);
    let fails = || -> Result<(), std::num::ParseIntError> {
        let mut edit = balancer.edit();
        edit.remove("a");
        for text in ["1", "many"] {
            edit.insert(text, "n", spec().with_tier(text.parse()?));
        }
        drop(edit.apply());
        Ok(())
    };
    assert!(fails().is_err());
    let panics = || {
        let mut edit = balancer.edit();
        edit.remove("a");
        edit.override_member("a", |_: Overrides| panic!("half-way"));
        edit.apply()
    };
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert_eq!(names(&balancer), ["a"]);
    assert_eq!(picks(&balancer, 1), "a");
    balancer.insert("b", "b", spec()).unwrap();
}

#[test]
fn changes_of_an_edit_may_use_the_balancer_and_run_again_if_it_changes() {
    let balancer = plain(["a", "b"]);
    let runs = AtomicUsize::new(0);
    let mut edit = balancer.edit();
    edit.update("a", |spec: MemberSpec| {
        if runs.fetch_add(1, Relaxed) == 0 {
            balancer.update("a", |spec| spec.with_route("r")).unwrap();
            balancer.remove("b").unwrap();
        }
        spec.with_tier(1)
    });
    edit.insert("c", "c", spec());
    edit.apply().unwrap();
    assert_eq!(runs.load(Relaxed), 2);
    assert_eq!(
        balancer.source_spec("a"),
        Some(spec().with_tier(1).with_route("r"))
    );
    assert_eq!(names(&balancer), ["a", "c"]);
}

#[test]
fn an_edit_that_waits_to_be_applied_meets_the_members_of_then() {
    let balancer = plain(["a", "b"]);
    let mut edit = balancer.edit();
    edit.remove("a");
    balancer.remove("a").unwrap();
    let error = edit.apply().unwrap_err();
    assert_eq!(error, EditError::UnknownMember { name: "a".into() });
}

#[test]
fn payloads_of_a_refused_edit_may_use_the_balancer_as_they_are_dropped() {
    struct Caller(Option<Balancer<Self>>);

    impl Drop for Caller {
        fn drop(&mut self) {
            if let Some(balancer) = self.0.take() {
                assert!(balancer.overrides().is_empty());
            }
        }
    }

    let balancer = Balancer::<Caller>::builder().build().unwrap();
    let mut edit = balancer.edit();
    edit.insert("a", Caller(Some(balancer.clone())), spec());
    edit.remove("b");
    assert!(edit.apply().is_err());
    let mut edit = balancer.edit();
    edit.insert("a", Caller(Some(balancer.clone())), spec());
    edit.remove("a");
    edit.apply().unwrap();
    assert!(balancer.is_empty());
}

#[test]
fn ten_thousand_members_in_one_edit_are_all_there() {
    let balancer = Balancer::<usize>::builder().build().unwrap();
    let mut edit = balancer.edit();
    for at in 0..10_000 {
        edit.insert(format!("m{at}"), at, spec().with_route(format!("r{at}")));
    }
    assert_eq!(edit.apply().unwrap().inserted.len(), 10_000);
    for at in 0..10_000 {
        assert_eq!(*balancer.payload(&format!("m{at}")).unwrap(), at);
    }
    let half = (0..10_000).step_by(2);
    let half = half.map(|at| (format!("m{at}"), at, spec()));
    let edited = balancer.replace_all(half).unwrap();
    assert_eq!((edited.updated.len(), edited.removed.len()), (5_000, 5_000));
    assert!(balancer.member("m1").is_none() && balancer.member("m2").is_some());
}

#[test]
fn ten_thousand_changes_of_one_name_each_see_the_one_before() {
    let balancer = plain(["a", "b"]);
    let mut edit = balancer.edit();
    for at in 0..10_000_u16 {
        edit.update("a", move |spec: MemberSpec| {
            assert_eq!(spec.tier(), at);
            spec.with_tier(at + 1)
        });
        edit.override_member("a", move |it: Overrides| {
            let expected = (at > 0).then(|| u32::from(at));
            assert_eq!(it.max_in_flight(), expected);
            it.with_max_in_flight(u32::from(at) + 1)
        });
    }
    edit.apply().unwrap();
    assert_eq!(balancer.source_spec("a").unwrap().tier(), 10_000);
    assert_eq!(balancer.member("a").unwrap().max_in_flight(), 10_000);
}

#[test]
fn an_operators_flag_on_a_member_that_is_inserted_again_is_told_as_an_operators() {
    let balancer = plain(["a", "b"]);
    let scribe = Scribe::default();
    let _told = balancer.observe(scribe.clone());
    let mut edit = balancer.edit();
    edit.insert("a", "a", spec());
    edit.set_flag("a", Flag::Disabled);
    edit.apply().unwrap();
    assert_eq!(scribe.take(), ["a: ok -> disabled (Operator)"]);
    balancer
        .insert("b", "b", spec().with_flag(Flag::Disabled))
        .unwrap();
    assert_eq!(scribe.take(), ["b: ok -> disabled (Source)"]);
}
