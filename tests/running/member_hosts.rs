//! The `Host` that members see.

use equipoise::Flag;
use equipoise::net::Listener;
use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response};

use crate::client::{ask, get, get_at};
use crate::member::Member;
use crate::running::run;

#[tokio::test]
async fn members_see_their_own_host_or_the_clients() {
    let member = Member::start("m").await;
    let (url, own) = (member.url(), member.address.to_string());
    let running = run(&format!(
        "ProxyPass / {url}/\n\
         <Location /kept>\nProxyPreserveHost On\n</Location>\n\
         <VirtualHost *:*>\nServerName own.example\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName kept.example\nProxyPreserveHost On\n\
         <Location /own>\nProxyPreserveHost Off\n</Location>\n</VirtualHost>\n"
    ))
    .await;
    for (host, path, seen) in [
        ("own.example", "/", &*own),
        ("own.example", "/kept", "own.example"),
        ("own.example:81", "/kept", "own.example:81"),
        ("kept.example", "/", "kept.example"),
        ("kept.example", "/own", &own),
    ] {
        let answer = get_at(running.at(), host, path).await;
        assert_eq!(answer.seen("host"), [seen], "{host} {path}");
    }
}

#[tokio::test]
async fn a_host_that_is_kept_may_have_been_changed_before() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\nProxyPreserveHost On\nRequestHeader set Host inner.example\n",
        member.url()
    ))
    .await;
    assert_eq!(get(running.at(), "/").await.seen("host"), ["inner.example"]);
}

/// One balancer, for hosts that differ in it.
const TWO_HOSTS: &str = "ProxyPass / balancer://c/\n\
    <VirtualHost *:*>\nServerName own.example\n</VirtualHost>\n\
    <VirtualHost *:*>\nServerName kept.example\nProxyPreserveHost On\n</VirtualHost>\n";

#[tokio::test]
async fn hosts_that_differ_in_it_share_the_counters_of_a_balancer() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember {}\nBalancerMember {}\n</Proxy>\n{TWO_HOSTS}",
        one.url(),
        two.url()
    ))
    .await;
    let mut members = Vec::new();
    for host in ["own.example", "kept.example"].repeat(2) {
        members.push(get_at(running.at(), host, "/").await.member().to_owned());
    }
    assert_eq!(members, ["one", "two", "one", "two"]);
    let elected = running.balancer("c").members();
    let elected: Vec<u64> = elected.iter().map(|it| it.picked()).collect();
    assert_eq!(elected, [2, 2]);
}

#[tokio::test]
async fn what_an_operator_says_of_a_member_holds_wherever_its_host_is_kept() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember {}\nBalancerMember {}\n</Proxy>\n{TWO_HOSTS}",
        one.url(),
        two.url()
    ))
    .await;
    let balancer = running.balancer("c");
    balancer.set_flag(&one.url(), Flag::Disabled).unwrap();
    for host in ["own.example", "kept.example"].repeat(2) {
        let answer = get_at(running.at(), host, "/").await;
        assert_eq!(answer.member(), "two", "{host}");
    }
}

#[tokio::test]
async fn a_client_cannot_say_by_a_header_what_is_kept() {
    let member = Member::start("m").await;
    let running = run(&format!("ProxyPass / {}/\n", member.url())).await;
    let lines = "X-Forwarded-Host: evil.example\nForwarded: host=evil.example\n";
    let answer = ask(running.at(), "GET", "/", lines).await;
    assert_eq!(answer.seen("host"), [member.address.to_string()]);
}

#[tokio::test]
async fn the_second_member_that_is_tried_sees_the_same_host() {
    for (preserve, seen) in [("On", "front.example"), ("Off", "")] {
        let (mut one, two) = (Member::start("one").await, Member::start("two").await);
        let (first, second) = (one.url(), two.url());
        one.kill().await;
        let running = run(&format!(
            "<Proxy balancer://c>\nBalancerMember {first}\nBalancerMember {second}\n</Proxy>\n\
             ProxyPreserveHost {preserve}\nProxyPass / balancer://c/\n"
        ))
        .await;
        let own = two.address.to_string();
        let seen = if seen.is_empty() { &own } else { seen };
        for _ in 0..2 {
            let answer = get(running.at(), "/").await;
            assert_eq!(answer.seen("host"), [seen], "{preserve}");
        }
    }
}

#[tokio::test]
async fn members_that_speak_http2_see_the_same() {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = tower::service_fn(|request: Request<ClientBody>| async move {
        let mut answer = Response::new(String::new());
        let version = format!("{:?}", request.version());
        let host = request.uri().authority().map(ToString::to_string);
        let headers = answer.headers_mut();
        headers.insert("x-version", version.parse().unwrap());
        headers.insert("x-host", host.unwrap_or_default().parse().unwrap());
        Ok::<_, std::convert::Infallible>(answer)
    });
    tokio::spawn(Server::new().serve(listener, answer, std::future::pending()));
    let own = address.to_string();
    for (preserve, seen) in [("On", "front.example"), ("Off", &*own)] {
        let running = run(&format!(
            "ProxyPreserveHost {preserve}\n<Proxy balancer://c>\nBalancerMember h2c://{address}\n\
             </Proxy>\nProxyPass / balancer://c/\n"
        ))
        .await;
        let answer = get(running.at(), "/").await;
        assert_eq!(answer.header("x-version"), Some("HTTP/2.0"));
        assert_eq!(answer.header("x-host"), Some(seen), "{preserve}");
    }
}

#[tokio::test]
async fn the_host_of_a_whole_target_is_the_one_that_is_kept() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPreserveHost On\nProxyPass / {}/\n",
        member.url()
    ))
    .await;
    let request = "GET http://b.example/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    let answer = crate::client::send(running.at(), request).await;
    assert_eq!(answer.seen("host"), ["b.example"]);
}
