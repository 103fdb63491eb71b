//! Members that cannot be reached, or do not serve: their clients go elsewhere.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use equipoise::forward::{Address, TcpForwarder};
use equipoise::net::Listener;
use equipoise::{Balancer, Flag, MemberSpec, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::front::{
    Front, Log, ended, is_quiet, listening, name_of, named_echo, over, refusing, reset, returns,
    unanswering,
};
use crate::within;

fn is_in_error(balancer: &Balancer<Address>, name: &str) -> bool {
    let status = balancer.member(name).unwrap().status();
    status.contains(Flag::InError)
}

/// A member that accepts, and closes at once.
async fn closing() -> SocketAddr {
    let (listener, address) = listening().await;
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    address
}

#[tokio::test]
async fn a_member_that_refuses_is_put_in_error_and_its_client_goes_to_another() {
    within(async {
        let balancer = over([
            ("bad", refusing().await),
            ("good", named_echo("good").await),
        ]);
        let (log, _observing) = Log::of(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut stream = front.connect().await;
        assert_eq!(name_of(&mut stream).await, "good");
        returns(&mut stream, "hello").await;
        let refused = ended("bad", Outcome::Failure, "connection refused");
        assert_eq!(log.ends(1).await, [refused]);
        assert!(is_in_error(&balancer, "bad"));
    })
    .await;
}

#[tokio::test]
async fn a_name_without_an_address_puts_its_member_in_error() {
    within(async {
        // No part of a name has this length, so no server is asked.
        let unknown = Address::host(&"n".repeat(64), Some(80));
        let good = Address::from(named_echo("good").await);
        let balancer = Balancer::new([("bad", unknown), ("good", good)]).unwrap();
        let (log, _observing) = Log::of(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        assert_eq!(name_of(&mut front.connect().await).await, "good");
        let unresolved = ended("bad", Outcome::Failure, "name has no address");
        assert_eq!(log.ends(1).await[0], unresolved);
        assert!(is_in_error(&balancer, "bad"));
    })
    .await;
}

#[tokio::test]
async fn a_member_that_does_not_answer_in_time_is_put_in_error() {
    within(async {
        let (listener, _queued) = unanswering().await;
        let address = listener.local_addr().unwrap();
        let balancer = over([("bad", address), ("good", named_echo("good").await)]);
        let (log, _observing) = Log::of(&balancer);
        let limit = Duration::from_millis(300);
        let front = Front::start(TcpForwarder::new(balancer.clone()).connect_timeout(limit));
        assert_eq!(name_of(&mut front.connect().await).await, "good");
        assert_eq!(
            log.ends(1).await[0],
            ended("bad", Outcome::Failure, "timed out")
        );
        assert!(is_in_error(&balancer, "bad"));
    })
    .await;
}

#[tokio::test]
async fn a_member_is_not_blamed_for_time_that_others_took() {
    within(async {
        let (listener, _queued) = unanswering().await;
        let address = listener.local_addr().unwrap();
        // A name has limits of its own for each of its addresses.
        let named = Address::host(&address.ip().to_string(), Some(address.port()));
        for address in [Address::from(address), named] {
            let balancer = Balancer::new([("slow", address)]).unwrap();
            let (log, _observing) = Log::of(&balancer);
            let limit = Duration::from_millis(300);
            let front = Front::start(TcpForwarder::new(balancer.clone()).opening_timeout(limit));
            assert!(front.connect().await.read(&mut [0]).await.is_err());
            assert_eq!(
                log.ends(1).await,
                [ended("slow", Outcome::Failure, "timed out")]
            );
            assert!(!is_in_error(&balancer, "slow"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_is_the_forwarder_itself_fails_without_a_connection() {
    within(async {
        for host in ["127.0.0.1", "0.0.0.0"] {
            let balancer: Balancer<Address> = Balancer::builder().build().unwrap();
            let (log, _observing) = Log::of(&balancer);
            let listener = Listener::bind((host.parse::<IpAddr>().unwrap(), 0).into()).unwrap();
            let port = listener.local_addr().unwrap().port();
            // One with the forwarder's address, and one with its port.
            let loops = [
                Address::from(SocketAddr::from(([127, 0, 0, 1], port))),
                Address::from(IpAddr::from([127, 0, 0, 1])),
            ];
            for (name, address) in ["itself", "by its port"].into_iter().zip(loops) {
                balancer.insert(name, address, MemberSpec::new()).unwrap();
            }
            let forwarder = TcpForwarder::new(balancer.clone());
            tokio::spawn(forwarder.serve(listener, std::future::pending()));
            let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            assert!(client.read(&mut [0]).await.is_err());
            let cause = "the member is the forwarder itself";
            let ends = log.ends(2).await;
            for name in ["itself", "by its port"] {
                assert!(
                    ends.contains(&ended(name, Outcome::Failure, cause)),
                    "{ends:?}"
                );
                assert!(is_in_error(&balancer, name));
            }
            // No connection has come back, which would have been elected for, too.
            sleep(Duration::from_millis(100)).await;
            assert_eq!(log.ends(2).await.len(), 2);
            is_quiet(&balancer).await;
        }
    })
    .await;
}

/// The first connection does not show it, as it came in at another address of this machine.
#[tokio::test]
async fn a_member_that_is_the_forwarder_at_another_address_makes_no_long_loop() {
    within(async {
        let balancer: Balancer<Address> = Balancer::builder().build().unwrap();
        let (log, _observing) = Log::of(&balancer);
        let listener = Listener::bind(([0, 0, 0, 0], 0).into()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let itself = SocketAddr::from(([127, 0, 0, 1], port));
        balancer
            .insert("itself", itself.into(), MemberSpec::new())
            .unwrap();
        let forwarder = TcpForwarder::new(balancer.clone());
        tokio::spawn(forwarder.serve(listener, std::future::pending()));
        let mut client = TcpStream::connect(("127.0.0.2", port)).await.unwrap();
        assert!(client.read(&mut [0]).await.is_err());
        is_quiet(&balancer).await;
        let ends = log.ends(2).await;
        assert_eq!(ends.len(), 2, "{ends:?}");
    })
    .await;
}

#[tokio::test]
async fn a_client_whom_no_member_serves_is_reset() {
    within(async {
        let balancer = over([("a", refusing().await), ("b", refusing().await)]);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        for _ in 0..3 {
            assert!(front.connect().await.read(&mut [0]).await.is_err());
        }
        is_quiet(&balancer).await;
        let empty: Balancer<Address> = Balancer::builder().build().unwrap();
        let front = Front::start(TcpForwarder::new(empty));
        assert!(front.connect().await.read(&mut [0]).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_member_that_closes_before_its_first_byte_fails_by_choice() {
    within(async {
        let members = [("bad", closing().await), ("good", named_echo("good").await)];
        let balancer = over(members);
        let forwarder = TcpForwarder::new(balancer.clone()).fail_silent_members();
        let front = Front::start(forwarder);
        assert_eq!(name_of(&mut front.connect().await).await, "good");
        assert!(is_in_error(&balancer, "bad"));

        // Otherwise that is an end like any other.
        let balancer = over(members);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut stream = front.connect().await;
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        drop(stream);
        is_quiet(&balancer).await;
        assert!(!is_in_error(&balancer, "bad"));
    })
    .await;
}

#[tokio::test]
async fn a_client_that_ends_first_is_no_failure_of_a_silent_member() {
    within(async {
        let (listener, address) = listening().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // Until the client's end.
                let _ = stream.read(&mut [0]).await;
            }
        });
        let balancer = over([("a", address), ("b", address)]);
        let (log, _observing) = Log::of(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()).fail_silent_members());
        let mut stream = front.connect().await;
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(log.ends(1).await, [ended("a", Outcome::Success, "")]);
        assert!(!is_in_error(&balancer, "a"));
    })
    .await;
}

/// Such a client sends nothing and ends its side at once.
#[tokio::test]
async fn the_end_of_a_client_without_a_byte_goes_to_the_other_member_too() {
    within(async {
        let (breaks, address) = listening().await;
        let (answers, other) = listening().await;
        let balancer = over([("breaks", address), ("answers", other)]);
        let front = Front::start(TcpForwarder::new(balancer.clone()).fail_silent_members());
        let mut client = front.connect().await;
        client.shutdown().await.unwrap();
        let (mut member, _) = breaks.accept().await.unwrap();
        assert_eq!(member.read(&mut [0]).await.unwrap(), 0);
        reset(member);
        let (mut member, _) = answers.accept().await.unwrap();
        assert_eq!(member.read(&mut [0]).await.unwrap(), 0);
        member.write_all(b"answer").await.unwrap();
        drop(member);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        assert!(is_in_error(&balancer, "breaks"));
    })
    .await;
}

#[tokio::test]
async fn a_client_whose_bytes_were_forwarded_goes_to_no_other_member() {
    within(async {
        let (listener, address) = listening().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read_exact(&mut [0; 5]).await;
            }
        });
        let balancer = over([("bad", address), ("good", named_echo("good").await)]);
        let front = Front::start(TcpForwarder::new(balancer.clone()).fail_silent_members());
        let mut stream = front.connect().await;
        stream.write_all(b"hello").await.unwrap();
        assert!(stream.read(&mut [0]).await.is_err());
        is_quiet(&balancer).await;
        assert!(is_in_error(&balancer, "bad"));
        assert_eq!(balancer.member("good").unwrap().picked(), 0);
    })
    .await;
}

#[tokio::test]
async fn no_connection_fails_while_a_member_dies_and_another_lives() {
    within(async {
        let (listener, address) = listening().await;
        let dies = tokio::spawn(async move {
            // It serves some, and then it is gone, with those that wait in its queue.
            for _ in 0..50 {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    stream.write_all(b"dies\n").await.unwrap();
                    let _ = stream.read(&mut [0]).await;
                });
            }
        });
        let balancer = over([("dies", address), ("lives", named_echo("lives").await)]);
        let front = Front::start(TcpForwarder::new(balancer.clone()).fail_silent_members());
        let mut clients = JoinSet::new();
        for _ in 0..300 {
            let mut stream = front.connect().await;
            clients.spawn(async move { name_of(&mut stream).await });
        }
        let names = clients.join_all().await;
        dies.await.unwrap();
        let served = names.iter().filter(|name| *name == "dies").count();
        assert_eq!((served, names.len()), (50, 300));
        is_quiet(&balancer).await;
    })
    .await;
}
