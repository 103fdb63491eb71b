//! A fact that is told twice is news once: the second time nothing is worked out again,
//! the scheduler is told nothing, and nothing that waits is woken.

use crate::support::{Scribe, Task, pick, seconds};
use equipoise::clock::{Clock, ManualClock, Timestamp};
use equipoise::member::Cause;
use equipoise::scheduler::{Candidates, GroupChange, Pick, PickContext};
use equipoise::{Balancer, Flag, Lease, MemberSpec, PickRequest, Scheduler};
use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Elects the first, and counts what it is told.
#[derive(Clone, Debug, Default)]
struct Told {
    groups: Arc<AtomicUsize>,
    changed: Arc<AtomicUsize>,
}

impl Scheduler for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        candidates.claim_first(candidates.iter())
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.groups.fetch_add(1, SeqCst);
        self.changed.fetch_add(group.changed().count(), SeqCst);
    }
}

struct Scene {
    balancer: Balancer<()>,
    clock: ManualClock,
    told: Told,
    scribe: Scribe,
}

impl Scene {
    fn with(names: impl IntoIterator<Item = String>) -> Self {
        let (clock, told, scribe) = (ManualClock::new(), Told::default(), Scribe::default());
        let balancer = Balancer::builder()
            .clock(clock.clone())
            .scheduler(told.clone())
            .observer(scribe.clone())
            .members(names.into_iter().map(|name| (name, (), MemberSpec::new())))
            .build()
            .unwrap();
        Self {
            balancer,
            clock,
            told,
            scribe,
        }
    }

    fn of(names: &str) -> Self {
        Self::with(names.chars().map(String::from))
    }

    /// Does something that is no news, and shows that it was taken for none.
    fn hears_nothing(&self, what: &str, act: impl FnOnce(&Balancer<()>)) {
        self.balancer.apply_timed_changes();
        let due = self.balancer.next_timed_change();
        let groups = self.told.groups.load(SeqCst);
        self.scribe.take();
        let watcher = Task::pending(self.balancer.wait_for_members(usize::MAX));
        act(&self.balancer);
        assert!(!watcher.is_woken(), "{what} wakes");
        assert_eq!(
            self.balancer.next_timed_change(),
            due,
            "{what} makes a renewal due"
        );
        self.balancer.apply_timed_changes();
        assert_eq!(self.told.groups.load(SeqCst), groups, "{what} is told on");
        let heard = self.scribe.take();
        let elections = |line: &String| line.starts_with("elected") || line.starts_with("ended");
        assert!(heard.iter().all(elections), "{what}: {heard:?}");
    }
}

#[test]
fn what_is_so_already_is_no_news() {
    let scene = Scene::of("abc");
    let balancer = &scene.balancer;
    let lease = pick(balancer).unwrap();
    lease.put_in_error();
    balancer.set_flag("b", Flag::Draining).unwrap();
    balancer.clear_flag("c", Flag::Disabled).unwrap();

    scene.hears_nothing("an error of a member in error", |_| lease.put_in_error());
    scene.hears_nothing("a flag that is set", |balancer| {
        balancer.set_flag("b", Flag::Draining).unwrap();
    });
    scene.hears_nothing("an error that is set by hand", |balancer| {
        balancer.set_flag("a", Flag::InError).unwrap();
    });
    scene.hears_nothing("a flag that is cleared", |balancer| {
        balancer.clear_flag("c", Flag::Disabled).unwrap();
    });
    scene.hears_nothing("the recovery of a member that is well", |balancer| {
        balancer.clear_flag("c", Flag::InError).unwrap();
    });
    scene.hears_nothing("an override that is one already", |balancer| {
        balancer.override_member("b", |it| it.with_flag(Flag::Draining));
    });
    scene.hears_nothing("overrides of a name that is not there", |balancer| {
        balancer.override_member("z", |it| it.with_tier(1));
        balancer.clear_overrides("z");
    });
    scene.hears_nothing("an update to the same spec", |balancer| {
        balancer.update("c", |spec| spec).unwrap();
    });
    scene.hears_nothing("a limit that is learned again", |balancer| {
        balancer.learned_limit("c").unwrap().set(None);
    });
    scene.hears_nothing("a removal of a name that is not there", |balancer| {
        assert!(balancer.remove("z").is_err());
    });
    scene.hears_nothing(
        "a time at which nothing is due",
        Balancer::apply_timed_changes,
    );
    scene.hears_nothing("the recovery of all when that is so", |balancer| {
        balancer.set_forced_recovery(true);
    });
}

#[test]
fn a_thousand_failures_of_one_member_among_ten_thousand_are_noticed_once() {
    let scene = Scene::with((0..10_000).map(|at| format!("m{at}")));
    let balancer = &scene.balancer;
    let leases: Vec<Lease<()>> = (0..1_000).map(|_| pick(balancer).unwrap()).collect();
    let first = leases[0].member().id();
    assert!(leases.iter().all(|lease| lease.member().id() == first));
    scene.scribe.take();
    let groups = scene.told.groups.load(SeqCst);

    let mut renewals = 0;
    for lease in leases {
        lease.put_in_error_because(Cause::Refused);
        lease.fail(Cause::Refused);
        // A pick renews what is due at once, and nothing else.
        renewals += usize::from(balancer.next_timed_change() == Some(Timestamp::ORIGIN));
        drop(pick(balancer).unwrap());
    }
    assert_eq!(renewals, 1);
    assert_eq!(scene.told.groups.load(SeqCst) - groups, 1);
    let heard = scene.scribe.take();
    let count = |what: &str| heard.iter().filter(|line| line.contains(what)).count();
    assert_eq!(count("-> in error"), 1, "{heard:?}");
}

#[test]
fn an_error_that_is_repeated_begins_anew() {
    let scene = Scene::of("ab");
    let balancer = &scene.balancer;
    let delay = equipoise::member::DEFAULT_RECOVERY_DELAY;
    let lease = pick(balancer).unwrap();
    lease.put_in_error();
    balancer.apply_timed_changes();
    scene.clock.advance(seconds(20));
    lease.put_in_error();

    scene.clock.advance(delay - seconds(20));
    balancer.apply_timed_changes();
    assert!(!lease.member().status().is_usable(), "20 s are left");
    let due = scene.clock.now() + seconds(20);
    assert_eq!(balancer.next_timed_change(), Some(due));
    scene.clock.advance(seconds(20));
    balancer.apply_timed_changes();
    assert!(lease.member().status().is_usable());
}

#[test]
fn a_time_that_is_over_and_changes_nothing_wakes_nothing() {
    let scene = Scene::of("ab");
    let balancer = &scene.balancer;
    let lease = pick(balancer).unwrap();
    lease.put_in_error();
    balancer.apply_timed_changes();
    scene.clock.advance(seconds(20));
    lease.put_in_error();
    let watcher = Task::pending(balancer.wait_for_members(usize::MAX));
    scene.clock.advance(seconds(40));
    balancer.apply_timed_changes();
    assert!(!watcher.is_woken());
}

#[test]
fn a_new_payload_under_the_same_spec_is_shown_and_is_no_change_to_the_method() {
    let told = Told::default();
    let balancer = Balancer::builder()
        .scheduler(told.clone())
        .members(["a", "b"].map(|name| (name, "old", MemberSpec::new())))
        .build()
        .unwrap();
    balancer.insert("a", "new", MemberSpec::new()).unwrap();
    balancer
        .replace_all(["a", "b"].map(|name| (name, "new", MemberSpec::new())))
        .unwrap();
    assert_eq!(told.changed.load(SeqCst), 0);
    assert_eq!(*pick(&balancer).unwrap(), "new");
    assert_eq!(*balancer.payload("b").unwrap(), "new");
}

#[test]
fn one_who_waits_for_a_member_is_woken_by_the_first_error_only() {
    let scene = Scene::of("ab");
    let balancer = &scene.balancer;
    balancer.learned_limit("a").unwrap().set(Some(1));
    balancer.learned_limit("b").unwrap().set(Some(0));
    let lease = pick(balancer).unwrap();
    let mut waiting =
        Task::pending(balancer.pick_wait(&PickRequest::new(), future::pending::<()>()));
    lease.put_in_error();
    assert!(waiting.is_woken());
    // What looks renews, and a renewal wakes what waits.
    while waiting.is_woken() {
        assert!(waiting.run().is_none());
    }
    lease.put_in_error();
    assert!(!waiting.is_woken());
}
