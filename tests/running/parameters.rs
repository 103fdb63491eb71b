//! What the parameters of balancers and members do.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::{ask, get, until};
use crate::member::Member;
use crate::running::{Running, run};

async fn three() -> [Member; 3] {
    [
        Member::start("one").await,
        Member::start("two").await,
        Member::start("three").await,
    ]
}

async fn balanced(members: &[(&Member, &str)], set: &str) -> Running {
    let members = members
        .iter()
        .map(|(member, words)| format!("BalancerMember {} {words}\n", member.url()));
    let members: String = members.collect();
    run(&format!(
        "<Proxy balancer://c>\n{members}{set}</Proxy>\nProxyPass / balancer://c/\n"
    ))
    .await
}

/// Who answers so many requests.
async fn answering(running: &Running, count: usize) -> Vec<String> {
    let mut members = Vec::new();
    for _ in 0..count {
        let answer = get(running.at(), "/").await;
        members.push(answer.member().to_owned());
    }
    members
}

#[tokio::test]
async fn as_many_others_are_tried_as_is_said() {
    for (set, status) in [
        ("ProxySet maxattempts=1\n", 503),
        ("ProxySet maxattempts=2\n", 200),
        ("", 200),
        ("ProxySet maxattempts=0\n", 503),
    ] {
        let [mut one, mut two, three] = three().await;
        one.kill().await;
        two.kill().await;
        let running = balanced(&[(&one, ""), (&two, ""), (&three, "")], set).await;
        assert_eq!(get(running.at(), "/").await.status, status, "{set}");
    }
}

#[tokio::test]
async fn a_status_puts_its_member_in_error_and_reaches_the_client() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let set = "ProxySet failonstatus=500,503\n";
    let running = balanced(&[(&one, ""), (&two, "")], set).await;
    let answer = get(running.at(), "/status/503").await;
    assert_eq!((answer.status, answer.member()), (503, "one"));
    assert_eq!(answering(&running, 3).await, ["two"; 3]);
    assert_eq!(get(running.at(), "/status/404").await.member(), "two");
    assert_eq!(get(running.at(), "/status/404").await.member(), "two");
}

#[tokio::test]
async fn who_is_too_slow_is_blamed_only_where_it_is_said() {
    for (set, next) in [("", "one"), ("ProxySet failontimeout=On\n", "two")] {
        let (one, two) = (Member::start("one").await, Member::start("two").await);
        let running = balanced(&[(&one, "timeout=1"), (&two, "")], set).await;
        let answer = get(running.at(), "/slow/1500").await;
        assert_eq!(answer.status, 502, "{set}");
        assert_eq!(two.requests(), 0, "nothing is repeated");
        let members = answering(&running, 4).await;
        assert_eq!(members.contains(&"one".to_owned()), next == "one", "{set}");
    }
}

#[tokio::test]
async fn a_member_that_is_alone_has_a_timeout_of_its_own() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "ProxyTimeout 30\nProxyPass /x {url} timeout=1 connectiontimeout=200ms\n\
         ProxyPass /y http://127.0.0.1:1/\n"
    ))
    .await;
    let began = Instant::now();
    assert_eq!(get(running.at(), "/x/slow/10000").await.status, 502);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(get(running.at(), "/x/slow/10").await.status, 200);
    assert_eq!(get(running.at(), "/y").await.status, 503);
}

#[tokio::test]
async fn a_request_waits_for_a_member_as_long_as_is_said() {
    let member = Member::start("m").await;
    let running = balanced(&[(&member, "max=1")], "ProxySet timeout=1\n").await;
    let here = running.at();
    let held = tokio::spawn(async move { get(here, "/hold").await });
    until("held", || member.requests() == 1).await;
    let began = Instant::now();
    assert_eq!(get(here, "/").await.status, 503);
    assert!(began.elapsed() >= Duration::from_millis(900));
    let waiting = tokio::spawn(async move { get(here, "/").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(member.requests(), 1, "no more than it may have");
    member.release();
    assert_eq!(held.await.unwrap().status, 200);
    assert_eq!(waiting.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_member_at_its_limit_is_stepped_over() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = balanced(&[(&one, "max=1"), (&two, "")], "").await;
    let here = running.at();
    let held = tokio::spawn(async move { get(here, "/hold").await });
    until("held", || one.requests() == 1).await;
    assert_eq!(answering(&running, 4).await, ["two"; 4]);
    one.release();
    assert_eq!(held.await.unwrap().status, 200);
    let members = answering(&running, 4).await;
    assert!(members.contains(&"one".to_owned()));
}

#[tokio::test]
async fn without_failover_a_session_waits_for_its_member() {
    let (one, mut two) = (Member::start("one").await, Member::start("two").await);
    let running = balanced(
        &[(&one, "route=1"), (&two, "route=2 retry=0")],
        "ProxySet stickysession=S nofailover=On\n",
    )
    .await;
    two.kill().await;
    let session = "Cookie: S=x.2\n";
    assert_eq!(ask(running.at(), "GET", "/", session).await.status, 503);
    let other = ask(running.at(), "GET", "/", "Cookie: S=x.9\n").await;
    assert_eq!(other.status, 200, "a route that nobody has");
    assert_eq!(get(running.at(), "/").await.status, 200);
    assert_eq!(one.requests(), 2);
    two.restart().await;
    let answer = ask(running.at(), "GET", "/", session).await;
    assert_eq!(answer.member(), "two");
}

#[tokio::test]
async fn who_was_in_error_is_tried_again_after_its_time() {
    let mut one = Member::start("one").await;
    let two = Member::start("two").await;
    one.kill().await;
    let running = balanced(&[(&one, "retry=1"), (&two, "")], "").await;
    assert_eq!(answering(&running, 2).await, ["two"; 2]);
    one.restart().await;
    assert_eq!(answering(&running, 2).await, ["two"; 2]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let members = answering(&running, 2).await;
    assert!(members.contains(&"one".to_owned()), "{members:?}");
}

#[tokio::test]
async fn without_forced_recovery_an_error_lasts_its_time() {
    let mut member = Member::start("m").await;
    member.kill().await;
    for (set, status) in [("ProxySet forcerecovery=Off\n", 503), ("", 200)] {
        let running = balanced(&[(&member, "")], set).await;
        assert_eq!(get(running.at(), "/").await.status, 503);
        member.restart().await;
        assert_eq!(get(running.at(), "/").await.status, status, "{set}");
        member.kill().await;
    }
}

#[tokio::test]
async fn letters_of_a_status_say_who_serves() {
    for (status, expected) in [
        ("D", ["two", "two"]),
        ("S", ["two", "two"]),
        ("N", ["two", "two"]),
        ("H", ["two", "two"]),
        ("R", ["two", "two"]),
        ("I", ["one", "two"]),
        ("D-D", ["one", "two"]),
        ("+D", ["two", "two"]),
        ("d", ["two", "two"]),
    ] {
        let (one, two) = (Member::start("one").await, Member::start("two").await);
        let words = format!("status={status}");
        let running = balanced(&[(&one, &words), (&two, "")], "").await;
        assert_eq!(answering(&running, 2).await, expected, "{status}");
    }
}

#[tokio::test]
async fn a_standby_serves_when_nobody_else_of_its_set_does() {
    for words in ["status=H", "lbset=1", "status=R"] {
        let mut one = Member::start("one").await;
        let two = Member::start("two").await;
        let running = balanced(&[(&one, ""), (&two, words)], "").await;
        assert_eq!(answering(&running, 2).await, ["one"; 2], "{words}");
        one.kill().await;
        drop(answering(&running, 1).await);
        assert_eq!(answering(&running, 2).await, ["two"; 2], "{words}");
    }
}

#[tokio::test]
async fn a_member_that_ignores_errors_is_asked_each_time() {
    let mut one = Member::start("one").await;
    let two = Member::start("two").await;
    one.kill().await;
    let running = balanced(&[(&one, "status=I"), (&two, "")], "").await;
    assert_eq!(answering(&running, 4).await, ["two"; 4]);
    one.restart().await;
    let members = answering(&running, 2).await;
    assert!(members.contains(&"one".to_owned()), "{members:?}");
}

#[tokio::test]
async fn sets_and_weights_share_as_they_say() {
    let [one, two, three] = three().await;
    let running = balanced(
        &[
            (&one, "loadfactor=3"),
            (&two, "loadfactor=1"),
            (&three, "lbset=1"),
        ],
        "",
    )
    .await;
    let members = answering(&running, 8).await;
    let count = |name: &str| members.iter().filter(|it| *it == name).count();
    assert_eq!((count("one"), count("two"), count("three")), (6, 2, 0));
}
