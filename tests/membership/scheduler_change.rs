//! Another method while requests are in flight.

use crate::support::{in_flight, pick, picks, plain};
use equipoise::{ByBusyness, ByRequests, ByTraffic, Scheduler};
use std::thread;

#[test]
fn leases_of_before_count_with_the_new_method() {
    let balancer = plain(["a", "b"]);
    let first = pick(&balancer).unwrap();
    let second = pick(&balancer).unwrap();
    drop(second);
    balancer.set_scheduler(ByBusyness::new());
    assert_eq!(balancer.scheduler_name(), "bybusyness");
    assert_eq!(picks(&balancer, 3), "bbb", "a is busy");
    drop(first);
    assert_eq!(
        (in_flight(&balancer, "a"), in_flight(&balancer, "b")),
        (0, 0)
    );
    assert!(picks(&balancer, 3).contains('a'), "and now idle");
}

#[test]
fn a_method_can_be_chosen_by_name_while_the_program_runs() {
    let by_name = |name: &str| -> Box<dyn Scheduler> {
        match name {
            "bybusyness" => Box::new(ByBusyness::new()),
            "bytraffic" => Box::new(ByTraffic::new()),
            _ => Box::new(ByRequests::new()),
        }
    };
    let balancer = plain(["a", "b"]);
    for name in ["bybusyness", "bytraffic", "byrequests"] {
        balancer.set_scheduler(by_name(name));
        assert_eq!(balancer.scheduler_name(), name);
    }
    let _first = pick(&balancer).unwrap();
    assert_eq!(balancer.standing("a"), Some(-100));
    balancer.set_scheduler(by_name("bybusyness"));
    assert_eq!(picks(&balancer, 3), "bbb", "a is busy");
    balancer.set_scheduler(by_name("bytraffic"));
    pick(&balancer).unwrap().record_sent(1_000);
    assert_eq!(picks(&balancer, 2), "bb", "it is told of bytes");
}

#[test]
fn standings_start_anew() {
    let balancer = plain(["a", "b"]);
    picks(&balancer, 1);
    balancer.set_scheduler(ByRequests::new());
    assert_eq!(balancer.standing("a"), Some(0));
    assert_eq!(picks(&balancer, 3), "aba");
    balancer.reset_standings();
    assert_eq!(balancer.standing("a"), Some(0));
    assert_eq!(picks(&balancer, 2), "ab");
}

#[test]
fn a_reset_forgets_the_bytes_of_before() {
    let balancer = plain(["a", "b"]);
    balancer.set_scheduler(ByTraffic::new());
    pick(&balancer).unwrap().record_sent(1_000);
    assert_eq!(picks(&balancer, 2), "bb");
    balancer.reset_standings();
    assert_eq!(picks(&balancer, 2), "aa");
    assert_eq!(balancer.member("a").unwrap().bytes(), 1_000);
}

#[test]
fn changes_of_the_method_lose_no_request() {
    let balancer = plain(["a", "b", "c"]);
    thread::scope(|scope| {
        let requests: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let held = pick(&balancer).unwrap();
                        drop(pick(&balancer).unwrap());
                        drop(held);
                    }
                })
            })
            .collect();
        while requests.iter().any(|requests| !requests.is_finished()) {
            balancer.set_scheduler(ByBusyness::new());
            balancer.set_scheduler(ByTraffic::new());
            balancer.set_scheduler(ByRequests::new());
        }
    });
    let members = balancer.members();
    assert!(members.iter().all(|member| member.in_flight() == 0));
    assert_eq!(
        members.iter().map(|member| member.picked()).sum::<u64>(),
        8_000
    );
}
