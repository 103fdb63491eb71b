//! A detector under load, with members that are ill and well a hundred times a second.

#![expect(
    clippy::disallowed_methods,
    reason = "a stress takes the machine's time"
)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use equipoise::health::{OutlierDetector, SlowMembers};
use equipoise::member::{MAX_IN_FLIGHT, MemberKey};
use equipoise::{Balancer, Flag, MemberSpec, Outcome, PickRequest};

use super::simulation::names;

fn seconds() -> Duration {
    let told = std::env::var("EQUIPOISE_STRESS_SECONDS").ok();
    let seconds = told.and_then(|it| it.parse().ok()).unwrap_or(2);
    Duration::from_secs(seconds)
}

/// Members that are ejected at the same time: those of which two looks show the same ejection.
fn out(balancer: &Balancer<usize>) -> usize {
    let look = || -> BTreeSet<_> {
        let members = balancer.members();
        let ejected = members.iter().filter_map(|member| {
            let health = member.health();
            let outage = health.outage(Flag::Ejected)?;
            Some((member.id(), outage.since))
        });
        ejected.collect()
    };
    let first = look();
    first.intersection(&look()).count()
}

#[test]
fn members_that_flap_under_load_are_never_out_in_larger_number_and_no_count_is_lost() {
    const MEMBERS: usize = 10;
    let members = names(MEMBERS).into_iter().enumerate();
    let balancer = Balancer::builder()
        .members(members.map(|(number, name)| (name, number, MemberSpec::new())))
        .build()
        .unwrap();
    let detector = OutlierDetector::builder()
        .slow_members(SlowMembers::new())
        .interval(Duration::from_millis(20))
        .ejection_time(Duration::from_millis(3), Duration::from_millis(30))
        .max_ejected_percent(20)
        .watch(&balancer);
    // Three for each member, which last for longer than all ejections.
    let sockets: Vec<_> = (0..3 * MEMBERS)
        .map(|_| balancer.pick(&PickRequest::new()).unwrap())
        .collect();
    let ill: Vec<_> = (0..MEMBERS).map(|_| AtomicBool::new(false)).collect();
    let (stop, requests, failures, most) = (
        AtomicBool::new(false),
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicU64::new(0),
    );
    scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut lease) = balancer.pick(&PickRequest::new()) else {
                        continue;
                    };
                    requests.fetch_add(1, Ordering::Relaxed);
                    if ill[*lease].load(Ordering::Relaxed) {
                        failures.fetch_add(1, Ordering::Relaxed);
                        lease.record_head(Some(500));
                    } else {
                        lease.record_head(Some(200));
                    }
                    lease.finish(Outcome::Success);
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                most.fetch_max(out(&balancer) as u64, Ordering::Relaxed);
            }
        });
        let end = Instant::now() + seconds();
        let mut flips = 0;
        while Instant::now() < end {
            // At times two are ill, at times nearly all.
            let share = if flips % 50 < 40 { 5 } else { 1 };
            for (number, ill) in ill.iter().enumerate() {
                ill.store((number + flips) % share == 0, Ordering::Relaxed);
            }
            flips += 1;
            sleep(Duration::from_millis(10));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (requests, most) = (requests.into_inner(), most.into_inner());
    let members = balancer.members();
    let elected = members.iter().map(|member| member.picked()).sum::<u64>();
    assert_eq!(elected, requests + sockets.len() as u64);
    assert!(members.iter().all(|member| member.in_flight() == 3));
    assert!(failures.into_inner() > 0);
    assert!((1..=2).contains(&most), "{most} were out");

    // Well again, all serve fully within one ejection.
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let mut lease = balancer.pick(&PickRequest::new()).unwrap();
        lease.record_head(Some(200));
        drop(lease);
        let serves = |member: &std::sync::Arc<equipoise::MemberState>| {
            member.status().is_usable() && member.max_in_flight() == MAX_IN_FLIGHT
        };
        if balancer.members().iter().all(serves) {
            break;
        }
        assert!(Instant::now() < end, "{:?}", balancer.members());
    }
    drop((detector, sockets));
    assert!(members.iter().all(|member| member.in_flight() == 0));
}

#[test]
fn members_that_leave_and_join_under_load_take_no_limit_and_no_count_with_them() {
    let balancer = Balancer::new(names(6).into_iter().map(|name| (name, 0_usize))).unwrap();
    let detector = OutlierDetector::builder()
        .consecutive_failures(2)
        .interval(Duration::from_millis(5))
        .ejection_time(Duration::from_millis(1), Duration::from_millis(8))
        .max_ejected_percent(50)
        .panic_threshold(0)
        .watch(&balancer);
    let stop = AtomicBool::new(false);
    let turn = AtomicU64::new(0);
    scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut lease) = balancer.pick(&PickRequest::new()) else {
                        continue;
                    };
                    let fails = turn.fetch_add(1, Ordering::Relaxed) / 64 % 3 == 0;
                    lease.record_head(Some(if fails { 503 } else { 200 }));
                }
            });
        }
        let end = Instant::now() + seconds();
        let mut number = 0;
        while Instant::now() < end {
            let name = format!("m{}", number % 6);
            number += 1;
            match number % 5 {
                0 => drop(balancer.remove(&name)),
                1 => drop(balancer.set_flag(&name, Flag::Draining)),
                2 => {
                    let id = balancer.member(&name).map(|member| member.id());
                    if let Some(id) = id {
                        detector.check_passed(id);
                    }
                }
                3 => balancer.apply_check_results([(MemberKey::Name(&name), None)]),
                _ => drop(balancer.clear_flag(&name, Flag::Draining)),
            }
            for name in names(6) {
                if balancer.member(&name).is_none() {
                    balancer.insert(name, 0, MemberSpec::new()).unwrap();
                }
            }
            sleep(Duration::from_millis(1));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(
        balancer
            .members()
            .iter()
            .all(|member| member.in_flight() == 0)
    );
    drop(detector);
    let limited =
        |member: &std::sync::Arc<equipoise::MemberState>| member.learned_limit().is_some();
    assert!(
        !balancer.members().iter().any(limited),
        "{:?}",
        balancer.members()
    );
}
