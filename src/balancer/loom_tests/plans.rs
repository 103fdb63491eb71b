//! The publication of a plan, against changes and picks.

use super::super::{Balancer, PickRequest};
use super::{check, empty, join, pick, picked, spawn};
use crate::member::{Flag, MemberId, MemberSpec};
use crate::scheduler::{Candidates, Needs, Pick, PickContext, Plan, PlanMembers, Scheduler};

/// A scheduler that picks the last member of its plan, or any other if there is no plan.
/// The plan may be older or newer than the candidates.
#[derive(Debug)]
struct Planned;

/// The members of a plan, which agree with each other.
struct Table {
    len: usize,
    members: Vec<MemberId>,
}

impl Scheduler for Planned {
    fn name(&self) -> &'static str {
        "planned"
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        Some(Plan::new(Table {
            len: members.len(),
            members: members.iter().map(|one| one.id()).collect(),
        }))
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        let table = candidates.plan::<Table>();
        if let Some(table) = table {
            assert_eq!(table.members.len(), table.len);
            for &member in table.members.iter().rev() {
                if let Ok(claim) = candidates.claim(member) {
                    return Pick::Claimed(claim);
                }
            }
        }
        candidates.claim_first(candidates.iter())
    }

    fn needs(&self) -> Needs {
        Needs::PLAN
    }
}

fn balancer() -> Balancer<()> {
    let builder = empty().scheduler(Planned);
    builder.member("a", (), MemberSpec::new()).build().unwrap()
}

/// Returns how many members the plan that readers see was made of.
fn planned(balancer: &Balancer<()>) -> Option<usize> {
    let view = balancer.core.view.load();
    let candidates = view.candidates(&[]);
    candidates.plan::<Table>().map(|table| table.len)
}

#[test]
fn loom_a_pick_beside_a_change_of_the_members_finds_one_by_whatever_plan() {
    check(|| {
        let balancer = balancer();
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        balancer.insert("b", (), MemberSpec::new()).unwrap();
        join(picking);

        assert_eq!(planned(&balancer), Some(2));
        assert_eq!(picked(&balancer).member().name(), "b");
    });
}

#[test]
fn loom_no_member_is_picked_by_an_old_plan_after_it_is_removed() {
    check(|| {
        let balancer = balancer();
        balancer.insert("b", (), MemberSpec::new()).unwrap();
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        balancer.remove("b").unwrap();
        assert_eq!(picked(&balancer).member().name(), "a");
        join(picking);
        assert_eq!(planned(&balancer), Some(1));
    });
}

#[test]
fn loom_two_changes_at_once_end_in_a_plan_of_both() {
    check(|| {
        let balancer = balancer();
        let other = balancer.clone();
        let inserting = spawn(move || other.insert("b", (), MemberSpec::new()));
        balancer.insert("c", (), MemberSpec::new()).unwrap();
        join(inserting).unwrap();
        assert_eq!(planned(&balancer), Some(3));
    });
}

#[test]
fn loom_a_plan_that_is_published_undoes_no_change_of_health() {
    check(|| {
        let balancer = balancer();
        let other = balancer.clone();
        let inserting = spawn(move || other.insert("b", (), MemberSpec::new()));
        balancer.set_flag("a", Flag::Disabled).unwrap();
        join(inserting).unwrap();
        assert_eq!(planned(&balancer), Some(2));
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().name(), "b");
    });
}

#[test]
fn loom_a_scheduler_that_is_set_while_another_plans_has_a_plan_of_its_own() {
    check(|| {
        let balancer = balancer();
        let other = balancer.clone();
        let inserting = spawn(move || other.insert("b", (), MemberSpec::new()));
        balancer.set_scheduler(Planned);
        join(inserting).unwrap();
        assert_eq!(planned(&balancer), Some(2));
        assert!(pick(&balancer).is_ok());
    });
}
