//! What the next member gets of a request's body: attempts that end before, in the
//! middle of, after and while reading, with bodies under, at and over the cap.

use std::io::ErrorKind::{ConnectionRefused, ConnectionReset};

use bytes::Bytes;
use equipoise::service::{BalanceService, BufferUpTo, Counted, Failover, PassThrough, PerMember};
use http::{Request, StatusCode};
use http_body_util::Full;

use crate::books::eventually;
use crate::member::Act::{Answer, AnswerThenRead, Fail, FailAfter};
use crate::member::{Act, Cast, Frames, Got, Member, frames, outcome, post};

/// The frames of each body, ten bytes in all.
const PARTS: &[&str] = &["0123", "456", "789"];
const WHOLE: &[u8] = b"0123456789";

fn put(trailers: bool) -> Request<Frames> {
    Request::put("/").body(frames(PARTS, trailers)).unwrap()
}

fn buffering(cast: &Cast, cap: usize) -> BalanceService<Member, PerMember, BufferUpTo> {
    let layer = cast.layer().request_body(BufferUpTo(cap));
    let retry = Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]);
    layer.failover(retry).over_members()
}

/// When the first attempt ends.
const ENDS: [(&str, Act); 5] = [
    ("before any data", Fail(ConnectionReset)),
    ("after the first frame", FailAfter(1)),
    ("in the middle", FailAfter(2)),
    ("after all of it", FailAfter(usize::MAX)),
    ("while it is still being read", AnswerThenRead(503)),
];

#[tokio::test]
async fn under_and_at_the_cap_the_second_member_gets_every_byte_once() {
    for (when, act) in ENDS {
        for cap in [10, 11, 1_000] {
            for trailers in [false, true] {
                let case = format!("{when}, cap {cap}, trailers {trailers}");
                let cast = Cast::new([std::slice::from_ref(&act), &[Answer(200)]]);
                let served = outcome(buffering(&cast, cap), put(trailers)).await;
                assert_eq!(served, "200 b 2", "{case}");
                let got = &cast.members[1].got()[0];
                // linkerd2#15649: an attempt that ended before any data was read had
                // the first chunk sent twice.
                assert_eq!(got.body, WHOLE, "{case}");
                assert_eq!(got.trailers, usize::from(trailers), "{case}");
                assert!(!got.broken, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn over_the_cap_only_an_attempt_that_has_read_too_much_is_the_last() {
    for (read, cap, again) in [
        (0, 9, true),
        (1, 9, true),
        (2, 9, true),
        (3, 9, false),
        (1, 4, true),
        (1, 3, false),
        (0, 0, true),
        (1, 0, false),
    ] {
        let case = format!("{read} frames, cap {cap}");
        let cast = Cast::new([&[FailAfter(read)], &[Answer(200)]]);
        let served = outcome(buffering(&cast, cap), put(true)).await;
        if again {
            assert_eq!(served, "200 b 2", "{case}");
            let got = &cast.members[1].got()[0];
            assert_eq!((got.body.as_slice(), got.trailers), (WHOLE, 1), "{case}");
        } else {
            assert_eq!(served, "member \"a\" failed in attempt 1", "{case}");
            assert_eq!(cast.calls(), [1, 0], "{case}");
        }
    }
}

#[tokio::test]
async fn a_body_over_the_cap_is_streamed_whole_to_the_first_member() {
    for cap in [0, 1, 5, 9] {
        let cast = Cast::new([&[Answer(200)]]);
        assert_eq!(outcome(buffering(&cast, cap), put(true)).await, "200 a 1");
        let got = &cast.members[0].got()[0];
        assert_eq!((got.body.as_slice(), got.trailers), (WHOLE, 1));
    }
}

#[tokio::test]
async fn a_body_that_is_known_to_be_too_long_is_not_kept_at_all() {
    let cast = Cast::new([&[FailAfter(1)], &[Answer(200)]]);
    let request = Request::put("/").body(Full::<Bytes>::from("0123456789"));
    let served = outcome(buffering(&cast, 9), request.unwrap()).await;
    assert_eq!(served, "member \"a\" failed in attempt 1");
}

#[tokio::test]
async fn the_first_reader_is_told_that_its_attempt_was_given_up() {
    let cast = Cast::new([&[AnswerThenRead(503)], &[Answer(200)]]);
    let served = outcome(buffering(&cast, 1_000), put(false)).await;
    assert_eq!(served, "200 b 2");
    assert_eq!(cast.members[1].got()[0].body, WHOLE);
    // By now the first member's task reads what was kept; it must not get a byte that
    // the second has not got.
    let first = || cast.members[0].got()[0].clone();
    eventually(|| first().broken || first().body == WHOLE).await;
    assert!(WHOLE.starts_with(&first().body));
}

#[tokio::test]
async fn three_attempts_in_a_row_each_get_the_whole_body() {
    let half: &[Act] = &[FailAfter(2)];
    let cast = Cast::new([half, &[AnswerThenRead(503)], &[Answer(200)]]);
    let served = outcome(buffering(&cast, 1_000), put(true)).await;
    assert_eq!(served, "200 c 3");
    let got = &cast.members[2].got()[0];
    assert_eq!((got.body.as_slice(), got.trailers), (WHOLE, 1));
}

#[tokio::test]
async fn bytes_are_counted_for_each_member_that_got_them() {
    let cast = Cast::new([&[FailAfter(1)], &[Answer(200)]]);
    let _ = outcome(buffering(&cast, 1_000), put(true)).await;
    let sent: Vec<u64> = cast.books.take().iter().map(|end| end.2).collect();
    assert_eq!(sent, [4, 10]);
}

#[tokio::test]
async fn without_a_buffer_a_body_goes_on_whole_or_not_at_all() {
    for (act, method, again) in [
        (Fail(ConnectionRefused), "POST", true),
        (Fail(ConnectionReset), "PUT", true),
        (Fail(ConnectionReset), "POST", false),
        (FailAfter(1), "PUT", false),
        (FailAfter(usize::MAX), "PUT", false),
    ] {
        let case = format!("{act:?} {method}");
        let cast = Cast::new([&[act], &[Answer(200)]]);
        let request = Request::builder().method(method).uri("/");
        let request = request.body(frames(PARTS, true)).unwrap();
        let service = cast.layer().request_body(Counted::default()).over_members();
        let served = outcome(service, request).await;
        if again {
            assert_eq!(served, "200 b 2", "{case}");
            let got = &cast.members[1].got()[0];
            assert_eq!((got.body.as_slice(), got.trailers), (WHOLE, 1), "{case}");
        } else {
            assert_eq!(served, "member \"a\" failed in attempt 1", "{case}");
            assert_eq!(cast.calls(), [1, 0], "{case}");
        }
    }
}

#[tokio::test]
async fn passed_through_only_an_empty_body_goes_on() {
    let refuse: &[Act] = &[Fail(ConnectionRefused)];
    let cast = Cast::new([refuse, &[Answer(200)]]);
    let service = || {
        cast.layer()
            .request_body(PassThrough::default())
            .over_members()
    };
    assert_eq!(outcome(service(), post("")).await, "200 b 2");
    let cast = Cast::new([refuse, &[Answer(200)]]);
    let service = cast.layer().request_body(PassThrough::default());
    let served = outcome(service.over_members(), post("x")).await;
    assert_eq!(served, "member \"a\" failed in attempt 1");
}

#[tokio::test]
async fn an_empty_body_stays_one() {
    let cast = Cast::new([&[Fail(ConnectionRefused)], &[Answer(200)]]);
    assert_eq!(outcome(buffering(&cast, 0), post("")).await, "200 b 2");
    let got = Got {
        head: "POST /".to_owned(),
        ..Got::default()
    };
    assert_eq!(cast.members[1].got(), [got]);
}
