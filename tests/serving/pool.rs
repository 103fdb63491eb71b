//! Connections to members: used again, closed when nobody needs them, and never more than
//! are allowed.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::proxy::{HttpVersions, Server};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::client::{Client, ask, asking, get};
use super::front::Front;
use super::member::{Member, empty, endpoint, full, proxy, tell};
use super::{eventually, within};

#[tokio::test]
async fn a_connection_is_used_again_by_whoever_comes_next() {
    within(async {
        for versions in [HttpVersions::Any, HttpVersions::Http2] {
            let member = Member::telling().await;
            let endpoint = member.endpoint().versions(versions);
            let front = Front::start(Server::new(), proxy([endpoint]));
            for _ in 0..10 {
                let request = asking("POST", "/").body(full("so much")).unwrap();
                assert_eq!(ask(front.address, request).await.status, 200);
                assert_eq!(ask(front.address, get("/")).await.status, 200);
            }
            assert_eq!((member.asked(), member.accepted()), (20, 1));
        }
    })
    .await;
}

#[tokio::test]
async fn answers_without_a_body_give_their_connection_back_too() {
    within(async {
        let member = Member::start(async |request: Request<Incoming>| {
            let status = match request.uri().path() {
                "/204" => 204,
                "/304" => 304,
                _ => 200,
            };
            let answer = Response::builder().status(status);
            answer.body(empty()).unwrap()
        })
        .await;
        let front = Front::start(Server::new(), proxy([member.endpoint()]));
        for (method, path) in [
            ("GET", "/204"),
            ("GET", "/304"),
            ("HEAD", "/"),
            ("GET", "/"),
            ("GET", "/204"),
        ] {
            let request = asking(method, path).body(empty()).unwrap();
            ask(front.address, request).await;
        }
        assert_eq!((member.asked(), member.accepted()), (5, 1));
    })
    .await;
}

#[tokio::test]
async fn there_are_as_many_connections_as_requests_at_once() {
    within(async {
        let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(5));
        let member = Member::start(move |request| {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
                tell(request).await
            }
        })
        .await;
        let endpoint = member.endpoint().max_idle(2);
        let front = Front::start(Server::new(), proxy([endpoint]));
        for _ in 0..2 {
            let mut asked = Vec::new();
            for _ in 0..5 {
                let address = front.address;
                asked.push(tokio::spawn(async move { ask(address, get("/")).await }));
            }
            for asked in asked {
                assert_eq!(asked.await.unwrap().status, 200);
            }
            // Those that there is no place for are closed.
            eventually(|| member.open() == 2).await;
        }
        assert_eq!(member.accepted(), 5 + 3);
    })
    .await;
}

#[tokio::test]
async fn without_a_place_for_idle_ones_each_request_has_its_own() {
    within(async {
        let member = Member::telling().await;
        let endpoint = member.endpoint().max_idle(0);
        let front = Front::start(Server::new(), proxy([endpoint]));
        let mut client = Client::connect(front.address, Version::HTTP_11).await;
        for number in 1..=5 {
            assert_eq!(client.ask(get("/")).await.status, 200);
            eventually(|| member.open() == 0).await;
            assert_eq!(member.accepted(), number);
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_nobody_needs_is_closed_after_its_idle_life() {
    within(async {
        let member = Member::telling().await;
        let life = Duration::from_millis(400);
        let endpoint = member.endpoint().idle_lifetime(life);
        let front = Front::start(Server::new(), proxy([endpoint]));
        for turn in 1..=2 {
            let began = Instant::now();
            while began.elapsed() < life * 2 {
                // As long as it is used, it lives.
                assert_eq!(ask(front.address, get("/")).await.status, 200);
                assert_eq!(member.accepted(), turn);
            }
            let last = Instant::now();
            eventually(|| member.open() == 0).await;
            assert!(last.elapsed() >= life / 2, "{:?}", last.elapsed());
            assert!(last.elapsed() < life * 4, "{:?}", last.elapsed());
        }
    })
    .await;
}

#[tokio::test]
async fn a_shared_connection_that_nobody_needs_is_closed_too() {
    within(async {
        let member = Member::telling().await;
        let endpoint = member
            .endpoint()
            .versions(HttpVersions::Http2)
            .idle_lifetime(Duration::from_millis(200));
        let front = Front::start(Server::new(), proxy([endpoint]));
        assert_eq!(ask(front.address, get("/")).await.status, 200);
        let closed = eventually(|| member.open() == 0);
        tokio::time::timeout(Duration::from_secs(2), closed)
            .await
            .unwrap();
        assert_eq!(ask(front.address, get("/")).await.status, 200);
        assert_eq!(member.accepted(), 2);
    })
    .await;
}

/// Reads requests, and answers each on a connection of its own, but does not say so.
async fn abrupt() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = Vec::new();
            while !read.ends_with(b"so much") {
                if stream.read_buf(&mut read).await.unwrap() == 0 {
                    break;
                }
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbye";
            stream.write_all(answer).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_connection_that_was_closed_without_a_word_is_not_used_again() {
    within(async {
        let front = Front::start(Server::new(), proxy([endpoint(abrupt().await)]));
        let mut client = Client::connect(front.address, Version::HTTP_11).await;
        for _ in 0..20 {
            let request = asking("POST", "/").body(full("so much")).unwrap();
            let answer = client.ask(request).await;
            assert_eq!((answer.status, &*answer.text), (200, "bye"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_its_member_closes_is_not_used_again() {
    within(async {
        let member = Member::start(async |_| {
            let answer = Response::builder().header("connection", "close");
            answer.body(full("bye")).unwrap()
        })
        .await;
        let front = Front::start(Server::new(), proxy([member.endpoint()]));
        let mut client = Client::connect(front.address, Version::HTTP_11).await;
        for number in 1..=20 {
            let request = asking("POST", "/").body(full("so much")).unwrap();
            let answer = client.ask(request).await;
            assert_eq!((answer.status, &*answer.text), (200, "bye"));
            assert!(!answer.headers.contains_key("connection"), "it is ours");
            assert_eq!(member.accepted(), number);
        }
    })
    .await;
}

#[tokio::test]
async fn the_pools_of_members_go_with_the_proxy() {
    within(async {
        for versions in [HttpVersions::Http1, HttpVersions::Http2] {
            let member = Member::telling().await;
            let endpoint = member.endpoint().versions(versions);
            let front = Front::start(Server::new(), proxy([endpoint]));
            assert_eq!(ask(front.address, get("/")).await.status, 200);
            assert_eq!(member.open(), 1);
            front.stop().await;
            eventually(|| member.open() == 0).await;
        }
    })
    .await;
}
