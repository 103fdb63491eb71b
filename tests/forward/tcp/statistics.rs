//! What becomes of connections is counted, each once.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::forward::{Address, OnMemberLoss, TcpForwarder, TcpStatistics};
use equipoise::net::Acceptor;
use equipoise::{Balancer, Flag, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::front::{
    Front, capped, listening, name_of, named_echo, over, refusing, reset, returns, soon,
};
use crate::within;

/// Long enough for a test to do something, and short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

fn start(forwarder: TcpForwarder) -> (Front, TcpStatistics) {
    let statistics = forwarder.statistics();
    (Front::start(forwarder), statistics)
}

/// A forwarder to one member that returns what it gets.
async fn to_echo(set: impl FnOnce(TcpForwarder) -> TcpForwarder) -> (Front, TcpStatistics) {
    let balancer = over([("a", named_echo("a").await)]);
    start(set(TcpForwarder::new(balancer)))
}

/// A connection that is being served.
async fn served(front: &Front) -> TcpStream {
    let mut stream = front.connect().await;
    assert_eq!(name_of(&mut stream).await, "a");
    stream
}

async fn is_reset(mut stream: TcpStream) {
    assert!(stream.read(&mut [0]).await.is_err());
}

/// Waits until the numbers are these.
async fn are(statistics: &TcpStatistics, told: &str) {
    let told = format!("connections: {told}");
    soon(&told, || statistics.to_string() == told).await;
}

#[tokio::test]
async fn a_connection_is_one_until_it_has_ended_and_then_served() {
    within(async {
        let (front, statistics) = to_echo(|forwarder| forwarder).await;
        let mut first = served(&front).await;
        let _second = served(&front).await;
        are(&statistics, "2 (2 accepted, 0 served)").await;
        first.shutdown().await.unwrap();
        assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
        are(&statistics, "1 (2 accepted, 1 served)").await;
        drop(front.stop());
    })
    .await;
}

#[tokio::test]
async fn clones_count_together() {
    within(async {
        let forwarder = TcpForwarder::new(over([("a", named_echo("a").await)]));
        let fronts = [forwarder.clone(), forwarder.clone()].map(Front::start);
        let _streams = [served(&fronts[0]).await, served(&fronts[1]).await];
        are(&forwarder.statistics(), "2 (2 accepted, 0 served)").await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_fails_over_counts_once_however_many_members_fail() {
    within(async {
        let bad = refusing().await;
        let good = named_echo("a").await;
        let balancer = over([("b", bad), ("c", bad), ("a", good)]);
        let (front, statistics) = start(TcpForwarder::new(balancer));
        let _stream = served(&front).await;
        are(&statistics, "1 (1 accepted, 0 served, 1 failed over)").await;
    })
    .await;
}

#[tokio::test]
async fn no_connection_tries_more_than_sixty_four_members() {
    within(async {
        let bad = refusing().await;
        let members = (0..70).map(|number| (number.to_string(), Address::from(bad)));
        let balancer: Balancer<Address> = Balancer::new(members).unwrap();
        let (front, statistics) = start(TcpForwarder::new(balancer.clone()));
        is_reset(front.connect().await).await;
        let aborted = "0 (1 accepted, 0 served, 1 failed over); aborted: 1 no member";
        are(&statistics, aborted).await;
        let members = balancer.members();
        let failed = members.iter().filter(|it| it.status() != Status::NORMAL);
        assert_eq!(failed.count(), 64);
    })
    .await;
}

#[tokio::test]
async fn a_connection_without_a_member_counts_as_that() {
    within(async {
        let balancer = over([("b", refusing().await)]);
        let (front, statistics) = start(TcpForwarder::new(balancer));
        is_reset(front.connect().await).await;
        are(
            &statistics,
            "0 (1 accepted, 0 served); aborted: 1 no member",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_a_client_may_not_have_counts_by_the_limit() {
    within(async {
        let (front, statistics) = to_echo(|it| it.max_per_client(1)).await;
        let _first = served(&front).await;
        is_reset(front.connect().await).await;
        let told = "1 (2 accepted, 0 served); aborted: 1 too many connections of a client";
        are(&statistics, told).await;

        let (front, statistics) = to_echo(|it| it.new_connections_per_client(1)).await;
        let _first = served(&front).await;
        is_reset(front.connect().await).await;
        let told = "1 (2 accepted, 0 served); aborted: 1 too many new connections of a client";
        are(&statistics, told).await;
    })
    .await;
}

#[tokio::test]
async fn connections_that_wait_for_a_member_count_by_what_ends_that() {
    within(async {
        let full = |address: SocketAddr| TcpForwarder::new(capped(address, 1));
        let member = named_echo("a").await;
        let (front, statistics) = start(full(member).max_waiting(0));
        let _first = served(&front).await;
        is_reset(front.connect().await).await;
        are(
            &statistics,
            "1 (2 accepted, 0 served); aborted: 1 queue full",
        )
        .await;

        let (front, statistics) = start(full(member).opening_timeout(SHORT));
        let _first = served(&front).await;
        is_reset(front.connect().await).await;
        let told = "1 (2 accepted, 0 served); aborted: 1 opening timeout";
        are(&statistics, told).await;

        let (front, statistics) = start(full(member));
        let _first = served(&front).await;
        let waiting = front.connect().await;
        are(&statistics, "2 (2 accepted, 0 served)").await;
        reset(waiting);
        let told = "1 (2 accepted, 0 served); aborted: 1 disconnected by the client";
        are(&statistics, told).await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_counts_by_the_limit_that_has_passed() {
    within(async {
        let (front, statistics) = to_echo(|it| it.idle_timeout(SHORT)).await;
        is_reset(served(&front).await).await;
        are(
            &statistics,
            "0 (1 accepted, 0 served); aborted: 1 idle timeout",
        )
        .await;

        let (front, statistics) = to_echo(|it| it.lifetime(SHORT)).await;
        is_reset(served(&front).await).await;
        are(
            &statistics,
            "0 (1 accepted, 0 served); aborted: 1 lifetime over",
        )
        .await;

        let (listener, address) = listening().await;
        let forwarder = TcpForwarder::new(over([("a", address)]));
        let (front, statistics) = start(forwarder.half_close_timeout(SHORT));
        let mut client = front.connect().await;
        let _member = listener.accept().await.unwrap();
        client.shutdown().await.unwrap();
        is_reset(client).await;
        let told = "0 (1 accepted, 0 served); aborted: 1 half-close timeout";
        are(&statistics, told).await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_counts_by_the_side_that_broke() {
    within(async {
        let (front, statistics) = to_echo(|forwarder| forwarder).await;
        reset(served(&front).await);
        let told = "0 (1 accepted, 0 served); aborted: 1 disconnected by the client";
        are(&statistics, told).await;

        for is_answered in [false, true] {
            let (listener, address) = listening().await;
            let (front, statistics) = start(TcpForwarder::new(over([("a", address)])));
            let mut client = front.connect().await;
            let (mut member, _) = listener.accept().await.unwrap();
            // A member that breaks before this could not be connected.
            client.write_all(b"x").await.unwrap();
            member.read_exact(&mut [0]).await.unwrap();
            if is_answered {
                member.write_all(b"x").await.unwrap();
                client.read_exact(&mut [0]).await.unwrap();
            }
            reset(member);
            is_reset(client).await;
            let told = "0 (1 accepted, 0 served); aborted: 1 disconnected by the member";
            are(&statistics, told).await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_to_a_lost_member_and_those_that_a_stop_cuts_count_as_such() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let forwarder = TcpForwarder::new(balancer.clone()).on_member_loss(OnMemberLoss::End);
        let (front, statistics) = start(forwarder);
        let stream = served(&front).await;
        balancer.set_flag("a", Flag::Disabled).unwrap();
        is_reset(stream).await;
        are(
            &statistics,
            "0 (1 accepted, 0 served); aborted: 1 member lost",
        )
        .await;

        let acceptor = Acceptor::new().drain_timeout(SHORT);
        let (front, statistics) = to_echo(|it| it.acceptor(acceptor)).await;
        let mut stream = served(&front).await;
        let stopped = front.stop();
        returns(&mut stream, "still there").await;
        assert_eq!(stopped.await.unwrap().cut(), 1);
        let told = "connections: 0 (1 accepted, 0 served); aborted: 1 stopping";
        assert_eq!(statistics.to_string(), told);
    })
    .await;
}
