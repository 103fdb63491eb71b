//! `explain` names the member that the next pick picks, with what it compares.

use equipoise::clock::Timestamp;
use equipoise::scheduler::{Heartbeat, HeartbeatReading, HeartbeatReadings, WeightedRandom};
use equipoise::{ByBusyness, ByRequests, ByTraffic, Flag, MemberSpec, PickRequest, Scheduler};

use crate::support::{balancer, every, pick, weight};

#[test]
fn the_member_that_is_explained_is_picked_next() {
    for count in [1, 5, 40] {
        for scheduler in every() {
            let name = scheduler.name();
            let specs = (0..count).map(|at| weight(1 + at % 3).with_max_in_flight(7));
            let balancer = balancer(scheduler, specs.collect());
            let mut held = Vec::new();
            for round in 0..300 {
                if round % 60 == 30 {
                    held.clear();
                    balancer.set_flag("m1", Flag::Disabled).ok();
                }
                if round % 60 == 59 {
                    balancer.clear_flag("m1", Flag::Disabled).ok();
                }
                let tried = [balancer.members()[0].id()];
                let request = match round % 4 {
                    0 => PickRequest::new().with_tried(&tried),
                    _ => PickRequest::new(),
                };
                let explained = balancer.explain(&request);
                let expected = explained.picked().map(|one| one.name.to_string());
                let lease = balancer.pick(&request).ok();
                let found = lease.as_ref().map(|lease| lease.member().name().to_owned());
                assert_eq!(expected, found, "{name} of {count}: {explained}");
                held.extend(lease.filter(|_| round % 3 > 0));
            }
        }
    }
}

#[test]
fn scores_are_lowest_for_the_member_that_is_picked() {
    for scheduler in every() {
        let name = scheduler.name();
        let balancer = balancer(scheduler, (1..30).map(weight).collect());
        let _held: Vec<_> = (0..20).map(|_| pick(&balancer)).collect();
        let explained = balancer.explain(&PickRequest::new());
        let details = explained.details();
        let picked = explained.picked().unwrap();
        if name == WeightedRandom::new().name() {
            assert_eq!(details.samples, [picked.id]);
            continue;
        }
        let score = |one: &equipoise::scheduler::MemberScore| one.score;
        let least = details
            .scores
            .iter()
            .min_by(|a, b| score(a).total_cmp(&score(b)));
        let own = details.scores.iter().find(|one| one.member == picked.id);
        assert_eq!(own.map(score), least.map(score), "{name}: {explained}");
        let text = explained.to_string();
        assert!(text.contains("compared by"), "{text}");
    }
}

#[test]
fn a_hash_key_that_is_ignored_is_noted() {
    let (requests, busy, traffic) = (ByRequests::new(), ByBusyness::weighted(), ByTraffic::new());
    let heartbeat = Heartbeat::new(&HeartbeatReadings::new());
    let others: Vec<Box<dyn Scheduler>> = vec![
        Box::new(requests),
        Box::new(busy),
        Box::new(traffic),
        Box::new(heartbeat),
    ];
    for scheduler in every().into_iter().chain(others) {
        let name = scheduler.name();
        let balancer = balancer(scheduler, vec![MemberSpec::new(); 2]);
        let notes = |request| {
            let explained = balancer.explain(&request);
            let notes = explained.details().notes.iter();
            notes.filter(|note| note.contains("hash key")).count()
        };
        assert_eq!(notes(PickRequest::new()), 0, "{name}");
        assert_eq!(notes(PickRequest::new().with_hash(5)), 1, "{name}");
    }
}

#[test]
fn apaches_methods_explain_what_they_compare() {
    let scores = |scheduler: Box<dyn Scheduler>| {
        let balancer = balancer(scheduler, vec![weight(2), weight(1)]);
        let mut lease = pick(&balancer);
        lease.record_received(3_000);
        let explained = balancer.explain(&PickRequest::new());
        let scores = explained.details().scores.iter().map(|one| one.score);
        (
            explained.details().measure.unwrap(),
            scores.collect::<Vec<_>>(),
        )
    };
    let standings = scores(Box::new(ByRequests::new()));
    assert_eq!(standings, ("standing plus weight", vec![100.0, 200.0]));
    let busy = scores(Box::new(ByBusyness::new()));
    assert_eq!(busy, ("requests in flight", vec![1.0, 0.0]));
    let busy = scores(Box::new(ByBusyness::weighted()));
    assert_eq!(busy, ("requests in flight per weight", vec![0.5, 0.0]));
    let bytes = scores(Box::new(ByTraffic::new()));
    assert_eq!(bytes, ("bytes per weight", vec![1_500.0, 0.0]));
}

#[test]
fn heartbeat_explains_its_chances_or_its_fallback() {
    let readings = HeartbeatReadings::new();
    let balancer = balancer(Heartbeat::new(&readings), vec![MemberSpec::new(); 2]);
    let explained = || balancer.explain(&PickRequest::new()).details().clone();
    assert_eq!(explained().measure, Some("standing plus weight"));
    assert_eq!(explained().notes.len(), 1);
    let reading = HeartbeatReading { ready: 9, busy: 1 };
    readings.report("m1", reading, Timestamp::ORIGIN).unwrap();
    let scores = explained().scores.into_iter().map(|one| one.score);
    assert_eq!(scores.collect::<Vec<_>>(), [0.0, 9.0]);
}
