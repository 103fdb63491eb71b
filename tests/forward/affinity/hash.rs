//! By a hash of the client's address, over a planned table.

use equipoise::Balancer;
use equipoise::forward::{TcpForwarder, UdpForwarder};
use equipoise::scheduler::Maglev;

use super::{Member, asks, only_those_of, over, visits};
use crate::tcp::front::Front;
use crate::{udp, within};

const CLIENTS: u8 = 40;

#[tokio::test]
async fn the_death_of_a_member_moves_only_its_own_clients_and_its_return_brings_them_back() {
    within(async {
        let [a, b, c] = [
            Member::tcp("a").await,
            Member::tcp("b").await,
            Member::tcp("c").await,
        ];
        let balancer = over(
            Balancer::builder().scheduler(Maglev::default()),
            [&a, &b, &c],
        );
        let forwarder = TcpForwarder::new(balancer.clone());
        let fronts = [Front::start(forwarder.clone()), Front::start(forwarder)];
        let before = visits(&fronts[0], CLIENTS).await;
        assert_eq!(visits(&fronts[1], CLIENTS).await, before);

        let address = b.end().await;
        for front in &fronts {
            let after = visits(front, CLIENTS).await;
            only_those_of("b", &before, &after);
        }
        let _b = Member::tcp_at("b", address).await;
        balancer.recover("b").unwrap();
        for front in &fronts {
            assert_eq!(visits(front, CLIENTS).await, before);
        }
    })
    .await;
}

#[tokio::test]
async fn a_removed_member_passes_on_its_own_clients_and_hardly_any_other() {
    within(async {
        let [a, b, c] = [
            Member::tcp("a").await,
            Member::tcp("b").await,
            Member::tcp("c").await,
        ];
        let balancer = over(
            Balancer::builder().scheduler(Maglev::default()),
            [&a, &b, &c],
        );
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let before = visits(&front, CLIENTS).await;
        drop(balancer.remove("b").unwrap());
        let after = visits(&front, CLIENTS).await;
        let pairs = before.iter().zip(&after);
        let moved = pairs.filter(|(was, is)| *was != "b" && was != is).count();
        // At most 1 % of the keys of others, of which this is a sample.
        assert!(moved <= 2, "{moved} of other members");
    })
    .await;
}

#[tokio::test]
async fn flows_of_datagrams_are_kept_and_moved_alike() {
    within(async {
        let [a, b, c] = [
            Member::udp("a").await,
            Member::udp("b").await,
            Member::udp("c").await,
        ];
        let balancer = over(
            Balancer::builder().scheduler(Maglev::default()),
            [&a, &b, &c],
        );
        let forwarder = UdpForwarder::new(balancer.clone());
        let fronts = [
            udp::Front::start(forwarder.clone()).await,
            udp::Front::start(forwarder).await,
        ];
        let before = asks(&fronts[0], CLIENTS).await;
        assert_eq!(asks(&fronts[1], CLIENTS).await, before);

        let address = b.end().await;
        for front in &fronts {
            let after = asks(front, CLIENTS).await;
            only_those_of("b", &before, &after);
        }
        let _b = Member::udp_at("b", address).await;
        balancer.recover("b").unwrap();
        assert_eq!(asks(&fronts[0], CLIENTS).await, before);
    })
    .await;
}
