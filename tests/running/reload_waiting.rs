//! Requests that wait or are under way while the configuration is changed.

use equipoise::scheduler::HeartbeatReading;

use crate::client::{ask, get, until};
use crate::member::Member;
use crate::running::{Running, run};

fn text(members: &[(&Member, &str)], set: &str, more: &str) -> String {
    let members = members
        .iter()
        .map(|(member, words)| format!("BalancerMember {} {words}\n", member.url()));
    let members: String = members.collect();
    format!("<Proxy balancer://c>\n{members}{set}</Proxy>\nProxyPass / balancer://c/\n{more}")
}

const WAIT: &str = "ProxySet timeout=15\n";

/// A member that is full, and a request that waits for it.
async fn waiting(
    running: &Running,
    member: &Member,
) -> [tokio::task::JoinHandle<crate::client::Answer>; 2] {
    let here = running.at();
    let held = tokio::spawn(async move { get(here, "/hold").await });
    until("held", || member.requests() == 1).await;
    let waiting = tokio::spawn(async move { get(here, "/").await });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(member.requests(), 1);
    [held, waiting]
}

#[tokio::test]
async fn who_waits_is_served_by_a_member_that_joins() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&text(&[(&one, "max=1")], WAIT, "")).await;
    let [held, waiting] = waiting(&running, &one).await;
    running.reload(&text(&[(&one, "max=1"), (&two, "")], WAIT, ""));
    assert_eq!(waiting.await.unwrap().member(), "two");
    one.release();
    assert_eq!(held.await.unwrap().member(), "one");
}

#[tokio::test]
async fn who_waits_is_served_where_more_is_allowed() {
    let one = Member::start("one").await;
    let running = run(&text(&[(&one, "max=1")], WAIT, "")).await;
    let [held, waiting] = waiting(&running, &one).await;
    running.reload(&text(&[(&one, "max=2")], WAIT, ""));
    assert_eq!(waiting.await.unwrap().status, 200);
    one.release();
    assert_eq!(held.await.unwrap().status, 200);
}

#[tokio::test]
async fn who_waits_is_served_by_whom_another_takes_over_from() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&text(&[(&one, "max=1")], WAIT, "")).await;
    let [held, waiting] = waiting(&running, &one).await;
    running.reload(&text(&[(&two, "")], WAIT, "ProxyTimeout 9\n"));
    assert_eq!(waiting.await.unwrap().member(), "two");
    one.release();
    assert_eq!(held.await.unwrap().member(), "one");
}

/// "Requests that have begun end as they began."
#[tokio::test]
async fn a_request_that_has_begun_ends_as_it_began() {
    let one = Member::start("one").await;
    let old = "Header set X-From old\nProxyErrorOverride On\n";
    let running = run(&text(&[(&one, "")], "", old)).await;
    let here = running.at();
    let first = tokio::spawn(async move { get(here, "/hold").await });
    let second = tokio::spawn(async move { get(here, "/hold/status/404").await });
    until("held", || one.requests() == 2).await;
    let new = "Header set X-From new\nHeader set X-New 1\n";
    running.reload(&text(&[(&one, "")], "", new));
    one.release();
    one.release();
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!(first.all("x-from"), ["old"]);
    assert_eq!(first.header("x-new"), None);
    assert_eq!((second.status, second.member()), (404, ""));
    assert_eq!(get(here, "/").await.all("x-from"), ["new"]);
}

#[tokio::test]
async fn a_connection_that_is_kept_open_sees_the_change() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let one = Member::start("one").await;
    let running = run(&text(&[(&one, "")], "", "Header set X-From old\n")).await;
    let mut stream = tokio::net::TcpStream::connect(running.at()).await.unwrap();
    for from in ["old", "new"] {
        running.reload(&text(
            &[(&one, "")],
            "",
            &format!("Header set X-From {from}\n"),
        ));
        let request = "GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.contains(&format!("x-from: {from}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn answers_that_are_replaced_give_back_their_member() {
    let one = Member::start("one").await;
    let more = "ProxyErrorOverride On\n";
    let running = run(&text(&[(&one, "")], "", more)).await;
    for method in ["GET", "HEAD"] {
        for _ in 0..3 {
            let answer = ask(running.at(), method, "/big/status/500", "").await;
            assert_eq!((answer.status, answer.member()), (500, ""));
        }
    }
    let members = running.balancer("c").members();
    until("given back", || members[0].in_flight() == 0).await;
}

#[tokio::test]
async fn reports_of_members_are_kept() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let set = "ProxySet lbmethod=heartbeat\n";
    let members = [(&one, ""), (&two, "")];
    let running = run(&text(&members, set, "")).await;
    let here = running.at();
    assert_eq!(get(here, "/").await.status, 503, "nobody has reported");
    let readings = running.system.heartbeat_readings("c").unwrap();
    let reading = HeartbeatReading { ready: 10, busy: 1 };
    let now = running.balancer("c").now();
    readings.report(&two.url(), reading, now).unwrap();
    assert_eq!(get(here, "/").await.member(), "two");
    running.reload(&text(&members, set, "ProxyTimeout 9\n"));
    assert_eq!(get(here, "/").await.member(), "two");
    let again = running.system.heartbeat_readings("c").unwrap();
    let now = running.balancer("c").now();
    again.report(&one.url(), reading, now).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        seen.insert(get(here, "/").await.member().to_owned());
    }
    assert_eq!(seen.len(), 2);
}
