//! A detector sees what the tower services tell: the statuses of their answers.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::health::OutlierDetector;
use equipoise::member::MAX_IN_FLIGHT;
use equipoise::service::{BalanceService, CountedBody, ServedBy};
use equipoise::{Balancer, Flag, MemberSpec};
use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};

type Member = BoxCloneSyncService<Request<CountedBody<String>>, Response<String>, Infallible>;

fn member(status: u16) -> Member {
    let answer = move |_| async move {
        let answer = Response::builder().status(status).body("body".to_owned());
        Ok(answer.unwrap())
    };
    BoxCloneSyncService::new(service_fn(answer))
}

#[tokio::test]
async fn a_member_whose_answers_are_errors_is_ejected_after_five_of_them() {
    let members = [("a", 200), ("b", 500), ("c", 404), ("d", 200)];
    let members = members.map(|(name, status)| (name, member(status)));
    let balancer = Balancer::new(members).unwrap();
    let detector = OutlierDetector::new(&balancer);
    let service = BalanceService::over(balancer.clone());
    let mut failed = 0;
    for _ in 0..200 {
        let request = Request::new(String::new());
        let response = service.clone().oneshot(request).await.unwrap();
        let by = response.extensions().get::<ServedBy>().unwrap();
        failed += u32::from(&*by.member == "b");
    }
    assert_eq!(failed, 5);
    let health = balancer.member("b").unwrap().health().to_string();
    assert!(health.ends_with("5 failures in a row"), "{health}");
    assert!(balancer.member("c").unwrap().status().is_usable());
    drop(detector);
}

/// Answers after some turns of its task.
fn slowly(status: Arc<AtomicU16>) -> Member {
    let answer = move |_| {
        let status = status.load(Ordering::Relaxed);
        async move {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            let answer = Response::builder().status(status).body("body".to_owned());
            Ok(answer.unwrap())
        }
    };
    BoxCloneSyncService::new(service_fn(answer))
}

#[tokio::test]
async fn a_trial_whose_request_is_given_up_at_any_point_is_followed_by_another() {
    let clock = ManualClock::new();
    let ill = Arc::new(AtomicU16::new(500));
    let members = [
        ("a", member(200)),
        ("b", slowly(ill.clone())),
        ("c", member(200)),
    ];
    let balancer = Balancer::builder()
        .clock(clock.clone())
        .members(members.map(|(name, service)| (name, service, MemberSpec::new())))
        .build()
        .unwrap();
    let detector = OutlierDetector::new(&balancer);
    let service = BalanceService::over(balancer.clone());
    let request = || service.clone().oneshot(Request::new(String::new()));
    let b = balancer.member("b").unwrap();
    while !b.status().contains(Flag::Ejected) {
        request().await.unwrap();
    }
    ill.store(200, Ordering::Relaxed);
    clock.advance(Duration::from_secs(30));
    let mut given_up = 0;
    for polls in 1.. {
        let elected = b.picked();
        let mut is_over = false;
        while b.picked() == elected {
            let mut future = pin!(request());
            is_over = (0..polls).any(|_| {
                let mut context = Context::from_waker(Waker::noop());
                future.as_mut().poll(&mut context).is_ready()
            });
        }
        assert_eq!(b.in_flight(), 0, "given up after {polls} polls");
        if is_over {
            break;
        }
        given_up += 1;
        assert_eq!(b.max_in_flight(), 1, "it decides nothing");
    }
    assert!(given_up >= 4, "{given_up}");
    assert_eq!(b.max_in_flight(), MAX_IN_FLIGHT);
    drop(detector);
}
