//! The strategies, on each shipped scheduler.

use equipoise::scheduler::{
    BoundedLoad, First, LeastRequest, Maglev, Modulo, PeakEwma, Prequal, PrequalReports,
    Rendezvous, Ring, Rotation, Scheduler, Shadow, WeightedRandom, ZoneAware,
};
use equipoise::testkit::{Group, GroupPickError, strategies};
use equipoise::{
    ByBusyness, ByRequests, ByTraffic, Heartbeat, HeartbeatReadings, MemberSpec, Outcome,
};
use proptest::prelude::*;

fn schedulers() -> Vec<Box<dyn Scheduler>> {
    vec![
        Box::new(ByBusyness::new()),
        Box::new(ByRequests::new()),
        Box::new(ByTraffic::new()),
        Box::new(Heartbeat::new(&HeartbeatReadings::new())),
        Box::new(Maglev::with_table_size(251).unwrap()),
        Box::new(BoundedLoad::new(Rendezvous::new())),
        Box::new(First::new()),
        Box::new(LeastRequest::new()),
        Box::new(Modulo::new()),
        Box::new(PeakEwma::new()),
        Box::new(Prequal::new(&PrequalReports::new())),
        Box::new(Rendezvous::new()),
        // Its size has a limit: with points by weight, great weights would make millions.
        Box::new(Ring::envoy_with_sizes(60, 500).unwrap()),
        Box::new(Rotation::new()),
        Box::new(Shadow::new(Rotation::new(), LeastRequest::new())),
        Box::new(WeightedRandom::new()),
        Box::new(ZoneAware::new("", Rotation::new)),
    ]
}

fn live(
    scheduler: Box<dyn Scheduler>,
    members: &[(String, MemberSpec)],
    steps: &[strategies::GroupStep],
) -> Result<(), TestCaseError> {
    let mut group = Group::new(scheduler);
    for (name, spec) in members {
        group.insert(name, spec.clone());
    }
    for step in steps {
        let picked = step.apply(&mut group);
        let is_refused = matches!(
            picked,
            Some(Err(GroupPickError::Stale | GroupPickError::Unreturned(_)))
        );
        prop_assert!(!is_refused, "{:?} {:?}", step, picked);
    }
    while group.end_oldest(Outcome::Success).is_some() {}
    // Also those that have joined later.
    for at in 0..20 {
        let left = group
            .member(&format!("m{at}"))
            .map_or(0, |member| member.in_flight());
        prop_assert_eq!(left, 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn schedulers_live_through_traffic_and_changes(
        members in strategies::members(0..=20),
        steps in strategies::steps(20, 0..120),
    ) {
        for scheduler in schedulers() {
            live(scheduler, &members, &steps)?;
        }
    }
}
