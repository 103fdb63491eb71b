//! Answers that do not end, or end wrongly, and connections that are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use equipoise::Balancer;
use equipoise::health::{Check, HealthChecks, HttpProbe};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::member::{Served, failure, head, probed, refusing};
use crate::{cause, is_failed, until, within};

fn get() -> HttpProbe {
    HttpProbe::get("/").build().unwrap()
}

#[tokio::test]
async fn what_is_no_answer_fails_with_the_reason() {
    for (bytes, why) in [
        ("", "GET /: the connection was closed without a response"),
        (
            "HTTP/1.1 2",
            "GET /: the connection was closed without a response",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", "GET /: the response is not HTTP"),
        (
            "<html>fine</html>\r\n\r\n",
            "GET /: the response is not HTTP",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nread",
            "GET /: the response body is incomplete",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nread\r\n",
            "GET /: the response body is incomplete",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            "GET /: ",
        ),
    ] {
        let member = Served::answering(bytes).await;
        let told = failure(&get(), member.target()).await;
        assert!(told.starts_with(why), "{bytes:?}: {told}");
    }
    // HEAD and OPTIONS read no body.
    let member = Served::answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nread").await;
    for probe in [HttpProbe::head("/"), HttpProbe::options()] {
        probed(&probe.build().unwrap(), member.target())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let member = Served::by(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let field = format!("X-Long: {}\r\n", "x".repeat(1_000));
        while stream.write_all(field.as_bytes()).await.is_ok() {}
    })
    .await;
    let why = failure(&get(), member.target()).await;
    assert!(why.starts_with("GET /: "), "{why}");
}

#[tokio::test]
async fn a_body_of_a_gibibyte_is_cut() {
    const GIBIBYTE: u64 = 1 << 30;
    let sent = Arc::<AtomicU64>::default();
    let counted = sent.clone();
    let member = Served::by(move |mut stream| {
        let counted = counted.clone();
        async move {
            head(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {GIBIBYTE}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let chunk = vec![b'x'; 64 * 1024];
            while stream.write_all(&chunk).await.is_ok() {
                if counted.fetch_add(chunk.len() as u64, Ordering::SeqCst) > GIBIBYTE {
                    return;
                }
            }
        }
    })
    .await;
    probed(&get(), member.target()).await.unwrap();
    let probe = HttpProbe::get("/").expect_body("ready").build().unwrap();
    let why = failure(&probe, member.target()).await;
    assert_eq!(
        why,
        "GET /: \"ready\" is not in the first 65536 bytes of the body"
    );
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent < 64 << 20, "{sent} bytes were taken off it");
}

#[tokio::test]
async fn a_body_of_just_the_bound_is_whole() {
    for (length, is_cut) in [(8, false), (9, true)] {
        let body = "x".repeat(length);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        let member = Served::answering(answer).await;
        let probe = HttpProbe::get("/").max_body(8).expect_by(move |answer| {
            assert_eq!((answer.body().len(), answer.is_truncated()), (8, is_cut));
            Ok(())
        });
        probed(&probe.build().unwrap(), member.target())
            .await
            .unwrap();
    }
}

fn hasty(probe: HttpProbe) -> Check {
    Check::builder(probe)
        .interval(Duration::from_millis(100))
        .timeout(Duration::from_millis(200))
        .build()
        .unwrap()
}

#[tokio::test]
async fn an_answer_that_drips_is_over_at_the_time_limit() {
    let member = Served::by(|mut stream| async move {
        head(&mut stream).await;
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready" {
            sleep(Duration::from_millis(20)).await;
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    })
    .await;
    let balancer = Balancer::new([("slow", member.address)]).unwrap();
    let _checks = HealthChecks::new(&balancer, hasty(get()));
    until(|| is_failed(&balancer, "slow")).await;
    let why = "GET /: timed out after 200ms";
    assert_eq!(cause(&balancer, "slow").as_deref(), Some(why));
}

#[tokio::test]
async fn interim_answers_without_end_are_over_at_the_time_limit() {
    let member = Served::by(|mut stream| async move {
        head(&mut stream).await;
        let one = b"HTTP/1.1 103 Early Hints\r\n\r\n";
        while stream.write_all(one).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let balancer = Balancer::new([("a", member.address)]).unwrap();
    let _checks = HealthChecks::new(&balancer, hasty(get()));
    until(|| is_failed(&balancer, "a")).await;
    assert!(cause(&balancer, "a").unwrap().contains("timed out after"));
}

#[tokio::test]
async fn a_connection_is_kept_only_if_that_is_asked_for() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (keeps, least, most) in [(true, 1, 1), (false, 3, u32::MAX)] {
        let member = Served::keeping(answer).await;
        let probe = HttpProbe::get("/");
        let probe = if keeps { probe.keep_alive() } else { probe };
        let balancer = Balancer::new([("a", member.address)]).unwrap();
        let _checks = HealthChecks::new(&balancer, hasty(probe.build().unwrap()));
        until(|| member.heads.lock().unwrap().len() >= 3).await;
        let connections = member.connections();
        assert!((least..=most).contains(&connections), "{connections}");
        assert!(!is_failed(&balancer, "a"));
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_member_has_closed_is_no_failure() {
    // Each connection serves one request, and says nothing of closing.
    let member = Served::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let probe = HttpProbe::get("/").keep_alive().build().unwrap();
    let target = member.target();
    for checks in 1..=5 {
        probed(&probe, target.clone()).await.unwrap();
        assert_eq!(member.connections(), checks);
    }
    // It is gone: neither the kept connection nor a new one serves.
    let target = {
        drop(member);
        target
    };
    let why = within(failure(&probe, target)).await;
    assert!(why.contains("connection"), "{why}");
}

#[tokio::test]
async fn a_kept_connection_that_the_member_closes_at_the_next_request_is_no_failure() {
    // As one does whose time for idle connections is just over.
    let member = Served::by(|mut stream| async move {
        head(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let _ = stream.write_all(answer).await;
        head(&mut stream).await;
    })
    .await;
    let probe = HttpProbe::get("/").keep_alive().build().unwrap();
    let target = member.target();
    for checks in 1..=5 {
        probed(&probe, target.clone()).await.unwrap();
        assert_eq!(member.connections(), checks);
    }
}

#[tokio::test]
async fn a_kept_connection_is_not_used_for_another_address() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (old, new) = (Served::keeping(answer).await, Served::keeping(answer).await);
    let balancer = Balancer::new([("a", old.address)]).unwrap();
    let probe = HttpProbe::get("/").keep_alive().build().unwrap();
    let _checks = HealthChecks::new(&balancer, hasty(probe));
    until(|| old.heads.lock().unwrap().len() >= 2).await;
    balancer
        .insert("a", new.address, Default::default())
        .unwrap();
    until(|| new.heads.lock().unwrap().len() >= 2).await;
    balancer
        .insert("a", refusing().await, Default::default())
        .unwrap();
    until(|| is_failed(&balancer, "a")).await;
}
