//! Members are told where a connection comes from, through any number of forwarders.

use std::net::SocketAddr;

use equipoise::forward::TcpForwarder;
use equipoise::net::{Acceptor, ProxyHeader, ProxyVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::front::{Front, is_quiet, listening, over};
use crate::within;

/// A member that tells the header, and then returns what it gets.
async fn telling() -> SocketAddr {
    let (listener, address) = listening().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let header = ProxyHeader::read(&mut stream).await.unwrap();
            let (client, here) = (header.source().unwrap(), header.destination().unwrap());
            let mut got = format!("{client} {here} ").into_bytes();
            stream.read_to_end(&mut got).await.unwrap();
            stream.write_all(&got).await.unwrap();
        }
    });
    address
}

fn behind_loopback() -> Acceptor {
    Acceptor::new().proxy_protocol(["127.0.0.0/8".parse().unwrap()])
}

#[tokio::test]
async fn a_member_behind_two_forwarders_is_told_of_the_client_of_the_first() {
    within(async {
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let balancer = over([("member", telling().await)]);
            let second = TcpForwarder::new(balancer.clone()).acceptor(behind_loopback());
            let second = Front::start(second.proxy_protocol(version));
            let first = TcpForwarder::new(over([("second", second.address)]));
            let first = Front::start(first.proxy_protocol(version));

            let mut stream = first.connect().await;
            let own = stream.local_addr().unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut got = String::new();
            stream.read_to_string(&mut got).await.unwrap();
            assert_eq!(got, format!("{own} {} hello", first.address));

            // The header is none of the client's bytes.
            is_quiet(&balancer).await;
            assert_eq!(balancer.member("member").unwrap().bytes_sent(), 5);
        }
    })
    .await;
}
