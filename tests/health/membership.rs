//! Members that join, leave, return, stop, or have another check.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::health::{HealthChecks, ProbeError, ProbeTarget};
use equipoise::{Balancer, Flag, MemberSpec, PickRequest};
use tokio::time::sleep;

use crate::times::{each_second, members};
use crate::{is_failed, until};

const SECOND: Duration = Duration::from_secs(1);

/// How often each port was probed.
#[derive(Clone, Default)]
struct Ports(Arc<Mutex<BTreeMap<u16, u32>>>);

impl Ports {
    fn note(&self, target: &ProbeTarget) {
        let port = target.host().rsplit(':').next().unwrap().parse().unwrap();
        *self.0.lock().unwrap().entry(port).or_default() += 1;
    }

    fn taken(&self) -> Vec<(u16, u32)> {
        std::mem::take(&mut *self.0.lock().unwrap())
            .into_iter()
            .collect()
    }
}

fn counting(ports: &Ports) -> impl equipoise::health::Probe {
    let ports = ports.clone();
    move |target: ProbeTarget| {
        ports.note(&target);
        std::future::ready(Ok(()))
    }
}

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

#[tokio::test(start_paused = true)]
async fn members_are_followed_as_they_join_and_leave() {
    let ports = Ports::default();
    let check = each_second(counting(&ports)).build().unwrap();
    let balancer = members(&["a", "b"]);
    let _checks = HealthChecks::new(&balancer, check);
    sleep(SECOND / 2).await;
    assert_eq!(ports.taken(), [(1, 1), (2, 1)]);
    balancer.insert("c", at(3), MemberSpec::new()).unwrap();
    balancer.remove("a").unwrap();
    sleep(SECOND / 4).await;
    assert_eq!(ports.taken(), [(3, 1)], "at once");
    // A new payload is used by the next check, which is not sooner for it.
    balancer.insert("b", at(7), MemberSpec::new()).unwrap();
    sleep(SECOND / 8).await;
    assert_eq!(ports.taken(), []);
    sleep(SECOND).await;
    assert_eq!(ports.taken(), [(3, 1), (7, 1)]);
    balancer
        .replace_all([("z", at(9), MemberSpec::new())])
        .unwrap();
    sleep(SECOND * 3).await;
    assert_eq!(ports.taken(), [(9, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_at_a_former_address_tells_nothing_of_the_new_one() {
    let ports = Ports::default();
    let noted = ports.clone();
    // The one at port 1 hangs until the time limit of 5 s.
    let check = each_second(move |target: ProbeTarget| {
        noted.note(&target);
        let hangs = target.host().ends_with(":1");
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    let balancer = members(&["a"]);
    let _checks = HealthChecks::new(&balancer, check.build().unwrap());
    sleep(SECOND).await;
    balancer.insert("a", at(7), MemberSpec::new()).unwrap();
    sleep(SECOND * 9 / 2).await;
    assert!(!is_failed(&balancer, "a"));
    assert_eq!(ports.taken(), [(1, 1), (7, 1)], "at once after the old one");
    // The same payload again, as sources of members give it in intervals, is no reason.
    balancer.insert("a", at(1), MemberSpec::new()).unwrap();
    for _ in 0..60 {
        sleep(SECOND / 10).await;
        balancer.insert("a", at(1), MemberSpec::new()).unwrap();
    }
    assert!(is_failed(&balancer, "a"));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_returns_begins_anew_also_while_its_lease_lives() {
    let check = each_second(|_| async { Err(ProbeError::from("no")) });
    let balancer = members(&["a"]);
    let _checks = HealthChecks::new(&balancer, check.fails(3).build().unwrap());
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    sleep(SECOND * 3 / 2).await;
    // Two have failed.
    balancer.remove("a").unwrap();
    balancer.insert("a", at(1), MemberSpec::new()).unwrap();
    sleep(SECOND * 3 / 2).await;
    assert_eq!(lease.member().id(), balancer.member("a").unwrap().id());
    assert!(!is_failed(&balancer, "a"), "two have failed again");
    sleep(SECOND).await;
    assert!(is_failed(&balancer, "a"));
}

#[tokio::test(start_paused = true)]
async fn stopped_members_are_not_checked_and_all_others_are() {
    let ports = Ports::default();
    let flags = [
        Flag::Disabled,
        Flag::Draining,
        Flag::HotSpare,
        Flag::HotStandby,
        Flag::IgnoreErrors,
        Flag::InError,
        Flag::FailedCheck,
        Flag::Ejected,
    ];
    let builder =
        Balancer::builder().member("s", at(1), MemberSpec::new().with_flag(Flag::Stopped));
    let builder = flags
        .into_iter()
        .zip(2..)
        .fold(builder, |builder, (flag, port)| {
            let spec = MemberSpec::new().with_flag(flag);
            builder.member(flag.to_string(), at(port), spec)
        });
    let balancer = builder.build().unwrap();
    let check = each_second(counting(&ports)).build().unwrap();
    let _checks = HealthChecks::new(&balancer, check);
    sleep(SECOND / 2).await;
    let checked: Vec<_> = ports.taken().into_iter().map(|(port, _)| port).collect();
    assert_eq!(checked, Vec::from_iter(2..=9));
    // It is checked once it is no longer stopped, not an interval later.
    sleep(SECOND).await;
    ports.taken();
    balancer.clear_flag("s", Flag::Stopped).unwrap();
    sleep(SECOND / 8).await;
    assert_eq!(ports.taken(), [(1, 1)]);
    balancer.set_flag("s", Flag::Stopped).unwrap();
    sleep(SECOND * 2).await;
    assert!(!ports.taken().iter().any(|&(port, _)| port == 1));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_stopped_is_checked_again_in_its_own_interval() {
    let ports = Ports::default();
    let own = each_second(counting(&ports)).build().unwrap();
    // The one of members that have none of their own, as a configuration has it.
    let default = each_second(counting(&ports)).interval(SECOND * 3_600);
    let balancer = members(&["a"]);
    let _checks = HealthChecks::builder::<SocketAddr>(default.build().unwrap())
        .check_by(move |_, _, _| Some(own.clone()))
        .spawn(&balancer);
    sleep(SECOND / 2).await;
    balancer.set_flag("a", Flag::Stopped).unwrap();
    sleep(SECOND * 5 / 2).await;
    assert_eq!(ports.taken(), [(1, 1)]);
    balancer.clear_flag("a", Flag::Stopped).unwrap();
    sleep(SECOND / 8).await;
    assert_eq!(ports.taken(), [(1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_check_lasts_until_one_passes() {
    let balancer = Balancer::builder()
        .member("a", at(1), MemberSpec::new().with_recovery_delay(SECOND))
        .build()
        .unwrap();
    let good = Arc::new(Mutex::new(false));
    let asked = good.clone();
    let check = each_second(move |_| {
        let good = *asked.lock().unwrap();
        async move { if good { Ok(()) } else { Err("no".into()) } }
    });
    let _checks = HealthChecks::new(&balancer, check.build().unwrap());
    until(|| is_failed(&balancer, "a")).await;
    // Neither time nor forced recovery ends it.
    sleep(SECOND * 120).await;
    assert!(balancer.pick(&PickRequest::new()).is_err());
    *good.lock().unwrap() = true;
    until(|| balancer.pick(&PickRequest::new()).is_ok()).await;
}

#[tokio::test(start_paused = true)]
async fn each_member_has_the_check_that_is_chosen_for_it() {
    let (slow, fast) = (Ports::default(), Ports::default());
    let checks = [
        each_second(counting(&slow)).interval(SECOND * 2),
        each_second(counting(&fast)),
    ];
    let [slow_check, fast_check] = checks.map(|check| check.build().unwrap());
    let spec = |pace: &str| MemberSpec::new().with_label("pace", pace);
    let balancer = Balancer::builder()
        .member("a", at(1), spec("slow"))
        .member("b", at(2), spec("fast"))
        .member("c", at(3), spec("none"))
        .build()
        .unwrap();
    let default = fast_check.clone();
    let _checks = HealthChecks::builder::<SocketAddr>(default)
        .check_by(move |_, spec, _| match spec.label("pace") {
            Some("slow") => Some(slow_check.clone()),
            Some("fast") => Some(fast_check.clone()),
            _ => None,
        })
        .spawn(&balancer);
    sleep(SECOND * 7 / 2).await;
    assert_eq!((slow.taken(), fast.taken()), (vec![(1, 2)], vec![(2, 4)]));
    // A label that changes is seen by the next check.
    balancer
        .update("c", |spec| spec.with_label("pace", "fast"))
        .unwrap();
    balancer
        .update("b", |spec| spec.with_label("pace", "none"))
        .unwrap();
    sleep(SECOND * 4).await;
    assert_eq!((slow.taken(), fast.taken()), (vec![(1, 2)], vec![(3, 4)]));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_flaps_is_out_as_often_as_it_is_ill() {
    let turn = Arc::new(Mutex::new(0_u32));
    let taken = turn.clone();
    let check = each_second(move |_| {
        let mut turn = taken.lock().unwrap();
        *turn += 1;
        let good = *turn % 2 == 0;
        async move { if good { Ok(()) } else { Err("no".into()) } }
    });
    let balancer = members(&["a", "b"]);
    let check = check.interval(SECOND / 10).build().unwrap();
    let other = each_second(|_| async { Ok(()) }).build().unwrap();
    let _checks = HealthChecks::builder::<SocketAddr>(other.clone())
        .check_by(move |name, _, _| {
            Some(if name == "a" {
                check.clone()
            } else {
                other.clone()
            })
        })
        .spawn(&balancer);
    let (mut out, mut looks) = (0, 0);
    for _ in 0..1_000 {
        sleep(SECOND / 10).await;
        looks += 1;
        out += u32::from(is_failed(&balancer, "a"));
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert!(lease.member().name() == "b" || !is_failed(&balancer, "a"));
    }
    assert!((400..=600).contains(&out), "out {out} times of {looks}");
    assert!(*turn.lock().unwrap() >= 990);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn none_is_lost_while_members_come_and_go_from_many_threads() {
    let ports = Ports::default();
    let counted = ports.clone();
    let check = each_second(move |target: ProbeTarget| {
        counted.note(&target);
        async {
            tokio::task::yield_now().await;
            Ok(())
        }
    });
    let check = check.interval(SECOND / 10).build().unwrap();
    let balancer = Balancer::<SocketAddr>::builder().build().unwrap();
    let checks = HealthChecks::builder::<SocketAddr>(check)
        .concurrency(3)
        .spawn(&balancer);
    let churns: Vec<_> = (0..4_u16)
        .map(|thread| {
            let balancer = balancer.clone();
            tokio::spawn(async move {
                for turn in 0..2_000_u16 {
                    let port = 1 + thread * 10 + turn % 10;
                    let name = format!("m{port}");
                    match turn % 7 {
                        0 => drop(balancer.remove(&name)),
                        1 => drop(balancer.set_flag(&name, Flag::Stopped)),
                        2 => drop(balancer.clear_flag(&name, Flag::Stopped)),
                        _ => drop(balancer.insert(name, at(port), MemberSpec::new())),
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for churn in churns {
        churn.await.unwrap();
    }
    let stopped = |name: &str| {
        let status = balancer.member(name).unwrap().status();
        status.contains(Flag::Stopped)
    };
    let wanted: Vec<_> = (1..=40_u16)
        .filter(|port| balancer.member(&format!("m{port}")).is_some())
        .filter(|port| !stopped(&format!("m{port}")))
        .collect();
    assert!(wanted.len() > 10);
    // What was under way is over.
    sleep(SECOND / 5).await;
    ports.taken();
    until(|| {
        let seen = ports.0.lock().unwrap();
        wanted
            .iter()
            .all(|port| seen.get(port).is_some_and(|&count| count >= 2))
    })
    .await;
    let seen: Vec<_> = ports.taken().into_iter().map(|(port, _)| port).collect();
    assert_eq!(seen, wanted, "and no other");
    drop(checks);
}
