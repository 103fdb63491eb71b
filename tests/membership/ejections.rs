//! Members that are ejected for a time, recoveries by hand, and delays that grow.

use crate::support::{Scribe, fleet, pick, picks, seconds};
use equipoise::balancer::events::Interest;
use equipoise::clock::{ManualClock, Timestamp};
use equipoise::member::{Backoff, Cause};
use equipoise::{Balancer, Flag, MemberSpec, PickError, PickRequest};
use std::time::Duration;

fn spec() -> MemberSpec {
    MemberSpec::new()
}

fn status<W>(balancer: &Balancer<W>, name: &str) -> String {
    balancer.member(name).unwrap().status().to_string()
}

/// One member that errors may take away, with this backoff.
fn alone(backoff: Backoff, delay: Duration) -> (Balancer<()>, ManualClock) {
    let clock = ManualClock::new();
    let builder = Balancer::builder()
        .clock(clock.clone())
        .forced_recovery(false)
        .backoff(backoff)
        .member("a", (), spec().with_recovery_delay(delay));
    (builder.build().unwrap(), clock)
}

/// How long the member rests after an error now.
fn rest_after_an_error(balancer: &Balancer<()>) -> Duration {
    pick(balancer).unwrap().put_in_error();
    match pick(balancer).unwrap_err() {
        PickError::NoneUsable { retry_after, .. } => retry_after.unwrap(),
        error => panic!("{error}"),
    }
}

#[test]
fn an_ejected_member_is_not_elected_until_its_time_is_over() {
    let (balancer, clock) = fleet([("a", spec()), ("b", spec())]);
    balancer.eject("a", seconds(30), "slow").unwrap();
    assert_eq!(picks(&balancer, 3), "bbb");
    assert_eq!(
        balancer.next_timed_change(),
        Some(Timestamp::ORIGIN + seconds(30))
    );
    assert_eq!(
        balancer.source_spec("a"),
        Some(spec()),
        "its spec is as it was"
    );
    clock.advance(seconds(30));
    assert!(picks(&balancer, 2).contains('a'));
    assert_eq!(
        balancer.member("a").unwrap().recoveries(),
        0,
        "it was no error"
    );
    assert_eq!(balancer.next_timed_change(), None);
}

#[test]
fn an_ejection_loses_the_sessions_of_its_member() {
    let (balancer, _) = fleet([("a", spec().with_route("a")), ("b", spec())]);
    balancer.eject("a", seconds(1), "slow").unwrap();
    let request = PickRequest::new().with_session(Some("a"));
    assert_eq!(balancer.pick(&request).unwrap().member().name(), "b");
}

#[test]
fn of_two_ejections_the_later_end_holds_and_tells_its_cause() {
    let (balancer, clock) = fleet([("a", spec()), ("b", spec())]);
    let ejection = || {
        let health = balancer.member("a").unwrap().health();
        let outage = health.outage(Flag::Ejected).unwrap().clone();
        (outage.since, outage.until.unwrap(), outage.cause.unwrap())
    };
    let at = |n| Timestamp::ORIGIN + seconds(n);
    balancer.eject("a", seconds(30), Cause::TimedOut).unwrap();
    clock.advance(seconds(10));
    balancer.eject("a", seconds(5), Cause::Refused).unwrap();
    assert_eq!(ejection(), (at(0), at(30), Cause::TimedOut));
    balancer.eject("a", seconds(50), Cause::Refused).unwrap();
    assert_eq!(ejection(), (at(0), at(60), Cause::Refused));
    clock.advance(seconds(30));
    assert_eq!(picks(&balancer, 2), "bb");
    clock.advance(seconds(20));
    assert!(picks(&balancer, 2).contains('a'));
}

#[test]
fn an_ejection_by_flag_lasts_until_it_is_cleared() {
    let (balancer, clock) = fleet([("a", spec()), ("b", spec())]);
    balancer.eject("a", seconds(30), "slow").unwrap();
    balancer.set_flag("a", Flag::Ejected).unwrap();
    balancer.eject("a", seconds(30), "slow").unwrap();
    clock.advance(seconds(100_000));
    assert_eq!(picks(&balancer, 2), "bb");
    balancer.clear_flag("a", Flag::Ejected).unwrap();
    assert!(picks(&balancer, 2).contains('a'));
}

#[test]
fn a_member_is_ejected_and_recovered_by_id_and_an_unknown_one_is_refused() {
    let (balancer, _) = fleet([("a", spec()), ("b", spec())]);
    let id = balancer.member("a").unwrap().id();
    assert_eq!(balancer.eject(id, seconds(9), "slow"), Ok(id));
    assert_eq!(status(&balancer, "a"), "ejected");
    assert_eq!(balancer.recover(id), Ok(id));
    assert_eq!(status(&balancer, "a"), "ok");
    balancer.remove("a").unwrap();
    let error = balancer.eject(id, seconds(9), "slow").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("there is no member called \"{id}\"")
    );
    assert!(balancer.recover("c").is_err());
}

#[test]
fn a_recovery_ends_all_outages_and_no_override() {
    let (balancer, _) = fleet([("a", spec()), ("b", spec())]);
    balancer.set_flag("a", Flag::Draining).unwrap();
    balancer.set_flag("a", Flag::FailedCheck).unwrap();
    balancer.set_flag("a", Flag::InError).unwrap();
    balancer.eject("a", seconds(9), "slow").unwrap();
    let before = "draining, ejected, failed check, in error";
    assert_eq!(status(&balancer, "a"), before);
    balancer.recover("a").unwrap();
    assert_eq!(status(&balancer, "a"), "draining");
    assert!(balancer.member("a").unwrap().health().is_good());
    assert_eq!(balancer.next_timed_change(), None);
}

#[test]
fn a_member_that_ignores_errors_can_be_ejected() {
    let (balancer, _) = fleet([("a", spec().with_flag(Flag::IgnoreErrors)), ("b", spec())]);
    balancer.eject("a", seconds(9), "slow").unwrap();
    assert_eq!(picks(&balancer, 2), "bb");
}

#[test]
fn an_error_and_an_ejection_end_each_in_its_own_time() {
    let (balancer, clock) = fleet([("a", spec()), ("b", spec())]);
    balancer.set_flag("a", Flag::InError).unwrap();
    balancer.eject("a", seconds(90), "slow").unwrap();
    clock.advance(seconds(60));
    balancer.apply_timed_changes();
    assert_eq!(status(&balancer, "a"), "ejected");
    balancer.set_flag("a", Flag::InError).unwrap();
    clock.advance(seconds(30));
    balancer.apply_timed_changes();
    assert_eq!(status(&balancer, "a"), "in error");
    clock.advance(seconds(30));
    balancer.apply_timed_changes();
    assert_eq!(status(&balancer, "a"), "ok");
}

#[test]
fn an_ejection_is_never_the_reason_that_nothing_is_served() {
    let (balancer, _) = fleet([("a", spec()), ("b", spec()), ("off", spec())]);
    balancer.set_flag("off", Flag::Disabled).unwrap();
    balancer.set_flag("a", Flag::InError).unwrap();
    balancer.eject("a", seconds(9), "slow").unwrap();
    balancer.eject("b", Duration::MAX, "slow").unwrap();
    assert_eq!(picks(&balancer, 2), "ab");
    assert_eq!(status(&balancer, "off"), "disabled");
}

#[test]
fn without_forced_recovery_a_refused_pick_tells_when_the_last_outage_ends() {
    let clock = ManualClock::new();
    let builder = Balancer::builder().clock(clock.clone());
    let builder = builder.forced_recovery(false).member("a", (), spec());
    let balancer = builder.build().unwrap();
    balancer.eject("a", seconds(90), "slow").unwrap();
    let after = |expected: Option<u64>| {
        let error = pick(&balancer).unwrap_err();
        assert_eq!(error.retry_after(), expected.map(seconds));
    };
    after(Some(90));
    balancer.set_flag("a", Flag::InError).unwrap();
    after(Some(90));
    clock.advance(seconds(80));
    balancer.apply_timed_changes();
    balancer.set_flag("a", Flag::InError).unwrap();
    after(Some(60));
    balancer.set_flag("a", Flag::Ejected).unwrap();
    balancer.set_flag("a", Flag::Draining).unwrap();
    after(None);
}

#[test]
fn ejections_and_recoveries_are_told_once() {
    let scribe = Scribe::of(Interest::CHANGED | Interest::EJECTED | Interest::RECOVERED);
    let builder = Balancer::builder().observer(scribe.clone());
    let builder = builder.clock(ManualClock::new()).forced_recovery(false);
    let balancer = builder.member("a", (), spec()).build().unwrap();
    balancer.eject("a", seconds(9), "slow").unwrap();
    balancer.eject("a", seconds(9), "slow").unwrap();
    balancer.recover("a").unwrap();
    balancer.recover("a").unwrap();
    let told = scribe.take();
    let lines = [
        "a: ok -> ejected (Health, slow)",
        "member \"a\" ejected until 9s on the balancer's clock: slow",
        "a: ejected -> ok (Health)",
        "member \"a\" recovered",
    ];
    assert_eq!(told, lines);
}

#[test]
fn the_explanation_says_since_when_until_when_and_why() {
    let (balancer, clock) = fleet([("a", spec()), ("b", spec())]);
    clock.advance(seconds(5));
    balancer.eject("a", seconds(30), Cause::Refused).unwrap();
    balancer.set_flag("a", Flag::InError).unwrap();
    let table = balancer.explain(&PickRequest::new()).to_string();
    let line = "  a is ejected since 5s until 35s, connection refused; in error since 5s until 65s";
    assert!(table.lines().any(|found| found == line), "{table}");
}

#[test]
fn delays_grow_while_errors_are_in_a_row() {
    let (balancer, clock) = alone(Backoff::exponential(seconds(100)), seconds(10));
    for (rest, healthy) in [(10, 9), (20, 0), (40, 39), (80, 79), (100, 99), (100, 100)] {
        assert_eq!(rest_after_an_error(&balancer), seconds(rest));
        clock.advance(seconds(rest));
        assert!(pick(&balancer).is_ok());
        clock.advance(seconds(healthy));
    }
    assert_eq!(
        rest_after_an_error(&balancer),
        seconds(10),
        "the row has ended"
    );
}

#[test]
fn an_error_of_one_in_error_is_not_one_more_in_a_row() {
    let (balancer, clock) = alone(Backoff::exponential(seconds(100)), seconds(10));
    let leases = [(); 3].map(|()| pick(&balancer).unwrap());
    for lease in leases {
        clock.advance(seconds(1));
        lease.put_in_error();
    }
    clock.advance(seconds(9));
    assert!(pick(&balancer).is_err());
    clock.advance(seconds(1));
    assert_eq!(rest_after_an_error(&balancer), seconds(20));
    assert_eq!(balancer.member("a").unwrap().health().errors_in_a_row(), 2);
}

#[test]
fn an_operator_who_ends_an_error_begins_the_row_anew() {
    let (balancer, _) = alone(Backoff::exponential(seconds(100)), seconds(10));
    for recover in [true, false] {
        assert_eq!(rest_after_an_error(&balancer), seconds(10));
        if recover {
            balancer.recover("a").unwrap();
        } else {
            balancer.clear_flag("a", Flag::InError).unwrap();
        }
    }
    assert_eq!(rest_after_an_error(&balancer), seconds(10));
}

#[test]
fn with_a_constant_backoff_each_error_lasts_as_long_as_the_first() {
    let (balancer, clock) = alone(Backoff::constant(), seconds(10));
    for _ in 0..5 {
        assert_eq!(rest_after_an_error(&balancer), seconds(10));
        clock.advance(seconds(10));
    }
}

#[test]
fn the_error_of_a_stopped_member_has_no_end() {
    let (balancer, _) = fleet([("a", spec()), ("b", spec())]);
    balancer.set_flag("a", Flag::InError).unwrap();
    let until = || {
        let health = balancer.member("a").unwrap().health();
        health.outage(Flag::InError).unwrap().until
    };
    assert_eq!(until(), Some(Timestamp::ORIGIN + seconds(60)));
    balancer.set_flag("a", Flag::Stopped).unwrap();
    assert_eq!(until(), None);
}
