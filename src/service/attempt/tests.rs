//! The retry budget pays only for attempts that were made.

use std::io;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Empty;
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};

use crate::Balancer;
use crate::service::capacity::Capacity;
use crate::service::{BalanceLayer, BoxError, CountedBody, Failover, RetryBudget, Timeouts};
use crate::timer::{Sleep, Timer};

type Body = Empty<bytes::Bytes>;
type Member = BoxCloneSyncService<Request<CountedBody<Body>>, Response<Body>, BoxError>;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct PausedTimer;

impl Timer for PausedTimer {
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Responds or fails after a second.
fn slow(answers: bool) -> Member {
    Member::new(service_fn(move |_| async move {
        tokio::time::sleep(SECOND).await;
        if answers {
            Ok(Response::new(Body::new()))
        } else {
            Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
        }
    }))
}

/// Has no room for any request.
fn full() -> Member {
    let capacity = Capacity::default();
    Member::new(service_fn(move |_| {
        let exceeded: BoxError = capacity.exceeded(1).into();
        std::future::ready(Err(exceeded))
    }))
}

/// Sends one request; returns whether it got a response, and how many retries of the one
/// that was saved are left.
async fn left_after_one(members: [Member; 2], timeouts: Timeouts) -> (bool, u32) {
    let budget = RetryBudget::new().with_percent(0).with_per_second(0);
    let budget = budget.with_burst(1);
    let [a, b] = members;
    let balancer = Balancer::new([("a", a), ("b", b)]).unwrap();
    let service = BalanceLayer::new(balancer)
        .failover(Failover::new().with_budget(budget.clone()))
        .timeouts(PausedTimer, timeouts)
        .over_members();
    let answered = service.oneshot(Request::new(Body::new())).await.is_ok();
    let mut left = 0;
    while budget.withdraw() {
        left += 1;
    }
    (answered, left)
}

#[tokio::test(start_paused = true)]
async fn a_repetition_that_finds_only_a_full_member_costs_nothing() {
    let plain = Timeouts::new;
    let left = left_after_one([slow(false), full()], plain()).await;
    assert_eq!(left, (false, 1));
    let waits = plain().with_pick_timeout(SECOND);
    let left = left_after_one([slow(false), full()], waits).await;
    assert_eq!(left, (false, 1), "it has waited");
    let left = left_after_one([slow(false), slow(true)], plain()).await;
    assert_eq!(left, (true, 0), "this one took place");
    let left = left_after_one([full(), slow(false)], plain()).await;
    assert_eq!(left, (false, 1), "nothing was paid for");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_meets_a_full_member_costs_nothing() {
    let hedged = || Timeouts::new().with_hedge_delay(SECOND / 2);
    let left = left_after_one([slow(true), full()], hedged()).await;
    assert_eq!(left, (true, 1));
    let left = left_after_one([slow(false), full()], hedged()).await;
    assert_eq!(left, (false, 1));
    let left = left_after_one([slow(true), slow(true)], hedged()).await;
    assert_eq!(left, (true, 0), "this one took place");
}
