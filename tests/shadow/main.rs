//! A shadow by the public API: allocations, threads, caps and failover.

#![allow(
    clippy::unwrap_used,
    reason = "a balancer that cannot be set up ends its test"
)]

mod late;

use equipoise::scheduler::{
    ByBusyness, ByRequests, ByTraffic, Maglev, Prequal, PrequalReports, Rotation, Shadow,
};
use equipoise::{Balancer, MemberSpec, PickError, PickRequest, Scheduler};

fn balancer(members: usize, spec: &MemberSpec, scheduler: impl Scheduler) -> Balancer<()> {
    let members = (0..members).map(|index| (format!("m{index}"), (), spec.clone()));
    Balancer::builder()
        .scheduler(scheduler)
        .seed(7)
        .members(members)
        .build()
        .unwrap()
}

/// A constructor of a scheduler.
type New = fn() -> Box<dyn Scheduler>;

const ALL: [New; 7] = [
    || Box::new(ByBusyness::new()),
    || Box::new(ByBusyness::weighted()),
    || Box::new(ByRequests::new()),
    || Box::new(ByTraffic::new()),
    || Box::new(Maglev::new()),
    || Box::new(Prequal::new(&PrequalReports::new())),
    || Box::new(Rotation::new()),
];

#[test]
fn a_pick_with_a_shadow_allocates_nothing() {
    for members in [5, 100] {
        for (active, shadow) in ALL
            .into_iter()
            .flat_map(|one| ALL.map(|other| (one, other)))
        {
            let shadow = Shadow::new(active(), shadow());
            let report = shadow.report();
            let balancer = balancer(members, &MemberSpec::new(), shadow);
            let request = |key| PickRequest::new().with_hash(key);
            let mut held = Vec::with_capacity(60);
            for key in 0..30 {
                held.push(balancer.pick(&request(key)).unwrap());
            }
            let counted = allocation_counter::measure(|| {
                for key in 0..30 {
                    held.push(balancer.pick(&request(key)).unwrap());
                    drop(balancer.pick(&request(key)).unwrap());
                }
            });
            assert_eq!(counted.count_total, 0, "{report}");
            let summary = report.summary();
            assert_eq!((summary.compared, summary.unknown), (90, 0), "{report}");
        }
    }
}

#[test]
fn threads_lose_no_pick_and_no_request() {
    for shadow in ALL {
        let shadow = Shadow::new(ByRequests::new(), shadow());
        let report = shadow.report();
        let balancer = balancer(20, &MemberSpec::new(), shadow);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for key in 0..1_000 {
                        drop(balancer.pick(&PickRequest::new().with_hash(key)).unwrap());
                    }
                });
            }
        });
        let summary = report.summary();
        assert_eq!(summary.compared + summary.unknown, 3_000, "{report}");
        let picked: u64 = summary.members.iter().map(|it| it.picked).sum();
        let chosen: u64 = summary.members.iter().map(|it| it.chosen).sum();
        assert_eq!((picked, chosen), (summary.compared, summary.compared));
        assert!(
            balancer.members().iter().all(|it| it.picked() == 150),
            "{report}"
        );
        assert!(balancer.members().iter().all(|it| it.in_flight() == 0));
    }
}

#[test]
fn caps_and_tried_members_hold_with_a_shadow() {
    let capped = MemberSpec::new().with_max_in_flight(1);
    for shadow in ALL {
        let shadow = Shadow::new(ByBusyness::new(), shadow());
        let report = shadow.report();
        let balancer = balancer(3, &capped, shadow);
        let tried = [balancer.member("m0").unwrap().id()];
        let first = PickRequest::new().with_hash(1);
        let request = first.with_tried(&tried);
        let leases = [(); 2].map(|()| balancer.pick(&request).unwrap());
        assert!(leases.iter().all(|lease| lease.member().name() != "m0"));
        assert_eq!(balancer.pick(&request).unwrap_err(), PickError::AtCapacity);
        let last = balancer.pick(&first).unwrap();
        assert_eq!(last.member().name(), "m0");
        drop(leases);
        assert!(balancer.pick(&first).is_ok());
        assert_eq!(report.summary().members[0].picked, 1, "{report}");
    }
}
