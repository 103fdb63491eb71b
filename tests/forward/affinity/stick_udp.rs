//! By a stick table: datagrams.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::forward::{TcpForwarder, UdpForwarder};
use equipoise::session::StickTable;
use equipoise::{Balancer, Flag};

use super::{Member, ask, asks, only_those_of, over, tcp_over, visits};
use crate::tcp::front::Front;
use crate::udp::until;
use crate::{udp, within};

const CLIENTS: u8 = 10;

async fn abc() -> [Member; 3] {
    [
        Member::udp("a").await,
        Member::udp("b").await,
        Member::udp("c").await,
    ]
}

#[tokio::test]
async fn a_client_has_one_member_for_its_flows_and_connections() {
    within(async {
        let members = abc().await;
        let balancer = over(Balancer::builder(), members.each_ref());
        let table = StickTable::new(1_000);
        let forwarder = UdpForwarder::new(balancer).stick(table.clone());
        let fronts = [
            udp::Front::start(forwarder.clone()).await,
            udp::Front::start(forwarder).await,
        ];
        let before = asks(&fronts[0], CLIENTS).await;
        for front in [&fronts[1], &fronts[0], &fronts[1]] {
            assert_eq!(asks(front, CLIENTS).await, before);
        }
        let [a, b, c] = [
            Member::tcp("a").await,
            Member::tcp("b").await,
            Member::tcp("c").await,
        ];
        let connections = TcpForwarder::new(tcp_over([&a, &b, &c])).stick(table);
        let front = Front::start(connections);
        assert_eq!(visits(&front, CLIENTS).await, before);
    })
    .await;
}

#[tokio::test]
async fn clients_of_a_dead_member_move_and_stay_where_they_have_moved_to() {
    within(async {
        let [a, b, c] = abc().await;
        let balancer = over(Balancer::builder(), [&a, &b, &c]);
        let table = StickTable::new(1_000);
        let forwarder = UdpForwarder::new(balancer.clone()).stick(table);
        let front = udp::Front::start(forwarder).await;
        let before = asks(&front, CLIENTS).await;
        let address = b.end().await;
        let after = asks(&front, CLIENTS).await;
        only_those_of("b", &before, &after);
        let _b = Member::udp_at("b", address).await;
        balancer.recover("b").unwrap();
        assert_eq!(asks(&front, CLIENTS).await, after);
        balancer.set_flag("a", Flag::Draining).unwrap();
        assert_eq!(asks(&front, CLIENTS).await, after);
        drop(balancer.remove("a").unwrap());
        let last = asks(&front, CLIENTS).await;
        only_those_of("a", &after, &last);
    })
    .await;
}

#[tokio::test]
async fn an_entry_is_in_use_until_its_flow_has_ended_and_expires_later() {
    within(async {
        let [a, b, _] = abc().await;
        let balancer = over(Balancer::builder(), [&a, &b]);
        let clock = ManualClock::new();
        let table = StickTable::new(1_000)
            .with_expiry(Duration::from_secs(60))
            .with_clock(clock.clone());
        let forwarder = UdpForwarder::new(balancer).stick(table.clone());
        let front = udp::Front::start(forwarder.clone()).await;
        assert_eq!(ask(&front, 0).await, "a");
        assert_eq!(table.entries().map(|it| it.open).sum::<u32>(), 1);
        // Its flow waits for more.
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(ask(&front, 0).await, "a");
        front.stop().await.unwrap().unwrap();
        assert_eq!(table.entries().map(|it| it.open).sum::<u32>(), 0);

        // Its flow has ended with the answer.
        let front = udp::Front::start(forwarder.responses(1)).await;
        clock.advance(Duration::from_secs(59));
        assert_eq!(ask(&front, 0).await, "a");
        until(|| table.entries().all(|it| it.open == 0)).await;
        clock.advance(Duration::from_secs(60));
        assert_eq!(ask(&front, 0).await, "b");
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_100_000_addresses_pushes_out_no_client_that_has_a_flow() {
    within(async {
        const ENTRIES: usize = 1_000;
        let [a, b, c] = abc().await;
        let balancer = over(Balancer::builder(), [&a, &b, &c]);
        let table = StickTable::new(ENTRIES);
        let forwarder = UdpForwarder::new(balancer.clone())
            .max_flows(200)
            .stick(table.clone());
        let front = udp::Front::start(forwarder).await;
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let client = front.client_at(&super::client(number).to_string()).await;
            let name = client.ask_until_answered(b"who").await;
            // So that its flow is confirmed.
            assert_eq!(client.ask_until_answered(b"who").await, name);
            clients.push((client, name));
        }
        let to = front.address;
        let flood = tokio::task::spawn_blocking(move || {
            for number in 0..100_000_u32 {
                let from = Ipv4Addr::from(0x7f10_0000 + number);
                let socket = UdpSocket::bind((from, 0)).unwrap();
                socket.send_to(b"flood", to).unwrap();
            }
        });
        flood.await.unwrap();
        let opened = front.statistics.opened();
        assert!(opened > 2 * ENTRIES as u64, "only {opened} got through");
        assert!(table.len() <= ENTRIES);
        for (number, (_, name)) in clients.iter().enumerate() {
            let number = u8::try_from(number).unwrap();
            assert_eq!(ask(&front, number).await.as_bytes(), name);
        }
        drop(balancer);
    })
    .await;
}
