//! Heartbeats that a configuration asks for: taken in, elected by, and sent.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::Event;
use equipoise::balancer::events::EventKind;
use equipoise::config::{RunningConfig, RunningConfigBuilder};
use equipoise::heartbeat::HeartbeatFile;

use crate::client::{exchange, get, request, until};
use crate::doors::free;
use crate::member::Member;
use crate::running::{read, run, serve};
use tokio::net::TcpStream;

/// A balancer that elects by heartbeats, and more lines before it.
fn text(members: &[&Member], before: &str) -> String {
    let members = members
        .iter()
        .map(|it| format!("BalancerMember {}\n", it.url()));
    let members: String = members.collect();
    format!(
        "{before}\n<Location /beat>\nSetHandler heartbeat\n</Location>\nProxyPass /beat !\n\
         <Proxy balancer://c>\n{members}ProxySet lbmethod=heartbeat\n</Proxy>\n\
         ProxyPass / balancer://c/\n"
    )
}

async fn post(to: std::net::SocketAddr, body: &str) -> u16 {
    let stream = TcpStream::connect(to).await.unwrap();
    let lines = format!("Content-Length: {}\n", body.len());
    let request = request("POST", "/beat", &lines) + body;
    exchange(stream, &request).await.status
}

#[tokio::test]
async fn members_are_elected_by_what_they_send() {
    let member = Member::start("a").await;
    let listen = free();
    let listens = format!("HeartbeatListen {listen}");
    let running = run(&text(&[&member], &listens)).await;
    assert_eq!(get(running.at(), "/").await.status, 503);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"v=1&ready=3&busy=1", listen).unwrap();
    until("it came in", || {
        running.system.heartbeats().records().len() == 1
    })
    .await;
    assert_eq!(get(running.at(), "/").await.member(), "a");
    // Members that come later are known by it, too.
    let other = Member::start("b").await;
    running.reload(&text(&[&member, &other], &listens));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        seen.insert(get(running.at(), "/").await.member().to_owned());
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_post_is_a_heartbeat_where_it_is_listened_to_them() {
    let member = Member::start("a").await;
    let running = run(&text(&[&member], "")).await;
    assert_eq!(post(running.at(), "ready=3&busy=1").await, 503);
    running.reload(&text(&[&member], &format!("HeartbeatListen {}", free())));
    assert_eq!(get(running.at(), "/").await.status, 503);
    for (body, status) in [
        ("ready=3", 400),
        ("ready=some&busy=1", 400),
        (&"x".repeat(2_000), 413),
        ("ready=3&busy=1", 200),
    ] {
        assert_eq!(post(running.at(), body).await, status, "{body}");
    }
    assert_eq!(get(running.at(), "/beat").await.status, 405);
    assert_eq!(get(running.at(), "/").await.member(), "a");
    running.reload(&text(&[&member], ""));
    assert_eq!(post(running.at(), "ready=3&busy=1").await, 503);
}

#[tokio::test]
async fn a_listener_that_a_reload_leaves_out_is_closed_and_one_that_fails_changes_nothing() {
    let member = Member::start("a").await;
    let (first, second) = (free(), free());
    let running = run(&text(&[&member], &format!("HeartbeatListen {first}"))).await;
    assert!(UdpSocket::bind(first).is_err());
    let taken = UdpSocket::bind(second).unwrap();
    let error = running.refused(&text(&[&member], &format!("HeartbeatListen {second}")));
    assert!(
        error
            .to_string()
            .contains(&format!("`HeartbeatListen {second}`")),
        "{error}"
    );
    assert!(UdpSocket::bind(first).is_err());
    drop(taken);
    running.reload(&text(&[&member], &format!("HeartbeatListen {second}")));
    until("it is closed", || UdpSocket::bind(first).is_ok()).await;
    let system = running.system.clone();
    running.stop().await;
    until("all are closed", || UdpSocket::bind(second).is_ok()).await;
    drop(system);
}

#[tokio::test]
async fn a_file_is_read_again_when_it_has_changed() {
    let member = Member::start("a").await;
    let folder = std::env::temp_dir().join(format!("equipoise-hb-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("hb.dat");
    let config = text(&[&member], "HeartbeatStorage hb.dat");
    let builder = RunningConfig::builder(read(&config)).base(&folder);
    let running = serve(builder).await;
    let idle = || {
        let records = running.system.heartbeats().records();
        records.first().map(|record| record.reading().ready)
    };
    assert_eq!(get(running.at(), "/").await.status, 503);
    for (text, ready) in [
        ("127.0.0.1 &ready=7&busy=1&lastseen=2\n", 7),
        // Older, and still what counts.
        ("127.0.0.1 &ready=5&busy=1&lastseen=8\n", 5),
        ("127.0.0.1 &ready=5&busy=1&lastseen=10\n", 0),
        ("127.0.0.1 &ready=4&busy=1&lastseen=0\n", 4),
        ("# none\n", 0),
        ("127.0.0.1 &ready=6&busy=1&lastseen=0\n", 6),
    ] {
        std::fs::write(&file, text).unwrap();
        until(text, || idle() == Some(ready)).await;
        let status = if ready > 0 { 200 } else { 503 };
        assert_eq!(get(running.at(), "/").await.status, status, "{text}");
    }
    // A writer that removes it before it writes it again, or that writes it in place, takes
    // nothing back: what was reported counts until it is too old.
    std::fs::remove_file(&file).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(get(running.at(), "/").await.status, 200);
    std::fs::create_dir(&file).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(idle(), Some(6));
    assert_eq!(get(running.at(), "/").await.status, 200);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What is told of heartbeats to an observer.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn by(&self, builder: RunningConfigBuilder) -> RunningConfigBuilder {
        let lines = self.0.clone();
        builder.observer(move |event: &Event<'_>| {
            if matches!(event.kind, EventKind::HeartbeatFault { .. }) {
                lines.lock().unwrap().push(event.to_string());
            }
        })
    }

    async fn until(&self, end: &str) {
        until(end, || {
            let lines = self.0.lock().unwrap();
            lines.iter().any(|it| it.ends_with(end))
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_file_is_told_and_the_rest_counts() {
    let member = Member::start("a").await;
    let folder = std::env::temp_dir().join(format!("equipoise-hx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("hb.dat");
    let told = Told::default();
    let config = text(&[&member], "HeartbeatStorage hb.dat");
    let builder = RunningConfig::builder(read(&config)).base(&folder);
    let running = serve(told.by(builder)).await;
    told.until("hb.dat` cannot be read: No such file or directory (os error 2)")
        .await;
    let lines = "10.0.0.9 &ready=NaN&busy=1&lastseen=0\n127.0.0.1 &ready=7&busy=1&lastseen=0\n";
    std::fs::write(&file, lines).unwrap();
    told.until("hb.dat`, line 1: `ready` is not a number: \"NaN\"; the line is skipped")
        .await;
    assert_eq!(get(running.at(), "/").await.member(), "a");
    // One that only cannot be read takes nothing back.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    told.until("hb.dat` cannot be read: the file of heartbeats is not a regular file")
        .await;
    assert_eq!(get(running.at(), "/").await.member(), "a");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn reports_that_are_dropped_and_files_that_cannot_be_written_are_told() {
    let member = Member::start("a").await;
    let folder = std::env::temp_dir().join(format!("equipoise-hy-{}", std::process::id()));
    let listen = free();
    let before = format!(
        "HeartbeatListen {listen}\nHeartbeatMaxServers 0\nHeartbeatStorage {}/hb.dat",
        folder.display()
    );
    let told = Told::default();
    let _running = serve(told.by(RunningConfig::builder(read(&text(&[&member], &before))))).await;
    told.until("hb.dat` cannot be written: No such file or directory (os error 2)")
        .await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"v=1&ready=+5&busy=1", listen).unwrap();
    told.until(
        "dropped a heartbeat from 127.0.0.1: the message is not a heartbeat: \
         `ready` is not a number from 0 to 4294967295: \"+5\"",
    )
    .await;
}

#[tokio::test]
async fn a_reload_changes_how_many_servers_are_remembered() {
    let member = Member::start("a").await;
    let listens = format!("HeartbeatListen {}", free());
    let with = |most: &str| text(&[&member], &format!("{listens}\n{most}"));
    let running = run(&with("HeartbeatMaxServers 10")).await;
    let heartbeats = running.system.heartbeats();
    let remembers = |last: u8| {
        let report = b"v=1&ready=9&busy=2";
        heartbeats.receive([10, 0, 0, last].into(), report).is_ok()
    };
    assert!((0..10).all(remembers));
    assert!(!remembers(10));
    running.reload(&with("HeartbeatMaxServers 11"));
    assert!(remembers(10) && !remembers(11));
    running.reload(&with(""));
    assert!(remembers(11));
}

#[tokio::test]
async fn what_came_in_is_written_for_others() {
    let member = Member::start("a").await;
    let folder = std::env::temp_dir().join(format!("equipoise-hw-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("hb.dat");
    let before = format!(
        "HeartbeatListen {}\nHeartbeatMaxServers 0\nHeartbeatStorage {}",
        free(),
        file.display()
    );
    let running = run(&text(&[&member], &before)).await;
    let heartbeats = running.system.heartbeats();
    heartbeats
        .receive([10, 0, 0, 7].into(), b"v=1&ready=9&busy=2")
        .unwrap();
    let mut ready = None;
    for _ in 0..800 {
        if let Ok((found, _)) = HeartbeatFile::read(&file) {
            ready = found.records().first().map(|it| it.reading().ready);
        }
        if ready.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ready, Some(9));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn what_is_idle_here_is_told_to_others() {
    let member = Member::start("a").await;
    let monitor = UdpSocket::bind("127.0.0.1:0").unwrap();
    monitor.set_nonblocking(true).unwrap();
    let to = monitor.local_addr().unwrap();
    let running = run(&format!(
        "HeartbeatAddress {to}\nMaxRequestWorkers 20\nProxyPass / {}/\n",
        member.url()
    ))
    .await;
    let hears = async |wanted: &str| {
        until(wanted, || {
            let mut bytes = [0; 1_000];
            let heard = monitor
                .recv(&mut bytes)
                .map(|length| bytes[..length].to_vec());
            heard.is_ok_and(|it| it == wanted.as_bytes())
        })
        .await;
    };
    hears("v=1&ready=20&busy=0").await;
    let here = running.at();
    let held = tokio::spawn(async move { get(here, "/hold").await });
    hears("v=1&ready=19&busy=1").await;
    member.release();
    assert_eq!(held.await.unwrap().status, 200);
    hears("v=1&ready=20&busy=0").await;
    running.stop().await;
    hears("v=1&ready=0&busy=0").await;
}

#[test]
fn heartbeats_need_a_runtime() {
    let config = read("HeartbeatAddress 127.0.0.1:9\n");
    let error = RunningConfig::builder(config).build().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("heartbeats need a tokio runtime"),
        "{error}"
    );
}
