//! Tables that a scheduler plans ahead: when they are made, what goes on meanwhile, and
//! what comes of a plan that fails.

use crate::support::{Task, capped, pick};
use equipoise::scheduler::{
    Candidates, Maglev, Needs, Pick, PickContext, Plan, PlanMembers, Scheduler,
};
use equipoise::stable_hash::hash_bytes;
use equipoise::{Balancer, Flag, MemberSpec, PickRequest, Weight};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// A scheduler whose plan is the number of members, and what it did, in order.
#[derive(Debug, Default)]
struct Book {
    /// The members of each plan that was begun.
    begun: Mutex<Vec<usize>>,
    /// The plan that each pick was made with.
    seen: Mutex<Vec<Option<usize>>>,
}

impl Book {
    fn begun(&self) -> Vec<usize> {
        self.begun.lock().unwrap().clone()
    }

    fn last_seen(&self) -> Option<usize> {
        self.seen.lock().unwrap().last().copied().flatten()
    }
}

type During = Box<dyn Fn(usize) + Send + Sync>;

struct Counted {
    book: Arc<Book>,
    /// What is done while planning, with the number of the plan.
    during: During,
}

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

impl Scheduler for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        let number = {
            let mut begun = self.book.begun.lock().unwrap();
            begun.push(members.len());
            begun.len()
        };
        assert_eq!(members.iter().count(), members.len());
        (self.during)(number);
        Some(Plan::new(members.len()))
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        let plan = candidates.plan::<usize>().copied();
        self.book.seen.lock().unwrap().push(plan);
        assert!(candidates.plan::<u8>().is_none(), "another type");
        candidates.claim_first(candidates.iter())
    }

    fn needs(&self) -> Needs {
        Needs::PLAN
    }
}

fn counted(during: impl Fn(usize) + Send + Sync + 'static) -> (Counted, Arc<Book>) {
    let book = Arc::<Book>::default();
    let during: During = Box::new(during);
    let scheduler = Counted {
        book: book.clone(),
        during,
    };
    (scheduler, book)
}

fn names(count: usize) -> impl Iterator<Item = (String, (), MemberSpec)> {
    (0..count).map(|at| (format!("m{at}"), (), MemberSpec::new()))
}

fn balancer(count: usize, scheduler: impl Scheduler) -> Balancer<()> {
    let builder = Balancer::builder().scheduler(scheduler);
    builder.members(names(count)).build().unwrap()
}

/// Plans that wait, the first excepted, each until it is let go.
struct Slow {
    balancer: Balancer<()>,
    book: Arc<Book>,
    begins: Receiver<usize>,
    go: Sender<()>,
}

fn slow(count: usize) -> Slow {
    let (begun, begins) = channel();
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let (scheduler, book) = counted(move |number| {
        if number > 1 {
            begun.send(number).unwrap();
            wait.lock().unwrap().recv().unwrap();
        }
    });
    Slow {
        balancer: balancer(count, scheduler),
        book,
        begins,
        go,
    }
}

/// The owners of the first `keys` keys.
fn owners(balancer: &Balancer<()>, keys: u64) -> Vec<String> {
    let owner = |key: u64| {
        let key = hash_bytes(&key.to_le_bytes());
        let lease = balancer.pick(&PickRequest::new().with_hash(key)).unwrap();
        lease.member().name().to_owned()
    };
    (0..keys).map(owner).collect()
}

#[test]
fn picks_and_changes_go_on_while_a_plan_is_made() {
    let slow = slow(10_000);
    let balancer = &slow.balancer;
    thread::scope(|scope| {
        let planning = scope.spawn(|| balancer.insert("new", (), MemberSpec::new()));
        slow.begins.recv().unwrap();
        for _ in 0..1_000 {
            drop(pick(balancer).unwrap());
            assert_eq!(slow.book.last_seen(), Some(10_000), "the plan of before");
        }
        for at in 0..100 {
            let name = format!("m{at}");
            balancer.set_flag(&name, Flag::Disabled).unwrap();
            balancer
                .insert(format!("more{at}"), (), MemberSpec::new())
                .unwrap();
            balancer.remove(&name).unwrap();
        }
        assert_eq!(balancer.len(), 10_001);
        assert!(pick(balancer).is_ok());
        assert!(!planning.is_finished());
        assert_eq!(slow.book.begun(), [10_000, 10_001], "no plan but the one");

        slow.go.send(()).unwrap();
        slow.begins.recv().unwrap();
        drop(pick(balancer).unwrap());
        assert_eq!(
            slow.book.last_seen(),
            Some(10_001),
            "that of the first change"
        );
        slow.go.send(()).unwrap();
    });
    assert_eq!(
        slow.book.begun(),
        [10_000, 10_001, 10_001],
        "all others in one"
    );
    drop(pick(balancer).unwrap());
    assert_eq!(slow.book.last_seen(), Some(10_001));
}

#[test]
fn only_members_weights_tiers_and_labels_change_a_plan() {
    let (scheduler, book) = counted(|_| {});
    let balancer = balancer(3, scheduler);
    assert_eq!(book.begun(), [3], "made by `build`");

    pick(&balancer).unwrap().put_in_error();
    for flag in [
        Flag::InError,
        Flag::FailedCheck,
        Flag::Disabled,
        Flag::Draining,
        Flag::HotStandby,
    ] {
        balancer.set_flag("m1", flag).unwrap();
        drop(pick(&balancer));
        balancer.clear_flag("m1", flag).unwrap();
        drop(pick(&balancer));
    }
    balancer
        .update("m1", |spec| spec.with_max_in_flight(7))
        .unwrap();
    balancer.update("m1", |spec| spec.with_route("r")).unwrap();
    balancer.insert("m1", (), capped(9)).unwrap();
    balancer.replace_all(names(3)).unwrap();
    balancer.reset_standings();
    assert_eq!(
        book.begun(),
        [3],
        "health, caps, routes and payloads change none"
    );

    let two = Weight::new(2).unwrap();
    balancer.update("m1", |spec| spec.with_weight(two)).unwrap();
    assert_eq!(book.begun().len(), 2, "a source's weight");
    balancer.override_member("m1", |it| it.with_weight(Weight::ONE));
    assert_eq!(book.begun().len(), 3, "an operator's weight");
    balancer.update("m1", |spec| spec.with_tier(3)).unwrap();
    assert_eq!(book.begun().len(), 4, "a tier");
    let label = |spec: MemberSpec| spec.with_label("zone", "a");
    balancer.update("m1", label).unwrap();
    assert_eq!(book.begun().len(), 5, "a label");
    balancer.remove("m1").unwrap();
    assert_eq!(book.begun().len(), 6, "a member that leaves");
    balancer.insert("m1", (), MemberSpec::new()).unwrap();
    assert_eq!(book.begun().len(), 7, "one that joins");
}

#[test]
fn a_member_that_is_removed_when_it_is_drained_leaves_the_plan() {
    let (scheduler, book) = counted(|_| {});
    let balancer = balancer(3, scheduler);
    let mut drained = Task::new(balancer.drain("m1").unwrap().then_remove());
    assert!(drained.poll().is_ready());
    assert_eq!(book.begun(), [3, 2]);
}

#[test]
fn a_batch_of_changes_makes_one_plan() {
    let (scheduler, book) = counted(|_| {});
    let balancer = balancer(3, scheduler);
    balancer.replace_all(names(1_000).skip(2)).unwrap();
    assert_eq!(book.begun(), [3, 998]);
}

#[test]
fn changes_at_the_same_time_share_plans() {
    let slow = slow(1);
    let balancer = &slow.balancer;
    thread::scope(|scope| {
        scope.spawn(|| balancer.insert("first", (), MemberSpec::new()));
        slow.begins.recv().unwrap();
        let changes: Vec<_> = (0..8)
            .map(|at| scope.spawn(move || balancer.insert(format!("n{at}"), (), MemberSpec::new())))
            .collect();
        for change in changes {
            change.join().unwrap().unwrap();
        }
        slow.go.send(()).unwrap();
        slow.begins.recv().unwrap();
        slow.go.send(()).unwrap();
    });
    assert_eq!(slow.book.begun(), [1, 2, 10]);
}

#[test]
fn a_plan_that_panics_leaves_the_one_of_before_and_the_next_change_plans_again() {
    let (scheduler, book) = counted(|number| assert!(number != 2, "no plan today"));
    let balancer = balancer(2, scheduler);
    let insert = || balancer.insert("new", (), MemberSpec::new());
    assert!(catch_unwind(AssertUnwindSafe(insert)).is_err());
    assert_eq!(balancer.len(), 3, "the change itself is made");
    drop(pick(&balancer).unwrap());
    assert_eq!(book.last_seen(), Some(2));

    pick(&balancer).unwrap().put_in_error();
    balancer.apply_timed_changes();
    drop(pick(&balancer));
    assert_eq!(book.begun(), [2, 3], "a pick never plans");
    balancer.set_flag("m1", Flag::Draining).unwrap();
    assert_eq!(book.begun(), [2, 3, 3], "any change does");
    drop(pick(&balancer).unwrap());
    assert_eq!(book.last_seen(), Some(3));
}

#[test]
fn the_plan_of_a_scheduler_that_was_replaced_is_thrown_away() {
    let slow = slow(2);
    let balancer = &slow.balancer;
    let (scheduler, book) = counted(|_| {});
    thread::scope(|scope| {
        scope.spawn(|| balancer.insert("new", (), MemberSpec::new()));
        slow.begins.recv().unwrap();
        balancer.set_scheduler(scheduler);
        assert_eq!(
            book.begun(),
            [3],
            "the new one waits for no plan of the old one"
        );
        balancer.insert("newer", (), MemberSpec::new()).unwrap();
        slow.go.send(()).unwrap();
    });
    assert_eq!(slow.book.begun(), [2, 3]);
    assert_eq!(book.begun(), [3, 4]);
    drop(pick(balancer).unwrap());
    assert_eq!(book.last_seen(), Some(4));
}

#[test]
fn a_scheduler_that_is_set_begins_without_the_plan_of_another() {
    let (first, _) = counted(|_| {});
    let balancer = balancer(2, first);
    let (second, book) = counted(|_| panic!("never a plan"));
    let set = || balancer.set_scheduler(second);
    assert!(catch_unwind(AssertUnwindSafe(set)).is_err());
    assert_eq!(balancer.scheduler_name(), "counted");
    drop(pick(&balancer).unwrap());
    assert_eq!(*book.seen.lock().unwrap(), [None]);
}

#[test]
fn a_boxed_scheduler_plans_as_well() {
    let (scheduler, book) = counted(|_| {});
    let boxed: Box<dyn Scheduler> = Box::new(scheduler);
    let balancer = balancer(2, boxed);
    drop(pick(&balancer).unwrap());
    assert_eq!(book.last_seen(), Some(2));
}

#[test]
fn a_member_that_fails_and_recovers_moves_no_key_but_its_own() {
    let balancer = balancer(1_000, Maglev::new());
    let before = owners(&balancer, 5_000);
    for flag in [
        Flag::InError,
        Flag::FailedCheck,
        Flag::Disabled,
        Flag::Draining,
    ] {
        balancer.set_flag("m7", flag).unwrap();
        let during = owners(&balancer, 5_000);
        for (before, during) in before.iter().zip(&during) {
            assert!(during != "m7");
            assert!(before == during || before == "m7", "{before} {during}");
        }
        balancer.clear_flag("m7", flag).unwrap();
        assert_eq!(owners(&balancer, 5_000), before);
    }
}

#[test]
fn a_full_member_and_one_that_was_tried_pass_their_keys_on() {
    let balancer = balancer(10, Maglev::new());
    let request = PickRequest::new().with_hash(42);
    let owner = balancer.pick(&request).unwrap();
    let (name, id) = (owner.member().name().to_owned(), owner.member().id());
    drop(owner);
    let tried = [id];
    let next = balancer.pick(&request.with_tried(&tried)).unwrap();
    assert_ne!(next.member().name(), name);

    balancer.update(&name, |_| capped(1)).unwrap();
    let first = balancer.pick(&request).unwrap();
    assert_eq!(first.member().name(), name);
    let second = balancer.pick(&request).unwrap();
    assert_eq!(second.member().name(), next.member().name());
    drop(first);
    assert_eq!(balancer.pick(&request).unwrap().member().name(), name);
}

#[test]
fn all_full_is_at_capacity_and_none_usable_is_nobody() {
    let members = names(3).map(|(name, payload, _)| (name, payload, capped(1)));
    let builder = Balancer::builder()
        .scheduler(Maglev::new())
        .members(members);
    let balancer = builder.forced_recovery(false).build().unwrap();
    let held: Vec<_> = (0..3).map(|_| pick(&balancer).unwrap()).collect();
    let error = pick(&balancer).unwrap_err();
    assert_eq!(error, equipoise::PickError::AtCapacity);
    drop(held);
    for at in 0..3 {
        balancer
            .set_flag(&format!("m{at}"), Flag::Disabled)
            .unwrap();
    }
    let error = pick(&balancer).unwrap_err();
    assert!(matches!(error, equipoise::PickError::NoneUsable { .. }));
}

#[test]
fn a_few_members_before_thousands_of_standbys_get_all_keys_by_weight() {
    let clock = equipoise::clock::ManualClock::new();
    let two = Weight::new(2).unwrap();
    let few = ["a", "b", "c"].map(|name| (name.to_owned(), (), MemberSpec::new()));
    let few = few.map(|(name, payload, spec)| {
        let spec = if name == "c" {
            spec.with_weight(two)
        } else {
            spec
        };
        (name, payload, spec)
    });
    let later = names(2_000).map(|(name, payload, spec)| (name, payload, spec.with_tier(1)));
    let builder = Balancer::builder().clock(clock).scheduler(Maglev::new());
    let balancer = builder.members(few).members(later).build().unwrap();
    let owned = owners(&balancer, 4_000);
    let count = |name: &str| owned.iter().filter(|&owner| owner == name).count();
    assert_eq!(count("a") + count("b") + count("c"), 4_000);
    assert!(count("c").abs_diff(2_000) < 150, "{}", count("c"));
    assert!(count("a").abs_diff(1_000) < 150, "{}", count("a"));

    balancer.set_flag("a", Flag::Disabled).unwrap();
    for (before, after) in owned.iter().zip(owners(&balancer, 4_000)) {
        assert!(*before == after || before == "a");
    }
}

#[test]
fn a_member_that_is_not_planned_yet_serves_when_no_other_can() {
    let (scheduler, _) = counted(|_| {});
    let balancer = balancer(2, scheduler);
    balancer.set_scheduler(Unplanned(Maglev::new()));
    let owned = owners(&balancer, 400);
    let firsts = owned.iter().filter(|&owner| owner == "m0").count();
    assert!(firsts.abs_diff(200) < 60, "by score: {firsts}");
    balancer.remove("m0").unwrap();
    assert!(owners(&balancer, 10).iter().all(|owner| owner == "m1"));
}

/// Maglev as picks find it before its first table is there.
#[derive(Debug)]
struct Unplanned(Maglev);

impl Scheduler for Unplanned {
    fn name(&self) -> &'static str {
        "unplanned"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.0.pick(candidates, context)
    }
}

#[test]
fn an_explanation_names_the_owner_of_a_key() {
    let balancer = balancer(20, Maglev::new());
    for key in 0..200 {
        let request = PickRequest::new().with_hash(key);
        let explained = balancer.explain(&request);
        let elected = explained.picked().unwrap().name.clone();
        assert_eq!(&*elected, balancer.pick(&request).unwrap().member().name());
    }
    for _ in 0..20 {
        let explained = balancer.explain(&PickRequest::new());
        let notes = &explained.details().notes;
        assert_eq!(
            notes[..],
            ["the request has no hash key: the key is random"]
        );
        let foretold = explained.picked().unwrap().name.clone();
        assert_eq!(&*foretold, pick(&balancer).unwrap().member().name());
    }
}

#[test]
fn a_pick_from_a_table_allocates_nothing() {
    let balancer = balancer(100, Maglev::new());
    balancer.set_flag("m3", Flag::Disabled).unwrap();
    drop(pick(&balancer));
    let counted = allocation_counter::measure(|| {
        for key in 0..500 {
            drop(balancer.pick(&PickRequest::new().with_hash(key)).unwrap());
            drop(pick(&balancer).unwrap());
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

#[test]
fn a_drain_that_removes_its_member_plans_without_it() {
    let (scheduler, book) = counted(|_| {});
    let balancer = balancer(3, scheduler);
    let mut drain = Task::new(balancer.drain("m1").unwrap().then_remove());
    assert_eq!(book.begun(), [3]);
    assert!(drain.poll().is_ready());
    assert_eq!(book.begun(), [3, 2]);
    drop(pick(&balancer));
    assert_eq!(book.last_seen(), Some(2));
}
