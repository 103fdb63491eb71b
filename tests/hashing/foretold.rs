//! An explanation names the member of the next pick, whatever has changed before.

use equipoise::{Balancer, Flag, MemberId, MemberSpec, PickRequest};
use proptest::prelude::*;

/// Changes members, holds leases and picks, by steps at random; each pick is explained first.
pub(crate) fn foretells(
    balancer: &Balancer<()>,
    steps: Vec<(u32, usize, u64)>,
) -> Result<(), TestCaseError> {
    let mut held = Vec::new();
    for (step, at, key) in steps {
        let name = format!("m{at}");
        match step {
            0 => drop(balancer.insert(&*name, (), MemberSpec::new().with_max_in_flight(2))),
            1 => drop(balancer.remove(&name)),
            2 => drop(balancer.set_flag(&name, Flag::Disabled)),
            3 | 4 => drop(balancer.clear_flag(&name, Flag::Disabled)),
            5 => held.clear(),
            _ => {}
        }
        let ids: Vec<MemberId> = balancer.members().iter().map(|one| one.id()).collect();
        let tried: Vec<MemberId> = ids.into_iter().take((key % 3) as usize).collect();
        let request = PickRequest::new().with_tried(&tried);
        let request = if key % 5 == 0 {
            request
        } else {
            request.with_hash(key)
        };
        let explained = balancer.explain(&request);
        let foreseen = explained.picked().map(|member| member.name.to_string());
        let picked = balancer.pick(&request);
        let name = picked
            .as_ref()
            .ok()
            .map(|lease| lease.member().name().to_owned());
        prop_assert_eq!(foreseen, name);
        held.extend(picked);
    }
    Ok(())
}
