//! Schedulers that give right shares until their members change, and that the laws of shares
//! find. Each but the first has one fault in its bookkeeping.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use equipoise::MemberId;
use equipoise::scheduler::{Candidate, Candidates, GroupChange, Pick, PickContext, Scheduler};
use equipoise::testkit::laws;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Once a member has left, the first one is never picked.
    FirstStarves,
    /// Weights are kept by place in the group, and a removal moves no other member's.
    ByIndex,
    /// A slot whose member left stays closed, whichever member has it.
    BySlot,
    /// A member is known by its name: once gone, always gone.
    ByName,
    /// The weight is read when the member joins, and not again.
    JoinedWeight,
}

/// Picks the member whose next turn is first. A turn takes 1/weight.
#[derive(Debug)]
struct Stride {
    fault: Fault,
    books: Mutex<StrideBooks>,
}

#[derive(Debug, Default)]
struct StrideBooks {
    turns: HashMap<MemberId, f64>,
    by_index: Vec<f64>,
    weights: HashMap<MemberId, f64>,
    gone_slots: HashSet<usize>,
    gone_names: HashSet<String>,
}

impl Stride {
    fn with(fault: Fault) -> Self {
        let books = Mutex::default();
        Self { fault, books }
    }
}

fn weight(one: &Candidate<'_>) -> f64 {
    f64::from(one.weight().units())
}

impl Scheduler for Stride {
    fn name(&self) -> &'static str {
        "stride"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        let mut books = self.books.lock().unwrap();
        let mut order: Vec<(f64, usize, Candidate<'c>)> = Vec::new();
        for (at, one) in candidates.iter().enumerate() {
            let is_out = match self.fault {
                Fault::FirstStarves => at == 0 && !books.gone_slots.is_empty(),
                Fault::BySlot => books.gone_slots.contains(&one.id().slot()),
                Fault::ByName => books.gone_names.contains(one.state().name()),
                _ => false,
            };
            let turn = books.turns.get(&one.id()).copied().unwrap_or(0.0);
            order.push((if is_out { f64::INFINITY } else { turn }, at, one));
        }
        order.sort_by(|one, other| one.0.total_cmp(&other.0));
        let pick = candidates.claim_first(order.iter().map(|one| one.2));
        if let Pick::Claimed(claim) = &pick {
            let id = claim.member().id();
            let picked = order.iter().find(|one| one.2.id() == id).unwrap();
            let weight = match self.fault {
                Fault::ByIndex => books.by_index[picked.1],
                Fault::JoinedWeight => books.weights[&id],
                _ => weight(&picked.2),
            };
            *books.turns.entry(id).or_default() += 1.0 / weight;
        }
        pick
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        let mut books = self.books.lock().unwrap();
        for one in group.left() {
            books.turns.remove(&one.id());
            books.gone_slots.insert(one.id().slot());
            books.gone_names.insert(one.name().to_owned());
        }
        let first = books.turns.values().copied().fold(f64::INFINITY, f64::min);
        let first = if first.is_finite() { first } else { 0.0 };
        for one in group.joined() {
            books.turns.insert(one.id(), first);
            books.weights.insert(one.id(), weight(&one));
            books.by_index.push(weight(&one));
        }
        for one in group.changed() {
            if let Some(at) = group.iter().position(|it| it.id() == one.id()) {
                books.by_index[at] = weight(&one);
            }
        }
    }

    fn reset(&self) {
        let mut books = self.books.lock().unwrap();
        books.turns.values_mut().for_each(|turn| *turn = 0.0);
    }
}

#[test]
fn right_shares_after_changes_pass() {
    let right = || Stride::with(Fault::None);
    laws::shares_by_weight(right, 1, 0.001).unwrap();
    laws::starves_none(right, 8.0).unwrap();
    laws::is_monotone_in_weight(right, 1, 0.001).unwrap();
    laws::survives_churn(right).unwrap();
}

#[test]
fn shares_that_break_when_members_change_are_found() {
    for fault in [
        Fault::FirstStarves,
        Fault::ByIndex,
        Fault::BySlot,
        Fault::ByName,
        Fault::JoinedWeight,
    ] {
        let broken = || Stride::with(fault);
        let violation = laws::shares_by_weight(broken, 1, 0.001).unwrap_err();
        let report = violation.to_string();
        assert!(report.contains("remove m0"), "{fault:?}: {report}");
        if ![Fault::ByIndex, Fault::JoinedWeight].contains(&fault) {
            let violation = laws::starves_none(broken, 8.0).unwrap_err();
            assert!(violation.to_string().contains("remove m0"), "{fault:?}");
        }
    }
}

#[test]
fn the_changes_are_part_of_the_report() {
    let violation = laws::shares_by_weight(|| Stride::with(Fault::ByName), 1, 0.001).unwrap_err();
    let report = "\
`stride` breaks a law: each member gets a share by its weight
members (seed 3):
  m0: weight 1
  m1: weight 1
steps:
  1. m1 begins with another setting: weight 7
  2. insert m2: weight 1
  3. insert m3: weight 1
  4. 150 picks
  5. remove m0
  6. remove m2
  7. 20 picks
  8. insert m0: weight 1
  9. remove m3
  10. change m1: weight 1
expected: m0 gets 0.5000 of 4000 requests, give or take 0.001
found: 0.0000, which is 0 requests";
    assert_eq!(violation.to_string(), report, "\n{violation}\n");
}
