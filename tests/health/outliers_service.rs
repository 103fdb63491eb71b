//! A detector sees what the tower services tell: the statuses of their answers.

use std::convert::Infallible;

use equipoise::Balancer;
use equipoise::health::OutlierDetector;
use equipoise::service::{BalanceService, CountedBody, ServedBy};
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
