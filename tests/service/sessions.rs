//! Sessions from end to end: what clients are given, what they come back with, and what
//! members get to see. With a real cookie jar where curl is installed.

use std::process::Command;

use bytes::Bytes;
use equipoise::service::{BalanceLayer, CountedBody, OpaqueKey, RouteCookie};
use equipoise::{Balancer, Flag, MemberSpec, StickySession};
use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceExt};

use crate::backend::{Backend, Http, any, client, serve};
use crate::books::in_flight;

fn sticky() -> StickySession {
    StickySession::new("ROUTEID").unwrap()
}

/// Tells its name, and the cookies that it got to see.
async fn named(name: &'static str) -> Backend {
    Backend::start(move |request: Request<Incoming>| async move {
        let cookies = request.headers().get_all(header::COOKIE).iter();
        let cookies: Vec<_> = cookies.map(|value| value.to_str().unwrap()).collect();
        let told = format!("{name} saw [{}]", cookies.join("|"));
        request.into_body().collect().await?;
        Ok(Response::new(any(Full::from(told))))
    })
    .await
}

/// Three members of routes r1 to r3; the third stands in for the first, if it must.
struct Stage {
    balancer: Balancer<Uri>,
    backends: Vec<Backend>,
}

impl Stage {
    async fn new() -> Self {
        let mut backends = Vec::new();
        let mut builder = Balancer::builder();
        for (name, route) in [("a", "r1"), ("b", "r2"), ("c", "r3")] {
            let backend = named(name).await;
            let spec = MemberSpec::new().with_route(route);
            builder = builder.member(name, backend.uri(), spec);
            backends.push(backend);
        }
        Self {
            balancer: builder.build().unwrap(),
            backends,
        }
    }

    fn layer(&self, cookie: RouteCookie) -> BalanceLayer<Uri> {
        BalanceLayer::new(self.balancer.clone()).sticky_with_cookie(sticky(), cookie)
    }

    /// Asks with these cookies; returns what the member told, and the headers.
    async fn ask(&self, layer: &BalanceLayer<Uri>, cookie: &str) -> (String, HeaderMap) {
        let mut request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
        if !cookie.is_empty() {
            let cookie = cookie.parse().unwrap();
            request.headers_mut().insert(header::COOKIE, cookie);
        }
        let service = layer.layer(client(Http::One));
        let response = service.oneshot(request).await.unwrap();
        let headers = response.headers().clone();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), headers)
    }
}

fn given(headers: &HeaderMap) -> Option<&str> {
    Some(headers.get(header::SET_COOKIE)?.to_str().unwrap())
}

#[tokio::test]
async fn a_first_visit_is_given_a_route_and_a_second_keeps_it() {
    let stage = Stage::new().await;
    let layer = stage.layer(RouteCookie::new());
    let (told, headers) = stage.ask(&layer, "").await;
    assert_eq!(told, "a saw []");
    assert_eq!(
        given(&headers),
        Some("ROUTEID=.r1; HttpOnly; SameSite=Lax; Path=/")
    );
    assert_eq!(headers[header::CACHE_CONTROL], "private");
    for _ in 0..3 {
        let (told, headers) = stage.ask(&layer, "theme=dark; ROUTEID=.r1; x=1").await;
        assert_eq!(
            told, "a saw [theme=dark; x=1]",
            "the route is not passed on"
        );
        assert_eq!(given(&headers), None);
        assert!(!headers.contains_key(header::CACHE_CONTROL));
    }
}

#[tokio::test]
async fn a_route_that_leads_nowhere_is_replaced() {
    let stage = Stage::new().await;
    let layer = stage.layer(RouteCookie::new());
    for stale in [
        "ROUTEID=.r9",
        "ROUTEID=r1",
        "ROUTEID=",
        "ROUTEID=x;;,=",
        "other=.r1",
    ] {
        let (_, headers) = stage.ask(&layer, stale).await;
        assert!(
            given(&headers).unwrap().starts_with("ROUTEID=.r"),
            "{stale}"
        );
    }
}

#[tokio::test]
async fn a_session_moves_when_its_member_dies_and_only_then() {
    let stage = Stage::new().await;
    let layer = stage.layer(RouteCookie::new());
    stage.backends[1].kill().await;
    let (told, headers) = stage.ask(&layer, "ROUTEID=.r2").await;
    assert!(told.starts_with('a'), "{told}");
    assert!(given(&headers).unwrap().starts_with("ROUTEID=.r1"));
}

#[tokio::test]
async fn a_draining_member_keeps_its_sessions_and_gets_no_new_ones() {
    let stage = Stage::new().await;
    let layer = stage.layer(RouteCookie::new());
    stage.balancer.set_flag("a", Flag::Draining).unwrap();
    let (told, headers) = stage.ask(&layer, "ROUTEID=.r1").await;
    assert_eq!((told.as_str(), given(&headers)), ("a saw []", None));
    for _ in 0..4 {
        let (told, _) = stage.ask(&layer, "").await;
        assert!(!told.starts_with('a'));
    }
}

#[tokio::test]
async fn a_redirect_route_takes_over_and_the_client_is_told() {
    let stage = Stage::new().await;
    let layer = stage.layer(RouteCookie::new());
    let redirect = |spec: MemberSpec| spec.with_redirect_route("r3").with_flag(Flag::Disabled);
    stage.balancer.update("a", redirect).unwrap();
    let (told, headers) = stage.ask(&layer, "ROUTEID=.r1").await;
    assert!(told.starts_with('c'), "{told}");
    assert!(given(&headers).unwrap().starts_with("ROUTEID=.r3"));
}

#[tokio::test]
async fn without_failover_a_session_whose_member_is_gone_gets_503() {
    let stage = Stage::new().await;
    let session = sticky().with_no_failover();
    // Without connections from before, of which nobody may have noticed that they are dead.
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http::<CountedBody<Full<Bytes>>>();
    let service = BalanceLayer::new(stage.balancer.clone())
        .sticky(session)
        .layer(client)
        .into_infallible();
    let status = async |cookie: &str| {
        let request = Request::get("/").header(header::COOKIE, cookie);
        let request = request.body(Full::default()).unwrap();
        service.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(status("ROUTEID=.r2").await, 200);
    // It looks alive, and the attempt fails: 503 after one attempt (3.6).
    stage.backends[1].kill().await;
    assert_eq!(status("ROUTEID=.r2").await, 503);
    // It is in error by now.
    assert_eq!(status("ROUTEID=.r2").await, 503);
    assert_eq!(status("ROUTEID=.r9").await, 200, "a route of nobody's");
    assert_eq!(status("none=1").await, 200);
    assert_eq!(in_flight(&stage.balancer), 0);
}

#[tokio::test]
async fn a_repetition_elsewhere_does_not_move_a_session_whose_member_lives() {
    let flaky = Backend::start(|request: Request<Incoming>| async move {
        match request.uri().path() {
            "/fails" => Err(std::io::Error::other("a moment's trouble").into()),
            _ => Ok(Response::new(any(Full::from("flaky")))),
        }
    })
    .await;
    let steady = Backend::named("steady").await;
    let routed = |route| MemberSpec::new().with_route(route);
    let balancer = Balancer::builder()
        .member("flaky", flaky.uri(), routed("r1"))
        .member("steady", steady.uri(), routed("r2"))
        .build()
        .unwrap();
    let service = BalanceLayer::new(balancer)
        .sticky_with_cookie(sticky(), RouteCookie::new())
        .layer(client::<Full<Bytes>>(Http::One));
    let request = Request::get("/fails").header(header::COOKIE, "ROUTEID=.r1");
    let request = request.body(Full::default()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["x-name"], "steady");
    assert_eq!(given(response.headers()), None);
}

#[tokio::test]
async fn an_opaque_route_cannot_be_read_made_up_or_taken_from_elsewhere() {
    let stage = Stage::new().await;
    let opaque = |name| RouteCookie::new().with_opaque_routes(OpaqueKey::new(name, b"secret"));
    let layer = stage.layer(opaque("shop"));
    let (told, headers) = stage.ask(&layer, "").await;
    assert!(told.starts_with('a'));
    let cookie = given(&headers)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    assert!(!cookie.contains("r1"), "{cookie}");
    for _ in 0..3 {
        let (told, headers) = stage.ask(&layer, &cookie).await;
        assert_eq!((told.as_str(), given(&headers)), ("a saw []", None));
    }
    // Plain routes, and those of another balancer, are not accepted: who comes with them
    // is as good as new, and gets round to each member.
    let foreign = stage.layer(opaque("other"));
    let (_, headers) = stage.ask(&foreign, "").await;
    let foreign = given(&headers)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    for made_up in ["ROUTEID=.r1", &foreign, &cookie[..cookie.len() - 1]] {
        let stage = Stage::new().await;
        let layer = stage.layer(opaque("shop"));
        let mut names = String::new();
        for _ in 0..3 {
            let (told, headers) = stage.ask(&layer, made_up).await;
            names.push_str(&told[..1]);
            assert!(given(&headers).is_some());
        }
        assert_eq!(names, "abc", "{made_up}");
    }
}

/// curl with a cookie jar, against a proxy on a socket.
struct Curl {
    front: Backend,
    jar: String,
}

impl Curl {
    async fn new(stage: &Stage, cookie: RouteCookie) -> Self {
        Self::before(stage.layer(cookie)).await
    }

    async fn before(layer: BalanceLayer<Uri>) -> Self {
        let service = layer.layer(client::<Incoming>(Http::One));
        let front = serve(service.into_infallible()).await;
        let jar = format!(
            "{}/jar-{}",
            env!("CARGO_TARGET_TMPDIR"),
            front.address.port()
        );
        Self { front, jar }
    }

    /// What curl prints: head and body.
    async fn get(&self) -> String {
        let url = format!("{}/", self.front.uri());
        let arguments = [
            "-s", "-i", "-m", "10", "-b", &self.jar, "-c", &self.jar, &url,
        ];
        let mut curl = Command::new("curl");
        curl.args(arguments);
        let output = tokio::task::spawn_blocking(move || curl.output());
        let output = output.await.unwrap().expect("curl is installed");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn edit_jar(&self, edit: impl FnOnce(String) -> String) {
        let jar = std::fs::read_to_string(&self.jar).unwrap();
        std::fs::write(&self.jar, edit(jar)).unwrap();
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.jar);
    }
}

fn who(answer: &str) -> char {
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    body.chars().next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn curl_with_a_jar_stays_moves_on_death_and_is_kept_by_drain() {
    let stage = Stage::new().await;
    let curl = Curl::new(&stage, RouteCookie::new()).await;
    let first = curl.get().await;
    assert!(first.to_lowercase().contains("set-cookie: routeid=.r1"));
    for _ in 0..5 {
        let again = curl.get().await;
        assert_eq!(who(&again), 'a');
        assert!(!again.to_lowercase().contains("set-cookie"), "{again}");
        assert!(again.ends_with("a saw []"), "{again}");
    }
    stage.balancer.set_flag("a", Flag::Draining).unwrap();
    assert_eq!(who(&curl.get().await), 'a', "draining");
    stage.backends[0].kill().await;
    let moved = curl.get().await;
    let now = who(&moved);
    assert_ne!(now, 'a', "it moved, and the request did not fail");
    assert!(moved.to_lowercase().contains("set-cookie: routeid="));
    for _ in 0..3 {
        assert_eq!(who(&curl.get().await), now);
    }
    assert_eq!(in_flight(&stage.balancer), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn curl_with_a_tampered_jar_gets_a_new_route() {
    let stage = Stage::new().await;
    let key = OpaqueKey::new("shop", b"secret");
    let curl = Curl::new(&stage, RouteCookie::new().with_opaque_routes(key)).await;
    assert_eq!(who(&curl.get().await), 'a');
    assert_eq!(who(&curl.get().await), 'a');
    curl.edit_jar(|jar| {
        let (before, value) = jar.trim_end().rsplit_once('.').unwrap();
        let value: String = value.chars().rev().collect();
        format!("{before}.{value}\n")
    });
    let again = curl.get().await;
    assert_eq!(who(&again), 'b', "as good as new");
    assert!(again.to_lowercase().contains("set-cookie: routeid="));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn curl_follows_a_redirect_route_and_is_refused_where_failover_is() {
    let stage = Stage::new().await;
    let curl = Curl::new(&stage, RouteCookie::new()).await;
    assert_eq!(who(&curl.get().await), 'a');
    let redirect = |spec: MemberSpec| spec.with_redirect_route("r3").with_flag(Flag::Disabled);
    stage.balancer.update("a", redirect).unwrap();
    for _ in 0..3 {
        assert_eq!(who(&curl.get().await), 'c');
    }

    let session = sticky().with_no_failover();
    let layer = BalanceLayer::new(stage.balancer.clone());
    let curl = Curl::before(layer.sticky_with_cookie(session, RouteCookie::new())).await;
    let name = who(&curl.get().await).to_string();
    assert_eq!(who(&curl.get().await).to_string(), name);
    stage.balancer.set_flag(&name, Flag::Disabled).unwrap();
    let refused = curl.get().await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    stage.balancer.clear_flag(&name, Flag::Disabled).unwrap();
    assert_eq!(
        who(&curl.get().await).to_string(),
        name,
        "its session is still there"
    );
}
