//! How serving ends, and begins again; and listeners that a reload cannot open.

use std::net::SocketAddr;

use equipoise::config::{RunningConfig, build};
use tokio::net::TcpStream;

use crate::client::{get, until};
use crate::doors::free;
use crate::member::Member;
use crate::running::{read, run, serve_system};

async fn is_open(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}

#[tokio::test]
async fn a_system_that_nobody_serves_gives_its_ports_back() {
    let address = free();
    let system = build(read(&format!("Listen {address}\n"))).unwrap();
    assert!(is_open(address).await, "it listens already");
    drop(system);
    assert!(!is_open(address).await);
    assert!(build(read(&format!("Listen {address}\n"))).is_ok());
}

#[tokio::test]
async fn what_was_opened_for_nothing_is_closed_again() {
    let (stays, fresh) = (free(), free());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let running = run(&format!("Listen {stays}\n")).await;
    running.refused(&format!(
        "Listen {fresh}\nListen {}\nListen {stays}\n",
        taken.local_addr().unwrap()
    ));
    assert!(!is_open(fresh).await);
    assert!(is_open(stays).await);
    running.reload(&format!("Listen {fresh}\nListen {stays}\n"));
    assert_eq!(get(fresh, "/").await.status, 404);
}

#[tokio::test]
async fn everybodys_port_is_not_opened_beside_one_that_is() {
    let one = free();
    let every = format!("Listen 0.0.0.0:{}\n", one.port());
    let running = run(&format!("Listen {one}\n")).await;
    running.refused(&every);
    assert_eq!(get(one, "/").await.status, 404);
    // In two steps.
    running.reload("Listen 127.0.0.1:0\n");
    until("closed", || running.system.reload(read(&every)).is_ok()).await;
    assert_eq!(get(one, "/").await.status, 404);
}

#[tokio::test]
async fn serving_that_is_given_up_cuts_all_and_can_begin_again() {
    let member = Member::start("m").await;
    let text = format!("Listen 127.0.0.1:0\nProxyPass / {}/\n", member.url());
    let system = build(read(&text)).unwrap();
    let address = system.local_addrs()[0];
    let served = system.clone();
    let serving = tokio::spawn(async move { served.serve(std::future::pending()).await });
    let held = tokio::spawn(async move { get(address, "/hold").await });
    until("held", || member.requests() == 1).await;
    serving.abort();
    assert_eq!(held.await.unwrap().status, 0, "cut");
    until("closed", || std::net::TcpStream::connect(address).is_err()).await;
    let balancer = system.balancer(&member.url()).unwrap();
    until("given back", || balancer.members()[0].in_flight() == 0).await;
}

#[tokio::test]
async fn stopping_waits_for_requests_and_takes_no_more() {
    let member = Member::start("m").await;
    let running = run(&format!("ProxyPass / {}/\n", member.url())).await;
    let here = running.at();
    let held = tokio::spawn(async move { get(here, "/hold").await });
    until("held", || member.requests() == 1).await;
    let stopping = tokio::spawn(running.stop());
    until("closed", || std::net::TcpStream::connect(here).is_err()).await;
    assert!(!stopping.is_finished());
    member.release();
    assert_eq!(held.await.unwrap().status, 200);
    assert_eq!(stopping.await.unwrap().cut(), 0);
}

#[tokio::test]
async fn systems_side_by_side_know_nothing_of_each_other() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let text = |member: &Member| {
        format!(
            "Listen 127.0.0.1:0\n<Proxy balancer://c>\nBalancerMember {}\n</Proxy>\n\
             ProxyPass / balancer://c/\n",
            member.url()
        )
    };
    let first = serve_system(build(read(&text(&one))).unwrap()).await;
    let second = serve_system(build(read(&text(&two))).unwrap()).await;
    assert_eq!(get(first.at(), "/").await.member(), "one");
    assert_eq!(get(second.at(), "/").await.member(), "two");
    first.reload(&text(&two));
    assert_eq!(get(first.at(), "/").await.member(), "two");
    assert_eq!(second.balancer("c").members()[0].picked(), 1);
    first.stop().await;
    assert_eq!(get(second.at(), "/").await.member(), "two");
}

#[tokio::test]
async fn a_listener_of_the_program_holds_where_the_configuration_has_none() {
    let address = free();
    let build = |text: &str| RunningConfig::builder(read(text)).listen(address).build();
    let running = serve_system(build("").unwrap()).await;
    assert_eq!(running.system.local_addrs(), [address]);
    let other = free();
    running.reload(&format!("Listen {other}\n"));
    assert_eq!(running.system.local_addrs(), [other]);
    until("closed", || std::net::TcpStream::connect(address).is_err()).await;
    assert_eq!(get(other, "/").await.status, 404);
    running.reload("");
    assert_eq!(get(address, "/").await.status, 404);
}
