//! It fits where people put it: axum, stacks of tower layers, boxed members, a balancer
//! before balancers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get as route;
use bytes::Bytes;
use equipoise::service::{
    BalanceError, BalanceLayer, BalanceService, CountedBody, PassThrough, PreserveHost, ServedBy,
};
use equipoise::{Balancer, Flag, MemberSpec};
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::backend::{Backend, Http, client, dead, serve};
use crate::books::in_flight;

async fn text<B>(response: Response<B>) -> String
where
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let body = response.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn in_an_axum_router_beside_ordinary_routes() {
    let (a, b) = (Backend::named("a").await, Backend::named("b").await);
    let balancer = Balancer::new([("a", a.uri()), ("b", b.uri())]).unwrap();
    let backends = BalanceLayer::new(balancer.clone())
        .layer(client::<Body>(Http::One))
        .into_infallible();
    let app: Router = Router::new()
        .route("/health", route(async || "fine"))
        .route_service("/only", backends.clone())
        .fallback_service(backends);
    let asks = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        text(app.clone().oneshot(request).await.unwrap()).await
    };
    assert_eq!(asks("/health").await, "fine");
    assert_eq!(asks("/anything").await, "a");
    assert_eq!(asks("/anything").await, "b");
    assert_eq!(asks("/only").await, "a");
    balancer.set_flag("a", Flag::Disabled).unwrap();
    assert_eq!(asks("/anything").await, "b");
    assert_eq!(in_flight(&balancer), 0);
}

#[tokio::test]
async fn made_infallible_it_answers_for_itself() {
    let answers = async |balancer: Balancer<Uri>| {
        let service = BalanceLayer::new(balancer)
            .layer(client::<Body>(Http::One))
            .into_infallible();
        let request = Request::get("/").body(Body::empty()).unwrap();
        service.oneshot(request).await.unwrap()
    };
    let empty = answers(Balancer::builder().build().unwrap()).await;
    assert_eq!(empty.status(), 503);
    assert!(empty.headers().get(header::RETRY_AFTER).is_none());
    assert!(empty.extensions().get::<Arc<BalanceError>>().is_some());
    assert_eq!(
        text(empty).await,
        "Service Unavailable: no server can take this request now.\n"
    );

    let member = |name| (name, Uri::from_static("http://127.0.0.1:1"));
    let balancer = Balancer::builder()
        .forced_recovery(false)
        .member("a", member("a").1, MemberSpec::new())
        .build()
        .unwrap();
    let refused = answers(balancer.clone()).await;
    assert_eq!(refused.status(), 502);
    let waits = answers(balancer).await;
    assert_eq!(waits.status(), 503);
    assert_eq!(waits.headers()[header::RETRY_AFTER], "60");
    assert_eq!(
        waits.headers()[header::CONTENT_TYPE],
        "text/plain; charset=utf-8"
    );
    let service = BalanceLayer::new(Balancer::<Uri>::builder().build().unwrap())
        .layer(client::<Body>(Http::One))
        .into_infallible();
    let request = Request::head("/").body(Body::empty()).unwrap();
    let head = service.oneshot(request).await.unwrap();
    assert_eq!(head.status(), 503);
    assert_eq!(text(head).await, "", "nothing but the head");
}

#[tokio::test]
async fn in_a_stack_of_layers() {
    let backend = Backend::named("a").await;
    let balancer = Balancer::new([("a", backend.uri())]).unwrap();
    let stack = ServiceBuilder::new()
        .concurrency_limit(8)
        .timeout(Duration::from_secs(5))
        .layer(BalanceLayer::new(balancer))
        .concurrency_limit(2)
        .timeout(Duration::from_secs(5))
        .service(client::<Full<Bytes>>(Http::One));
    let request = Request::get("/").body(Full::default()).unwrap();
    let response = stack.clone().oneshot(request).await.unwrap();
    assert_eq!(text(response).await, "a");
}

type Boxed = BoxCloneSyncService<Request<CountedBody<Body>>, Response<Body>, Infallible>;

/// Members of different types behind one name.
fn boxed(name: &'static str) -> Boxed {
    if name == "router" {
        let router = Router::new().fallback(async || "router");
        let router =
            router.map_request(|request: Request<CountedBody<Body>>| request.map(Body::new));
        return BoxCloneSyncService::new(router);
    }
    BoxCloneSyncService::new(service_fn(move |_| async move {
        Ok(Response::new(Body::from(name)))
    }))
}

#[tokio::test]
async fn with_members_of_different_types() {
    let balancer = Balancer::new(["function", "router"].map(|name| (name, boxed(name)))).unwrap();
    let service = BalanceService::over(balancer);
    for name in ["function", "router", "function"] {
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(text(response).await, name);
    }
}

#[tokio::test]
async fn a_balancer_before_balancers() {
    let inner = |first, second| {
        let balancer = Balancer::new([first, second].map(|name| (name, boxed(name)))).unwrap();
        BalanceService::over(balancer).map_request(|request: Request<Body>| request)
    };
    let zones = Balancer::new([("east", inner("e1", "e2")), ("west", inner("w1", "w2"))]);
    let layer = BalanceLayer::new(zones.unwrap()).request_body(PassThrough::default());
    let service = layer.over_members();
    let mut names = Vec::new();
    for _ in 0..4 {
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        let served = response.extensions().get::<ServedBy>().cloned().unwrap();
        names.push(format!("{} {}", served.member, text(response).await));
    }
    assert_eq!(names, ["east e1", "west w1", "east e2", "west w2"]);
}

/// Tells what it was asked.
async fn mirror() -> Backend {
    Backend::start(|request| async move {
        let host = request.headers().get_all(header::HOST);
        let hosts: Vec<_> = host.iter().map(|host| host.to_str().unwrap()).collect();
        let told = format!("{:?} {} {hosts:?}", request.version(), request.uri());
        Ok(Response::new(crate::backend::any(Full::from(told))))
    })
    .await
}

#[tokio::test]
async fn between_versions_host_and_version_are_as_the_member_needs_them() {
    let backend = mirror().await;
    let host = backend.address.to_string();
    for (front_version, back_version) in [
        (Http::One, Http::One),
        (Http::One, Http::Two),
        (Http::Two, Http::One),
        (Http::Two, Http::Two),
    ] {
        let case = format!("{front_version:?} to {back_version:?}");
        let member: Uri = format!("http://{host}/app").parse().unwrap();
        let rewritten = Balancer::new([("a", member.clone())]).unwrap();
        let preserved = Balancer::new([("a", PreserveHost(member))]).unwrap();
        let front = serve(
            BalanceLayer::new(rewritten).layer(client::<hyper::body::Incoming>(back_version)),
        )
        .await;
        let ask = client::<Full<Bytes>>(front_version);
        let get = async |front: &Backend| {
            let request = Request::get(format!("http://{}/cart?id=7", front.address));
            let balancer = Balancer::new([("front", front.uri())]).unwrap();
            let service = BalanceLayer::new(balancer).layer(ask.clone());
            let response = service
                .oneshot(request.body(Full::default()).unwrap())
                .await;
            text(response.unwrap()).await
        };
        let told = get(&front).await;
        if back_version == Http::One {
            assert_eq!(
                told,
                format!("HTTP/1.1 /app/cart?id=7 [{host:?}]"),
                "{case}"
            );
        } else {
            assert!(
                told.starts_with(&format!("HTTP/2.0 http://{host}/app/cart?id=7")),
                "{case}: {told}"
            );
        }
        if back_version == Http::One {
            let client = client::<hyper::body::Incoming>(back_version);
            let front = serve(BalanceLayer::new(preserved).layer(client)).await;
            let asked = front.address.to_string();
            let told = get(&front).await;
            assert_eq!(
                told,
                format!("HTTP/1.1 /app/cart?id=7 [{asked:?}]"),
                "{case}"
            );
        }
    }
}

#[tokio::test]
async fn members_can_be_authorities_and_socket_addresses() {
    let backend = Backend::named("a").await;
    let request = || Request::get("/").body(Full::<Bytes>::default()).unwrap();
    let authority: http::uri::Authority = backend.address.to_string().parse().unwrap();
    let service =
        BalanceLayer::new(Balancer::new([("a", authority)]).unwrap())
            .layer(client::<Full<Bytes>>(Http::One));
    assert_eq!(text(service.oneshot(request()).await.unwrap()).await, "a");
    let balancer = Balancer::new([("a", backend.address)]).unwrap();
    let service = BalanceLayer::new(balancer).layer(client::<Full<Bytes>>(Http::One));
    assert_eq!(text(service.oneshot(request()).await.unwrap()).await, "a");
}

#[tokio::test]
async fn a_streaming_post_survives_a_dead_member_without_a_buffer() {
    let alive = Backend::start(|request| async move {
        let body = request.into_body().collect().await?.to_bytes();
        Ok(Response::new(crate::backend::any(Full::from(body))))
    })
    .await;
    let members = [("dead", dead().await), ("alive", alive.uri())];
    let balancer = Balancer::new(members).unwrap();
    let service =
        BalanceLayer::new(balancer.clone()).layer(client::<crate::member::Frames>(Http::One));
    let body = crate::member::frames(&["one ", "two ", "three"], true);
    let request = Request::post("/").body(body).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.extensions().get::<ServedBy>().unwrap().attempts, 2);
    assert_eq!(text(response).await, "one two three");
    assert_eq!(balancer.member("dead").unwrap().bytes_sent(), 0);
}
