//! The published recipe for a cookie that the proxy sets itself.

use equipoise::Flag;

use crate::client::{Answer, ask};
use crate::member::Member;
use crate::running::{Running, run};

const PLAIN: &str = "Header add Set-Cookie \"ROUTEID=.%{BALANCER_WORKER_ROUTE}e; path=/\" \
                     env=BALANCER_ROUTE_CHANGED\n";
const ALWAYS: &str = "Header always add Set-Cookie \"ROUTEID=.%{BALANCER_WORKER_ROUTE}e; \
                      path=/\" env=BALANCER_ROUTE_CHANGED\n";

async fn started(header: &str) -> (Running, [Member; 2]) {
    let members = [Member::start("one").await, Member::start("two").await];
    let running = run(&format!(
        "{header}<Proxy \"balancer://mycluster\">\n\
         BalancerMember \"{}\" route=1\nBalancerMember \"{}\" route=2\n\
         ProxySet stickysession=ROUTEID\n</Proxy>\n\
         ProxyPass \"/test\" \"balancer://mycluster\"\n\
         ProxyPassReverse \"/test\" \"balancer://mycluster\"\n",
        members[0].url(),
        members[1].url()
    ))
    .await;
    (running, members)
}

async fn with(running: &Running, cookie: &str, path: &str) -> Answer {
    let lines = if cookie.is_empty() {
        String::new()
    } else {
        format!("Cookie: {cookie}\n")
    };
    ask(running.at(), "GET", path, &lines).await
}

fn cookies(answer: &Answer) -> (&str, Vec<&str>) {
    (answer.member(), answer.all("set-cookie"))
}

const ONE: &str = "ROUTEID=.1; path=/";
const TWO: &str = "ROUTEID=.2; path=/";

#[tokio::test]
async fn who_has_no_cookie_gets_one_and_stays() {
    let (running, _members) = started(PLAIN).await;
    let first = with(&running, "", "/test/").await;
    assert_eq!(cookies(&first), ("one", vec![ONE]));
    for _ in 0..3 {
        let again = with(&running, "a=b; ROUTEID=.1", "/test/").await;
        assert_eq!(cookies(&again), ("one", vec![]));
    }
    let other = with(&running, "ROUTEID=.2", "/test/").await;
    assert_eq!(cookies(&other), ("two", vec![]));
}

#[tokio::test]
async fn a_cookie_that_means_nobody_is_replaced() {
    let (running, _members) = started(PLAIN).await;
    for cookie in ["ROUTEID=.9", "ROUTEID=1", "ROUTEID=", "ROUTEID=."] {
        let answer = with(&running, cookie, "/test/").await;
        let expected = if answer.member() == "one" { ONE } else { TWO };
        assert_eq!(answer.all("set-cookie"), [expected], "{cookie}");
    }
}

#[tokio::test]
async fn who_has_to_move_gets_a_new_cookie() {
    let (running, [one, mut two]) = started(PLAIN).await;
    let balancer = running.balancer("mycluster");
    balancer.set_flag(&one.url(), Flag::Draining).unwrap();
    let stays = with(&running, "ROUTEID=.1", "/test/").await;
    assert_eq!(cookies(&stays), ("one", vec![]));
    balancer.set_flag(&one.url(), Flag::Disabled).unwrap();
    let moved = with(&running, "ROUTEID=.1", "/test/").await;
    assert_eq!(cookies(&moved), ("two", vec![TWO]));
    balancer.clear_flag(&one.url(), Flag::Disabled).unwrap();
    balancer.clear_flag(&one.url(), Flag::Draining).unwrap();
    two.kill().await;
    let fled = with(&running, "ROUTEID=.2; x=y", "/test/slow/1").await;
    if fled.status == 200 {
        assert_eq!(cookies(&fled), ("one", vec![ONE]));
    }
    let fled = with(&running, "ROUTEID=.2; x=y", "/test/slow/1").await;
    assert_eq!(cookies(&fled), ("one", vec![ONE]));
}

#[tokio::test]
async fn errors_of_members_have_a_cookie_and_the_proxys_own_have_none() {
    let (running, mut members) = started(PLAIN).await;
    for status in [404, 500] {
        let answer = with(&running, "", &format!("/test/status/{status}")).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.all("set-cookie").len(), 1, "{status}");
    }
    for member in &mut members {
        member.kill().await;
    }
    let mut last = with(&running, "", "/test/").await;
    for _ in 0..2 {
        last = with(&running, "", "/test/").await;
    }
    assert_eq!(last.status, 503);
    assert!(last.all("set-cookie").is_empty());
}

#[tokio::test]
async fn with_always_the_proxys_own_errors_have_it_too() {
    let (running, mut members) = started(ALWAYS).await;
    for member in &mut members {
        member.kill().await;
    }
    let answer = with(&running, "", "/test/").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.all("set-cookie").len(), 1);
}

#[tokio::test]
async fn the_members_own_cookies_are_kept() {
    let (running, _members) = started(PLAIN).await;
    let answer = with(&running, "", "/test/?Set-Cookie=own&Set-Cookie=more").await;
    assert_eq!(answer.all("set-cookie"), ["own", "more", ONE]);
}

#[tokio::test]
async fn what_is_overridden_loses_it_as_if_it_were_the_proxys_own() {
    let header = format!("ProxyErrorOverride On\n{PLAIN}");
    let (running, _members) = started(&header).await;
    let answer = with(&running, "", "/test/status/404?Set-Cookie=own").await;
    assert_eq!(answer.status, 404);
    assert!(answer.all("set-cookie").is_empty());
}
