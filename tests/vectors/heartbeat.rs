//! Shares and eligibility of `heartbeat` (ledger 10).

use crate::support::{Fleet, fleet_of, spec};
use equipoise::clock::Clock;
use equipoise::scheduler::HeartbeatReading;
use equipoise::{Balancer, ByBusyness, Heartbeat, HeartbeatReadings};
use std::time::Duration;

/// Members with these flags that elect by reports, and where to put the reports.
fn reporting(
    flags: &str,
    adjust: impl FnOnce(Heartbeat) -> Heartbeat,
) -> (Fleet, HeartbeatReadings) {
    let readings = HeartbeatReadings::new();
    let scheduler = adjust(Heartbeat::new(&readings));
    let builder = Balancer::builder().scheduler(scheduler).seed(1);
    (fleet_of(builder, flags.split(' ').map(spec)), readings)
}

fn report(fleet: &Fleet, readings: &HeartbeatReadings, rows: &[(&str, u32)]) {
    for &(name, ready) in rows {
        let reading = HeartbeatReading { ready, busy: 1 };
        readings.report(name, reading, fleet.clock.now()).unwrap();
    }
}

/// How often each of the members is elected in `draws`.
fn counts(fleet: &Fleet, draws: usize) -> [usize; 3] {
    let elected = fleet.picks(draws);
    ["A", "B", "C"].map(|name| elected.matches(name).count())
}

/// Apache draws from 0 to the sum inclusive, so that the last member has one place more.
#[test]
fn shares_are_exactly_in_proportion_to_the_idle_capacity() {
    // The idle places of A, B and C; Apache's shares beside them.
    let rows: [[u32; 3]; 5] = [
        [10, 30, 0],  // 10, 30, 1 of 41
        [10, 0, 5],   // 10, 0, 6 of 16
        [10, 10, 10], // 10, 10, 11 of 31
        [0, 0, 1],    // 2 of 2
        [1, 999, 0],
    ];
    const DRAWS: u32 = 20_000;
    for ready in rows {
        let (fleet, readings) = reporting("- - -", Heartbeat::without_fallback);
        report(
            &fleet,
            &readings,
            &[("A", ready[0]), ("B", ready[1]), ("C", ready[2])],
        );
        let seen = counts(&fleet, DRAWS as usize);
        let total: u32 = ready.iter().sum();
        let mut chi_square = 0.0;
        for (seen, ready) in seen.into_iter().zip(ready) {
            let expected = f64::from(DRAWS) * f64::from(ready) / f64::from(total);
            let seen = f64::from(u32::try_from(seen).unwrap());
            if ready == 0 {
                assert!(seen < 1.0, "who has no idle place gets nothing");
            } else {
                chi_square += (seen - expected).powi(2) / expected;
            }
        }
        // Two degrees of freedom: above 13.8 once in a thousand times, for other seeds.
        assert!(chi_square < 13.8, "{ready:?} got {seen:?}: {chi_square}");
    }
}

#[test]
fn members_of_one_address_are_kept_apart() {
    let readings = HeartbeatReadings::new();
    let balancer = Balancer::builder()
        .scheduler(Heartbeat::new(&readings).without_fallback())
        .seed(2)
        .member("10.0.0.1:80", (), spec("-"))
        .member("10.0.0.1:81", (), spec("-"))
        .build()
        .unwrap();
    let reading = HeartbeatReading { ready: 10, busy: 1 };
    let origin = equipoise::clock::Timestamp::ORIGIN;
    readings.report("10.0.0.1:80", reading, origin).unwrap();
    readings.report("10.0.0.1:81", reading, origin).unwrap();
    for _ in 0..1_000 {
        drop(balancer.pick(&equipoise::PickRequest::new()));
    }
    let elected: Vec<u64> = balancer
        .members()
        .iter()
        .map(|member| member.picked())
        .collect();
    assert_eq!(elected.iter().sum::<u64>(), 1_000);
    assert!(
        elected.iter().all(|elected| (440..560).contains(elected)),
        "{elected:?}"
    );
}

#[test]
fn draining_members_standbys_spares_and_later_tiers_wait_as_ever() {
    let (fleet, readings) = reporting("N - H R", Heartbeat::without_fallback);
    fleet
        .balancer
        .insert("E", (), spec("-").with_tier(1))
        .unwrap();
    let all = [("A", 10), ("B", 10), ("C", 10), ("D", 10), ("E", 10)];
    report(&fleet, &readings, &all);
    let elected = fleet.picks(200);
    assert!(elected.chars().all(|name| "BD".contains(name)), "{elected}");
    fleet.set("B", 'D');
    fleet.set("D", 'D');
    assert_eq!(fleet.picks(3), "CCC");
    fleet.set("C", 'N');
    assert_eq!(fleet.picks(3), "EEE");
}

#[test]
fn a_report_counts_for_ten_seconds_and_nobody_without_one_is_elected() {
    let (fleet, readings) = reporting("- -", Heartbeat::without_fallback);
    assert_eq!(fleet.picks(1), "!");
    report(&fleet, &readings, &[("B", 3)]);
    assert_eq!(fleet.picks(3), "BBB");
    fleet.clock.advance(Duration::from_millis(9_999));
    assert_eq!(fleet.picks(1), "B");
    fleet.clock.advance(Duration::from_millis(1));
    assert_eq!(fleet.picks(1), "!");
    report(&fleet, &readings, &[("A", 0), ("B", 0)]);
    assert_eq!(fleet.picks(1), "!", "nobody has an idle place");
}

#[test]
fn a_server_that_has_just_started_counts_a_quarter() {
    let (fleet, readings) = reporting("- -", Heartbeat::without_fallback);
    let now = fleet.clock.now();
    readings
        .report("A", HeartbeatReading { ready: 40, busy: 0 }, now)
        .unwrap();
    readings
        .report("B", HeartbeatReading { ready: 3, busy: 0 }, now)
        .unwrap();
    assert_eq!(fleet.standings(), [10, 1], "Apache: 0, and so for ever");
}

#[test]
fn what_is_sent_beyond_the_reports_goes_where_they_show_room() {
    let (fleet, readings) = reporting("- - -", Heartbeat::without_fallback);
    report(&fleet, &readings, &[("A", 1), ("B", 0)]);
    // All at once. B reports that it is full, and C reports nothing.
    let leases: Vec<_> = (0..5).map(|_| fleet.pick().unwrap()).collect();
    assert!(leases.iter().all(|lease| lease.member().name() == "A"));
    report(&fleet, &readings, &[("A", 0), ("B", 9)]);
    assert_eq!(fleet.picks(3), "BBB");
    report(&fleet, &readings, &[("B", 0)]);
    assert!(fleet.pick().is_err(), "none has room by its report");
}

#[test]
fn while_nobody_reports_the_fallback_elects() {
    let (fleet, readings) = reporting("- -", |heartbeat| heartbeat);
    assert_eq!(fleet.picks(4), "ABAB", "Apache: nobody");
    report(&fleet, &readings, &[("B", 1)]);
    assert_eq!(fleet.picks(3), "BBB");
    fleet.wait(10);
    assert_eq!(fleet.picks(4), "ABAB");
}

#[test]
fn a_fallback_by_busyness_sees_what_the_reports_have_elected() {
    let (fleet, readings) = reporting("- -", |heartbeat| {
        heartbeat.with_fallback(ByBusyness::new())
    });
    report(&fleet, &readings, &[("A", 10)]);
    let held: Vec<_> = (0..3).map(|_| fleet.pick().unwrap()).collect();
    assert_eq!(fleet.balancer.member("A").unwrap().in_flight(), 3);
    fleet.wait(10);
    assert_eq!(fleet.picks(3), "BBB", "A has three in flight, B none");
    drop(held);
}

#[test]
fn only_what_was_sent_since_a_report_is_taken_off_it() {
    let (fleet, readings) = reporting("-", |heartbeat| heartbeat);
    let mut before: Vec<_> = (0..5).map(|_| fleet.pick().unwrap()).collect();
    report(&fleet, &readings, &[("A", 10)]);
    assert_eq!(fleet.standings(), [10]);
    before.pop();
    assert_eq!(fleet.standings(), [10], "one less, and none sent since");
    let since = fleet.pick().unwrap();
    assert_eq!(fleet.standings(), [10], "five, as when it reported");
    let one_more = fleet.pick().unwrap();
    assert_eq!(fleet.standings(), [9]);
    drop((since, one_more, before));
}
