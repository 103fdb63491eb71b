//! What passes: all bytes, both ways, wherever the member is.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use equipoise::forward::{Address, TcpForwarder};
use equipoise::net::Listener;
use equipoise::scheduler::Maglev;
use equipoise::{Balancer, MemberSpec, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use super::front::{
    Front, Log, ended, is_quiet, listening, name_of, named_echo, over, returns, soon,
};
use crate::within;

#[tokio::test]
async fn all_bytes_go_both_ways_and_the_end_of_a_side_goes_through() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let (log, _observing) = Log::of(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut stream = front.connect().await;
        assert_eq!(name_of(&mut stream).await, "a");
        returns(&mut stream, "first").await;
        let sent: Vec<u8> = (0..251u8).cycle().take(9_000_000).collect();
        let (mut from, mut to) = stream.split();
        let sending = async {
            to.write_all(&sent).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(sending, from.read_to_end(&mut got));
        read.unwrap();
        assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
        assert_eq!(log.ends(1).await, [ended("a", Outcome::Success, "")]);
        let member = balancer.member("a").unwrap();
        let passed = (member.bytes_sent(), member.bytes_received());
        assert_eq!(passed, (9_000_005, 9_000_007));
    })
    .await;
}

#[tokio::test]
async fn large_streams_arrive_whole_with_pipes_too_few_pipes_and_none() {
    const SIZE: usize = 6 << 20;
    within(async {
        for pipes in [16, 1, 0] {
            let balancer = over([("a", named_echo("a").await)]);
            let forwarder = TcpForwarder::new(balancer.clone()).max_pipes(pipes);
            let front = Front::start(forwarder);
            let mut clients = JoinSet::new();
            for client in 0..3usize {
                let mut stream = front.connect().await;
                clients.spawn(async move {
                    assert_eq!(name_of(&mut stream).await, "a");
                    let sent: Vec<u8> = (0..251u8).cycle().skip(client).take(SIZE).collect();
                    let (mut from, mut to) = stream.split();
                    let sending = async {
                        to.write_all(&sent).await.unwrap();
                        to.shutdown().await.unwrap();
                    };
                    let mut got = Vec::with_capacity(SIZE);
                    let (_, read) = tokio::join!(sending, from.read_to_end(&mut got));
                    read.unwrap();
                    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
                });
            }
            clients.join_all().await;
            is_quiet(&balancer).await;
            let member = balancer.member("a").unwrap();
            assert_eq!(member.bytes_sent(), 3 * SIZE as u64);
            assert_eq!(member.bytes_received(), 3 * (SIZE as u64 + 2));
        }
    })
    .await;
}

#[tokio::test]
async fn bytes_count_while_the_connection_lasts() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut stream = front.connect().await;
        assert_eq!(name_of(&mut stream).await, "a");
        returns(&mut stream, "hello").await;
        let member = balancer.member("a").unwrap();
        soon("all bytes", || {
            member.bytes_sent() == 5 && member.bytes_received() == 7
        })
        .await;
        assert_eq!(member.in_flight(), 1);
        drop(stream);
        is_quiet(&balancer).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_its_member_back() {
    const MIB: usize = 1 << 20;
    within(async {
        let (listener, address) = listening().await;
        let written = Arc::new(AtomicUsize::new(0));
        let count = written.clone();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let piece = vec![0; MIB];
            while let Ok(number) = stream.write(&piece).await {
                count.fetch_add(number, Ordering::SeqCst);
            }
        });
        let front = Front::start(TcpForwarder::new(over([("a", address)])));
        let mut stream = front.connect().await;
        // Nothing moves once all buffers on the way are full.
        let mut seen = (0, Instant::now());
        while seen.0 == 0 || seen.1.elapsed() < Duration::from_millis(500) {
            sleep(Duration::from_millis(20)).await;
            let now = written.load(Ordering::SeqCst);
            assert!(now < 64 * MIB, "it goes on and on");
            if now != seen.0 {
                seen = (now, Instant::now());
            }
        }
        let mut piece = vec![0; MIB];
        let mut read = 0;
        while read < seen.0 + MIB {
            read += stream.read(&mut piece).await.unwrap();
        }
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn both_sides_may_be_unix_sockets() {
    within(async {
        let path = |name| {
            let own = format!("equipoise-forward-{}-{name}.sock", std::process::id());
            std::env::temp_dir().join(own)
        };
        let (front, member) = (path("front"), path("member"));
        let listening = UnixListener::bind(&member).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listening.accept().await.unwrap();
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await
        });
        let balancer = Balancer::new([("a", Address::unix(&member))]).unwrap();
        let listening = Listener::unix(&front).unwrap();
        let forwarder = TcpForwarder::new(balancer.clone());
        tokio::spawn(forwarder.serve(listening, std::future::pending()));
        let mut stream = UnixStream::connect(&front).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut got = String::new();
        stream.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "hello");
        is_quiet(&balancer).await;
        for path in [front, member] {
            std::fs::remove_file(path).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_may_have_a_name() {
    within(async {
        let port = named_echo("a").await.port();
        let balancer = Balancer::new([("a", Address::host("localhost", Some(port)))]).unwrap();
        let front = Front::start(TcpForwarder::new(balancer));
        assert_eq!(name_of(&mut front.connect().await).await, "a");
    })
    .await;
}

/// Only there each address of 127.0.0.0/8 is this machine's.
#[cfg(target_os = "linux")]
mod other_addresses {
    use super::*;

    #[tokio::test]
    async fn a_member_without_a_port_is_asked_at_the_port_of_its_clients_listener() {
        within(async {
            let member: IpAddr = [127, 0, 0, 2].into();
            let balancer = Balancer::new([("a", Address::from(member))]).unwrap();
            let fronts = [(), ()].map(|()| Front::start(TcpForwarder::new(balancer.clone())));
            for front in fronts {
                let port = front.address.port();
                let listener = TcpListener::bind((member, port)).await.unwrap();
                let _stream = front.connect().await;
                listener.accept().await.unwrap();
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_client_keeps_its_member_across_connections_and_listeners() {
        within(async {
            let mut builder = Balancer::builder().scheduler(Maglev::default());
            for name in ["a", "b", "c"] {
                let address = Address::from(named_echo(name).await);
                builder = builder.member(name, address, MemberSpec::new());
            }
            let balancer = builder.build().unwrap();
            let fronts = [(), ()].map(|()| Front::start(TcpForwarder::new(balancer.clone())));
            let mut all = Vec::new();
            for client in 1..=20 {
                let mut names = Vec::new();
                for front in fronts.iter().chain(&fronts) {
                    let socket = TcpSocket::new_v4().unwrap();
                    socket.bind(([127, 0, 0, client], 0).into()).unwrap();
                    let mut stream = socket.connect(front.address).await.unwrap();
                    names.push(name_of(&mut stream).await);
                }
                names.dedup();
                assert_eq!(names.len(), 1, "client {client} went to {names:?}");
                all.append(&mut names);
            }
            all.sort();
            all.dedup();
            assert_eq!(all, ["a", "b", "c"]);
        })
        .await;
    }
}

#[cfg(target_os = "linux")]
mod watching {
    use super::*;

    /// The timers that the system has for connections to or from a port, by the other port.
    fn timers_of(port: u16) -> Vec<String> {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let port = format!(":{port:04X}");
        let rows = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        // The local address, the other one, the state (01 is established), and the timer.
        rows.filter(|row| row.len() > 5 && row[3] == "01")
            .filter(|row| row[1].ends_with(&port) || row[2].ends_with(&port))
            .map(|row| format!("{} {}", row[1].ends_with(&port), &row[5][..2]))
            .collect()
    }

    #[tokio::test]
    async fn both_sides_are_asked_whether_they_are_there_if_that_is_set() {
        within(async {
            for (is_set, timer) in [(false, "00"), (true, "02")] {
                let (listener, address) = listening().await;
                let forwarder = TcpForwarder::new(over([("a", address)]));
                let front = Front::start(if is_set {
                    forwarder.keep_alive(Duration::from_secs(30))
                } else {
                    forwarder
                });
                let mut client = front.connect().await;
                let (mut member, _) = listener.accept().await.unwrap();
                // All is acknowledged once it has gone both ways.
                client.write_all(b"x").await.unwrap();
                member.read_exact(&mut [0]).await.unwrap();
                // The forwarder's side is at the port of the front, and not at the member's.
                let clients = format!("true {timer}");
                let members = format!("false {timer}");
                soon("timers", || {
                    timers_of(front.address.port()).contains(&clients)
                })
                .await;
                soon("timers", || timers_of(address.port()).contains(&members)).await;
            }
        })
        .await;
    }
}
