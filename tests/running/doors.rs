//! Where it listens.

use equipoise::config::{RunningConfig, build};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use crate::client::{get, until};
use crate::member::Member;
use crate::running::{read, run, serve_system};

/// A port that was free a moment ago.
pub(crate) fn free() -> SocketAddr {
    // Not those that the system gives to connections: such a one could take it meanwhile.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id().wrapping_mul(61) % 8_000).unwrap();
    loop {
        let port = 22_000 + (offset + NEXT.fetch_add(1, Relaxed)) % 8_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

#[tokio::test]
async fn without_anything_to_listen_on_the_error_says_what_to_do() {
    let error = build(read("ProxyPass / http://10.0.0.1/\n")).unwrap_err();
    let [diagnostic] = error.diagnostics() else {
        panic!("one complaint: {error}");
    };
    assert!(diagnostic.message.contains("listen"), "{diagnostic}");
    assert!(
        diagnostic.to_string().contains("Listen 8080"),
        "{diagnostic}"
    );
}

#[tokio::test]
async fn listening_twice_on_the_same_is_refused() {
    let address = free();
    let error = build(read(&format!("Listen {address}\nListen {address}\n"))).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}

#[tokio::test]
async fn any_port_may_be_asked_for_twice() {
    let member = Member::start("m").await;
    let text = format!(
        "Listen 127.0.0.1:0\nListen 127.0.0.1:0\nProxyPass / {}/\n",
        member.url()
    );
    let running = run(&text).await;
    let before = running.system.local_addrs();
    assert_ne!(before[0], before[1]);
    for &address in &before {
        assert_eq!(get(address, "/").await.status, 200);
    }
    // They are those of before, though nothing but their order tells them apart.
    running.reload(&text);
    assert_eq!(running.system.local_addrs(), before);
    for address in before {
        assert_eq!(get(address, "/").await.status, 200);
    }
}

#[tokio::test]
async fn an_address_of_ipv6_is_listened_on() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return; // This machine has none.
    }
    let member = Member::start("m").await;
    let text = format!("Listen [::1]:0\nProxyPass / {}/\n", member.url());
    let running = run(&text).await;
    let answer = get(running.at(), "/").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.seen("x-forwarded-for"), ["::1"]);
}

#[tokio::test]
async fn a_reload_before_serving_takes_the_place_of_what_was_built() {
    let member = Member::start("m").await;
    let address = free();
    let text = |path: &str| {
        let url = member.url();
        format!("Listen {address}\nProxyPass / {url}{path}\n")
    };
    let system = build(read(&text("/old/"))).unwrap();
    system.reload(read(&text("/new/"))).unwrap();
    assert_eq!(system.local_addrs(), [address]);
    let running = serve_system(system).await;
    assert_eq!(get(running.at(), "/x").await.asked(), "GET /new/x");
}

#[tokio::test]
async fn a_listener_that_a_reload_before_serving_leaves_out_is_closed() {
    let (old, new) = (free(), free());
    let system = build(read(&format!("Listen {old}\n"))).unwrap();
    system.reload(read(&format!("Listen {new}\n"))).unwrap();
    assert_eq!(system.local_addrs(), [new]);
    let running = serve_system(system).await;
    assert_eq!(get(new, "/").await.status, 404);
    assert!(tokio::net::TcpStream::connect(old).await.is_err());
    drop(running);
}

#[tokio::test]
async fn listeners_come_and_go_while_clients_are_connected() {
    let member = Member::start("m").await;
    let (stays, comes) = (free(), free());
    let proxied = format!("ProxyPass / {}/\n", member.url());
    let one = format!("Listen {stays}\n{proxied}");
    let both = format!("Listen {comes}\nListen {stays}\n{proxied}");
    let running = run(&one).await;
    let held = tokio::spawn(async move { get(stays, "/hold").await });
    until("held", || member.requests() == 1).await;
    running.reload(&both);
    let late = tokio::spawn(async move { get(comes, "/hold").await });
    until("held", || member.requests() == 2).await;
    running.reload(&one);
    until("closed", || std::net::TcpStream::connect(comes).is_err()).await;
    member.release();
    member.release();
    assert_eq!(held.await.unwrap().status, 200);
    assert_eq!(late.await.unwrap().status, 200);
    assert_eq!(get(stays, "/").await.status, 200);
}

#[tokio::test]
async fn addresses_are_told_in_the_order_of_the_configuration() {
    let (first, second) = (free(), free());
    let running = run(&format!("Listen {second}\n")).await;
    assert_eq!(get(second, "/").await.status, 404);
    running.reload(&format!("Listen {first}\nListen {second}\n"));
    assert_eq!(running.system.local_addrs(), [first, second]);
    assert_eq!(get(first, "/").await.status, 404);
    assert_eq!(running.system.local_addrs(), [first, second]);
}

#[tokio::test]
async fn a_listener_that_was_left_out_may_come_back_while_its_requests_end() {
    let member = Member::start("m").await;
    let (stays, again) = (free(), free());
    let proxied = format!("ProxyPass / {}/\n", member.url());
    let both = format!("Listen {stays}\nListen {again}\n{proxied}");
    let running = run(&both).await;
    let held = tokio::spawn(async move { get(again, "/hold").await });
    until("held", || member.requests() == 1).await;
    running.reload(&format!("Listen {stays}\n{proxied}"));
    // It is closed a moment later; until then nobody can listen there.
    until("closed", || {
        let system = &running.system;
        system.reload(read(&both)).is_ok()
    })
    .await;
    assert_eq!(get(again, "/").await.status, 200);
    member.release();
    assert_eq!(held.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_system_that_is_stopped_has_closed_its_listeners() {
    let running = run("Listen 127.0.0.1:0\n").await;
    let (address, system) = (running.at(), running.system.clone());
    assert_eq!(get(address, "/").await.status, 404);
    assert_eq!(running.stop().await.cut(), 0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    // Nobody would serve what is opened then.
    let error = system.reload(read("Listen 127.0.0.1:0\n")).unwrap_err();
    assert!(error.to_string().contains("ended"), "{error}");
    assert!(system.local_addrs().is_empty());
}

#[tokio::test]
async fn a_system_that_is_stopped_at_once_has_closed_its_listeners_too() {
    let system = build(read("Listen 127.0.0.1:0\n")).unwrap();
    let address = system.local_addrs()[0];
    let stopped = system.serve(std::future::ready(())).await;
    assert_eq!(stopped.cut(), 0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_check_opens_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("Listen {}\n", taken.local_addr().unwrap());
    assert!(RunningConfig::builder(read(&text)).check().is_ok());
    let error = build(read(&text)).unwrap_err();
    assert!(error.to_string().contains("cannot listen"), "{error}");
}
