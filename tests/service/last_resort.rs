//! A request that has tried the members that can be elected: who is left for it, and who is
//! not.

use std::io::ErrorKind::{ConnectionRefused, ConnectionReset};
use std::task::{Context, Waker};

use bytes::Bytes;
use equipoise::scheduler::ByBusyness;
use equipoise::service::{Failover, Timeouts};
use equipoise::{Balancer, Flag, MemberSpec, Weight};
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::ServiceExt;

use crate::books::in_flight;
use crate::member::Act::{Answer, Fail, FailAfterTime, Hang, Unready};
use crate::member::{Act, Cast, Member, get, outcome, post};
use crate::timer::TestTimer;

const FINE: &[Act] = &[Answer(200)];
const REFUSE: &[Act] = &[Fail(ConnectionRefused)];
const RESET: &[Act] = &[Fail(ConnectionReset)];

fn put_in_error(cast: &Cast, name: &str) {
    cast.balancer.set_flag(name, Flag::InError).unwrap();
}

#[tokio::test]
async fn a_repetition_that_finds_no_other_forgives_those_that_only_the_error_keeps_out() {
    let cast = Cast::new([FINE, RESET]);
    put_in_error(&cast, "a");
    assert_eq!(outcome(cast.service(), get("/")).await, "200 a 2");
    assert_eq!(cast.in_error(), "", "it serves others, too");
    assert_eq!(cast.calls(), [1, 1]);
    assert_eq!(in_flight(&cast.balancer), 0);

    // All of them at once, as a first pick does.
    let cast = Cast::new([FINE, RESET, FINE]);
    put_in_error(&cast, "a");
    put_in_error(&cast, "c");
    assert!(outcome(cast.service(), get("/")).await.starts_with("200"));
    assert_eq!(cast.in_error(), "");
}

#[tokio::test]
async fn one_refused_connection_does_not_cost_requests_while_the_other_member_breaks_off() {
    // The first is refused once, and is well again; the other breaks off all the time.
    let cast = Cast::new([&[Fail(ConnectionRefused), Answer(200)], RESET]);
    for _ in 0..20 {
        let served = outcome(cast.service(), get("/")).await;
        // The first request has tried both.
        let failed = served == "member \"b\" failed in attempt 2" && cast.calls() == [1, 1];
        assert!(served.starts_with("200 a") || failed, "{served}");
    }
}

#[tokio::test]
async fn a_member_that_the_request_has_tried_is_not_forgiven_for_it() {
    let cast = Cast::new([REFUSE, RESET]);
    assert_eq!(
        outcome(cast.service(), get("/")).await,
        "member \"b\" failed in attempt 2"
    );
    assert_eq!(cast.calls(), [1, 1]);
    assert_eq!(cast.in_error(), "a");
}

#[tokio::test]
async fn what_is_refused_by_a_member_that_ignores_errors_reaches_one_in_error() {
    let ignores = MemberSpec::new().with_flag(Flag::IgnoreErrors);
    let cast = Cast::with_specs([(FINE, MemberSpec::new()), (REFUSE, ignores)]);
    put_in_error(&cast, "a");
    assert_eq!(outcome(cast.service(), post("x")).await, "200 a 2");
}

#[tokio::test]
async fn members_that_are_out_for_another_reason_stay_out() {
    for flag in [
        Flag::Disabled,
        Flag::Draining,
        Flag::FailedCheck,
        Flag::Stopped,
    ] {
        let cast = Cast::new([FINE, RESET]);
        put_in_error(&cast, "a");
        cast.balancer.set_flag("a", flag).unwrap();
        assert_eq!(
            outcome(cast.service(), get("/")).await,
            "member \"b\" failed in attempt 1",
            "{flag:?}"
        );
        assert_eq!(cast.in_error(), "a", "{flag:?}");
    }
}

#[tokio::test]
async fn nothing_is_forgiven_where_recovery_is_not_forced() {
    let cast = Cast::new([FINE, RESET]);
    cast.balancer.set_forced_recovery(false);
    put_in_error(&cast, "a");
    assert_eq!(
        outcome(cast.service(), get("/")).await,
        "member \"b\" failed in attempt 1"
    );
    assert_eq!(cast.in_error(), "a");
}

#[tokio::test]
async fn standbys_and_later_tiers_come_before_members_in_error() {
    let plain = MemberSpec::new;
    for reserve in [plain().with_flag(Flag::HotStandby), plain().with_tier(1)] {
        let cast = Cast::with_specs([(FINE, plain()), (RESET, plain()), (FINE, reserve)]);
        put_in_error(&cast, "a");
        assert_eq!(outcome(cast.service(), get("/")).await, "200 c 2");
        assert_eq!(cast.in_error(), "a");
    }
    // And after them, those in error of any role.
    let standby = plain().with_flag(Flag::HotStandby);
    let cast = Cast::with_specs([(RESET, plain()), (FINE, standby)]);
    put_in_error(&cast, "b");
    assert_eq!(outcome(cast.service(), get("/")).await, "200 b 2");
}

#[tokio::test]
async fn a_member_at_its_cap_is_no_reason_to_forgive_another() {
    let capped = MemberSpec::new().with_max_in_flight(1);
    let cast = Cast::with_specs([
        (FINE, MemberSpec::new()),
        (RESET, MemberSpec::new()),
        (&[Hang], capped),
    ]);
    put_in_error(&cast, "a");
    put_in_error(&cast, "b");
    let mut first = Box::pin(cast.service().oneshot(get("/")));
    let mut context = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    cast.balancer.clear_flag("b", Flag::InError).unwrap();
    assert_eq!(
        outcome(cast.service(), get("/")).await,
        "member \"b\" failed in attempt 1"
    );
    assert_eq!(cast.in_error(), "a");
}

#[tokio::test]
async fn an_answer_that_is_there_is_not_given_up_for_a_member_in_error() {
    let cast = Cast::new([FINE, &[Answer(503)]]);
    put_in_error(&cast, "a");
    let failover = Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]);
    let service = cast.layer().failover(failover).over_members();
    assert_eq!(outcome(service, get("/")).await, "503 b 1");
    assert_eq!(cast.in_error(), "a");
}

#[tokio::test]
async fn a_hedge_forgives_no_member() {
    let timer = TestTimer;
    let cast = Cast::new([FINE, &[Hang]]);
    put_in_error(&cast, "a");
    let hedge = Timeouts::new().with_hedge_delay(std::time::Duration::from_millis(1));
    let service = cast.layer().timeouts(timer, hedge).over_members();
    let mut request = Box::pin(service.oneshot(get("/")));
    let waited = tokio::time::timeout(std::time::Duration::from_millis(20), request.as_mut());
    assert!(waited.await.is_err());
    assert_eq!(cast.in_error(), "a");
    assert_eq!(cast.calls(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_removed_while_it_was_tried_does_not_count() {
    let second = std::time::Duration::from_secs(1);
    // Both break off before anything is sent; meanwhile another comes for the first.
    let cast = Cast::new([REFUSE, &[FailAfterTime(second)]]);
    let refused =
        |error: &std::io::Error| matches!(error.kind(), ConnectionRefused | ConnectionReset);
    let service = cast.layer().nothing_sent_if(refused).over_members();
    let request = tokio::spawn(async move { outcome(service, get("/")).await });
    tokio::time::sleep(second / 2).await;
    cast.balancer.remove("a").unwrap();
    let fine = Member::new([Answer(200)]);
    cast.balancer.insert("c", fine, MemberSpec::new()).unwrap();
    assert_eq!(request.await.unwrap(), "200 c 3");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_replaces_the_only_one_gets_its_requests() {
    let second = std::time::Duration::from_secs(1);
    let refused = |error: &std::io::Error| error.kind() == ConnectionReset;
    for method in ["GET", "POST"] {
        let cast = Cast::new([&[FailAfterTime(second)]]);
        let service = cast.layer().nothing_sent_if(refused).over_members();
        let request = Request::builder().method(method).uri("/");
        let request = request.body(Full::<Bytes>::default());
        let request = tokio::spawn(async move { outcome(service, request.unwrap()).await });
        tokio::time::sleep(second / 2).await;
        cast.balancer.remove("a").unwrap();
        // Under the name of the one that went, or another.
        let name = if method == "GET" { "a" } else { "c" };
        let fine = Member::new([Answer(200)]);
        cast.balancer.insert(name, fine, MemberSpec::new()).unwrap();
        assert_eq!(request.await.unwrap(), format!("200 {name} 2"));
    }
}

type Change = fn(&Balancer<Member>);

/// Two members fail a second after they were asked, one after the other; half a second into
/// the first attempt something changes.
async fn changed_meanwhile(
    nothing_sent: bool,
    request: Request<Full<Bytes>>,
    change: Change,
) -> (String, Vec<usize>) {
    let second = std::time::Duration::from_secs(1);
    let cast = Cast::new([&[FailAfterTime(second)], &[FailAfterTime(second)]]);
    let is = move |_: &std::io::Error| nothing_sent;
    let service = cast.layer().nothing_sent_if(is).over_members();
    let request = tokio::spawn(async move { outcome(service, request).await });
    tokio::time::sleep(second / 2).await;
    change(&cast.balancer);
    let served = request.await.unwrap();
    assert_eq!(in_flight(&cast.balancer), 0);
    (served, cast.calls().to_vec())
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_replaced_under_its_name_while_it_was_tried_is_asked() {
    fn fine() -> Member {
        Member::new([Answer(200)])
    }
    let changes: [Change; 3] = [
        |balancer| {
            balancer.insert("a", fine(), MemberSpec::new()).unwrap();
        },
        |balancer| {
            balancer.remove("a").unwrap();
            balancer.insert("a", fine(), MemberSpec::new()).unwrap();
        },
        |balancer| {
            balancer
                .replace_all([("a", fine(), MemberSpec::new())])
                .unwrap();
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        for request in [get("/"), post("")] {
            let (served, calls) = changed_meanwhile(true, request, change).await;
            // The last change takes the other member away.
            let (expected, times) = if at == 2 {
                ("200 a 2", [1, 0])
            } else {
                ("200 a 3", [1, 1])
            };
            assert_eq!((served.as_str(), calls), (expected, times.into()), "{at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn members_that_are_inserted_again_and_again_are_asked_twice_by_one_request() {
    let second = std::time::Duration::from_secs(1);
    let cast = Cast::new([&[FailAfterTime(second)]]);
    let is = |_: &std::io::Error| true;
    let service = cast.layer().nothing_sent_if(is).over_members();
    let mut request = std::pin::pin!(outcome(service, get("/")));
    let served = loop {
        tokio::select! {
            served = &mut request => break served,
            () = tokio::time::sleep(second / 2) => {
                let same = cast.members[0].clone();
                cast.balancer.insert("a", same, MemberSpec::new()).unwrap();
            }
        }
    };
    assert_eq!(served, "member \"a\" failed in attempt 2");
    assert_eq!(cast.calls(), [2]);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_sent_goes_to_a_replaced_member_only_as_the_one_repetition() {
    let change: Change = |balancer| {
        balancer
            .insert("a", Member::new([Answer(200)]), MemberSpec::new())
            .unwrap();
    };
    let (served, _) = changed_meanwhile(false, get("/"), change).await;
    assert_eq!(served, "member \"b\" failed in attempt 2");
    let (served, _) = changed_meanwhile(false, post("x"), change).await;
    assert_eq!(served, "member \"a\" failed in attempt 1");
}

#[tokio::test(start_paused = true)]
async fn a_member_with_another_spec_or_scheduler_is_the_one_that_was_tried() {
    let changes: [Change; 2] = [
        |balancer| {
            let heavier = |spec: MemberSpec| spec.with_weight(Weight::new(3).unwrap());
            balancer.update("a", heavier).unwrap();
        },
        |balancer| balancer.set_scheduler(ByBusyness::default()),
    ];
    for change in changes {
        let (served, calls) = changed_meanwhile(true, get("/"), change).await;
        assert_eq!(served, "member \"b\" failed in attempt 2");
        assert_eq!(calls, [1, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_get_ready_is_left_for_one_in_error() {
    let cast = Cast::new([FINE, &[Unready]]);
    put_in_error(&cast, "a");
    let timer = TestTimer;
    let service = cast.layer().timeouts(timer, Timeouts::new()).over_members();
    assert_eq!(outcome(service, post("x")).await, "200 a 2");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_member_ends_when_that_is_gone_and_others_stand_in() {
    let second = std::time::Duration::from_secs(1);
    for reserve in [true, false] {
        let mut specs = [const { MemberSpec::new() }; 3];
        specs[1] = MemberSpec::new().with_max_in_flight(1);
        specs[2] = MemberSpec::new().with_flag(Flag::HotStandby);
        let [a, b, c] = specs;
        let cast = Cast::with_specs([(REFUSE, a), (&[Hang], b), (FINE, c)]);
        if !reserve {
            cast.balancer.remove("c").unwrap();
        }
        let wait = Timeouts::new().with_pick_timeout(60 * second);
        let service = cast.layer().timeouts(TestTimer, wait).over_members();
        // It refuses one, and the next is at its cap then.
        put_in_error(&cast, "a");
        let mut busy = Box::pin(service.clone().oneshot(get("/")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(busy.as_mut().poll(&mut context).is_pending());
        cast.balancer.clear_flag("a", Flag::InError).unwrap();
        let waiting = tokio::spawn(async move { outcome(service, get("/")).await });
        tokio::time::sleep(second).await;
        cast.balancer.remove("b").unwrap();
        let start = tokio::time::Instant::now();
        let expected = if reserve {
            "200 c 2"
        } else {
            "member \"a\" failed in attempt 1"
        };
        assert_eq!(waiting.await.unwrap(), expected);
        assert!(start.elapsed() < second, "it did not wait on");
    }
}
