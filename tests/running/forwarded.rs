//! What members are told of clients where the configuration tells them something, too.

use equipoise::config::parse;

use crate::client::ask;
use crate::member::Member;
use crate::running::run;

#[tokio::test]
async fn what_the_configuration_says_of_the_scheme_is_all_that_is_said() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\nRequestHeader set X-Forwarded-Proto https\n\
         RequestHeader set X-Forwarded-Port 443\n",
        member.url()
    ))
    .await;
    for lines in ["", "X-Forwarded-Proto: ftp\n"] {
        let answer = ask(running.at(), "GET", "/", lines).await;
        assert_eq!(answer.seen("x-forwarded-proto"), ["https"]);
        assert_eq!(answer.seen("x-forwarded-port"), ["443"]);
    }
}

#[tokio::test]
async fn what_a_client_said_may_be_removed_before_it_is_added_to() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\nRequestHeader unset X-Forwarded-For\n\
         RequestHeader set X-Forwarded-Host said.example\n",
        member.url()
    ))
    .await;
    let lines = "X-Forwarded-For: 192.0.2.1\n";
    let answer = ask(running.at(), "GET", "/", lines).await;
    assert_eq!(answer.seen("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(
        answer.seen("x-forwarded-host"),
        ["said.example, front.example"]
    );
}

#[tokio::test]
async fn without_the_headers_of_the_proxy_those_of_the_configuration_pass() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\nProxyAddHeaders Off\nRequestHeader set X-Forwarded-Proto https\n\
         RequestHeader set X-Forwarded-For 192.0.2.9\n",
        member.url()
    ))
    .await;
    let answer = ask(running.at(), "GET", "/", "").await;
    assert_eq!(answer.seen("x-forwarded-proto"), ["https"]);
    assert_eq!(answer.seen("x-forwarded-for"), ["192.0.2.9"]);
    assert!(answer.seen("x-forwarded-host").is_empty());
}

#[tokio::test]
async fn headers_that_a_client_names_in_connection_do_not_hide_the_sender() {
    let member = Member::start("m").await;
    let running = run(&format!("ProxyPass / {}/\n", member.url())).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\
                   Connection: close, X-Forwarded-For, X-Secret\r\nX-Secret: 1\r\n\r\n";
    let answer = crate::client::send(running.at(), request).await;
    assert_eq!(answer.seen("x-forwarded-for"), ["127.0.0.1"]);
    assert!(answer.seen("x-secret").is_empty());
}

#[tokio::test]
async fn a_session_that_the_configuration_takes_away_is_none() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember {} route=1\nBalancerMember {} route=2\n\
         ProxySet stickysession=S\n</Proxy>\nProxyPass / balancer://c/\n\
         <Location /public>\nRequestHeader unset Cookie\n</Location>\n",
        one.url(),
        two.url()
    ))
    .await;
    let mut members = Vec::new();
    for _ in 0..2 {
        let answer = ask(running.at(), "GET", "/public", "Cookie: S=x.2\n").await;
        members.push(answer.member().to_owned());
    }
    assert_eq!(members, ["one", "two"]);
}

#[tokio::test]
async fn headers_that_frame_an_answer_do_not_break_it() {
    let member = Member::start("m").await;
    for directive in [
        "Header unset Content-Length",
        "Header set Connection keep-alive",
        "Header set X-Long \"a  b\"",
        "Header unset Transfer-Encoding",
        "Header unset Date",
    ] {
        let running = run(&format!("{directive}\nProxyPass / {}/\n", member.url())).await;
        let answer = ask(running.at(), "GET", "/", "").await;
        assert_eq!(answer.status, 200, "{directive}");
        assert!(answer.body.contains("GET /\n"), "{directive}: {answer:?}");
    }
}

/// What they say would contradict the body, and the next answer begin within this one.
#[test]
fn headers_that_say_where_a_body_ends_are_not_to_be_set() {
    for directive in [
        "Header set Content-Length 3",
        "Header always add Content-Length 3",
        "Header append Transfer-Encoding chunked",
        "RequestHeader set Transfer-Encoding chunked",
    ] {
        let (_, complaints) = parse(&format!("Listen 80\n{directive}\n"));
        assert!(complaints[0].is_error());
        assert!(complaints[0].message.contains("length of a body"));
    }
}

/// In httpd it would be gone: mod_headers comes before what is removed for a hop.
#[tokio::test]
async fn what_the_configuration_sets_a_client_cannot_have_removed() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPass / {}/\nRequestHeader set X-User nobody\n",
        member.url()
    ))
    .await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-User: root\r\n\
                   Connection: close, X-User\r\n\r\n";
    let answer = crate::client::send(running.at(), request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.seen("x-user"), ["nobody"]);
}
