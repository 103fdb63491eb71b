//! Health checks that a configuration asks for: when members are out, and when they are in again.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::Flag;
use equipoise::config::RunningConfig;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::client::until;
use crate::member::Member;
use crate::running::{Running, read, run};

/// A server that is asked by checks alone, and answers as it is told.
#[derive(Clone)]
struct Checked {
    address: SocketAddr,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Checked {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let checked = Self {
            address: listener.local_addr().unwrap(),
            answer: Arc::new(Mutex::new((200, "ready".to_owned()))),
            asked: Arc::default(),
        };
        let shared = checked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let line = format!("{} {}", request.method(), request.uri());
                    shared.asked.lock().unwrap().push(line);
                    let (status, body) = shared.answer.lock().unwrap().clone();
                    let mut answer = Response::new(body);
                    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                    async { Ok::<_, Infallible>(answer) }
                });
                let builder = hyper::server::conn::http1::Builder::new();
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        checked
    }

    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A balancer with one member of these parameters, and more lines before it.
fn text(member: &Checked, words: &str, before: &str) -> String {
    format!(
        "{before}\n<Proxy balancer://c>\nBalancerMember http://{} {words}\n</Proxy>\n\
         ProxyPass / balancer://c/\n",
        member.address
    )
}

fn is_out(running: &Running) -> bool {
    let members = running.balancer("c").members();
    members[0].status().contains(Flag::FailedCheck)
}

fn faults(text: &str) -> Vec<String> {
    let error = RunningConfig::builder(read(text)).check().unwrap_err();
    let diagnostics = error.diagnostics().iter();
    diagnostics.map(|it| it.message.clone()).collect()
}

#[tokio::test]
async fn a_member_is_out_while_its_checks_fail() {
    let member = Checked::start().await;
    let words = "hcmethod=GET hcuri=/health hcinterval=100ms";
    let running = run(&text(&member, words, "")).await;
    assert!(!is_out(&running));
    until("it is asked", || !member.asked().is_empty()).await;
    assert_eq!(member.asked()[0], "GET /health");
    member.answers(503, "");
    until("it is out", || is_out(&running)).await;
    member.answers(200, "");
    until("it is in again", || !is_out(&running)).await;
}

#[tokio::test]
async fn a_condition_decides_and_what_it_cannot_decide_is_a_failure() {
    let member = Checked::start().await;
    let before = "ProxyHCExpr well {%{REQUEST_STATUS} =~ /^[25]/ && hc('body') !~ /maintenance/i}";
    let words = "hcmethod=GET hcinterval=100ms hcexpr=well";
    let running = run(&text(&member, words, before)).await;
    member.answers(500, "broken, and well");
    let before = member.asked().len();
    until("it is asked", || member.asked().len() > before + 1).await;
    assert!(!is_out(&running));
    member.answers(200, "under Maintenance");
    until("it is out", || is_out(&running)).await;
    member.answers(200, "ready");
    until("it is in again", || !is_out(&running)).await;
    // The word could stand behind all that is read.
    member.answers(200, &"x".repeat(300_000));
    until("it is out once more", || is_out(&running)).await;
}

#[tokio::test]
async fn a_template_is_what_a_member_does_not_say_itself() {
    let member = Checked::start().await;
    let before = "ProxyHCTemplate often hcmethod=HEAD hcinterval=100ms hcuri=/a";
    let words = "hctemplate=Often hcuri=/b";
    let running = run(&text(&member, words, before)).await;
    until("it is asked", || !member.asked().is_empty()).await;
    assert_eq!(member.asked()[0], "HEAD /b");
    drop(running);
    // A template that says no method connects.
    let mut member = Member::start("a").await;
    let url = member.url();
    let running = run(&format!(
        "ProxyHCTemplate often hcinterval=100ms\n<Proxy balancer://c>\n\
         BalancerMember {url} hctemplate=often\n</Proxy>\n"
    ))
    .await;
    until("it is connected to", || member.connections() > 0).await;
    assert_eq!(member.requests(), 0);
    member.kill().await;
    until("it is out", || is_out(&running)).await;
}

#[tokio::test]
async fn a_template_may_build_on_another_and_on_none_for_ever() {
    let member = Checked::start().await;
    let before = "ProxyHCTemplate asks hcmethod=GET hcuri=/a hcinterval=60\n\
                  ProxyHCTemplate often hctemplate=Asks hcinterval=100ms\n\
                  ProxyHCTemplate often hctemplate=often hcuri=/b";
    // The second of that name takes the place of the first, and names itself.
    let around = faults(&text(&member, "hctemplate=often", before));
    assert!(around[0].contains("defines `often`"), "{around:?}");
    let before = before.lines().take(2).collect::<Vec<_>>().join("\n");
    let running = run(&text(&member, "hctemplate=often", &before)).await;
    until("it is asked", || !member.asked().is_empty()).await;
    assert_eq!(member.asked()[0], "GET /a");
    drop(running);
}

#[test]
fn letter_case_does_not_count_in_the_name_of_a_condition() {
    let text = "Listen 127.0.0.1:0\nProxyHCExpr Well {%{REQUEST_STATUS} == 200}\n\
                <Proxy balancer://c>\nBalancerMember http://a hcmethod=GET hcexpr=WELL\n</Proxy>\n";
    assert!(RunningConfig::builder(read(text)).check().is_ok());
}

#[tokio::test]
async fn what_a_reload_says_of_checks_holds_at_once() {
    let member = Checked::start().await;
    // The next check by the words of before is far away.
    let slow = "hcmethod=GET hcuri=/old hcinterval=100ms";
    let running = run(&text(&member, slow, "")).await;
    until("it is asked", || !member.asked().is_empty()).await;
    running.reload(&text(
        &member,
        "hcmethod=GET hcuri=/later hcinterval=1h",
        "",
    ));
    until("the new path is asked for", || {
        member.asked().contains(&"GET /later".to_owned())
    })
    .await;
    member.answers(503, "");
    running.reload(&text(&member, "hcmethod=GET hcuri=/new hcinterval=1h", ""));
    until("it is out", || is_out(&running)).await;
    assert_eq!(member.asked().last().unwrap(), "GET /new");
    // Nothing else would bring back a member that is checked no more.
    running.reload(&text(&member, "", ""));
    assert!(!is_out(&running));
    let asked = member.asked().len();
    running.reload(&text(&member, "hcmethod=HEAD hcinterval=100ms", ""));
    until("it is out again", || is_out(&running)).await;
    assert!(member.asked().len() > asked);
}

#[tokio::test]
async fn checks_end_with_serving_and_with_the_system() {
    let member = Checked::start().await;
    let config = text(&member, "hcmethod=GET hcinterval=100ms", "");
    for serves in [true, false] {
        let before = member.asked().len();
        let running = run(&config).await;
        until("it is asked", || member.asked().len() > before).await;
        // A handle that lives on keeps no checks.
        let kept = running.system.clone();
        if serves {
            running.stop().await;
        } else {
            running.forget();
            drop(kept);
        }
        let asked = member.asked().len();
        // Some intervals in which nothing may come.
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(member.asked().len() <= asked + 1);
    }
}

#[test]
fn checks_that_cannot_be_carried_out_are_refused() {
    let with = |before: &str, words: &str| {
        faults(&format!(
            "Listen 127.0.0.1:0\n{before}\n<Proxy balancer://c>\n\
             BalancerMember http://a {words}\n</Proxy>\n"
        ))
    };
    let body = "ProxyHCExpr up {hc('body') =~ /up/}";
    for (before, words, wrong) in [
        (
            body,
            "hcmethod=HEAD hcexpr=up",
            "health checks of `http://a`: condition `up` uses the body, but the responses have none",
        ),
        (
            "",
            "hcmethod=GET \"hcuri=/a b\"",
            "health checks of `http://a`: the path \"/a b\" is invalid in a request",
        ),
    ] {
        assert_eq!(with(before, words), [wrong]);
    }
    // One that only connects asks nothing.
    let fine = format!(
        "Listen 127.0.0.1:0\n{body}\n<Proxy balancer://c>\n\
         BalancerMember http://a hcmethod=TCP hcexpr=up\n</Proxy>\n"
    );
    assert!(RunningConfig::builder(read(&fine)).check().is_ok());
}

#[test]
fn checks_need_a_runtime() {
    let text = "<Proxy balancer://c>\nBalancerMember http://a hcmethod=TCP\n</Proxy>\n";
    // Without anything to listen on nothing else would.
    assert!(RunningConfig::builder(read(text)).build().is_err());
}
