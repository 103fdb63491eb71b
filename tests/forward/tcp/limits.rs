//! How long a connection may last.

use std::time::Duration;

use equipoise::Outcome;
use equipoise::forward::TcpForwarder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use super::front::{Front, Log, ended, listening, name_of, named_echo, over, returns};
use crate::within;

#[tokio::test]
async fn a_connection_without_a_byte_is_reset_after_its_time() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let (log, _observing) = Log::of(&balancer);
        let idle = Duration::from_millis(200);
        let front = Front::start(TcpForwarder::new(balancer.clone()).idle_timeout(idle));
        let mut stream = front.connect().await;
        assert_eq!(name_of(&mut stream).await, "a");
        let begun = Instant::now();
        assert!(stream.read(&mut [0]).await.is_err(), "it looks like an end");
        assert!(begun.elapsed() >= Duration::from_millis(150));
        assert_eq!(log.ends(1).await, [ended("a", Outcome::Cancelled, "")]);
    })
    .await;
}

#[tokio::test]
async fn a_byte_in_either_direction_is_enough_to_go_on() {
    within(async {
        let (listener, address) = listening().await;
        let idle = Duration::from_secs(2);
        let front = Front::start(TcpForwarder::new(over([("a", address)])).idle_timeout(idle));
        let mut client = front.connect().await;
        let (mut member, _) = listener.accept().await.unwrap();
        let mut byte = [0];
        for _ in 0..15 {
            sleep(Duration::from_millis(200)).await;
            member.write_all(b"x").await.unwrap();
            client.read_exact(&mut byte).await.unwrap();
        }
        for _ in 0..15 {
            sleep(Duration::from_millis(200)).await;
            client.write_all(b"x").await.unwrap();
            member.read_exact(&mut byte).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_takes_nothing_is_given_up_after_the_idle_time() {
    within(async {
        let (listener, address) = listening().await;
        let balancer = over([("a", address)]);
        let (log, _observing) = Log::of(&balancer);
        let idle = Duration::from_millis(300);
        let front = Front::start(TcpForwarder::new(balancer.clone()).idle_timeout(idle));
        let mut client = front.connect().await;
        let (_member, _) = listener.accept().await.unwrap();
        let piece = vec![0; 1 << 20];
        while client.write_all(&piece).await.is_ok() {}
        assert_eq!(log.ends(1).await, [ended("a", Outcome::Cancelled, "")]);
    })
    .await;
}

#[tokio::test]
async fn a_connection_ends_after_its_lifetime_though_bytes_flow() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let lifetime = Duration::from_millis(500);
        let front = Front::start(TcpForwarder::new(balancer).lifetime(lifetime));
        let mut stream = front.connect().await;
        let begun = Instant::now();
        assert_eq!(name_of(&mut stream).await, "a");
        returns(&mut stream, "hello").await;
        while stream.write_all(b"x").await.is_ok() && stream.read(&mut [0]).await.is_ok() {}
        assert!(begun.elapsed() >= Duration::from_millis(450));
    })
    .await;
}

/// A client that takes bytes slowly, but takes some all the time, is not idle.
#[tokio::test]
async fn a_client_that_takes_bytes_slowly_is_not_given_up() {
    within(async {
        let (listener, address) = listening().await;
        let idle = Duration::from_millis(1_000);
        // Small buffers, so that one piece that the forwarder reads is written in many.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4_096).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let accepting = socket.listen(16).unwrap();
        let front = accepting.local_addr().unwrap();
        let forwarder = TcpForwarder::new(over([("a", address)])).idle_timeout(idle);
        tokio::spawn(forwarder.serve(accepting.into(), std::future::pending()));
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut client = socket.connect(front).await.unwrap();
        let (mut member, _) = listener.accept().await.unwrap();
        let whole = 60_000;
        member.write_all(&vec![b'x'; whole]).await.unwrap();
        member.shutdown().await.unwrap();
        let (mut piece, mut got) = (vec![0; 1_000], 0);
        while got < whole {
            sleep(Duration::from_millis(50)).await;
            got += client.read(&mut piece).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_side_that_goes_on_alone_without_a_byte_is_reset_after_a_time_of_its_own() {
    within(async {
        for is_clients_end in [true, false] {
            let (listener, address) = listening().await;
            let balancer = over([("a", address)]);
            let (log, _observing) = Log::of(&balancer);
            let half_close = Duration::from_millis(300);
            let forwarder = TcpForwarder::new(balancer.clone()).half_close_timeout(half_close);
            let front = Front::start(forwarder);
            let mut client = front.connect().await;
            let (mut member, _) = listener.accept().await.unwrap();
            // As long as both may go on, it does not count.
            sleep(half_close * 2).await;
            returns_by(&mut client, &mut member).await;
            let (mut ends, mut stays) = if is_clients_end {
                (client, member)
            } else {
                (member, client)
            };
            ends.shutdown().await.unwrap();
            assert_eq!(stays.read(&mut [0]).await.unwrap(), 0);
            // What passes prolongs it.
            for _ in 0..8 {
                sleep(half_close / 3).await;
                stays.write_all(b"x").await.unwrap();
                ends.read_exact(&mut [0]).await.unwrap();
            }
            let last = Instant::now();
            assert!(ends.read(&mut [0]).await.is_err(), "it looks like an end");
            assert!(last.elapsed() >= half_close * 2 / 3);
            assert_eq!(log.ends(1).await, [ended("a", Outcome::Cancelled, "")]);
        }
    })
    .await;
}

/// Passes a byte each way.
async fn returns_by(client: &mut TcpStream, member: &mut TcpStream) {
    client.write_all(b"x").await.unwrap();
    member.read_exact(&mut [0]).await.unwrap();
    member.write_all(b"y").await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
}

#[tokio::test]
async fn a_side_that_goes_on_alone_may_be_quiet_for_longer_than_both() {
    within(async {
        let (listener, address) = listening().await;
        let forwarder = TcpForwarder::new(over([("a", address)]))
            .idle_timeout(Duration::from_millis(300))
            .half_close_timeout(Duration::from_secs(60));
        let front = Front::start(forwarder);
        let mut client = front.connect().await;
        let (mut member, _) = listener.accept().await.unwrap();
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        member.read_to_string(&mut question).await.unwrap();
        sleep(Duration::from_millis(900)).await;
        member.write_all(b"answer").await.unwrap();
        drop(member);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
    })
    .await;
}

/// It reads nothing, and so the member cannot go on either.
#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up_after_the_idle_time() {
    within(async {
        let (listener, address) = listening().await;
        let balancer = over([("a", address)]);
        let (log, _observing) = Log::of(&balancer);
        let idle = Duration::from_millis(300);
        let front = Front::start(TcpForwarder::new(balancer.clone()).idle_timeout(idle));
        let _client = front.connect().await;
        let (mut member, _) = listener.accept().await.unwrap();
        let piece = vec![0; 1 << 20];
        while member.write_all(&piece).await.is_ok() {}
        assert_eq!(log.ends(1).await, [ended("a", Outcome::Cancelled, "")]);
    })
    .await;
}
