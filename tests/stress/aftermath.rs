//! What must be true when the storm is over and all leases have ended.
//!
//! The order matters: the first looks touch no member, because a change of a member
//! would also free one that was left parked.

use std::collections::HashSet;

use equipoise::{
    Balancer, Eligibility, Flag, Lease, MemberId, MemberSpec, Outcome, PickRequest, Weight,
};

use crate::crew::{Known, Seen};

pub(crate) fn counts_are_exact(known: &Known, seen: &Seen) {
    for member in known.living() {
        let name = member.name();
        assert_eq!(member.in_flight(), 0, "in flight of {name}");
        assert_eq!(member.picked(), seen.of(member.id()), "leases of {name}");
    }
}

/// What is elected is what the plain rule says of the facts, for a while: no member is
/// kept at a wrong place or with a wrong load.
pub(crate) fn books_agree_with_facts(balancer: &Balancer<u64>) {
    let mut held: Vec<Lease<u64>> = Vec::new();
    for pick in 0..200 {
        let foretold = balancer.explain(&PickRequest::new());
        let expected = foretold.picked().map(|member| member.id);
        let picked = balancer.pick(&PickRequest::new());
        // By chance nobody is foretold.
        if let Some(expected) = expected {
            let lease = picked.as_ref().expect("somebody was foretold");
            assert_eq!(lease.member().id(), expected, "pick {pick} of\n{foretold}");
        }
        held.extend(picked);
        if pick % 3 == 0 && !held.is_empty() {
            let mut lease = held.swap_remove(pick % held.len());
            lease.record_received(1_000);
            lease.finish(Outcome::Success);
        }
    }
}

/// Each of the eligible members is elected when all the others are tried.
pub(crate) fn nobody_stays_parked(balancer: &Balancer<u64>) {
    let explanation = balancer.explain(&PickRequest::new());
    let eligible = explanation.members().iter();
    let eligible = eligible.filter(|member| member.eligibility == Eligibility::Eligible);
    let eligible: Vec<MemberId> = eligible.map(|member| member.id).collect();
    for &wanted in &eligible {
        let others = eligible.iter().copied().filter(|&other| other != wanted);
        let others: Vec<MemberId> = others.collect();
        match balancer.pick(&PickRequest::new().with_tried(&others)) {
            Ok(lease) => assert_eq!(lease.member().id(), wanted),
            Err(error) => panic!("{wanted} cannot be elected: {error}\n{explanation}"),
        }
    }
}

/// With all flags cleared and all weights equal everybody has its turn in one rotation.
pub(crate) fn everybody_has_a_turn(balancer: &Balancer<u64>) {
    let members = balancer.members();
    for member in &members {
        let plain = |spec: MemberSpec| {
            let spec = Flag::ALL.into_iter().fold(spec, MemberSpec::without_flag);
            spec.with_tier(0).with_weight(Weight::ONE)
        };
        balancer.clear_overrides(member.name());
        balancer.update(member.name(), plain).unwrap();
        for health in [Flag::InError, Flag::FailedCheck, Flag::Ejected] {
            balancer.clear_flag(member.name(), health).unwrap();
        }
    }
    nobody_stays_parked(balancer);
    balancer.reset_standings();
    let mut elected = HashSet::new();
    for _ in &members {
        let mut lease = balancer.pick(&PickRequest::new()).unwrap();
        lease.record_received(1_000);
        elected.insert(lease.member().id());
    }
    assert_eq!(elected.len(), members.len(), "everybody once");
}

pub(crate) fn nothing_is_in_flight(balancer: &Balancer<u64>) {
    for member in balancer.members() {
        assert_eq!(member.in_flight(), 0, "in flight of {}", member.name());
    }
}
