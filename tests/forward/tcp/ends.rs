//! Ends of all kinds: a reset stays a reset, and what a stop does to connections.

use std::time::Duration;

use equipoise::forward::TcpForwarder;
use equipoise::net::Acceptor;
use equipoise::{Flag, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::front::{
    Front, Log, ended, is_quiet, listening, name_of, named_echo, over, reset, returns, soon,
};
use crate::within;

#[tokio::test]
async fn a_client_that_is_reset_resets_its_member_and_is_no_failure() {
    within(async {
        let (listener, address) = listening().await;
        let balancer = over([("a", address)]);
        let (log, _observing) = Log::of(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut client = front.connect().await;
        client.write_all(b"hello").await.unwrap();
        let (mut member, _) = listener.accept().await.unwrap();
        member.read_exact(&mut [0; 5]).await.unwrap();
        reset(client);
        // It must not look as if the client had said all.
        assert!(member.read(&mut [0]).await.is_err());
        assert_eq!(log.ends(1).await, [ended("a", Outcome::Cancelled, "")]);
        assert!(
            !balancer
                .member("a")
                .unwrap()
                .status()
                .contains(Flag::InError)
        );
    })
    .await;
}

/// Nothing of the client is read meanwhile, and nothing is written to it.
#[tokio::test]
async fn a_client_that_is_reset_while_its_member_takes_nothing_frees_it_soon() {
    within(async {
        for pipes in [0, 16] {
            let (listener, address) = listening().await;
            let balancer = over([("a", address)]);
            let (log, _observing) = Log::of(&balancer);
            let front = Front::start(TcpForwarder::new(balancer.clone()).max_pipes(pipes));
            let mut client = front.connect().await;
            let (mut member, _) = listener.accept().await.unwrap();
            // So much that it goes by a pipe where there is one.
            let mut piece = vec![b'x'; 4 << 20];
            let reading = member.read_exact(&mut piece);
            let writing = async {
                client.write_all(&[b'x'; 4 << 20]).await.unwrap();
                let sent = [b'x'; 64 * 1024];
                while timeout(Duration::from_millis(300), client.write(&sent))
                    .await
                    .is_ok()
                {}
            };
            let (read, ()) = tokio::join!(reading, writing);
            read.unwrap();
            reset(client);
            assert_eq!(log.ends(1).await, [ended("a", Outcome::Cancelled, "")]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_breaks_after_its_first_byte_resets_its_client_and_stays_in_service() {
    within(async {
        let (listener, address) = listening().await;
        let balancer = over([("a", address)]);
        let (log, _observing) = Log::of(&balancer);
        let forwarder = TcpForwarder::new(balancer.clone()).fail_silent_members();
        let front = Front::start(forwarder);
        let mut client = front.connect().await;
        let (mut member, _) = listener.accept().await.unwrap();
        member.write_all(b"x").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        reset(member);
        assert!(client.read(&mut [0]).await.is_err(), "it looks like an end");
        let broken = ended("a", Outcome::Failure, "response ended early");
        assert_eq!(log.ends(1).await, [broken]);
        assert!(
            !balancer
                .member("a")
                .unwrap()
                .status()
                .contains(Flag::InError)
        );
    })
    .await;
}

/// Writing to it finds out that it broke before reading from it does.
#[tokio::test]
async fn a_member_that_breaks_while_it_is_sent_to_resets_its_client() {
    within(async {
        for pipes in [0, 16] {
            let (listener, address) = listening().await;
            let balancer = over([("a", address)]);
            let (log, _observing) = Log::of(&balancer);
            let front = Front::start(TcpForwarder::new(balancer.clone()).max_pipes(pipes));
            let mut client = front.connect().await;
            let (mut member, _) = listener.accept().await.unwrap();
            member.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
            // The member reads nothing, so in the end nothing can be written to it.
            let piece = vec![0; 1 << 20];
            let blocked = Duration::from_millis(300);
            while timeout(blocked, client.write_all(&piece)).await.is_ok() {}
            reset(member);
            let broken = ended("a", Outcome::Failure, "response ended early");
            assert_eq!(log.ends(1).await, [broken], "{pipes} pipes");
            assert!(client.read(&mut [0]).await.is_err(), "it looks like an end");
        }
    })
    .await;
}

/// A break in the midst of a large stream must not look like its end, whether its bytes are
/// copied or not.
#[tokio::test]
async fn a_large_stream_that_breaks_off_is_no_whole_one() {
    const MOST: usize = 4 << 20;
    within(async {
        for (pipes, is_download) in [(0, true), (16, true), (0, false), (16, false)] {
            let (listener, address) = listening().await;
            let balancer = over([("a", address)]);
            let (log, _observing) = Log::of(&balancer);
            let front = Front::start(TcpForwarder::new(balancer.clone()).max_pipes(pipes));
            let client = front.connect().await;
            let (member, _) = listener.accept().await.unwrap();
            let (mut from, mut to) = if is_download {
                (member, client)
            } else {
                (client, member)
            };
            let sending = async {
                from.write_all(&vec![b'x'; MOST]).await.unwrap();
                reset(from);
            };
            let reading = async {
                let mut got = Vec::new();
                let read = to.read_to_end(&mut got).await;
                assert!(
                    read.is_err(),
                    "{pipes} pipes: {} bytes look whole",
                    got.len()
                );
            };
            tokio::join!(sending, reading);
            let end = if is_download {
                ended("a", Outcome::Failure, "response ended early")
            } else {
                ended("a", Outcome::Cancelled, "")
            };
            assert_eq!(log.ends(1).await, [end], "{pipes} pipes");
            is_quiet(&balancer).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_question_arrives_whole() {
    within(async {
        let (listener, address) = listening().await;
        let balancer = over([("a", address)]);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut client = front.connect().await;
        client.write_all(b"hello").await.unwrap();
        let (mut member, _) = listener.accept().await.unwrap();
        member.read_exact(&mut [0; 5]).await.unwrap();
        let answer = vec![b'x'; 300_000];
        let answering = async {
            member.write_all(&answer).await.unwrap();
            member.shutdown().await.unwrap();
            // And then it goes on to take what comes.
            let mut rest = Vec::new();
            member.read_to_end(&mut rest).await.unwrap();
            rest
        };
        let asking = async {
            let mut got = Vec::new();
            client.read_to_end(&mut got).await.unwrap();
            client.write_all(b"and more").await.unwrap();
            client.shutdown().await.unwrap();
            got
        };
        let (rest, got) = tokio::join!(answering, asking);
        assert_eq!(got.len(), answer.len());
        assert_eq!(rest, b"and more");
        is_quiet(&balancer).await;
    })
    .await;
}

#[tokio::test]
async fn a_stop_lets_connections_end_by_themselves() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut stream = front.connect().await;
        assert_eq!(name_of(&mut stream).await, "a");
        let address = front.address;
        let stopping = front.stop();
        // Its listener is closed soon.
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        returns(&mut stream, "still there").await;
        drop(stream);
        assert_eq!(stopping.await.unwrap().cut(), 0);
        is_quiet(&balancer).await;
    })
    .await;
}

#[tokio::test]
async fn connections_that_go_on_after_the_deadline_of_a_stop_are_reset_and_counted() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let acceptor = Acceptor::new().drain_timeout(Duration::from_millis(100));
        let front = Front::start(TcpForwarder::new(balancer.clone()).acceptor(acceptor));
        let mut streams = [front.connect().await, front.connect().await];
        for stream in &mut streams {
            assert_eq!(name_of(stream).await, "a");
        }
        assert_eq!(front.stop().await.unwrap().cut(), 2);
        for stream in &mut streams {
            assert!(stream.read(&mut [0]).await.is_err(), "it looks like an end");
        }
        is_quiet(&balancer).await;
    })
    .await;
}

#[tokio::test]
async fn a_forwarder_that_is_dropped_gives_all_counts_back() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let listener = equipoise::net::Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let forwarder = TcpForwarder::new(balancer.clone());
        let serving = tokio::spawn(forwarder.serve(listener, std::future::pending()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(name_of(&mut stream).await, "a");
        let member = balancer.member("a").unwrap();
        assert_eq!(member.in_flight(), 1);
        serving.abort();
        assert!(stream.read(&mut [0]).await.is_err(), "it looks like an end");
        soon("nothing in flight", || member.in_flight() == 0).await;
    })
    .await;
}
