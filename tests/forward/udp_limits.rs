//! Floods and datagrams that are too long: what is beyond a limit is dropped and counted, and
//! other clients do not notice.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use equipoise::forward::{Dropped, UdpForwarder};
use equipoise::{Balancer, MemberSpec};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use super::udp::{Front, Server, balancer, until};
use super::within;

const MANY: u32 = 1_000_000;

#[tokio::test]
async fn a_flood_of_sources_is_bounded_and_a_confirmed_flow_outlives_it() {
    within(async {
        let (flooded, server) = (Server::silent().await, Server::echo().await);
        let balancer = balancer([&server, &flooded]);
        let forwarder = UdpForwarder::new(balancer.clone())
            .max_flows(16)
            .max_flows_per_client(MANY)
            .new_flows_per_client(MANY);
        let front = Front::start(forwarder).await;
        let client = front.client().await;
        for _ in 0..2 {
            assert_eq!(client.ask(b"before").await, b"before");
        }
        // They are kept, so that none has the port of an earlier one.
        let mut sources = Vec::new();
        for number in 0_u64..200 {
            sources.push(front.client().await);
            sources[sources.len() - 1].send(b"flood").await;
            until(|| front.statistics.to_members() == number + 3).await;
            // Those that were given up may not have heard of it yet.
            assert!(front.statistics.flows() <= 16 + 64);
        }
        until(|| front.statistics.flows() == 16).await;
        assert_eq!(front.statistics.replaced(), 201 - 16);
        assert_eq!(client.ask(b"after").await, b"after");
        assert_eq!(front.statistics.opened(), 201);
        let in_flight = || {
            balancer
                .members()
                .iter()
                .map(|it| it.in_flight())
                .sum::<u32>()
        };
        until(|| in_flight() == 16).await;
    })
    .await;
}

#[tokio::test]
async fn where_all_flows_are_confirmed_a_new_one_is_dropped_and_told() {
    within(async {
        let server = Server::echo().await;
        let forwarder = UdpForwarder::new(balancer([&server]))
            .max_flows(2)
            .max_flows_per_client(9);
        let front = Front::start(forwarder).await;
        let clients = [front.client().await, front.client().await];
        for client in clients.iter().chain(&clients) {
            client.ask(b"hello").await;
        }
        front.client().await.send(b"late").await;
        until(|| front.statistics.dropped(Dropped::Full) == 1).await;
        for client in &clients {
            client.ask(b"hello").await;
        }
        assert_eq!(front.statistics.opened(), 2);
    })
    .await;
}

/// How many addresses a flood has.
#[cfg(target_os = "linux")]
fn sources() -> u32 {
    let set = std::env::var("EQUIPOISE_UDP_SOURCES");
    set.map_or(5_000, |it| it.parse().unwrap())
}

/// Sends from one address after the other, again where there is an answer, until it has sent
/// from all and is told to end.
#[cfg(target_os = "linux")]
async fn flood(front: std::net::SocketAddr, is_over: &AtomicBool) {
    for first in (0..).step_by(64) {
        if first >= sources() && is_over.load(Ordering::Relaxed) {
            return;
        }
        let mut sockets = Vec::new();
        for number in first..first + 64 {
            let own = Ipv4Addr::from(0x7f01_0000 + number % 0x80_0000);
            let socket = UdpSocket::bind((own, 0)).await.unwrap();
            socket.connect(front).await.unwrap();
            socket.send(b"forged").await.unwrap();
            sockets.push(socket);
        }
        sleep(Duration::from_millis(10)).await;
        for socket in sockets {
            if socket.try_recv(&mut [0; 64]).is_ok() {
                socket.send(b"again").await.unwrap();
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn clients_that_are_active_keep_their_flows_in_a_flood_that_confirms_its_own() {
    // It answers with the address that it was asked from, which is that of the flow.
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let members = [("a", server.local_addr().unwrap().into())];
    tokio::spawn(async move {
        let mut memory = [0; 64];
        while let Ok((_, from)) = server.recv_from(&mut memory).await {
            let answer = from.to_string();
            server.send_to(answer.as_bytes(), from).await.unwrap();
        }
    });
    let forwarder = UdpForwarder::new(Balancer::new(members).unwrap()).max_flows(400);
    let front = Front::start(forwarder).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let client = front.client().await;
        let flow = client.ask(b"before").await;
        assert_eq!(client.ask(b"before").await, flow);
        clients.push((client, flow));
    }
    let asking = async {
        loop {
            for (client, flow) in &clients {
                // The system drops datagrams too, in a burst that a busy machine is late for.
                assert_eq!(client.ask_until_answered(b"during").await, *flow);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let others = async {
        // The table fills up with confirmed flows of clients that are gone.
        for number in 0..380 {
            let own = Ipv4Addr::from(0x7f00_0100 + number);
            let forged = front.client_at(&own.to_string()).await;
            for _ in 0..2 {
                forged.ask(b"forged").await;
            }
        }
        assert_eq!(front.statistics.flows(), 400);
        let new = front.client_at("127.0.0.2").await;
        let served = new.ask_until_answered(b"new");
        let served = timeout(Duration::from_secs(20), served).await;
        assert!(served.is_ok(), "it is locked out");

        let is_over = Arc::new(AtomicBool::new(false));
        let (address, over) = (front.address, is_over.clone());
        // In a thread of its own: it does not wait for the forwarder.
        let flooding = tokio::task::spawn_blocking(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(flood(address, &over));
        });
        until(|| front.statistics.dropped(Dropped::Full) > 0).await;
        let new = front.client_at("127.0.0.3").await;
        new.ask_until_answered(b"new").await;
        is_over.store(true, Ordering::Relaxed);
        flooding.await.unwrap();
    };
    let both = async {
        tokio::select! {
            () = asking => {}
            () = others => {}
        }
    };
    let patience = Duration::from_secs(60 + u64::from(sources() / 500));
    timeout(patience, both).await.unwrap();
    let statistics = &front.statistics;
    assert!(statistics.replaced() > 0, "{statistics}");
    assert!(statistics.flows() <= 400 + 64, "{statistics}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_begins_too_many_flows_is_limited_and_others_are_not() {
    within(async {
        let server = Server::echo().await;
        let forwarder = UdpForwarder::new(balancer([&server])).new_flows_per_client(5);
        let front = Front::start(forwarder).await;
        for _ in 0..20 {
            front.client().await.send(b"flood").await;
        }
        let statistics = &front.statistics;
        let dropped = || statistics.dropped(Dropped::ClientRate);
        until(|| statistics.opened() + dropped() == 20).await;
        // A slow machine may have had time for some more.
        assert!((5..10).contains(&statistics.opened()), "{statistics}");
        let other = front.client_at("127.0.0.2").await;
        assert_eq!(other.ask(b"hello").await, b"hello");
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_has_no_more_flows_than_it_may_and_a_place_is_free_again_when_one_ends() {
    within(async {
        let server = Server::echo().await;
        let forwarder = UdpForwarder::new(balancer([&server]))
            .max_flows_per_client(2)
            .idle_timeout(Duration::from_millis(300));
        let front = Front::start(forwarder).await;
        for _ in 0..2 {
            front.client().await.ask(b"hello").await;
        }
        front.client().await.send(b"one more").await;
        until(|| front.statistics.dropped(Dropped::ClientFlows) == 1).await;
        let other = front.client_at("127.0.0.2").await;
        assert_eq!(other.ask(b"hello").await, b"hello");
        until(|| front.statistics.flows() == 0).await;
        assert_eq!(front.client().await.ask(b"hello").await, b"hello");
    })
    .await;
}

#[tokio::test]
async fn what_is_too_long_is_dropped_in_both_directions() {
    within(async {
        let server = Server::start(|datagram| match datagram {
            b"long" => vec![vec![0; 101], b"short".into()],
            other => vec![other.to_vec()],
        });
        let server = server.await;
        let front = Front::start(UdpForwarder::new(balancer([&server])).max_datagram(100)).await;
        let client = front.client().await;
        client.send(&[0; 101]).await;
        assert_eq!(client.ask(&[1; 100]).await, [1; 100]);
        assert_eq!(front.statistics.dropped(Dropped::Oversize), 1);
        assert_eq!(client.ask(b"long").await, b"short");
        assert_eq!(front.statistics.dropped(Dropped::Oversize), 2);
        assert_eq!(front.statistics.to_members(), 2);
    })
    .await;
}

#[tokio::test]
async fn members_at_their_cap_get_no_more_flows_and_keep_those_they_have() {
    within(async {
        let server = Server::echo().await;
        let spec = MemberSpec::new().with_max_in_flight(1);
        let balancer = Balancer::builder().member("a", server.address.into(), spec);
        let front = Front::start(UdpForwarder::new(balancer.build().unwrap())).await;
        let client = front.client().await;
        client.ask(b"first").await;
        front.client().await.send(b"second").await;
        until(|| front.statistics.dropped(Dropped::AtCapacity) == 1).await;
        assert_eq!(client.ask(b"again").await, b"again");
    })
    .await;
}

#[tokio::test]
async fn a_member_that_reads_nothing_holds_up_no_other() {
    within(async {
        let server = Server::echo().await;
        let stuck = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let members = [
            ("stuck", stuck.local_addr().unwrap().into()),
            ("a", server.address.into()),
        ];
        let front = Front::start(UdpForwarder::new(Balancer::new(members).unwrap())).await;
        let flood = front.client().await;
        flood.send(b"first").await;
        until(|| front.statistics.flows() == 1).await;
        let client = front.client().await;
        for round in 0..100_u8 {
            for _ in 0..20 {
                flood.send(&[0; 4096]).await;
            }
            assert_eq!(client.ask_until_answered(&[round]).await, [round]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_is_the_forwarder_itself_is_noticed() {
    within(async {
        let balancer = Balancer::builder().build().unwrap();
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        balancer
            .insert("loop", front.address.into(), MemberSpec::new())
            .unwrap();
        let client = front.client().await;
        client.send(b"round and round").await;
        until(|| front.statistics.dropped(Dropped::NoMember) == 1).await;
        assert_eq!(front.statistics.opened(), 0);
        let server = Server::echo().await;
        balancer
            .insert("a", server.address.into(), MemberSpec::new())
            .unwrap();
        assert_eq!(client.ask(b"hello").await, b"hello");
    })
    .await;
}

#[tokio::test]
async fn a_loop_by_way_of_another_forwarder_is_bounded() {
    within(async {
        let balancers = [(); 2].map(|()| Balancer::builder().build().unwrap());
        let forwarder = |balancer: &Balancer<_>| UdpForwarder::new(balancer.clone()).max_flows(20);
        let one = Front::start(forwarder(&balancers[0])).await;
        let two = Front::start(forwarder(&balancers[1])).await;
        balancers[0]
            .insert("two", two.address.into(), MemberSpec::new())
            .unwrap();
        balancers[1]
            .insert("one", one.address.into(), MemberSpec::new())
            .unwrap();
        one.client().await.send(b"round and round").await;
        let all = [&one.statistics, &two.statistics];
        let dropped = Dropped::ClientFlows;
        until(|| all.iter().any(|it| it.dropped(dropped) > 0)).await;
        assert!(all.iter().all(|it| it.flows() <= 20));
        // It has ended: nothing more is sent.
        let sent = || all.map(|it| it.to_members());
        let before = sent();
        let more = timeout(Duration::from_millis(50), until(|| sent() != before));
        assert!(more.await.is_err());
    })
    .await;
}

/// One thread runs all: what the forwarder takes in one go is what others wait for.
#[tokio::test]
async fn a_flood_lets_other_tasks_of_its_thread_run() {
    within(async {
        let server = Server::silent().await;
        let front = Front::start(UdpForwarder::new(balancer([&server]))).await;
        // It ends with the test, however that ends.
        let (address, running) = (front.address, Arc::new(()));
        let is_running = Arc::downgrade(&running);
        tokio::task::spawn_blocking(move || {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            while is_running.strong_count() > 0 {
                let _ = socket.send_to(b"flood", address);
            }
        });
        let (mut most, mut before) = (0, 0);
        while before < 50_000 {
            tokio::task::yield_now().await;
            let now = front.statistics.to_members();
            most = most.max(now - before);
            before = now;
        }
        drop(running);
        assert!(most <= 1_000, "{most} datagrams in one go");
    })
    .await;
}

#[tokio::test]
async fn a_member_that_floods_lets_other_tasks_of_its_thread_run() {
    within(async {
        let member = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = member.local_addr().unwrap();
        let balancer = Balancer::new([("a", address.into())]).unwrap();
        let front = Front::start(UdpForwarder::new(balancer)).await;
        let client = front.client().await;
        client.send(b"hello").await;
        let (_, flow) = member.recv_from(&mut [0; 8]).await.unwrap();
        // It ends with the test, however that ends.
        let running = Arc::new(());
        let is_running = Arc::downgrade(&running);
        let member = member.into_std().unwrap();
        tokio::task::spawn_blocking(move || {
            while is_running.strong_count() > 0 {
                let _ = member.send_to(b"flood", flow);
            }
        });
        let (mut most, mut before) = (0, 0);
        while before < 50_000 {
            tokio::task::yield_now().await;
            let now = front.statistics.to_clients();
            most = most.max(now - before);
            before = now;
        }
        drop(running);
        assert!(most <= 200, "{most} answers in one go");
    })
    .await;
}
