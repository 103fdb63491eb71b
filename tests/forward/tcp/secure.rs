//! TLS in front of the forwarder and behind it.

use equipoise::forward::{Address, TcpForwarder};
use equipoise::net::{Acceptor, Connector, Identity, Listener, MemberTls, ServerTls};
use equipoise::{Balancer, Flag, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

use super::front::{Front, Log, ended, is_quiet, listening, name_of, named_echo, over};
use crate::within;

/// What shows a certificate for `name`, and what accepts that.
fn tls_of(name: &str) -> (ServerTls, MemberTls) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
    let accepts = MemberTls::with_roots(pem.as_bytes()).unwrap();
    (
        ServerTls::new([identity]).unwrap(),
        accepts.with_server_name(name).unwrap(),
    )
}

#[tokio::test]
async fn tls_is_terminated_in_front_and_spoken_to_members() {
    within(async {
        let (shown, accepts) = tls_of("front.test");
        let (members, members_accepted) = tls_of("member.test");
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = Address::from(listener.local_addr().unwrap());
        let echo = async |accepted: equipoise::net::Accepted| {
            let (mut from, mut to) = split(accepted.into_stream());
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let serving = Acceptor::new().tls(&members);
        tokio::spawn(serving.serve(listener, echo, std::future::pending()));

        let address = address.with_tls(&members_accepted).unwrap();
        let balancer = Balancer::new([("a", address)]).unwrap();
        let (log, _observing) = Log::of(&balancer);
        let forwarder = TcpForwarder::new(balancer.clone());
        let front = Front::start(forwarder.acceptor(Acceptor::new().tls(&shown)));
        let client = Connector::tcp(front.address).tls(&accepts).unwrap();
        let (mut from, mut to) = split(client.connect().await.unwrap());
        let sent = "hello ".repeat(100_000);
        let sending = async {
            to.write_all(sent.as_bytes()).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut got = String::new();
        let (_, read) = tokio::join!(sending, from.read_to_string(&mut got));
        read.unwrap();
        assert!(got == sent);
        assert_eq!(log.ends(1).await, [ended("a", Outcome::Success, "")]);
        assert_eq!(balancer.member("a").unwrap().bytes_sent(), 600_000);
        is_quiet(&balancer).await;
    })
    .await;
}

/// Only a `close_notify` ends TLS: the end of the connection below is no end of what it carries.
#[tokio::test]
async fn tls_that_is_cut_short_on_either_side_is_a_reset_on_the_other() {
    within(async {
        let (shown, accepts) = tls_of("front.test");
        let (listener, address) = listening().await;
        let balancer = over([("a", address)]);
        let (log, _observing) = Log::of(&balancer);
        let forwarder = TcpForwarder::new(balancer);
        let front = Front::start(forwarder.acceptor(Acceptor::new().tls(&shown)));
        let client = Connector::tcp(front.address).tls(&accepts).unwrap();
        let mut client = client.connect().await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let (mut member, _) = listener.accept().await.unwrap();
        member.read_exact(&mut [0; 5]).await.unwrap();
        drop(client);
        assert!(member.read(&mut [0]).await.is_err(), "it looks like an end");
        assert_eq!(log.ends(1).await, [ended("a", Outcome::Cancelled, "")]);

        let (shown, accepts) = tls_of("member.test");
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = Address::from(listener.local_addr().unwrap());
        let half = async |accepted: equipoise::net::Accepted| {
            let mut stream = accepted.into_stream();
            stream.write_all(b"half").await.unwrap();
            stream.flush().await.unwrap();
        };
        let serving = Acceptor::new().tls(&shown);
        tokio::spawn(serving.serve(listener, half, std::future::pending()));
        let balancer = Balancer::new([("a", address.with_tls(&accepts).unwrap())]).unwrap();
        let (log, _observing) = Log::of(&balancer);
        let front = Front::start(TcpForwarder::new(balancer));
        let mut client = front.connect().await;
        let read = client.read_to_end(&mut Vec::new()).await;
        assert!(read.is_err(), "it looks like an end");
        let broken = ended("a", Outcome::Failure, "response ended early");
        assert_eq!(log.ends(1).await, [broken]);
    })
    .await;
}

#[tokio::test]
async fn a_member_whose_certificate_is_not_accepted_is_put_in_error() {
    within(async {
        let (_, accepts) = tls_of("member.test");
        // What it says is no TLS.
        let bad = Address::from(named_echo("bad").await)
            .with_tls(&accepts)
            .unwrap();
        let good = Address::from(named_echo("good").await);
        let balancer = Balancer::new([("bad", bad), ("good", good)]).unwrap();
        let (log, _observing) = Log::of(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        assert_eq!(name_of(&mut front.connect().await).await, "good");
        let failed = ended("bad", Outcome::Failure, "TLS handshake failed");
        assert_eq!(log.ends(1).await[0], failed);
        let status = balancer.member("bad").unwrap().status();
        assert!(status.contains(Flag::InError));
    })
    .await;
}
