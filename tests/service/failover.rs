//! Who is tried after whom, and what is never tried twice.

use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, TimedOut};

use equipoise::service::{BalanceError, Failover, Fault, Idempotent, RetryBudget, cause};
use equipoise::{Flag, MemberSpec, Outcome};
use http::{Request, StatusCode};
use tower::ServiceExt;

use crate::books::in_flight;
use crate::member::Act::{Answer, Fail, FailAfter};
use crate::member::{Cast, get, outcome, post};

const REFUSE: &[crate::member::Act] = &[Fail(ConnectionRefused)];
const RESET: &[crate::member::Act] = &[Fail(ConnectionReset)];
const FINE: &[crate::member::Act] = &[Answer(200)];

#[tokio::test]
async fn a_refused_connection_moves_any_request_on_and_puts_the_member_in_error() {
    let cast = Cast::new([REFUSE, REFUSE, FINE]);
    assert_eq!(outcome(cast.service(), get("/")).await, "200 c 3");
    assert_eq!(cast.in_error(), "ab");
    let cast = Cast::new([REFUSE, FINE]);
    assert_eq!(outcome(cast.service(), post("hello")).await, "200 b 2");
    assert_eq!(cast.members[1].got()[0].body, b"hello");
    assert_eq!(
        cast.books.take(),
        [
            ("a".to_owned(), Outcome::Failure, 0, 0),
            ("b".to_owned(), Outcome::Success, 5, 6)
        ]
    );
}

#[tokio::test]
async fn when_all_are_dead_each_is_tried_once_and_the_last_error_is_told() {
    let cast = Cast::new([REFUSE, REFUSE, REFUSE]);
    let error = cast.service().oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.to_string(), "member \"c\" failed in attempt 3");
    assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    assert!(
        cause::<std::io::Error>(&error).is_some(),
        "the cause is kept"
    );
    assert_eq!(cast.calls(), [1, 1, 1]);
    // Forced recovery: the next request finds them all again.
    assert!(cast.service().oneshot(get("/")).await.is_err());
    assert_eq!(cast.calls(), [2, 2, 2]);
    assert_eq!(in_flight(&cast.balancer), 0);
}

#[tokio::test]
async fn the_number_of_attempts_can_be_limited() {
    let cast = Cast::new([REFUSE, REFUSE, FINE]);
    let service = cast
        .layer()
        .failover(Failover::new().with_max_attempts(2))
        .over_members();
    assert_eq!(
        outcome(service.clone(), get("/")).await,
        "member \"b\" failed in attempt 2"
    );
    assert_eq!(
        outcome(service, get("/")).await,
        "200 c 1",
        "both are in error"
    );
    let cast = Cast::new([REFUSE, FINE]);
    let once = Failover::new().with_max_attempts(0);
    let service = cast.layer().failover(once).over_members();
    assert_eq!(
        outcome(service, get("/")).await,
        "member \"a\" failed in attempt 1",
        "one attempt is always made"
    );
}

#[tokio::test]
async fn a_member_that_ignores_errors_is_passed_over_without_one() {
    // Ledger 20: Apache does not fail over from such a member.
    let ignores = MemberSpec::new().with_flag(Flag::IgnoreErrors);
    let cast = Cast::with_specs([(REFUSE, ignores), (FINE, MemberSpec::new())]);
    for _ in 0..4 {
        let served = outcome(cast.service(), get("/")).await;
        assert!(served.starts_with("200 b"), "{served}");
    }
    assert_eq!(cast.in_error(), "");
}

#[tokio::test]
async fn what_may_have_been_sent_gets_one_more_attempt_if_it_is_idempotent() {
    let cast = Cast::new([RESET, FINE]);
    assert_eq!(outcome(cast.service(), get("/")).await, "200 b 2");
    assert_eq!(cast.in_error(), "", "the member is not put in error");

    let cast = Cast::new([RESET, RESET, FINE]);
    assert_eq!(
        outcome(cast.service(), get("/")).await,
        "member \"b\" failed in attempt 2",
        "one more, not two"
    );
    assert_eq!(cast.calls(), [1, 1, 0]);
}

#[tokio::test]
async fn a_request_that_is_not_idempotent_is_never_sent_twice() {
    for act in [
        Fail(ConnectionReset),
        FailAfter(0),
        FailAfter(1),
        Fail(TimedOut),
    ] {
        for method in ["POST", "PATCH", "CONNECT", "MAGIC"] {
            let cast = Cast::new([std::slice::from_ref(&act), FINE]);
            let request = Request::builder().method(method).uri("http://a:1/");
            let request = request.body(http_body_util::Full::<bytes::Bytes>::from("x"));
            assert_eq!(
                outcome(cast.service(), request.unwrap()).await,
                "member \"a\" failed in attempt 1",
                "{method} {act:?}"
            );
            assert_eq!(cast.calls(), [1, 0]);
        }
    }
}

#[tokio::test]
async fn after_a_refusal_a_post_is_sent_once_and_then_no_more() {
    let cast = Cast::new([REFUSE, &[FailAfter(1)], FINE]);
    assert_eq!(
        outcome(cast.service(), post("x")).await,
        "member \"b\" failed in attempt 2"
    );
    assert_eq!(cast.calls(), [1, 1, 0]);
}

#[tokio::test]
async fn a_post_that_is_marked_is_repeated() {
    let cast = Cast::new([RESET, FINE]);
    let mut request = post("x");
    request.extensions_mut().insert(Idempotent::new());
    assert_eq!(outcome(cast.service(), request).await, "200 b 2");
}

#[tokio::test]
async fn as_apache_nothing_that_may_have_been_sent_is_repeated() {
    // Ledger 30, the option.
    let cast = Cast::new([RESET, FINE]);
    let apache = Failover::new().without_retries();
    let service = cast.layer().failover(apache).over_members();
    assert_eq!(
        outcome(service, get("/")).await,
        "member \"a\" failed in attempt 1"
    );
}

#[tokio::test]
async fn an_exhausted_budget_ends_repetitions_and_leaves_refusals_alone() {
    let cast = Cast::new([RESET, RESET, FINE]);
    let budget = RetryBudget::new().with_percent(0).with_per_second(0);
    let failover = Failover::new().with_budget(budget.with_burst(1));
    let service = cast.layer().failover(failover).over_members();
    // The first request takes the one repetition that was saved.
    let first = outcome(service.clone(), get("/")).await;
    assert_eq!(first, "member \"b\" failed in attempt 2");
    let second = outcome(service.clone(), get("/")).await;
    assert!(second.ends_with("1"), "no second attempt: {second}");

    let cast = Cast::new([REFUSE, FINE]);
    let budget = RetryBudget::new().with_percent(0).with_per_second(0);
    let failover = Failover::new().with_budget(budget.with_burst(0));
    let service = cast.layer().failover(failover).over_members();
    assert_eq!(outcome(service, get("/")).await, "200 b 2");
}

#[tokio::test]
async fn a_repetition_that_finds_nobody_costs_nothing() {
    let cast = Cast::new([RESET]);
    let budget = RetryBudget::new().with_percent(0).with_per_second(0);
    let failover = Failover::new().with_budget(budget.with_burst(1));
    let service = cast.layer().failover(failover).over_members();
    for _ in 0..3 {
        let error = outcome(service.clone(), get("/")).await;
        assert_eq!(error, "member \"a\" failed in attempt 1");
    }
    let fine = crate::member::Member::new([Answer(200)]);
    cast.balancer.insert("z", fine, MemberSpec::new()).unwrap();
    let mut repeated = 0;
    for _ in 0..4 {
        repeated += usize::from(outcome(service.clone(), get("/")).await == "200 z 2");
    }
    assert_eq!(repeated, 1, "the one that was saved is still there");
}

#[tokio::test]
async fn a_status_can_put_its_member_in_error_and_is_delivered() {
    let cast = Cast::new([&[Answer(502)], FINE]);
    let failover = Failover::new().with_fail_on_status([StatusCode::BAD_GATEWAY]);
    let service = cast.layer().failover(failover).over_members();
    assert_eq!(outcome(service.clone(), get("/")).await, "502 a 1");
    assert_eq!(cast.in_error(), "a");
    assert_eq!(outcome(service, get("/")).await, "200 b 1");
}

#[tokio::test]
async fn no_status_does_anything_unless_it_is_listed() {
    // Ledger of 4.1, row 15: a member's own 503 is an answer.
    for status in [500, 502, 503, 504, 404, 429] {
        let cast = Cast::new([&[Answer(status)], FINE]);
        assert_eq!(
            outcome(cast.service(), get("/")).await,
            format!("{status} a 1")
        );
        assert_eq!(cast.in_error(), "");
        let outcome = if status < 500 {
            Outcome::Success
        } else {
            Outcome::Failure
        };
        assert_eq!(cast.books.take(), [("a".to_owned(), outcome, 0, 6)]);
    }
}

#[tokio::test]
async fn a_status_can_move_the_request_on() {
    let retry = || Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]);
    let busy: &[_] = &[Answer(503)];
    let cast = Cast::new([busy, busy, FINE]);
    let service = cast.layer().failover(retry()).over_members();
    assert_eq!(outcome(service, get("/")).await, "200 c 3");
    assert_eq!(cast.in_error(), "");
    assert_eq!(in_flight(&cast.balancer), 0);

    let cast = Cast::new([busy, busy]);
    let service = cast.layer().failover(retry()).over_members();
    assert_eq!(
        outcome(service.clone(), get("/")).await,
        "503 b 2",
        "the last answer is delivered when nobody else is left"
    );
    assert!(
        outcome(service, post("x")).await.starts_with("503"),
        "a POST is not sent twice"
    );
    assert_eq!(cast.calls().iter().sum::<usize>(), 3);

    let cast = Cast::new([busy, FINE]);
    let both = retry().with_fail_on_status([StatusCode::SERVICE_UNAVAILABLE]);
    let service = cast.layer().failover(both).over_members();
    assert_eq!(outcome(service, get("/")).await, "200 b 2");
    assert_eq!(cast.in_error(), "a", "both lists apply");
}

#[tokio::test]
async fn a_time_limit_puts_in_error_only_where_it_is_told_to_and_only_the_one_who_let_it_pass() {
    // Ledger 18: Apache blames the member that answered.
    let cast = Cast::new([&[Fail(TimedOut)], FINE]);
    assert_eq!(outcome(cast.service(), get("/")).await, "200 b 2");
    assert_eq!(cast.in_error(), "");

    let cast = Cast::new([&[Fail(TimedOut)], FINE]);
    let failover = Failover::new().with_error_on_timeout();
    let service = cast.layer().failover(failover).over_members();
    assert_eq!(outcome(service, get("/")).await, "200 b 2");
    assert_eq!(cast.in_error(), "a");

    let cast = Cast::new([&[Fail(TimedOut)]]);
    let error = cast.service().oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn errors_of_your_own_can_be_said_to_have_sent_nothing() {
    // Rows 4 and 5 of the table: the name or the handshake failed.
    let cast = Cast::new([&[Fail(std::io::ErrorKind::InvalidData)], FINE]);
    let handshake = |error: &std::io::Error| error.kind() == std::io::ErrorKind::InvalidData;
    let service = cast.layer().nothing_sent_if(handshake).over_members();
    assert_eq!(outcome(service, post("x")).await, "200 b 2");
    assert_eq!(cast.in_error(), "a");

    // One after the other, they add up.
    for kind in [
        std::io::ErrorKind::InvalidData,
        ConnectionReset,
        ConnectionRefused,
    ] {
        let cast = Cast::new([&[Fail(kind)], FINE]);
        let reset = |error: &std::io::Error| error.kind() == ConnectionReset;
        let layer = cast
            .layer()
            .nothing_sent_if(handshake)
            .nothing_sent_if(reset);
        assert_eq!(outcome(layer.over_members(), post("x")).await, "200 b 2");
        assert_eq!(cast.in_error(), "a");
    }

    // A connection that had been idle was closed: nobody's fault.
    let cast = Cast::new([RESET, FINE]);
    let idle = |_: &(dyn std::error::Error + 'static)| Fault::NOTHING_SENT.with_member_blameless();
    let service = cast.layer().classify(idle).over_members();
    assert_eq!(outcome(service, post("x")).await, "200 b 2");
    assert_eq!(cast.in_error(), "");

    let cast = Cast::new([RESET, FINE]);
    let everything = |_: &(dyn std::error::Error + 'static)| Fault::NOTHING_SENT;
    let service = cast.layer().classify(everything).over_members();
    assert_eq!(outcome(service, post("x")).await, "200 b 2");
}

#[tokio::test]
async fn who_cannot_be_elected_is_told_apart_from_who_failed() {
    let cast = Cast::new([FINE]);
    cast.balancer.set_flag("a", Flag::Disabled).unwrap();
    let error = cast.service().oneshot(get("/")).await.unwrap_err();
    assert!(matches!(error, BalanceError::Pick(_)));
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    cast.balancer.remove("a").unwrap();
    let error = cast.service().oneshot(get("/")).await.unwrap_err();
    assert!(matches!(
        error,
        BalanceError::Pick(equipoise::PickError::Empty)
    ));
}

#[tokio::test]
async fn members_added_later_are_tried_too() {
    // Ledger 21: Apache fixes the number of attempts at the start.
    let cast = Cast::new([REFUSE]);
    let service = cast.service();
    let fine = crate::member::Member::new([Answer(200)]);
    cast.balancer.insert("z", fine, MemberSpec::new()).unwrap();
    assert_eq!(outcome(service, get("/")).await, "200 z 2");
}

#[tokio::test]
async fn a_failed_attempt_is_in_flight_no_longer_than_it_lasts() {
    // Ledger 22: Apache keeps it to the end of the request.
    let cast = Cast::new([REFUSE, &[crate::member::Act::Hang]]);
    let mut request = Box::pin(cast.service().oneshot(get("/")));
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    assert!(request.as_mut().poll(&mut context).is_pending());
    let members = cast.balancer.members();
    let counts: Vec<u32> = members.iter().map(|it| it.in_flight()).collect();
    assert_eq!(counts, [0, 1]);
    drop(request);
    assert_eq!(in_flight(&cast.balancer), 0);
}

#[tokio::test]
async fn who_has_tried_all_of_a_tier_reaches_those_in_reserve_though_nobody_is_in_error() {
    // Ledger 47.
    let plain = MemberSpec::new;
    let standby = || plain().with_flag(Flag::HotStandby);
    let spare = || plain().with_flag(Flag::HotSpare);
    for reserve in [standby(), spare(), plain().with_tier(1)] {
        let cast = Cast::with_specs([(RESET, plain()), (FINE, reserve.clone())]);
        assert_eq!(outcome(cast.service(), get("/")).await, "200 b 2");
        assert_eq!(
            outcome(cast.service(), post("x")).await,
            "member \"a\" failed in attempt 1"
        );
        assert_eq!(in_flight(&cast.balancer), 0);

        let ignores = plain().with_flag(Flag::IgnoreErrors);
        let cast = Cast::with_specs([(REFUSE, ignores), (FINE, reserve)]);
        assert_eq!(outcome(cast.service(), post("x")).await, "200 b 2");
    }
    // Not past those who must not serve.
    let disabled = standby().with_flag(Flag::Disabled);
    let cast = Cast::with_specs([(RESET, plain()), (FINE, disabled)]);
    assert!(
        outcome(cast.service(), get("/"))
            .await
            .contains("attempt 1")
    );
    // The least busy for its weight, and within its cap.
    let capped = standby().with_max_in_flight(1);
    let cast = Cast::with_specs([
        (RESET, plain()),
        (&[crate::member::Act::Hang], capped),
        (FINE, standby()),
    ]);
    let mut first = Box::pin(cast.service().oneshot(get("/")));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert_eq!(outcome(cast.service(), get("/")).await, "200 c 2");
}
