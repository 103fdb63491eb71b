//! What becomes of connections when their member is lost.

use std::time::Duration;

use equipoise::forward::{Address, OnMemberLoss, TcpForwarder};
use equipoise::{Balancer, Flag};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::front::{Front, is_quiet, listening, name_of, named_echo, over, returns};
use crate::within;

/// A connection to the member a, which is not the only one.
async fn connected(on_member_loss: OnMemberLoss) -> (Balancer<Address>, Front, TcpStream) {
    let balancer = over([("a", named_echo("a").await), ("b", named_echo("b").await)]);
    let front = Front::start(TcpForwarder::new(balancer.clone()).on_member_loss(on_member_loss));
    let mut stream = front.connect().await;
    assert_eq!(name_of(&mut stream).await, "a");
    (balancer, front, stream)
}

#[tokio::test]
async fn connections_end_at_once_when_their_member_is_disabled_fails_a_check_or_is_removed() {
    within(async {
        for flag in [Some(Flag::Disabled), Some(Flag::FailedCheck), None] {
            let (balancer, front, mut stream) = connected(OnMemberLoss::End).await;
            let mut other = front.connect().await;
            assert_eq!(name_of(&mut other).await, "b");
            match flag {
                Some(flag) => drop(balancer.set_flag("a", flag).unwrap()),
                None => drop(balancer.remove("a").unwrap()),
            }
            assert!(stream.read(&mut [0]).await.is_err(), "{flag:?}");
            returns(&mut other, "still there").await;
            drop(other);
            is_quiet(&balancer).await;
        }
    })
    .await;
}

/// Neither side takes a byte, so nothing else wakes the connection.
#[tokio::test]
async fn a_connection_whose_client_takes_nothing_ends_with_its_member() {
    within(async {
        let (listener, address) = listening().await;
        let balancer = over([("a", address)]);
        let front =
            Front::start(TcpForwarder::new(balancer.clone()).on_member_loss(OnMemberLoss::End));
        let _client = front.connect().await;
        let (mut member, _) = listener.accept().await.unwrap();
        let piece = vec![0; 1 << 20];
        let blocked = Duration::from_millis(300);
        while timeout(blocked, member.write_all(&piece)).await.is_ok() {}
        balancer.set_flag("a", Flag::Disabled).unwrap();
        is_quiet(&balancer).await;
        assert!(member.write_all(&piece).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn connections_end_after_a_while_if_their_member_is_not_back() {
    within(async {
        let grace = Duration::from_millis(300);
        let (balancer, _front, mut stream) = connected(OnMemberLoss::EndAfter(grace)).await;
        balancer.set_flag("a", Flag::Disabled).unwrap();
        returns(&mut stream, "still there").await;
        assert!(stream.read(&mut [0]).await.is_err());
        is_quiet(&balancer).await;
    })
    .await;
}

#[tokio::test]
async fn connections_stay_if_their_member_is_back_in_time() {
    within(async {
        let grace = Duration::from_secs(2);
        let (balancer, _front, mut stream) = connected(OnMemberLoss::EndAfter(grace)).await;
        balancer.set_flag("a", Flag::Disabled).unwrap();
        returns(&mut stream, "still there").await;
        balancer.clear_flag("a", Flag::Disabled).unwrap();
        let early = timeout(grace * 2, stream.read(&mut [0])).await;
        assert!(early.is_err(), "it has ended");
        returns(&mut stream, "still there").await;
    })
    .await;
}

#[tokio::test]
async fn connections_stay_if_their_member_drains_or_is_in_error() {
    within(async {
        for flag in [Flag::Draining, Flag::InError] {
            let (balancer, _front, mut stream) = connected(OnMemberLoss::End).await;
            balancer.set_flag("a", flag).unwrap();
            let patience = Duration::from_millis(200);
            let early = timeout(patience, stream.read(&mut [0])).await;
            assert!(early.is_err(), "{flag:?} ends it");
            returns(&mut stream, "still there").await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_stay_by_default() {
    within(async {
        let (balancer, _front, mut stream) = connected(OnMemberLoss::default()).await;
        balancer.remove("a").unwrap();
        let patience = Duration::from_millis(200);
        let early = timeout(patience, stream.read(&mut [0])).await;
        assert!(early.is_err(), "it has ended");
        returns(&mut stream, "still there").await;
    })
    .await;
}
