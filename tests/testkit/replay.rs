//! Recorded picks repeat, and a pick that has changed is found.

use std::path::PathBuf;
use std::time::Duration;

use equipoise::clock::{ManualClock, Timestamp};
use equipoise::member::{Overrides, Ramp};
use equipoise::random::Random;
use equipoise::scheduler::{
    BoundedLoad, First, HeartbeatReading, LeastRequest, Maglev, Modulo, PeakEwma, Prequal,
    PrequalReports, ProbeReport, Rendezvous, Ring, Rotation, Scheduler, Shadow, WeightedRandom,
    ZoneAware,
};
use equipoise::testkit::{RecordedLease, Recorder, Replay, ReplayError};
use equipoise::{
    ByBusyness, ByRequests, ByTraffic, Flag, Heartbeat, HeartbeatReadings, MemberId, MemberSpec,
    Outcome, PickRequest, Weight,
};

/// Records 400 steps of all kinds. `mark` is called now and then, with the text to record.
fn recorded(seed: u64, scheduler: impl Scheduler, mark: impl Fn(&str, Timestamp)) -> String {
    recorded_in_zones(seed, scheduler, mark, &[])
}

/// The same, with a label for each new member: the zones in turn.
fn recorded_in_zones(
    seed: u64,
    scheduler: impl Scheduler,
    mark: impl Fn(&str, Timestamp),
    zones: &[&str],
) -> String {
    // Most of its picks need reports of the last second.
    let reports_often = scheduler.name() == "prequal";
    let clock = ManualClock::new();
    let recorder = Recorder::builder(seed)
        .clock(clock.clone())
        .ramp(Ramp::over(Duration::from_secs(10)))
        .build(scheduler)
        .unwrap();
    let dice = Random::seeded(seed);
    let below = |end: u64| usize::try_from(dice.below(end)).unwrap();
    let name = |at: usize| format!("node {at}");
    let mut zones = zones.iter().cycle();
    let mut spec = || {
        let weights = [100, 100, 150, 200, 700];
        let spec = match zones.next() {
            Some(&zone) => MemberSpec::new().with_label("zone", zone),
            None => MemberSpec::new(),
        };
        let spec = spec
            .with_weight(Weight::from_hundredths(weights[below(5)]).unwrap())
            .with_route(format!("r{}", below(6)))
            .with_recovery_delay(Duration::from_secs(3));
        if below(4) == 0 {
            spec.with_max_in_flight(2)
        } else {
            spec
        }
    };
    let mut ids: Vec<MemberId> = Vec::new();
    for at in 0..5 {
        ids.push(recorder.insert(&name(at), (), spec()).unwrap());
    }
    let mut leases: Vec<RecordedLease<()>> = Vec::new();
    for _ in 0..400 {
        clock.advance(Duration::from_millis(dice.below(300)));
        if reports_often {
            let text = format!("{} {}", name(below(6)), below(30));
            recorder.mark(&text, |now| mark(&text, now));
        }
        let at = below(6);
        match below(20) {
            0..=7 => {
                let tried: Vec<MemberId> = (0..below(3))
                    .map(|_| ids[below(ids.len() as u64)])
                    .collect();
                let route = format!("r{at}");
                let mut request = PickRequest::new().with_tried(&tried);
                match below(5) {
                    0 => request = request.with_session(Some(&route)),
                    1 => request = request.with_session(None),
                    2 => request = request.with_hash(dice.next_u64()),
                    3 => request = request.with_session_member(Some(&route)).with_no_failover(),
                    _ => {}
                }
                leases.extend(recorder.pick(&request));
            }
            8..=12 if !leases.is_empty() => {
                let mut lease = leases.swap_remove(below(leases.len() as u64));
                lease.record_head(Some(200));
                lease.record_sent(dice.below(1_000));
                lease.record_received(dice.below(100_000));
                match below(6) {
                    0 => {
                        lease.put_in_error();
                        lease.finish(Outcome::Failure);
                    }
                    1 => drop(lease),
                    _ => lease.finish(Outcome::Success),
                }
            }
            13 => ids.push(recorder.insert(&name(at), (), spec()).unwrap()),
            14 if recorder.balancer().len() > 3 => {
                let _ = recorder.remove(&name(at));
            }
            15 => {
                let _ = recorder.update(&name(at), |spec| spec.with_weight(Weight::default()));
            }
            16 => {
                let flags = [
                    Flag::Draining,
                    Flag::Disabled,
                    Flag::HotStandby,
                    Flag::HotSpare,
                ];
                let _ = recorder.set_flag(&name(at), flags[below(4)]);
            }
            17 => {
                for flag in Flag::ALL {
                    let _ = recorder.clear_flag(&name(at), flag);
                }
            }
            18 => {
                let weight = Weight::from_hundredths(1 + 100 * u32::try_from(at).unwrap()).unwrap();
                match below(4) {
                    0 => drop(recorder.eject(&name(at), Duration::from_secs(2))),
                    1 => recorder.override_member(&name(at), |it| it.with_weight(weight)),
                    2 => recorder.override_member(&name(at), |_| Overrides::new()),
                    _ => drop(recorder.recover(&name(at))),
                }
            }
            19 if below(4) == 0 => recorder.reset_standings(),
            19 => recorder.apply_timed_changes(),
            _ => {
                let text = format!("{} {}", name(at), below(30));
                recorder.mark(&text, |now| mark(&text, now));
            }
        }
    }
    drop(leases);
    recorder.log()
}

/// What members report, for the schedulers that read it.
#[derive(Default)]
struct Reported {
    readings: HeartbeatReadings,
    reports: PrequalReports,
}

impl Reported {
    fn report(&self, text: &str, now: Timestamp) {
        let (name, ready) = text.rsplit_once(' ').unwrap();
        let ready: u32 = ready.parse().unwrap();
        // A member that is not there may report, too.
        let reading = HeartbeatReading { ready, busy: 1 };
        let _ = self.readings.report(name, reading, now);
        let report = ProbeReport {
            in_flight: ready,
            latency: Duration::from_millis(u64::from(ready * 7 % 30)),
        };
        let _ = self.reports.report(name, report, now);
    }
}

/// Records `scheduler`; replays that, and the log that is kept in the project. Set
/// `EQUIPOISE_WRITE_GOLDEN` to write the latter anew.
fn repeats<S: Scheduler>(file: &str, make: impl Fn(&Reported) -> S) {
    repeats_in_zones(file, make, &[]);
}

fn repeats_in_zones<S: Scheduler>(file: &str, make: impl Fn(&Reported) -> S, zones: &[&str]) {
    let reported = Reported::default();
    let mark = |text: &str, now| reported.report(text, now);
    let log = recorded_in_zones(7, make(&reported), mark, zones);
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/testkit/golden");
    let golden = golden.join(format!("{file}.log"));
    if std::env::var_os("EQUIPOISE_WRITE_GOLDEN").is_some() {
        std::fs::write(&golden, &log).unwrap();
    }
    let golden = std::fs::read_to_string(&golden).unwrap();
    for log in [&log, &golden] {
        let replay = Replay::parse(log).unwrap();
        assert!(replay.picks() > 100, "{}", replay.picks());
        let reported = Reported::default();
        replay
            .run_with(make(&reported), |text, now| reported.report(text, now))
            .unwrap();
    }
    assert!(
        log == golden,
        "the picks of {file} are not those of earlier releases"
    );
}

#[test]
fn by_requests_repeats_its_picks() {
    repeats("byrequests", |_| ByRequests::new());
}

#[test]
fn by_busyness_repeats_its_picks() {
    repeats("bybusyness", |_| ByBusyness::new());
    repeats("bybusyness_weighted", |_| ByBusyness::weighted());
}

#[test]
fn by_traffic_repeats_its_picks() {
    repeats("bytraffic", |_| ByTraffic::new());
    repeats("bytraffic_catching_up", |_| ByTraffic::catching_up());
}

#[test]
fn heartbeat_repeats_its_picks() {
    repeats("heartbeat", |it| Heartbeat::new(&it.readings));
}

#[test]
fn maglev_repeats_its_picks() {
    repeats("maglev", |_| Maglev::with_table_size(1_009).unwrap());
}

#[test]
fn schedulers_that_compare_loads_repeat_their_picks() {
    let drawing = || LeastRequest::new().with_scan_max(0).unwrap();
    repeats("leastrequest", |_| LeastRequest::new());
    repeats("leastrequest_drawn", |_| drawing());
    repeats("peakewma", |_| PeakEwma::new());
    repeats("prequal", |it| Prequal::new(&it.reports));
    repeats("prequal_by_responses", |it| {
        let prequal = Prequal::by_responses(&it.reports).with_quantile(0.84);
        prequal.with_max_age(Duration::from_secs(10))
    });
}

#[test]
fn rotations_and_draws_repeat_their_picks() {
    repeats("rotation", |_| Rotation::new());
    repeats("weightedrandom", |_| WeightedRandom::new());
    repeats("first", |_| First::new());
}

#[test]
fn hashing_schedulers_repeat_their_picks() {
    repeats("rendezvous", |_| Rendezvous::new());
    repeats("ring", |_| Ring::new());
    repeats("ring_nginx", |_| Ring::nginx());
    repeats("ring_ketama", |_| Ring::ketama());
    repeats("ring_envoy", |_| Ring::envoy());
    repeats("ring_haproxy", |_| Ring::haproxy());
    repeats("modulo", |_| Modulo::new());
    repeats("modulo_nginx", |_| Modulo::nginx());
    repeats("boundedload", |_| BoundedLoad::new(Rendezvous::new()));
}

#[test]
fn schedulers_that_wrap_others_repeat_their_picks() {
    let zoned = |_: &Reported| ZoneAware::new("near", WeightedRandom::new);
    repeats_in_zones("zoneaware", zoned, &["near", "far", "farther"]);
    repeats("shadow", |_| {
        Shadow::new(LeastRequest::new(), PeakEwma::new())
    });
}

#[test]
fn a_pick_that_has_changed_is_reported_with_its_line() {
    let log = recorded(7, ByRequests::new(), |_, _| {});
    let replay = Replay::parse(&log).unwrap();
    replay.run(ByRequests::new()).unwrap();
    // Another member in the tenth pick.
    let picks = log
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(" picks "));
    let (at, line) = picks.clone().nth(9).unwrap();
    let (_, other) = picks
        .clone()
        .find(|(_, it)| it.split(" picks ").nth(1) != line.split(" picks ").nth(1))
        .unwrap();
    let (head, picked) = line.split_once(" picks ").unwrap();
    let wrong = other.split_once(" picks ").unwrap().1;
    let changed = log.replacen(line, &format!("{head} picks {wrong}"), 1);
    let error = Replay::parse(&changed)
        .unwrap()
        .run(ByRequests::new())
        .unwrap_err();
    let expected = ReplayError::Differs {
        line: at + 1,
        recorded: format!("picks {wrong}"),
        replayed: format!("picks {picked}"),
    };
    assert_eq!(error, expected);
}

#[test]
fn picks_of_many_threads_are_replayed_in_the_order_of_the_log() {
    let recorder = Recorder::new(7, ByBusyness::new()).unwrap();
    let names: Vec<String> = (0..6).map(|at| format!("m{at}")).collect();
    let members = names
        .iter()
        .map(|name| (name.as_str(), (), MemberSpec::new()));
    recorder.replace_all(members).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (recorder, names) = (&recorder, &names);
            scope.spawn(move || {
                let mut held = Vec::new();
                for at in 0..100 {
                    held.push(recorder.pick(&PickRequest::new()).unwrap());
                    if at % 3 == thread % 3 {
                        held.swap_remove(at % held.len()).finish(Outcome::Success);
                    }
                    if at % 25 == 7 {
                        let fewer = names.iter().skip(thread % 2 + 1);
                        let fewer = fewer.map(|name| (name.as_str(), (), MemberSpec::new()));
                        recorder.replace_all(fewer).unwrap();
                    }
                }
            });
        }
    });
    let replay = Replay::parse(&recorder.log()).unwrap();
    assert_eq!(replay.picks(), 400);
    replay.run(ByBusyness::new()).unwrap();
}

#[test]
fn another_scheduler_is_refused() {
    let log = recorded(7, ByRequests::new(), |_, _| {});
    let replay = Replay::parse(&log).unwrap();
    assert_eq!(replay.scheduler(), "byrequests");
    let error = replay.run(ByBusyness::new()).unwrap_err();
    assert!(error.to_string().contains("`bybusyness`"), "{error}");
    assert_eq!(error.line(), 3, "the line that names the scheduler");
}

#[test]
fn a_log_that_cannot_be_read_is_refused_with_its_line() {
    let refused = [
        ("", 1),
        ("equipoise-picks 2\n", 1),
        ("equipoise-picks 1\n\n# a remark\ncolour red\n", 4),
        ("equipoise-picks 1\nseed 1\n@x reset\n", 3),
        ("equipoise-picks 1\nseed 1\n@0 dance\n", 3),
        // Set twice, too late, or not at all.
        ("equipoise-picks 1\nseed 1\nseed 1\nscheduler first\n", 3),
        (
            "equipoise-picks 1\nscheduler first\nseed 1\nscheduler first\n",
            4,
        ),
        (
            "equipoise-picks 1\nseed 1\nscheduler first\n@0 reset\nramp 1 1 1\n",
            5,
        ),
        ("equipoise-picks 1\n", 1),
        ("# a remark\nequipoise-picks 1\nscheduler first\n", 2),
        ("equipoise-picks 1\nseed 1\n@0 reset\n", 1),
        // The time goes back.
        (
            "equipoise-picks 1\nseed 1\nscheduler first\n@5 reset\n@1 reset\n",
            5,
        ),
        // Wrong words.
        (
            "equipoise-picks 1\nseed 1\nscheduler first\n@0 insert a%2\n",
            4,
        ),
        (
            "equipoise-picks 1\nseed 1\n@0 pick 1 key=1 key=2 picks a\n",
            3,
        ),
        // Cut within the last line.
        (
            "equipoise-picks 1\nseed 1\nscheduler first\n@0 insert ab",
            4,
        ),
        ("equipoise-picks 1\nseed 1", 2),
    ];
    for (log, line) in refused {
        assert_eq!(Replay::parse(log).unwrap_err().line(), line, "{log:?}");
    }
    let log = "equipoise-picks 1\nseed 1\nscheduler byrequests\n@0 insert a\n\
               @0 pick 1 picks a\n@0 pick 1 picks a\n";
    let error = Replay::parse(log).unwrap().run(ByRequests::new());
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "line 6: request 1 is in flight already");
    let log = "equipoise-picks 1\nseed 1\nscheduler byrequests\n@0 insert a\n@0 end 3 success\n";
    let error = Replay::parse(log)
        .unwrap()
        .run(ByRequests::new())
        .unwrap_err();
    assert_eq!(error.to_string(), "line 5: request 3 is not in flight");
}

#[test]
fn a_log_may_have_the_marks_of_an_editor() {
    let log = "\u{feff}equipoise-picks 1\r\nseed 1\r\nscheduler byrequests\r\n\
               @0 insert %\r\n@0 pick 1 picks %\r\n# end";
    Replay::parse(log).unwrap().run(ByRequests::new()).unwrap();
}

/// A payload that holds a request of another member.
#[derive(Default)]
struct Holds {
    _lease: Option<RecordedLease<Self>>,
}

#[test]
fn operations_within_operations_are_recorded_too() {
    let recorder = Recorder::new(7, ByBusyness::new()).unwrap();
    for name in ["a", "b"] {
        let payload = Holds::default();
        recorder.insert(name, payload, MemberSpec::new()).unwrap();
    }
    let lease = recorder.pick(&PickRequest::new()).unwrap();
    let holds = Holds {
        _lease: Some(lease),
    };
    recorder.insert("c", holds, MemberSpec::new()).unwrap();
    // The payload is replaced, so the request of `a` ends.
    let plain = Holds::default();
    recorder.insert("c", plain, MemberSpec::new()).unwrap();
    assert!(recorder.log().contains("end 1 cancelled"));
    let held = recorder.mark("two requests", |_| {
        [(); 2].map(|()| recorder.pick(&PickRequest::new()).unwrap())
    });
    let read = |spec| {
        assert!(recorder.log().contains("mark two%20requests"));
        spec
    };
    recorder.update("b", read).unwrap();
    drop(held);
    let replay = Replay::parse(&recorder.log()).unwrap();
    assert_eq!(replay.picks(), 3);
    replay.run(ByBusyness::new()).unwrap();
}

#[test]
fn a_panic_within_an_operation_does_not_stop_the_recorder() {
    let recorder = Recorder::<()>::new(7, ByRequests::new()).unwrap();
    let panics = || recorder.mark("fails", |_| panic!("within a mark"));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| recorder.insert("a", (), MemberSpec::new()));
        other.join().unwrap().unwrap();
    });
    let replay = Replay::parse(&recorder.log()).unwrap();
    replay.run(ByRequests::new()).unwrap();
}

/// A time that the caller has read is not that of the record.
#[test]
fn a_time_that_a_request_brings_does_not_change_its_pick() {
    let clock = ManualClock::new();
    let builder = Recorder::builder(7).clock(clock.clone());
    let recorder = builder.build(ByRequests::new()).unwrap();
    let spec = MemberSpec::new().with_recovery_delay(Duration::from_secs(60));
    recorder.insert("a", (), spec.clone()).unwrap();
    recorder.insert("b", (), spec).unwrap();
    recorder.pick(&PickRequest::new()).unwrap().put_in_error();
    let later = Timestamp::from_nanos(61_000_000_000);
    for _ in 0..4 {
        drop(recorder.pick(&PickRequest::new().with_now(later)).unwrap());
    }
    clock.set(later);
    drop(recorder.pick(&PickRequest::new()).unwrap());
    let replay = Replay::parse(&recorder.log()).unwrap();
    replay.run(ByRequests::new()).unwrap();
}

#[test]
fn the_longest_times_are_replayed() {
    let ramp = Ramp::over(Duration::MAX);
    let builder = Recorder::builder(7).ramp(ramp);
    let recorder = builder.build(ByRequests::new()).unwrap();
    let spec = MemberSpec::new().with_recovery_delay(Duration::MAX);
    recorder.insert("a", (), spec).unwrap();
    recorder.pick(&PickRequest::new()).unwrap().put_in_error();
    drop(recorder.pick(&PickRequest::new()));
    let replay = Replay::parse(&recorder.log()).unwrap();
    replay.run(ByRequests::new()).unwrap();
}
