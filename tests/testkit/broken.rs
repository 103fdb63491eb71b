//! A scheduler for each law that breaks it, with the report of the kit: the smallest example
//! that the law finds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use equipoise::MemberId;
use equipoise::scheduler::{Candidate, Candidates, GroupChange, Pick, PickContext, Scheduler};
use equipoise::testkit::laws::{self, Violation};

pub(crate) type PickFn = for<'c> fn(&Candidates<'c>, &PickContext<'_>) -> Pick<'c>;

/// A scheduler without state.
#[derive(Debug)]
pub(crate) struct Plain(pub(crate) &'static str, pub(crate) PickFn);

impl Scheduler for Plain {
    fn name(&self) -> &'static str {
        self.0
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.1(candidates, context)
    }
}

fn first<'c>(candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
    candidates.claim_first(candidates.iter())
}

/// Repeats a period: each member as often as `parts` tells.
#[derive(Debug)]
struct Period {
    name: &'static str,
    parts: fn(&Candidate<'_>) -> u32,
    picks: AtomicUsize,
}

impl Period {
    fn new(name: &'static str, parts: fn(&Candidate<'_>) -> u32) -> Self {
        let picks = AtomicUsize::new(0);
        Self { name, parts, picks }
    }
}

impl Scheduler for Period {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        let parts = |one: &Candidate<'_>| (self.parts)(one) as usize;
        let total: usize = candidates.iter().map(|one| parts(&one)).sum();
        let mut rest = self.picks.fetch_add(1, Ordering::Relaxed) % total.max(1);
        let due = candidates.iter().find(|one| {
            let is_due = rest < parts(one);
            rest = rest.wrapping_sub(parts(one));
            is_due
        });
        candidates.claim_first(due.into_iter().chain(candidates.iter()))
    }
}

#[track_caller]
pub(crate) fn assert_report(result: Result<(), Violation>, report: &str) {
    let violation = result.unwrap_err();
    assert_eq!(violation.to_string(), report, "\n{violation}\n");
}

#[test]
fn a_pick_that_gives_up_on_others_is_found() {
    let stubborn = || {
        Plain("stubborn", |candidates, _| {
            candidates.claim_first(candidates.at(0))
        })
    };
    assert_report(
        laws::honours_tried(stubborn),
        "\
`stubborn` breaks a law: a pick honours the members that a request has tried
members (seed 15):
  m0: weight 1
  m1: weight 1
steps:
  1. pick, tried m0 -> none usable
expected: m1: eligible, untried and below its cap
found: none usable",
    );
}

#[test]
fn a_full_member_that_is_taken_for_an_unusable_one_is_found() {
    let coarse = || {
        Plain("coarse", |candidates, context| {
            match first(candidates, context) {
                Pick::AtCapacity => Pick::NoneUsable,
                pick => pick,
            }
        })
    };
    assert_report(
        laws::respects_caps(coarse),
        "\
`coarse` breaks a law: a pick skips members at their caps
members (seed 5):
  m0: weight 1, at most 0 in flight
steps:
  1. pick -> none usable
expected: at capacity: only members at their caps are left
found: none usable",
    );
}

#[test]
fn picks_that_do_not_repeat_are_found() {
    static PICKS: AtomicUsize = AtomicUsize::new(0);
    let erratic = || {
        Plain("erratic", |candidates, _| {
            let count = PICKS.fetch_add(1, Ordering::Relaxed);
            let at = candidates.at(count / 3 % candidates.len().max(1));
            candidates.claim_first(at.into_iter().chain(candidates.iter()))
        })
    };
    assert_report(
        laws::is_deterministic(erratic),
        "\
`erratic` breaks a law: the same calls with the same seed give the same picks
members (seed 15):
  m0: weight 1
steps:
  1. insert m0: weight 1
  2. insert m2: weight 1
  3. pick -> m0
expected: m2, as in the first run
found: m0",
    );
}

/// Peeks at the last member, and picks the first one.
#[derive(Debug)]
struct Backwards;

impl Scheduler for Backwards {
    fn name(&self) -> &'static str {
        "backwards"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        first(candidates, context)
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        let open = candidates.iter().filter(Candidate::has_room);
        open.last().map(|one| one.id())
    }
}

#[test]
fn a_peek_at_another_member_is_found() {
    assert_report(
        laws::peek_agrees(|| Backwards),
        "\
`backwards` breaks a law: `peek` returns the member of the next pick, without side effects
members (seed 15):
  m0: weight 1
  m1: weight 1
steps:
  1. pick -> m0
expected: m1, which `peek` has returned
found: m0",
    );
}

/// A peek that counts as a pick.
#[derive(Debug, Default)]
struct Disturbed(AtomicUsize);

impl Scheduler for Disturbed {
    fn name(&self) -> &'static str {
        "disturbed"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        let at = self.0.fetch_add(1, Ordering::Relaxed) % candidates.len().max(1);
        candidates.claim_first(candidates.at(at).into_iter().chain(candidates.iter()))
    }

    fn peek(&self, _: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[test]
fn a_peek_with_a_side_effect_is_found() {
    assert_report(
        laws::peek_agrees(Disturbed::default),
        "\
`disturbed` breaks a law: `peek` returns the member of the next pick, without side effects
members (seed 15):
  m0: weight 1
  m1: weight 1
steps:
  1. pick -> m1
expected: m0, as without calls of `peek` and `explain`
found: m1",
    );
}

/// Keeps to the member that it picked first.
#[derive(Debug, Default)]
struct Faithful(Mutex<Option<MemberId>>);

impl Scheduler for Faithful {
    fn name(&self) -> &'static str {
        "faithful"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let mut member = self.0.lock().unwrap();
        let known = member
            .is_some_and(|member| candidates.tried().is_empty() && !candidates.contains(member));
        if known {
            return Pick::NoneUsable;
        }
        let pick = first(candidates, context);
        if let Pick::Claimed(claim) = &pick {
            *member = Some(claim.member().id());
        }
        pick
    }
}

#[test]
fn state_that_outlives_its_member_is_found() {
    assert_report(
        laws::survives_churn(Faithful::default),
        "\
`faithful` breaks a law: a scheduler works through changes of its members
members (seed 27):
  m0: weight 1
  m1: weight 1
steps:
  1. pick -> m0
  2. remove m0
  3. all requests end
  4. all members are usable, without caps
  5. pick -> none usable
expected: m1: eligible, untried and below its cap
found: none usable",
    );
}

/// Has no plan for a member that leaves.
#[derive(Debug)]
struct Fragile;

impl Scheduler for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        first(candidates, context)
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        assert_eq!(group.left().count(), 0, "a member left");
    }
}

#[test]
fn a_panic_is_found() {
    let violation = laws::survives_churn(|| Fragile).unwrap_err();
    assert_eq!(violation.expected(), "no panic");
    assert!(violation.found().contains("a member left"), "{violation}");
}

#[test]
fn shares_that_ignore_weights_are_found() {
    assert_report(
        laws::shares_by_weight(|| Period::new("equal", |_| 1), 1, 0.01),
        "\
`equal` breaks a law: each member gets a share by its weight
members (seed 2):
  m0: weight 1
  m1: weight 2
expected: m0 gets 0.3333 of 4000 requests, give or take 0.01
found: 0.5000, which is 2000 requests",
    );
}

#[test]
fn a_ramp_that_is_ignored_is_found() {
    let configured = || {
        Plain("configured", |candidates, context| {
            let weight = |one: &Candidate<'_>| u64::from(one.spec().weight().hundredths());
            let total = candidates.iter().map(|one| weight(&one)).sum();
            let mut rest = context.random().below(total);
            let drawn = candidates.iter().find(|one| {
                let is_drawn = rest < weight(one);
                rest = rest.wrapping_sub(weight(one));
                is_drawn
            });
            candidates.claim_first(drawn.into_iter().chain(candidates.iter()))
        })
    };
    laws::shares_by_weight(configured, 1, 0.04).unwrap();
    assert_report(
        laws::honours_ramps(configured, 1, 0.04),
        "\
`configured` breaks a law: a member that ramps up gets a share by its reduced weight
members (seed 2):
  m0: weight 1
  m1: weight 1
expected: with 16/16 of its weight, m0 gets 0.8000 of 4000 requests, give or take 0.04
found: 0.4995, which is 1998 requests",
    );
}

#[test]
fn a_rotation_in_runs_is_found() {
    let runs = || Period::new("runs", |one| one.weight().units() / 1_600);
    assert_report(
        laws::is_smooth(runs, |_| 1.2, |_| 1.0),
        "\
`runs` breaks a law: after each pick, each member is close to its quota
members (seed 8):
  m0: weight 2
  m1: weight 3
expected: m0 at most 1.200 behind and 1.000 ahead of 0.800 requests
found: 2 requests after 2 picks: m0 m0",
    );
}

#[test]
fn a_member_that_waits_for_ever_is_found() {
    assert_report(
        laws::starves_none(|| Plain("first", first), 20.0),
        "\
`first` breaks a law: each member is picked again after a number of picks
members (seed 3):
  m0: weight 1
  m1: weight 1
expected: m1 is picked at least once in 40 picks
found: it is not picked in the 40 picks up to pick 40",
    );
}

#[test]
fn weights_that_work_the_wrong_way_are_found() {
    let inverse = || Period::new("inverse", |one| 160_000 / one.weight().units());
    assert_report(laws::is_monotone_in_weight(inverse, 1, 0.001), "\
`inverse` breaks a law: more weight gives no smaller share
members (seed 2):
  m0: weight 1
  m1: weight 1
expected: once m0 has twice its weight, m0 gets at least the 2000 of 4000 requests that it got before, give or take 0.001 of all
found: 1350 requests",
    );
}

/// The less busy of two; a request that fails over goes to the first member left.
fn two_choices<'c>(candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
    let draw = || {
        let at = context.random().below(candidates.len() as u64);
        candidates.at(usize::try_from(at).unwrap())
    };
    let drawn = [draw(), draw()].into_iter().flatten();
    let better = drawn.min_by_key(|one| one.state().in_flight());
    candidates.claim_first(better.into_iter().chain(candidates.iter()))
}

#[test]
fn a_failover_to_the_first_member_is_found() {
    let two_choices = || Plain("two choices", two_choices);
    assert_report(laws::shares_failovers(two_choices, 1.3), "\
`two choices` breaks a law: requests that fail over are shared
members (seed 3):
  m0: weight 1
  m1: weight 1
  m2: weight 1
expected: m0 serves at most 1.3 times its fair share, 250 of 500 requests that fail over, one after the other (m2 fails each request at once)
found: 349 requests",
    );
}

#[test]
fn a_sinkhole_is_found() {
    let idlest = || {
        Plain("idlest", |candidates, _| {
            let idlest = candidates.iter().min_by_key(|one| one.state().in_flight());
            candidates.claim_first(idlest.into_iter().chain(candidates.iter()))
        })
    };
    assert_report(laws::is_no_sinkhole(idlest, 100, 1.2), "\
`idlest` breaks a law: a member that fails at once gets no more than its share
members (seed 3):
  m0: weight 1
  m1: weight 1
expected: m1, which fails at once, gets at most 1.2 times its fair share, 2000 of 4000 requests, after the first 100
found: 4000 requests",
    );
}

#[test]
fn keys_that_wander_are_found() {
    assert_report(
        laws::keeps_keys(|| Plain("two choices", two_choices)),
        "\
`two choices` breaks a law: a key stays with its member
members (seed 1):
  m0: weight 1
  m1: weight 1
expected: key 0 stays with m1
found: it moved to m0",
    );
}

#[test]
fn keys_that_all_move_are_found() {
    let modulo = || {
        Plain("modulo", |candidates, context| {
            let key = context
                .hash()
                .unwrap_or_else(|| context.random().next_u64());
            let at = key % candidates.len().max(1) as u64;
            let owner = candidates.at(usize::try_from(at).unwrap());
            candidates.claim_first(owner.into_iter().chain(candidates.iter()))
        })
    };
    laws::keeps_keys(modulo).unwrap();
    assert_report(
        laws::moves_few_keys(modulo, 0.01),
        "\
`modulo` breaks a law: when a member leaves or joins, the other members keep their keys
members (seed 1):
  m0: weight 1
  m1: weight 1
expected: m2 joins: at most 0.01 of the 645 keys that it does not get move
found: 323 keys move",
    );
}

#[test]
fn an_allocation_is_found() {
    let collecting = || {
        Plain("collecting", |candidates, _| {
            candidates.claim_first(Vec::from_iter(candidates.iter()))
        })
    };
    let measure = |pick: &mut dyn FnMut()| allocation_counter::measure(pick).count_total;
    assert_report(
        laws::allocates_nothing(collecting, measure),
        "\
`collecting` breaks a law: a pick allocates no memory
members (seed 1):
  m0: weight 1
expected: a pick without allocations
found: allocations: 1",
    );
}

#[test]
fn an_allocation_in_one_kind_of_pick_is_found() {
    let second_failover: PickFn = |candidates, context| {
        if candidates.tried().len() > 1 {
            return candidates.claim_first(Vec::from_iter(candidates.iter()));
        }
        first(candidates, context)
    };
    let weighted: PickFn = |candidates, context| {
        let mut weights = candidates.iter().map(|one| one.weight());
        if weights.next() != weights.last() {
            return candidates.claim_first(Vec::from_iter(candidates.iter()));
        }
        first(candidates, context)
    };
    let full: PickFn = |candidates, context| {
        if candidates.iter().any(|one| !one.has_room()) {
            return candidates.claim_first(Vec::from_iter(candidates.iter()));
        }
        first(candidates, context)
    };
    let measure = |pick: &mut dyn FnMut()| allocation_counter::measure(pick).count_total;
    for (kind, pick) in [
        ("second failover", second_failover),
        ("weighted", weighted),
        ("full", full),
    ] {
        let make = || Plain(kind, pick);
        laws::allocates_nothing(make, measure).expect_err(kind);
    }
    laws::allocates_nothing(|| Plain("first", first), measure).unwrap();
}
