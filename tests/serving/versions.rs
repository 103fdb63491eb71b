//! HTTP/1.1 and HTTP/2 on either side, in all four combinations.

use std::time::Duration;

use bytes::Bytes;
use equipoise::proxy::{EndpointBuilder, HttpVersions, ReverseProxy, Server};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tonic::codegen::tokio_stream;

use super::client::{Client, HERE, asking, get};
use super::front::Front;
use super::member::{AnyBody, Member, any, balancer, empty, full, proxy};
use super::within;

fn speaking(member: &Member, version: Version) -> EndpointBuilder {
    let versions = match version {
        Version::HTTP_2 => HttpVersions::Http2,
        _ => HttpVersions::Http1,
    };
    member.endpoint().versions(versions)
}

const BOTH: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

#[tokio::test]
async fn each_side_speaks_what_it_likes() {
    within(async {
        let member = Member::telling().await;
        for inner in BOTH {
            let front = Front::start(Server::new(), proxy([speaking(&member, inner)]));
            for outer in BOTH {
                let mut client = Client::connect(front.address, outer).await;
                let request = asking("POST", "/a?b=c")
                    .header("accept", "*/*")
                    .body(full("so much"));
                let answer = client.ask(request.unwrap()).await;
                assert_eq!((answer.status, answer.version), (200, outer));
                // The authority is the member's, as `Host` is.
                let target = match inner {
                    Version::HTTP_2 => format!("http://{}/a?b=c", member.address),
                    _ => "/a?b=c".to_owned(),
                };
                let expected = format!("{inner:?} POST {target}\n");
                assert!(answer.text.starts_with(&expected), "{answer:?}");
                assert!(answer.text.ends_with("\n\nso much"), "{answer:?}");
                assert_eq!(answer.told("content-length"), Some("7"));
                assert_eq!(answer.told("accept"), Some("*/*"));
                assert_eq!(answer.told("x-forwarded-host"), Some(HERE));
                assert_eq!(answer.told("x-forwarded-proto"), Some("http"));
                for gone in ["connection", "transfer-encoding", "te"] {
                    assert_eq!(answer.told(gone), None, "{outer:?} to {inner:?}");
                    assert!(!answer.headers.contains_key(gone));
                }
                if inner == Version::HTTP_11 {
                    let host = member.address.to_string();
                    assert_eq!(answer.told("host"), Some(&*host));
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_host_that_is_preserved_is_the_clients() {
    within(async {
        let member = Member::telling().await;
        for inner in BOTH {
            let endpoint = speaking(&member, inner).preserve_host();
            let front = Front::start(Server::new(), proxy([endpoint]));
            for outer in BOTH {
                let mut client = Client::connect(front.address, outer).await;
                let answer = client.ask(get("/")).await;
                match inner {
                    Version::HTTP_2 => {
                        let target = format!("GET http://{HERE}/\n");
                        assert!(answer.text.contains(&target), "{answer:?}");
                    }
                    _ => assert_eq!(answer.told("host"), Some(HERE)),
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn cookies_that_http_2_takes_apart_are_put_together() {
    within(async {
        let member = Member::telling().await;
        let one = Front::start(Server::new(), proxy([speaking(&member, Version::HTTP_11)]));
        let mut client = Client::connect(one.address, Version::HTTP_2).await;
        let request = asking("GET", "/")
            .header("cookie", "a=1")
            .header("cookie", "b=2");
        let answer = client.ask(request.body(empty()).unwrap()).await;
        assert_eq!(answer.told("cookie"), Some("a=1; b=2"));
    })
    .await;
}

/// Says everything again, trailers too.
async fn echo(request: Request<Incoming>) -> Response<AnyBody> {
    Response::new(any(request.into_body()))
}

/// So many pieces, and then trailers, of a length that nobody knows.
fn pieces(count: usize, piece: &'static [u8]) -> AnyBody {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("7"));
    let data = std::iter::repeat_n(piece, count);
    let data = data.map(|piece| Frame::data(Bytes::from_static(piece)));
    let frames = data.chain([Frame::trailers(trailers)]);
    let frames = tokio_stream::iter(frames.map(Ok::<_, std::io::Error>));
    any(http_body_util::StreamBody::new(frames))
}

#[tokio::test]
async fn trailers_go_both_ways_over_http_2() {
    within(async {
        let member = Member::start(echo).await;
        let front = Front::start(Server::new(), proxy([speaking(&member, Version::HTTP_2)]));
        let mut client = Client::connect(front.address, Version::HTTP_2).await;
        let request = asking("POST", "/").header("te", "trailers");
        let answer = client.ask(request.body(pieces(2, b"ab")).unwrap()).await;
        assert_eq!(answer.text, "abab");
        assert_eq!(answer.trailers.unwrap()["x-checksum"], "7");
    })
    .await;
}

#[tokio::test]
async fn trailers_cross_between_versions_if_both_sides_want_them() {
    within(async {
        let member = Member::start(async |request: Request<Incoming>| {
            let body = request.into_body().collect().await.unwrap();
            let told = body.trailers().map_or(0, HeaderMap::len);
            let mut response = Response::new(pieces(2, b"ab"));
            response.headers_mut().insert("x-told", told.into());
            let trailer = HeaderValue::from_static("x-checksum");
            response.headers_mut().insert("trailer", trailer);
            response
        })
        .await;
        for (outer, inner) in [
            (Version::HTTP_11, Version::HTTP_2),
            (Version::HTTP_2, Version::HTTP_11),
            (Version::HTTP_11, Version::HTTP_11),
        ] {
            let front = Front::start(Server::new(), proxy([speaking(&member, inner)]));
            let mut client = Client::connect(front.address, outer).await;
            let request = asking("POST", "/")
                .header("te", "trailers")
                .header("trailer", "x-checksum");
            let answer = client.ask(request.body(pieces(1, b"x")).unwrap()).await;
            assert_eq!(answer.text, "abab", "{outer:?} to {inner:?}");
            assert_eq!(answer.headers["x-told"], "1", "{outer:?} to {inner:?}");
            let trailers = answer.trailers.unwrap();
            assert_eq!(trailers["x-checksum"], "7", "{outer:?} to {inner:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn long_bodies_stream_both_ways_at_once() {
    static PIECE: [u8; 16 * 1024] = [b'x'; 16 * 1024];
    within(async {
        let member = Member::start(echo).await;
        for inner in BOTH {
            let front = Front::start(Server::new(), proxy([speaking(&member, inner)]));
            for outer in BOTH {
                let mut client = Client::connect(front.address, outer).await;
                let request = asking("POST", "/").body(pieces(200, &PIECE)).unwrap();
                let answer = client.ask(request).await;
                let length = 200 * PIECE.len();
                assert_eq!(answer.text.len(), length, "{outer:?} to {inner:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn many_streams_of_one_client_share_one_connection_to_a_member() {
    within(async {
        let member = Member::telling().await;
        let front = Front::start(Server::new(), proxy([speaking(&member, Version::HTTP_2)]));
        let client = Client::connect(front.address, Version::HTTP_2).await;
        let Client::Two(sender) = client else {
            panic!("it is HTTP/2");
        };
        let mut asked = Vec::new();
        for number in 0..50 {
            let mut client = Client::Two(sender.clone());
            let path = format!("/{number}");
            asked.push(tokio::spawn(async move {
                let answer = client.ask(get(&path)).await;
                assert!(answer.text.contains(&path), "{answer:?}");
            }));
        }
        for asked in asked {
            asked.await.unwrap();
        }
        assert_eq!((member.asked(), member.accepted()), (50, 1));
    })
    .await;
}

#[tokio::test]
async fn a_request_that_its_client_gives_up_is_given_up_at_the_member() {
    within(async {
        for outer in BOTH {
            for inner in BOTH {
                let member = Member::start(async |_| {
                    std::future::pending::<()>().await;
                    Response::new(empty())
                })
                .await;
                let balancer = balancer([speaking(&member, inner)]);
                // hyper's client closes its connection, which may be the end of its side alone.
                let server = Server::new().half_close_timeout(Duration::ZERO);
                let front = Front::start(server, ReverseProxy::new(balancer.clone()));
                let mut client = Client::connect(front.address, outer).await;
                let asked = tokio::spawn(async move {
                    let _ = client.send(get("/")).await;
                });
                super::eventually(|| member.asked() == 1).await;
                asked.abort();
                let state = balancer.member("a").unwrap();
                super::eventually(|| state.in_flight() == 0).await;
                // One of HTTP/2 can go on without the stream.
                let left = usize::from(inner == Version::HTTP_2);
                super::eventually(|| member.open() == left).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_head_has_no_body_though_it_says_how_long_one_would_be() {
    within(async {
        let member = Member::start(async |request: Request<Incoming>| {
            assert_eq!(request.method(), Method::HEAD);
            let answer = Response::builder().header("content-length", 1_000);
            answer.body(empty()).unwrap()
        })
        .await;
        for inner in BOTH {
            let front = Front::start(Server::new(), proxy([speaking(&member, inner)]));
            for outer in BOTH {
                let mut client = Client::connect(front.address, outer).await;
                for _ in 0..2 {
                    let request = asking("HEAD", "/").body(empty()).unwrap();
                    let answer = client.ask(request).await;
                    assert_eq!(answer.headers["content-length"], "1000");
                    assert_eq!(answer.text, "");
                }
            }
        }
    })
    .await;
}
