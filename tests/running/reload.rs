//! A configuration that is changed while it runs: all of it, or nothing.

use crate::client::{get, get_at, until};
use crate::member::Member;
use crate::running::run;

#[tokio::test]
async fn what_cannot_be_done_changes_nothing() {
    let (old, new) = (Member::start("old").await, Member::start("new").await);
    let mapped = |member: &Member| {
        format!(
            "<Proxy balancer://c>\nBalancerMember {} loadfactor=2\n</Proxy>\n\
             ProxyPass / balancer://c/\n",
            member.url()
        )
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|it| (taken, it)).unwrap();
    let running = run(&format!("Listen 127.0.0.1:0\n{}", mapped(&old))).await;
    let (here, before) = (running.at(), running.system.config());
    for wrong in [
        format!("Listen 127.0.0.1:0\nListen {}\n", taken.1),
        // The main server's doors are those of the virtual host here.
        "Listen 127.0.0.1:0\nSSLEngine On\n".to_owned(),
        "Listen 127.0.0.1:0\n<VirtualHost *:*>\nSSLEngine On\n\
         SSLCertificateFile /nowhere/cert.pem\n</VirtualHost>\n"
            .to_owned(),
        "Listen 127.0.0.1:0\n<Proxy balancer://d>\nBalancerMember ajp://10.0.0.1:8009\n\
         </Proxy>\n"
            .to_owned(),
        "Listen 127.0.0.1:0\nListen 127.0.0.1:1234\nListen 127.0.0.1:1234\n".to_owned(),
    ] {
        let Ok(config) = std::panic::catch_unwind(|| crate::running::read(&wrong)) else {
            continue; // It is refused before.
        };
        let text = format!("{config}{}", mapped(&new));
        let error = running.refused(&text);
        assert!(!error.diagnostics().is_empty());
        assert_eq!(running.system.config(), before, "{text}");
        assert_eq!(running.system.local_addrs(), [here], "{text}");
        let answer = get(here, "/").await;
        assert_eq!((answer.status, answer.member()), (200, "old"), "{text}");
        let members = running.balancer("c").members();
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].name(), old.url());
    }
    assert_eq!(new.connections(), 0);
    assert_eq!(old.connections(), 1, "the connection to the member stays");
    running.reload(&format!("Listen 127.0.0.1:0\n{}", mapped(&new)));
    assert_eq!(get(here, "/").await.member(), "new");
    drop(taken);
}

#[tokio::test]
async fn a_virtual_host_and_the_order_of_mappings_may_change() {
    let member = Member::start("m").await;
    let url = member.url();
    let [all, part] = [
        format!("ProxyPass / {url}/all/\n"),
        format!("ProxyPass /part {url}/part\n"),
    ];
    let running = run(&format!("{all}{part}")).await;
    let here = running.at();
    assert_eq!(get(here, "/part/x").await.asked(), "GET /all/part/x");
    running.reload(&format!("{part}{all}"));
    assert_eq!(get(here, "/part/x").await.asked(), "GET /part/x");
    let host = "<VirtualHost *:*>\nServerName v.example\n";
    running.reload(&format!(
        "{part}{host}ProxyPass /v {url}/v\n</VirtualHost>\n"
    ));
    assert_eq!(get_at(here, "v.example", "/v/x").await.asked(), "GET /v/x");
    assert_eq!(get_at(here, "v.example", "/x").await.status, 404);
    running.reload(&part);
    assert_eq!(get_at(here, "v.example", "/v/x").await.status, 404);
    // The virtual host has members of its own, the main server keeps its.
    assert_eq!(member.connections(), 2);
}

#[tokio::test]
async fn a_method_a_recovery_and_sessions_may_change() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let text = |set: &str| {
        format!(
            "<Proxy balancer://c>\nBalancerMember {} route=1\nBalancerMember {} route=2\n\
             {set}</Proxy>\nProxyPass / balancer://c/\n",
            one.url(),
            two.url()
        )
    };
    let running = run(&text("")).await;
    let here = running.at();
    let balancer = running.balancer("c");
    assert_eq!(balancer.scheduler_name(), "byrequests");
    assert_eq!(get(here, "/").await.member(), "one");
    running.reload(&text("ProxySet lbmethod=bybusyness forcerecovery=Off\n"));
    assert_eq!(balancer.scheduler_name(), "bybusyness");
    assert_eq!(running.balancer("c").members()[0].picked(), 1);
    let session = "Cookie: S=x.2\n";
    running.reload(&text("ProxySet stickysession=S\n"));
    for _ in 0..3 {
        let answer = crate::client::ask(here, "GET", "/", session).await;
        assert_eq!(answer.member(), "two");
    }
    running.reload(&text("ProxySet stickysession=T\n"));
    let answer = crate::client::ask(here, "GET", "/", session).await;
    assert_eq!(answer.member(), "one", "who has waited longest");
    let elected: u64 = balancer.members().iter().map(|it| it.picked()).sum();
    assert_eq!(elected, 5);
}

#[tokio::test]
async fn forced_recovery_may_be_switched_off() {
    let mut member = Member::start("m").await;
    let text = |set: &str| {
        format!(
            "<Proxy balancer://c>\nBalancerMember {}\n{set}</Proxy>\n\
             ProxyPass / balancer://c/\n",
            member.url()
        )
    };
    let (with, without) = (text(""), text("ProxySet forcerecovery=Off\n"));
    let running = run(&with).await;
    assert_eq!(get(running.at(), "/").await.status, 200);
    running.reload(&without);
    member.kill().await;
    // A connection that has been closed says nothing of the member: a new one does.
    let first = get(running.at(), "/").await.status;
    assert!([502, 503].contains(&first), "{first}");
    assert_eq!(get(running.at(), "/").await.status, 503);
    member.restart().await;
    assert_eq!(get(running.at(), "/").await.status, 503);
    running.reload(&with);
    assert_eq!(get(running.at(), "/").await.status, 200);
}

#[tokio::test]
async fn reloads_at_the_same_time_do_not_mix() {
    let (one, two) = (Member::start("one").await, Member::start("two").await);
    let text = |member: &Member| {
        format!(
            "<Proxy balancer://c>\nBalancerMember {0}\n</Proxy>\n\
             <Proxy balancer://d>\nBalancerMember {0}\n</Proxy>\n\
             ProxyPass /c balancer://c\nProxyPass /d balancer://d\n",
            member.url()
        )
    };
    let running = run(&text(&one)).await;
    let configs = [&one, &two].map(|member| crate::running::read(&text(member)));
    let tasks = configs.map(|config| {
        let system = running.system.clone();
        tokio::task::spawn_blocking(move || {
            for _ in 0..50 {
                system.reload(config.clone()).unwrap();
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    let c = get(running.at(), "/c").await;
    let d = get(running.at(), "/d").await;
    assert_eq!((c.status, c.member()), (200, d.member()));
    for name in ["c", "d"] {
        assert_eq!(running.balancer(name).members().len(), 1);
    }
}

#[tokio::test]
async fn a_reload_while_it_stops_stops_nevertheless() {
    let member = Member::start("m").await;
    let text = format!("ProxyPass / {}/\n", member.url());
    let running = run(&text).await;
    let here = running.at();
    let held = tokio::spawn(async move { get(here, "/hold").await });
    until("held", || member.requests() == 1).await;
    let system = running.system.clone();
    let stopping = tokio::spawn(running.stop());
    until("closed", || std::net::TcpStream::connect(here).is_err()).await;
    let _ = system.reload(crate::running::read(&text));
    member.release();
    assert_eq!(held.await.unwrap().status, 200);
    assert_eq!(stopping.await.unwrap().cut(), 0);
}

/// How many files this process has open.
fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

#[tokio::test]
async fn many_reloads_leave_nothing_behind() {
    let member = Member::start("m").await;
    let text = |count: usize| {
        let url = member.url();
        format!(
            "<Proxy balancer://c>\nBalancerMember {url}\nBalancerMember {url}/{count}\n</Proxy>\n\
             <VirtualHost *:*>\nServerName v{count}.example\nProxyPass /v {url}/v\n\
             </VirtualHost>\nProxyPass / balancer://c/\n"
        )
    };
    let running = run(&text(0)).await;
    let here = running.at();
    assert_eq!(get(here, "/").await.status, 200);
    let before = open_files();
    for count in 1..200 {
        running.reload(&text(count));
        assert_eq!(get(here, "/").await.status, 200);
        let balancer = running.balancer("c");
        assert_eq!(balancer.members().len(), 2);
        assert!(balancer.members().iter().all(|it| it.in_flight() == 0));
    }
    if let (Some(before), Some(after)) = (before, open_files()) {
        // Other tests run in this process, too.
        assert!(after < before + 150, "{before} files, then {after}");
    }
}
