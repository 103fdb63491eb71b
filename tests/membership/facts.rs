//! Facts that a request brings for a scheduler that knows their type.

use std::future;

use crate::support::{Task, capped, pick};
use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
use equipoise::{Balancer, MemberId, MemberSpec, PickRequest};

#[derive(Debug)]
struct Wanted(String);

/// Elects the member whose name the request has as a fact, and the first without one.
#[derive(Debug)]
struct ByFact;

impl Scheduler for ByFact {
    fn name(&self) -> &'static str {
        "by fact"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let wanted = context.facts::<Wanted>();
        let is_wanted = |name: &str| wanted.is_none_or(|Wanted(wanted)| wanted == name);
        candidates.claim_first(
            candidates
                .iter()
                .filter(|one| is_wanted(one.state().name())),
        )
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let Wanted(wanted) = context.facts()?;
        let mut wanted = candidates.iter().filter(|one| one.state().name() == wanted);
        wanted.next().map(|one| one.id())
    }
}

fn by_fact(spec: &MemberSpec) -> Balancer<()> {
    Balancer::builder()
        .scheduler(ByFact)
        .members(["a", "b"].map(|name| (name, (), spec.clone())))
        .build()
        .unwrap()
}

#[test]
fn a_scheduler_sees_the_facts_of_the_request_that_it_elects_for() {
    let balancer = by_fact(&MemberSpec::new());
    let b = Wanted("b".into());
    let request = PickRequest::new().with_facts(&b);
    assert_eq!(balancer.pick(&request).unwrap().member().name(), "b");
    assert_eq!(pick(&balancer).unwrap().member().name(), "a");
    let other = "b".to_owned();
    let request = PickRequest::new().with_facts(&other);
    let lease = balancer.pick(&request).unwrap();
    assert_eq!(lease.member().name(), "a", "another type is no fact");
}

#[test]
fn an_explanation_goes_by_the_facts_too() {
    let balancer = by_fact(&MemberSpec::new());
    let b = Wanted("b".into());
    let explanation = balancer.explain(&PickRequest::new().with_facts(&b));
    assert_eq!(&*explanation.picked().unwrap().name, "b");
}

#[test]
fn a_request_that_waits_keeps_its_facts() {
    let balancer = by_fact(&capped(1));
    let b = Wanted("b".into());
    let request = PickRequest::new().with_facts(&b);
    let lease = balancer.pick(&request).unwrap();
    let mut waiting = Task::pending(balancer.pick_wait(&request, future::pending()));
    drop(lease);
    let lease = waiting.run().expect("b has room again").unwrap();
    assert_eq!(lease.member().name(), "b");
}

#[test]
fn a_future_with_facts_can_be_sent_to_another_thread() {
    fn is_sent<T: Send>(_: &T) {}
    let balancer = by_fact(&MemberSpec::new());
    let b = Wanted("b".into());
    let request = PickRequest::new().with_facts(&b);
    is_sent(&balancer.pick_wait(&request, future::ready(())));
    assert!(format!("{request:?}").contains("facts: Some(..)"));
}
