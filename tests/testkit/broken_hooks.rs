//! Schedulers whose picks are right, and that break in a hook, with an old plan, with a weight
//! at the ends of the range, or when a second member fails.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use equipoise::random::Random;
use equipoise::scheduler::{
    Candidate, Candidates, GroupChange, Needs, Pick, PickContext, PickDetails, Plan, PlanMembers,
    Scheduler,
};
use equipoise::testkit::laws::{self, Violation};
use equipoise::{ByRequests, MemberId, MemberState};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Hook {
    /// A session's pick must be of a member that was picked before.
    Session,
    /// A reset forgets the members, which only a change of the group lists.
    Reset,
    /// An explanation needs a candidate.
    Explain,
    /// An explanation counts as a pick.
    ExplainCounts,
    /// A standing is asked for only after the first pick.
    Standing,
    /// There is always a plan.
    NoPlan,
    /// The plan has present members only.
    OldPlan,
    /// The total of the weights fits into 16 bits.
    HeavyWeight,
    /// No weight is below 1.
    LightWeight,
    /// A request has tried at most one member.
    TwoTried,
}

/// Takes turns, except for the fault in a hook.
#[derive(Debug)]
struct Turns {
    hook: Hook,
    picks: Mutex<HashMap<MemberId, u64>>,
    explained: AtomicU64,
}

impl Turns {
    fn with(hook: Hook) -> Self {
        let picks = Mutex::default();
        let explained = AtomicU64::new(0);
        Self {
            hook,
            picks,
            explained,
        }
    }

    fn weight(&self, one: &Candidate<'_>) -> u64 {
        let hundredths = one.spec().weight().hundredths();
        match self.hook {
            Hook::HeavyWeight => u64::from(u16::try_from(hundredths).unwrap()),
            Hook::LightWeight => u64::from(100_000_000 / (hundredths / 100)),
            _ => u64::from(hundredths),
        }
    }
}

impl Scheduler for Turns {
    fn name(&self) -> &'static str {
        "turns"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        match (self.hook, candidates.plan::<Vec<MemberId>>()) {
            (Hook::NoPlan, plan) => assert!(plan.is_some(), "no plan"),
            (Hook::OldPlan, Some(plan))
                if candidates.tried().is_empty()
                    && !candidates.iter().any(|one| plan.contains(&one.id())) =>
            {
                return Pick::NoneUsable;
            }
            _ => {}
        }
        if self.hook == Hook::TwoTried && candidates.tried().len() > 1 {
            return candidates.claim_first(candidates.iter());
        }
        let mut picks = self.picks.lock().unwrap();
        let mut order: Vec<Candidate<'c>> = candidates.iter().collect();
        order.iter().for_each(|one| assert!(self.weight(one) > 0));
        let first = |one: &Candidate<'_>| picks.get(&one.id()).copied().unwrap_or(0);
        let shift = self.explained.load(Ordering::Relaxed);
        order.sort_by_key(|one| (first(one), one.id().slot() as u64 ^ shift));
        if self.hook == Hook::Reset && order.iter().all(|one| !picks.contains_key(&one.id())) {
            return Pick::NoneUsable;
        }
        let pick = candidates.claim_first(order);
        if let Pick::Claimed(claim) = &pick {
            *picks.entry(claim.member().id()).or_default() += 1;
        }
        pick
    }

    fn explain(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> PickDetails {
        match self.hook {
            Hook::Explain => assert!(!candidates.is_empty(), "nothing to explain"),
            Hook::ExplainCounts => {
                self.explained.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        PickDetails::default()
    }

    fn on_session_pick(&self, _: &Candidates<'_>, member: &MemberState) {
        let mut picks = self.picks.lock().unwrap();
        match picks.get_mut(&member.id()) {
            Some(picks) => *picks += 1,
            None => assert_ne!(self.hook, Hook::Session, "a session before any pick"),
        }
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        let mut picks = self.picks.lock().unwrap();
        if self.hook == Hook::Reset {
            picks.extend(group.joined().map(|one| (one.id(), 0)));
        }
    }

    fn reset(&self) {
        self.picks.lock().unwrap().clear();
    }

    fn standing(&self, member: MemberId) -> Option<i64> {
        let picks = self.picks.lock().unwrap();
        let picks = picks.get(&member).copied();
        assert!(
            picks.is_some() || self.hook != Hook::Standing,
            "no standing"
        );
        picks.and_then(|picks| i64::try_from(picks).ok())
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        let ids = members.iter().map(|one| one.id());
        Some(Plan::new(ids.collect::<Vec<MemberId>>()))
    }

    fn needs(&self) -> Needs {
        Needs::PLAN
    }
}

fn broken(hook: Hook) -> Violation {
    laws::survives_churn(|| Turns::with(hook)).unwrap_err()
}

#[track_caller]
fn assert_steps(violation: &Violation, steps: &[&str]) {
    let report = violation.to_string();
    for step in steps {
        assert!(report.contains(step), "{step}: {report}");
    }
}

#[test]
fn a_session_that_breaks_a_scheduler_is_found() {
    let violation = broken(Hook::Session);
    assert_steps(
        &violation,
        &["a session picks m", "a session before any pick"],
    );
}

#[test]
fn a_reset_that_breaks_a_scheduler_is_found() {
    assert_steps(
        &broken(Hook::Reset),
        &["reset the scheduler", "none usable"],
    );
}

#[test]
fn an_explanation_that_breaks_a_scheduler_is_found() {
    assert_steps(&broken(Hook::Explain), &["explain a pick", "nothing to"]);
    assert_steps(&broken(Hook::Standing), &["explain a pick", "no standing"]);
}

#[test]
fn an_explanation_with_a_side_effect_is_found() {
    let counts = || Turns::with(Hook::ExplainCounts);
    let violation = laws::peek_agrees(counts).unwrap_err();
    assert_steps(&violation, &["explain a pick", "as without calls"]);
}

#[test]
fn a_plan_that_is_old_or_missing_breaks_a_scheduler() {
    assert_steps(&broken(Hook::NoPlan), &["no plan is made", "the panic"]);
    let old = broken(Hook::OldPlan);
    assert_steps(&old, &["no plan is made", "insert m", "none usable"]);
}

#[test]
fn weights_at_the_ends_of_the_range_break_a_scheduler() {
    assert_steps(&broken(Hook::HeavyWeight), &["TryFromIntError"]);
    assert_steps(&broken(Hook::LightWeight), &["weight 0.01"]);
}

#[test]
fn a_second_failover_to_the_first_member_is_found() {
    let two = || Turns::with(Hook::TwoTried);
    let violation = laws::shares_failovers(two, 1.5).unwrap_err();
    assert_steps(&violation, &["(m2 and m3 fail each request at once)"]);
}

/// The member with the greatest hash of its name and the key.
#[derive(Debug, Default)]
struct Greatest {
    /// Whether each join changes all hashes.
    moves: bool,
    joins: AtomicU64,
}

impl Scheduler for Greatest {
    fn name(&self) -> &'static str {
        "greatest"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let key = context.hash().unwrap_or(0);
        let joins = self.joins.load(Ordering::Relaxed);
        let salt = if self.moves { joins } else { 0 };
        let hash = |one: &Candidate<'_>| {
            let name = one.state().name().bytes();
            let name = name.fold(0_u64, |all, byte| 257 * all + u64::from(byte));
            Random::seeded(key ^ (name << 20) ^ (salt << 50)).next_u64()
        };
        let mut order: Vec<Candidate<'c>> = candidates.iter().collect();
        order.sort_by_key(|one| std::cmp::Reverse(hash(one)));
        candidates.claim_first(order)
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        let joined = group.joined().count() as u64;
        self.joins.fetch_add(joined, Ordering::Relaxed);
    }
}

#[test]
fn keys_that_move_when_a_member_joins_are_found() {
    laws::moves_few_keys(Greatest::default, 0.0).unwrap();
    let moves = || Greatest {
        moves: true,
        ..Greatest::default()
    };
    laws::keeps_keys(moves).unwrap();
    let violation = laws::moves_few_keys(moves, 0.01).unwrap_err();
    assert_steps(&violation, &["m2 joins: at most 0.01"]);
}

/// One member takes all requests and keys under each scheduler.
#[test]
fn no_example_is_one_that_every_scheduler_breaks() {
    let violation = laws::moves_few_keys(Greatest::default, -1.0).unwrap_err();
    assert_steps(&violation, &["m1: weight 1"]);
    let violation = laws::shares_failovers(ByRequests::new, 0.5).unwrap_err();
    assert_steps(&violation, &["m2: weight 1"]);
    let violation = laws::is_no_sinkhole(ByRequests::new, 0, 0.5).unwrap_err();
    assert_steps(&violation, &["m1: weight 1"]);
    // Half of the least bound that a rotation can keep.
    let tight = |members: usize| {
        assert!(members > 1);
        0.5 - 0.5 / (2.0 * members as f64 - 2.0)
    };
    let violation = laws::is_smooth(ByRequests::new, tight, tight).unwrap_err();
    assert_steps(&violation, &["m1: weight"]);
}
