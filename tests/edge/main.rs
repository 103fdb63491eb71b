//! What a proxy does to requests and answers, before a real server on a real socket.

#![cfg(feature = "proxy")]
#![allow(
    clippy::unwrap_used,
    reason = "a proxy that cannot be set up ends its test"
)]

mod heads;
mod in_axum;

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Request as Asked;
use axum::response::IntoResponse;
use equipoise::proxy::{
    ClientAddr, CookieMap, EdgeBody, EdgeLayer, Forwarding, Origin, PathMap, ReverseMap,
};
use equipoise::{BalanceLayer, Balancer};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

/// Tells what it was asked, and answers as a server does that knows nothing of a proxy.
async fn server(request: Asked) -> impl IntoResponse {
    let here = request.headers()["host"].to_str().unwrap().to_owned();
    let mut told = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        told.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    let headers = [
        ("location", format!("http://{here}/shop/login?a=b")),
        ("set-cookie", "sid=1; Path=/shop; Domain=inner".to_owned()),
        ("connection", "x-private".to_owned()),
        ("keep-alive", "timeout=5".to_owned()),
        ("proxy-authenticate", "Basic".to_owned()),
        ("x-private", "1".to_owned()),
        ("x-public", "1".to_owned()),
    ];
    (axum::response::AppendHeaders(headers), told)
}

type Proxy = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// A proxy before a server, with a layer made for the server's address.
async fn proxy(layer: impl FnOnce(SocketAddr) -> EdgeLayer) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = axum::serve(listener, Router::new().fallback(server));
    tokio::spawn(serving.into_future());
    let member: Uri = format!("http://{address}").parse().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let backends = BalanceLayer::new(Balancer::new([("a", member)]).unwrap())
        .layer(client)
        .into_infallible();
    let edge = layer(address).layer(backends);
    BoxCloneSyncService::new(edge.map_response(|response: Response<_>| response.map(Body::new)))
}

fn get(path: &str) -> Request<Body> {
    let request = Request::get(path).header("host", "www.example.com");
    request.body(Body::empty()).unwrap()
}

async fn answer(proxy: &Proxy, request: Request<Body>) -> (u16, HeaderMap, String) {
    let (head, body) = proxy.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (head.status.as_u16(), head.headers, text)
}

#[tokio::test]
async fn what_concerns_one_connection_stops_here_on_both_ways() {
    let proxy = proxy(|_| EdgeLayer::new(Forwarding::new().with_via("edge").unwrap())).await;
    let mut request = get("/a");
    for (name, value) in [
        ("connection", "close, X-Forwarded-For, x-secret"),
        ("x-secret", "1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("keep-alive", "timeout=9"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers, gzip"),
        ("upgrade", "websocket"),
        ("accept", "*/*"),
    ] {
        let value = value.parse().unwrap();
        request.headers_mut().append(name, value);
    }
    let peer = ClientAddr(([203, 0, 113, 7], 5_000).into());
    request.extensions_mut().insert(peer);
    let (status, headers, told) = answer(&proxy, request).await;
    assert_eq!(status, 200);
    for gone in [
        "x-secret",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "connection",
    ] {
        assert!(!told.contains(&format!("\n{gone}:")), "{gone}: {told}");
    }
    for kept in [
        "accept: */*",
        "te: trailers",
        "x-forwarded-for: 203.0.113.7",
        "x-forwarded-host: www.example.com",
        "x-forwarded-proto: http",
        "via: 1.1 edge",
    ] {
        assert!(told.contains(&format!("{kept}\n")), "{kept}: {told}");
    }
    for gone in [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "x-private",
    ] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    assert_eq!(headers["x-public"], "1");
    assert_eq!(headers["via"], "1.1 edge");
}

#[tokio::test]
async fn paths_are_mapped_there_and_what_answers_say_is_mapped_back() {
    let proxy = proxy(|address| {
        EdgeLayer::new(Forwarding::new().with_scheme(Scheme::HTTPS))
            .path_map(
                PathMap::new()
                    .with_exclusion("/app/private")
                    .unwrap()
                    .with_prefix("/app", "/shop")
                    .unwrap(),
            )
            .reverse_map(
                ReverseMap::new()
                    .with_member(&format!("http://{address}/shop"), "/app")
                    .unwrap(),
            )
            .cookie_map(
                CookieMap::new()
                    .with_path("/shop", "/app")
                    .unwrap()
                    .with_domain("inner", "www.example.com")
                    .unwrap(),
            )
    })
    .await;
    let (status, headers, told) = answer(&proxy, get("/app/cart?id=7")).await;
    assert_eq!(status, 200);
    assert!(told.starts_with("GET /shop/cart?id=7\n"), "{told}");
    assert_eq!(headers["location"], "/app/login?a=b", "whatever the host");
    assert_eq!(
        headers["set-cookie"],
        "sid=1; Path=/app; Domain=www.example.com"
    );
    // As HTTP/2 has it.
    let mut request = Request::new(Body::empty());
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static("https://www.example.com:8443/app");
    let (_, headers, told) = answer(&proxy, request).await;
    assert!(told.starts_with("GET /shop\n"), "{told}");
    assert_eq!(headers["location"], "/app/login?a=b");
}

#[tokio::test]
async fn urls_are_mapped_back_whole_only_to_what_was_configured() {
    let proxy = proxy(|address| {
        let reverse = ReverseMap::new().with_member(&format!("http://{address}"), "/");
        let shop = Authority::from_static("shop.example.com");
        EdgeLayer::new(Forwarding::new())
            .reverse_map(reverse.unwrap())
            .public_origin(Origin::new(Scheme::HTTPS, shop))
    })
    .await;
    let mut request = get("/");
    let evil = "evil.example.com".parse().unwrap();
    request.headers_mut().insert("host", evil);
    let (_, headers, _) = answer(&proxy, request).await;
    assert_eq!(
        headers["location"],
        "https://shop.example.com/shop/login?a=b"
    );
}

#[tokio::test]
async fn what_is_not_for_a_member_does_not_reach_one() {
    let proxy = proxy(|_| {
        let paths = PathMap::new().with_exclusion("/app/private").unwrap();
        EdgeLayer::new(Forwarding::new()).path_map(paths.with_prefix("/app", "/shop").unwrap())
    })
    .await;
    let fits = format!("/app/{}", "x".repeat(65_534 - 6));
    let long = format!("{fits}x");
    let statuses = [
        ("GET", "/", 404),
        ("GET", "/application", 404),
        ("GET", "/app/private/x", 404),
        ("GET", "/app/../admin", 400),
        ("GET", "/app/%2e%2e/admin", 400),
        ("HEAD", "/nowhere", 404),
        ("CONNECT", "http://inside:22/", 405),
        ("GET", "/app/admin%00.css", 400),
        ("GET", "/app/%zz", 400),
        ("GET", "*", 400),
        ("GET", "/app;x/private", 404),
        ("GET", "/app%2Fprivate", 404),
        ("GET", "/app/private;x=1", 404),
        ("GET", "/app\\private", 404),
        ("GET", "/app/%70rivate", 404),
        ("GET", "/app/;/private", 404),
    ];
    for (method, path, expected) in statuses {
        let mut request = get(path);
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        let (status, headers, told) = answer(&proxy, request).await;
        assert_eq!(status, expected, "{method} {path}");
        assert!(!headers.contains_key("x-public"), "nobody was asked");
        assert_eq!(told.is_empty(), method == "HEAD", "{method} {path}");
        assert_eq!(headers.contains_key("allow"), expected == 405);
    }
    assert_eq!(
        answer(&proxy, get(&fits)).await.0,
        200,
        "/shop is one longer"
    );
    assert_eq!(answer(&proxy, get(&long)).await.0, 414);
}

#[tokio::test]
async fn max_forwards_is_counted_down_and_answered_for_at_zero() {
    let proxy = proxy(|_| EdgeLayer::new(Forwarding::new())).await;
    let ask = async |method: Method, left: &str| {
        let mut request = get("/");
        *request.method_mut() = method;
        let left = left.parse().unwrap();
        request.headers_mut().insert("max-forwards", left);
        let (status, _, told) = answer(&proxy, request).await;
        (status, told)
    };
    let (status, told) = ask(Method::OPTIONS, "5").await;
    assert_eq!(status, 200);
    assert!(told.contains("max-forwards: 4\n"), "{told}");
    assert_eq!(ask(Method::OPTIONS, "0").await.0, 204);
    assert_eq!(ask(Method::TRACE, "0").await.0, 405);
    assert_eq!(ask(Method::TRACE, "many").await.0, 400);
    assert_eq!(ask(Method::OPTIONS, "-1").await.0, 400);
    assert_eq!(ask(Method::OPTIONS, "+5").await.0, 400);
    assert_eq!(ask(Method::OPTIONS, "99999999999").await.0, 200);
    let (status, told) = ask(Method::GET, "0").await;
    assert_eq!(status, 200, "it concerns no other method");
    assert!(told.contains("max-forwards: 0\n"));
}

#[tokio::test]
async fn a_request_is_for_one_host_or_refused() {
    let proxy = proxy(|_| EdgeLayer::new(Forwarding::new())).await;
    let status = async |hosts: &[&str]| {
        let mut request = Request::get("/").body(Body::empty()).unwrap();
        for host in hosts {
            request.headers_mut().append("host", host.parse().unwrap());
        }
        answer(&proxy, request).await.0
    };
    for good in ["a", "a.example.com:8080", "[::1]:80", "A.", "10.0.0.1"] {
        assert_eq!(status(&[good]).await, 200, "{good}");
    }
    assert_eq!(status(&[]).await, 400);
    for bad in [
        "a, b",
        "a b",
        "evil.com/x",
        "evil.com?",
        "a@b",
        "[::1]:x",
        "",
    ] {
        assert_eq!(status(&[bad]).await, 400, "{bad}");
    }
    assert_eq!(status(&["a", "b"]).await, 400);
}

#[tokio::test]
async fn a_client_cannot_name_its_host_away() {
    let proxy = proxy(|_| EdgeLayer::new(Forwarding::new())).await;
    let mut request = get("/");
    let host = "host".parse().unwrap();
    request.headers_mut().insert("connection", host);
    let (status, _, told) = answer(&proxy, request).await;
    assert_eq!(status, 200);
    assert!(
        told.contains("x-forwarded-host: www.example.com\n"),
        "{told}"
    );
}

#[tokio::test]
async fn without_maps_too_a_path_leads_where_it_says() {
    let proxy = proxy(|_| EdgeLayer::new(Forwarding::new())).await;
    for path in ["/../admin", "/a/%2e%2e/b", "/a/..;/b", "/a%00", "/%zz"] {
        assert_eq!(answer(&proxy, get(path)).await.0, 400, "{path}");
    }
    assert_eq!(answer(&proxy, get("/a/.../b..c/%20")).await.0, 200);
}

/// A server on a socket that answers everything with these bytes.
async fn raw(answer: &'static [u8]) -> SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4_096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

async fn before(address: SocketAddr) -> Proxy {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let backends = BalanceLayer::new(Balancer::new([("a", address)]).unwrap())
        .layer(client)
        .into_infallible();
    let edge = EdgeLayer::new(Forwarding::new()).layer(backends);
    BoxCloneSyncService::new(edge.map_response(|response: Response<_>| response.map(Body::new)))
}

#[tokio::test]
async fn a_length_that_contradicts_the_coding_does_not_cut_the_body() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
    ] {
        let proxy = before(raw(bytes).await).await;
        let (_, headers, text) = answer(&proxy, get("/")).await;
        assert!(!headers.contains_key("content-length"));
        assert_eq!(text, "0123456789");
    }
}

#[tokio::test]
async fn a_switch_of_protocols_is_no_answer() {
    let proxy = before(
        raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n").await,
    )
    .await;
    assert_eq!(answer(&proxy, get("/")).await.0, 502);
}

#[tokio::test]
async fn a_get_of_unknown_length_keeps_its_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = Router::new().fallback(async |body: String| body);
    tokio::spawn(axum::serve(listener, echo).into_future());
    let proxy = before(address).await;
    for method in [Method::GET, Method::POST] {
        let length_unknown = Body::new(Chunks(3));
        let mut request = get("/");
        *request.method_mut() = method;
        *request.body_mut() = length_unknown;
        assert_eq!(answer(&proxy, request).await.2, "chunkchunkchunk");
    }
}

/// So many pieces.
struct Chunks(usize);

impl http_body::Body for Chunks {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        let frame = || Ok(http_body::Frame::data(bytes::Bytes::from("chunk")));
        std::task::Poll::Ready(left.map(|_| frame()))
    }
}

#[tokio::test]
async fn an_error_of_the_inner_service_passes_as_it_is() {
    let fails = service_fn(async |_: Request<EdgeBody<Body>>| Err::<Response<Body>, _>("broken"));
    let edge = EdgeLayer::new(Forwarding::new()).layer(fails);
    assert_eq!(edge.oneshot(get("/")).await.unwrap_err(), "broken");
}

#[tokio::test]
async fn it_stands_in_an_axum_router() {
    let proxy = proxy(|_| EdgeLayer::new(Forwarding::new())).await;
    let app: Router = Router::new().fallback_service(proxy);
    let response = app.oneshot(get("/x")).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn it_has_the_manners_that_others_ask_for() {
    fn holds<T: Clone + std::fmt::Debug + Send + Sync + 'static>(_: &T) {}
    let layer = EdgeLayer::new(Forwarding::new());
    holds(&layer);
    holds(&layer.layer(()));
}
