//! Which header fields pass, in heads and in trailers, by both versions and both ways; and
//! which requests and answers are refused for what is in their fields.

use bytes::Bytes;
use equipoise::proxy::{HttpVersions, ReverseProxy, Server};
use equipoise::service::BoxError;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use proptest::prelude::*;
use tonic::codegen::tokio_stream;

use super::client::{Answer, Client, asking, bytes};
use super::frames::{self, Came};
use super::front::Front;
use super::member::{AnyBody, Member, any, balancer, empty};
use super::within;

/// What stops at the edge in the head of a request.
const STOPS: [&str; 32] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "connection",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "front-end-https",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-client-ip",
    "proxy-connection",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "wl-proxy-client-ip",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-original-url",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-rewrite-url",
    "x-url-scheme",
];

/// What may be in heads, but means nothing good behind a body.
const ONLY_IN_HEADS: [&str; 20] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "if-match",
    "if-none-match",
    "location",
    "max-forwards",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "vary",
    "via",
    "www-authenticate",
];

/// What has to pass, gRPC's above all.
const PASS: [&str; 6] = [
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "etag",
    "x-checksum",
    "my_own",
];

/// Those that HTTP/2 itself does not let through (RFC 9113, 8.2.2).
fn is_of_http_1(name: &str) -> bool {
    [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ]
    .contains(&name)
}

/// A body with trailers.
fn with_trailers(names: &[String]) -> AnyBody {
    let mut trailers = HeaderMap::new();
    for name in names {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        trailers.append(name, HeaderValue::from_static(" \t7 "));
    }
    let frames = [Frame::data(Bytes::from("ab")), Frame::trailers(trailers)];
    any(StreamBody::new(tokio_stream::iter(
        frames.map(Ok::<_, BoxError>),
    )))
}

/// A member that answers with the names of the fields that it got, `head` before those of
/// the head, and with trailers.
async fn naming(trailers: Vec<String>) -> Member {
    Member::start(move |request: Request<Incoming>| {
        let trailers = trailers.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap();
            let mut response = Response::new(with_trailers(&trailers));
            let told = response.headers_mut();
            for (name, _) in &head.headers {
                told.append("x-head", HeaderValue::from_str(name.as_str()).unwrap());
            }
            for (name, value) in body.trailers().into_iter().flatten() {
                assert_eq!(value, "7", "blanks are no part of a value");
                told.append("x-trailer", HeaderValue::from_str(name.as_str()).unwrap());
            }
            response
        }
    })
    .await
}

fn before(member: &Member, version: Version) -> Front {
    let versions = match version {
        Version::HTTP_2 => HttpVersions::Http2,
        _ => HttpVersions::Http1,
    };
    let endpoint = member.endpoint().versions(versions);
    Front::start(Server::new(), ReverseProxy::new(balancer([endpoint])))
}

/// The values of a header.
fn values(answer: &Answer, name: &str) -> Vec<String> {
    let values = answer.headers.get_all(name).iter();
    values.map(|it| it.to_str().unwrap().to_owned()).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// A name, with some of its hyphens as underscores.
fn spelled(name: &str, underscores: &[bool]) -> String {
    let mut underscores = underscores.iter().cycle();
    let spell = |letter| match letter {
        '-' if *underscores.next().unwrap() => '_',
        letter => letter,
    };
    name.chars().map(spell).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Over HTTP/2, there and back.
    #[test]
    fn what_stops_in_heads_stops_in_trailers_in_every_spelling(
        underscores in proptest::collection::vec(proptest::bool::ANY, 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(within(async {
            let stops: Vec<String> = STOPS.iter().map(|name| spelled(name, &underscores)).collect();
            let in_heads = ONLY_IN_HEADS.iter().map(|name| spelled(name, &underscores));
            let passes = PASS.iter().map(|&name| name.to_owned());
            let all: Vec<String> = stops.iter().cloned().chain(in_heads).chain(passes.clone())
                .filter(|name| !is_of_http_1(name)).collect();
            let member = naming(all.clone()).await;
            let front = before(&member, Version::HTTP_2);
            let mut client = Client::connect(front.address, Version::HTTP_2).await;
            let mut request = asking("POST", "/").header("te", "trailers").header("my_own", "7");
            for name in stops.iter().filter(|name| !is_of_http_1(name)) {
                request = request.header(name.as_str(), "7");
            }
            let answer = client.ask(request.body(with_trailers(&all)).unwrap()).await;
            let heads = values(&answer, "x-head");
            assert!(heads.contains(&"my_own".to_owned()), "{answer:?}");
            for name in stops.iter().filter(|name| {
                // Ours.
                !["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"].contains(&name.as_str())
            }) {
                assert!(!heads.contains(name), "{name}: {heads:?}");
            }
            let passed = sorted(passes.collect());
            assert_eq!(sorted(values(&answer, "x-trailer")), passed, "to the member");
            let trailers = answer.trailers.unwrap();
            let back = trailers.keys().map(|name| name.as_str().to_owned());
            assert_eq!(sorted(back.collect()), passed, "to the client");
            assert!(trailers.values().all(|value| value == "7"));
        }));
    }
}

#[tokio::test]
async fn trailers_of_http_1_are_held_to_the_same_rules() {
    within(async {
        let names = STOPS.iter().chain(&ONLY_IN_HEADS).chain(&PASS);
        let names: Vec<&str> = names.copied().collect();
        let member = naming(Vec::new()).await;
        for inner in [Version::HTTP_11, Version::HTTP_2] {
            let front = before(&member, inner);
            for underscores in [false, true] {
                let names = names.iter().map(|name| spelled(name, &[underscores]));
                let names: Vec<String> = names.collect();
                let lines: Vec<_> = names
                    .iter()
                    .map(|name| format!("{name}: \t7 \r\n"))
                    .collect();
                let told = bytes(
                    front.address,
                    format!(
                        "POST / HTTP/1.1\r\nhost: a\r\ntrailer: {}\r\nconnection: close, te\r\n\
                         te: trailers\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n{}\r\n",
                        names.join(", "),
                        lines.concat(),
                    ),
                )
                .await;
                assert!(told.starts_with("HTTP/1.1 200"), "{told}");
                let came = told
                    .lines()
                    .filter_map(|line| line.strip_prefix("x-trailer: "));
                let came = sorted(came.map(str::to_owned).collect());
                let mut passed = sorted(
                    PASS.iter()
                        .map(|name| spelled(name, &[underscores]))
                        .collect(),
                );
                passed.dedup();
                assert_eq!(came, passed, "{inner:?}: {told}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_connection_names_is_in_no_trailer_either() {
    within(async {
        let member = naming(Vec::new()).await;
        let front = before(&member, Version::HTTP_2);
        let told = bytes(
            front.address,
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close, x-mine\r\nx-mine: 7\r\n\
             trailer: x-mine, x-other, host\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nab\r\n0\r\nx-mine: 7\r\nx-other: 7\r\n\r\n",
        )
        .await;
        assert!(told.contains("x-trailer: x-other\r\n"), "{told}");
        assert!(told.contains("x-head: trailer\r\n"), "{told}");
        assert!(!told.contains("x-mine"), "{told}");
    })
    .await;
}

/// A member that answers with this head, over HTTP/2.
async fn answering(status: u16, fields: &'static [(&'static str, &'static [u8])]) -> Member {
    Member::start(move |_| async move {
        let mut response = Response::new(empty());
        *response.status_mut() = status.try_into().unwrap();
        for (name, value) in fields {
            let value = HeaderValue::from_bytes(value).unwrap();
            response.headers_mut().append(*name, value);
        }
        response
    })
    .await
}

#[tokio::test]
async fn an_answer_without_a_body_says_nothing_of_its_length_that_a_client_refuses() {
    within(async {
        for (method, status, fields, length) in [
            ("GET", 204, &[("content-length", b"5" as &[u8])][..], None),
            ("GET", 204, &[("content-length", b"0")], None),
            ("GET", 204, &[("transfer_encoding", b"chunked")], None),
            ("GET", 304, &[("content-length", b"5")], Some("5")),
            ("HEAD", 200, &[("content-length", b"5")], Some("5")),
            ("HEAD", 204, &[("content-length", b"5")], None),
            ("HEAD", 304, &[("content-length", b"5")], Some("5")),
        ] {
            let member = answering(status, fields).await;
            let front = before(&member, Version::HTTP_2);
            for outer in [Version::HTTP_11, Version::HTTP_2] {
                let mut client = Client::connect(front.address, outer).await;
                for _ in 0..2 {
                    let request = asking(method, "/").body(empty()).unwrap();
                    let answer = client.ask(request).await;
                    assert_eq!(answer.status, status);
                    let said = values(&answer, "content-length");
                    // hyper's server leaves it out over HTTP/1.1.
                    let left_out = method == "GET" && status == 304 && outer == Version::HTTP_11;
                    let length = length.filter(|_| !left_out);
                    let length: Vec<&str> = length.into_iter().collect();
                    assert_eq!(said, length, "{method} {status} {outer:?}");
                    assert!(!answer.headers.contains_key("transfer_encoding"));
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_member_sends_behind_a_head_without_a_body_is_not_passed_on() {
    within(async {
        let member = Member::start(async |request: Request<Incoming>| {
            let mut response = Response::new(with_trailers(&["x-checksum".to_owned()]));
            let status = if request.uri().path() == "/204" {
                204
            } else {
                304
            };
            *response.status_mut() = status.try_into().unwrap();
            response
        })
        .await;
        let front = before(&member, Version::HTTP_2);
        for outer in [Version::HTTP_11, Version::HTTP_2] {
            let mut client = Client::connect(front.address, outer).await;
            for path in ["/204", "/304", "/204"] {
                let answer = client.ask(asking("GET", path).body(empty()).unwrap()).await;
                assert_eq!(answer.text, "");
                assert_eq!(answer.trailers, None);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_has_one_length_and_values_without_blanks() {
    within(async {
        for (fields, expected) in [
            (
                &[("content-length", b"0" as &[u8]), ("content-length", b"0")][..],
                200,
            ),
            (&[("content-length", b"0, 0")], 502),
            (&[("content-length", b" 0\t")], 502),
            (&[("x-value", b" \tseven ")], 200),
            (&[("content-length", b"0"), ("content-length", b"7")], 502),
            (&[("content-length", b"0, 7")], 502),
        ] {
            let member = answering(200, fields).await;
            let front = before(&member, Version::HTTP_2);
            for outer in [Version::HTTP_11, Version::HTTP_2] {
                let mut client = Client::connect(front.address, outer).await;
                let answer = client.ask(asking("GET", "/").body(empty()).unwrap()).await;
                assert_eq!(answer.status, expected, "{fields:?}");
                if expected == 200 {
                    assert!(values(&answer, "content-length").len() <= 1, "{answer:?}");
                    let value = answer.headers.get("x-value");
                    assert!(value.is_none_or(|value| value == "seven"), "{answer:?}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn by_frames_a_request_has_one_length_one_host_and_a_scheme() {
    within(async {
        let member = Member::telling().await;
        let front = before(&member, Version::HTTP_11);
        let long = [("content-length", "2"), (":method", "POST")];
        let with_length = |more: &[(&'static str, &'static str)]| [&long[..], more].concat();
        for (fields, data, expected) in [
            (with_length(&[]), "ab", Some(200)),
            (with_length(&[("content-length", "2")]), "ab", Some(200)),
            (with_length(&[("content-length", "02")]), "ab", Some(200)),
            (with_length(&[("content-length", "3")]), "ab", None),
            (
                vec![(":method", "POST"), ("content-length", "2, 3")],
                "ab",
                None,
            ),
            (
                vec![(":method", "POST"), ("content-length", "+2")],
                "ab",
                None,
            ),
            (vec![(":authority", ""), ("host", "a")], "", Some(200)),
            (vec![(":authority", "a"), ("host", "A")], "", Some(200)),
            (vec![(":authority", "")], "", None),
            (vec![("host", "other.example")], "", None),
            (
                vec![(":authority", ""), ("host", "a"), ("host", "a")],
                "",
                None,
            ),
            (vec![(":authority", "user:pw@a")], "", None),
            (vec![(":authority", "a b")], "", None),
            (vec![(":scheme", "https")], "", Some(200)),
            (vec![(":scheme", "HTTPS")], "", Some(200)),
            (vec![(":scheme", "Http")], "", Some(200)),
            (vec![(":scheme", "ftp")], "", None),
            (
                vec![("expect", "100-continue"), ("expect", "more")],
                "",
                Some(417),
            ),
            (
                vec![("expect", "100-continue, 100-continue")],
                "",
                Some(417),
            ),
            (vec![("X-Upper", "a")], "", None),
            (vec![("x-value", "a\r\nb: c")], "", None),
            (vec![("x-value", "a\0b")], "", None),
            (vec![("connection", "close")], "", None),
            (vec![("transfer-encoding", "chunked")], "", None),
            (vec![("transfer_encoding", "chunked")], "", Some(200)),
            (vec![("x-value", " \t a \t")], "", Some(200)),
        ] {
            let asked = member.asked();
            let head = frames::get(&fields);
            let came = within(frames::send(front.address, &head, data.as_bytes(), &[])).await;
            match expected {
                Some(status) => assert_eq!(came, Came::Status(status), "{fields:?}"),
                // What HTTP/2 itself forbids ends the stream or the connection, all else has
                // an answer.
                None => {
                    let refused =
                        [Came::Status(400), Came::Reset(1), Came::Nothing].contains(&came);
                    assert!(refused, "{fields:?}: {came:?}");
                }
            }
            assert_eq!(
                member.asked() - asked,
                usize::from(expected == Some(200)),
                "{fields:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn by_frames_pseudo_fields_are_no_trailers() {
    within(async {
        let member = naming(Vec::new()).await;
        let front = before(&member, Version::HTTP_2);
        let head = frames::get(&[(":method", "POST")]);
        for (trailers, expected) in [
            (&[(&b"x-a"[..], &b"7"[..])][..], Came::Status(200)),
            (&[(b"content-length", b"9")], Came::Status(200)),
            // They are taken out before anything of ours sees them.
            (&[(b":path", b"/admin")], Came::Status(200)),
            (&[(b"transfer-encoding", b"chunked")], Came::Reset(1)),
        ] {
            let came = frames::send(front.address, &head, b"ab", trailers).await;
            assert_eq!(came, expected, "{trailers:?}");
        }
    })
    .await;
}
