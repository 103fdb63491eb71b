//! The stop of a router: each connection ends as its target has it.

use std::time::Duration;

use equipoise::forward::{NameRoutes, StreamRouter, StreamRule};
use equipoise::net::Acceptor;
use equipoise::proxy::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::front::{Front, hello, returns_all, target};
use super::http::{ask, site};
use crate::tcp::front::name_of;
use crate::within;

/// The server's own time counts for nothing here.
async fn router(drain: Duration) -> StreamRouter {
    let hurried = Server::new().drain_timeout(Duration::from_millis(4));
    let routes = NameRoutes::new()
        .name("a.test", target("a").await)
        .unwrap()
        .plaintext(site(hurried));
    StreamRouter::new()
        .acceptor(Acceptor::new().drain_timeout(drain))
        .route_by_name(StreamRule::new(), routes)
}

/// What a client over HTTP/2 sends first: its preface, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const GOAWAY: u8 = 7;
const SETTINGS: u8 = 4;

/// The types of the frames that come until one of this type, or the end.
async fn frames(stream: &mut (impl AsyncReadExt + Unpin), until: u8) -> Vec<u8> {
    let mut types = Vec::new();
    let mut head = [0; 9];
    while types.last() != Some(&until) && stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut body = vec![0; length.try_into().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        types.push(head[3]);
    }
    types
}

#[tokio::test]
async fn each_connection_is_told_of_the_stop_as_its_protocol_has_it() {
    within(async {
        let front = Front::start(router(Duration::from_secs(600)).await);
        let sent = hello("a.test", &[]);
        let mut forwarded = front.sending(&sent).await;
        assert_eq!(name_of(&mut forwarded).await, "a");
        let [mut idle, mut asks] = [front.connect().await, front.connect().await];
        for one in [&mut idle, &mut asks] {
            ask(one).await;
        }
        let mut two = front.sending(PREFACE).await;
        frames(&mut two, SETTINGS).await;

        let ended = front.stop();
        assert_eq!(frames(&mut two, GOAWAY).await.last(), Some(&GOAWAY));
        // The clients of HTTP/1 have a moment for one more request, which is answered as the last.
        let closed = timeout(Duration::from_millis(100), idle.read_u8()).await;
        assert!(closed.is_err(), "{closed:?}");
        let answer = ask(&mut asks).await;
        assert!(
            answer.to_lowercase().contains("connection: close"),
            "{answer}"
        );
        assert_eq!(asks.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        drop((idle, asks, two));
        // A connection that is forwarded goes on, and ends by itself.
        assert!(!ended.is_finished());
        forwarded.write_all(b"word").await.unwrap();
        let all = [&sent[..], b"word"].concat();
        returns_all(forwarded, &all).await;
        assert_eq!(ended.await.unwrap().cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_goes_on_is_cut_and_counted() {
    within(async {
        let front = Front::start(router(Duration::from_millis(300)).await);
        let mut forwarded = front.sending(&hello("a.test", &[])).await;
        assert_eq!(name_of(&mut forwarded).await, "a");
        let mut idle = front.connect().await;
        ask(&mut idle).await;
        let ended = front.stop();
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        drop(idle);
        assert_eq!(ended.await.unwrap().cut(), 1);
        let mut rest = Vec::new();
        forwarded.read_to_end(&mut rest).await.unwrap_err();
    })
    .await;
}
