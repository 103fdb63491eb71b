//! A configuration that is changed under load: no client notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::get;
use crate::member::Member;
use crate::running::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_see_nothing_but_200() {
    let members = [
        Member::start("one").await,
        Member::start("two").await,
        Member::start("three").await,
    ];
    let [one, two, three] = members.each_ref().map(Member::url);
    let texts = [
        format!("BalancerMember {one}\nBalancerMember {two} loadfactor=3\n"),
        format!("BalancerMember {two} timeout=9\nBalancerMember {three} status=N\n"),
        format!("BalancerMember {three}\nProxySet lbmethod=bybusyness stickysession=S\n"),
        format!("BalancerMember {one} route=1 connectiontimeout=2\nBalancerMember {two}\n"),
        format!("BalancerMember {one}\nProxySet lbmethod=bytraffic maxattempts=3\n"),
    ];
    let tails = [
        "",
        "ProxyTimeout 8\n",
        "ProxyPreserveHost On\n",
        "ProxyVia On\n",
    ];
    let text = |count: usize| {
        let (members, tail) = (&texts[count % texts.len()], tails[count % tails.len()]);
        format!("<Proxy balancer://c>\n{members}</Proxy>\nProxyPass / balancer://c/\n{tail}")
    };
    let running = run(&text(0)).await;
    let here = running.at();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let answer = get(here, "/x").await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for count in 1..150 {
        running.reload(&text(count));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 20);
    }
    let members = running.balancer("c").members();
    crate::client::until("given back", || {
        members.iter().all(|member| member.in_flight() == 0)
    })
    .await;
    assert_eq!(running.stop().await.cut(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_member_takes_over_from_another() {
    let (blue, green) = (Member::start("blue").await, Member::start("green").await);
    let text = |blues: &str, greens: &str| {
        format!(
            "<Proxy balancer://c>\nBalancerMember {} {blues}\nBalancerMember {} {greens}\n\
             </Proxy>\nProxyPass / balancer://c/\n",
            blue.url(),
            green.url()
        )
    };
    let running = run(&text("", "status=D")).await;
    let here = running.at();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let client = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            let answer = get(here, "/x").await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    });
    for _ in 0..200 {
        running.reload(&text("status=D", "timeout=7"));
        tokio::time::sleep(Duration::from_millis(1)).await;
        running.reload(&text("", "status=D"));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    client.await.unwrap();
}
