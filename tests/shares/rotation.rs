//! Smoothness over a balancer's picks, with turns that are made ahead.

use equipoise::random::Random;
use equipoise::scheduler::{Rotation, Shadow};
use equipoise::{ByRequests, Flag, MemberSpec, PickRequest, Scheduler, Weight};

use crate::support::{Indexed, balancer, pick, picked, weight};

/// The greatest lead and lag over so many picks, in requests.
fn extremes(balancer: &Indexed, weights: &[u32], picks: u32) -> (f64, f64) {
    let total = f64::from(weights.iter().sum::<u32>());
    let mut counts = vec![0_u32; weights.len()];
    let (mut lead, mut lag) = (0.0_f64, 0.0_f64);
    for k in 1..=picks {
        counts[picked(balancer)] += 1;
        for (&count, &weight) in counts.iter().zip(weights) {
            let ahead = f64::from(count) - f64::from(k) * f64::from(weight) / total;
            (lead, lag) = (lead.max(ahead), lag.max(-ahead));
        }
    }
    (lead, lag)
}

#[test]
fn each_prefix_of_the_picks_keeps_the_bound() {
    for weights in [
        vec![5, 1, 1],
        (1..=12).collect(),
        vec![29, 3, 30, 3, 28, 1, 13, 9, 15],
    ] {
        let specs = weights.iter().copied().map(weight).collect();
        let balancer = balancer(Rotation::new(), specs);
        let bound = 1.0 - 1.0 / (2.0 * weights.len() as f64 - 2.0) + 1e-9;
        let (lead, lag) = extremes(&balancer, &weights, 2_000);
        assert!(lead <= bound && lag <= bound, "{weights:?}: {lead} {lag}");
    }
}

#[test]
fn as_its_own_shadow_it_agrees_though_members_are_full_or_tried() {
    let shadow = Shadow::new(Rotation::new(), Rotation::new());
    let report = shadow.report();
    let specs = [9, 3, 2, 1].map(|one| weight(one).with_max_in_flight(3));
    let balancer = balancer(shadow, specs.into());
    let random = Random::seeded(5);
    let mut running = Vec::new();
    for _ in 0..5_000 {
        let tried = [balancer.member("m0").unwrap().id()];
        let mut request = PickRequest::new();
        if random.below(5) == 0 {
            request = request.with_tried(&tried);
        }
        running.extend(balancer.pick(&request));
        if random.below(10) < 8 && !running.is_empty() {
            let at = usize::try_from(random.below(running.len() as u64)).unwrap();
            drop(running.swap_remove(at));
        }
    }
    let summary = report.summary();
    assert!(summary.compared > 3_000, "{report}");
    assert_eq!(summary.agreed, summary.compared, "{report}");
}

/// The longest streak of the last member over so many picks.
fn longest_streak(balancer: &Indexed, picks: usize) -> usize {
    let (mut streak, mut longest) = (0, 0);
    for _ in 0..picks {
        let is_heavy = picked(balancer) == balancer.len() - 1;
        streak = if is_heavy { streak + 1 } else { 0 };
        longest = longest.max(streak);
    }
    longest
}

#[test]
fn a_member_with_half_of_the_weight_has_no_long_streak() {
    fn farm(scheduler: impl Scheduler) -> Indexed {
        let mut specs = vec![weight(1); 99];
        specs.push(weight(100));
        balancer(scheduler, specs)
    }
    let by_requests = farm(ByRequests::new());
    assert_eq!(longest_streak(&by_requests, 199), 1, "inside a period");
    assert_eq!(
        longest_streak(&by_requests, 199 * 10),
        2,
        "across its boundary"
    );
    let rotation = farm(Rotation::new());
    // The rule elects the heavy member as soon as it can be: twice in a row also inside.
    assert_eq!(longest_streak(&rotation, 199 * 10), 2);
}

#[test]
fn shares_are_exact_after_each_period() {
    let weights = [7, 5, 3, 1];
    let balancer = balancer(Rotation::new(), weights.map(weight).into());
    for period in 1..=100 {
        (0..16).for_each(|_| drop(pick(&balancer)));
        for (member, weight) in balancer.members().iter().zip(weights) {
            assert_eq!(member.picked(), u64::from(period * weight));
        }
    }
    let standings = (0..4).map(|at| balancer.standing(&format!("m{at}")));
    assert!(standings.into_iter().all(|standing| standing == Some(0)));
}

#[test]
fn a_members_credit_stays_while_others_change() {
    let weights = [7, 5, 3];
    let balancer = balancer(Rotation::new(), weights.map(weight).into());
    (0..4).for_each(|_| drop(pick(&balancer)));
    let lead = |name: &str| balancer.standing(name).unwrap();
    let before = ["m0", "m1", "m2"].map(lead);
    assert_eq!(before, [133_333, -333_333, 200_000]);
    balancer.insert("m3", 3, weight(15)).unwrap();
    for (name, before) in ["m0", "m1", "m2"].into_iter().zip(before) {
        assert!(lead(name).abs_diff(before) <= 2, "{name}: {}", lead(name));
    }
    let heavier = Weight::new(9).unwrap();
    balancer
        .update("m1", |spec| spec.with_weight(heavier))
        .unwrap();
    assert!(lead("m1").abs_diff(before[1]) <= 3, "{}", lead("m1"));
    balancer.set_flag("m1", Flag::Disabled).unwrap();
    (0..100).for_each(|_| drop(pick(&balancer)));
    assert!(lead("m1").abs_diff(before[1]) <= 3, "{}", lead("m1"));
    // It is behind by the share of its lag that the others bear.
    balancer.clear_flag("m1", Flag::Disabled).unwrap();
    let next: Vec<_> = (0..34).map(|_| picked(&balancer)).collect();
    let count = next.iter().filter(|&&at| at == 1).count();
    assert!((9..=10).contains(&count), "{count}");
}

#[test]
fn picks_by_sessions_count_as_turns() {
    let balancer = balancer(Rotation::new(), vec![MemberSpec::new(); 3]);
    let request = PickRequest::new().with_session_member(Some("m1"));
    for _ in 0..60 {
        // Also while turns have been made ahead.
        drop(balancer.pick(&request).unwrap());
        let next = [picked(&balancer), picked(&balancer)];
        assert!(next == [0, 2] || next == [2, 0], "{next:?}");
    }
}

#[test]
fn a_full_member_keeps_its_credit_and_the_others_keep_their_shares() {
    let specs = vec![weight(2).with_max_in_flight(1), weight(2), weight(1)];
    let balancer = balancer(Rotation::new(), specs);
    let held = loop {
        let lease = pick(&balancer);
        if *lease == 0 {
            break lease;
        }
    };
    let counts = (0..300).fold([0; 3], |mut counts, _| {
        counts[picked(&balancer)] += 1;
        counts
    });
    assert_eq!(counts[0], 0);
    assert!(200_i32.abs_diff(counts[1]) <= 1, "{counts:?}");
    drop(held);
    let counts = (0..500).fold([0; 3], |mut counts, _| {
        counts[picked(&balancer)] += 1;
        counts
    });
    assert!(200_i32.abs_diff(counts[0]) <= 2, "{counts:?}");
}

/// Turns that are made ahead are taken by several threads, each once.
#[test]
fn shares_are_exact_though_several_threads_pick() {
    let weights = [7, 5, 3, 1];
    let balancer = balancer(Rotation::new(), weights.map(weight).into());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..4_000).for_each(|_| drop(pick(&balancer))));
        }
    });
    for (member, weight) in balancer.members().iter().zip(weights) {
        assert_eq!(member.picked(), u64::from(1_000 * weight));
        assert_eq!(member.in_flight(), 0);
    }
}

#[test]
fn a_member_whose_cap_is_raised_takes_its_turns_again() {
    let specs = [0, 3].map(|cap| MemberSpec::new().with_max_in_flight(cap));
    let balancer = balancer(Rotation::new(), specs.to_vec());
    for _ in 0..100 {
        assert_eq!(picked(&balancer), 1);
    }
    let name = balancer.members()[0].name().to_owned();
    let raised = |spec: MemberSpec| spec.with_max_in_flight(5);
    balancer.update(&name, raised).unwrap();
    let mut counts = [0_usize; 2];
    (0..1_000).for_each(|_| counts[picked(&balancer)] += 1);
    assert!(counts[0] >= 500, "{counts:?}");

    // Both are full when the cap is raised.
    let held: Vec<_> = (0..8).map(|_| pick(&balancer)).collect();
    balancer
        .update(&name, |spec| spec.with_max_in_flight(6))
        .unwrap();
    drop(pick(&balancer));
    drop(held);
    let mut counts = [0_usize; 2];
    (0..1_000).for_each(|_| counts[picked(&balancer)] += 1);
    assert!(counts[0].abs_diff(500) < 10, "{counts:?}");
}
