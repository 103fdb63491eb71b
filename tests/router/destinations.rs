//! What becomes of a request that met a rule: services, redirects, answers.

use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use equipoise::proxy::{Redirect, Router, Rule, StaticResponse};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};

use crate::{ask, builder, member};

#[tokio::test]
async fn a_service_gets_the_request_and_gives_the_answer() {
    let router = builder()
        .service(Rule::new().path_prefix("/api"), member("api"))
        .fallback(member("pages"))
        .build()
        .unwrap();
    assert_eq!(ask(&router, Request::get("/api/x")).await.1, "api");
    assert_eq!(ask(&router, Request::get("/x")).await.1, "pages");

    let echo = tower::service_fn(|request: Request<Full<Bytes>>| async {
        let (head, body) = request.into_parts();
        assert_eq!(head.uri, "/a?b=c");
        assert_eq!(head.extensions.get::<u8>(), Some(&7));
        Ok::<_, io::Error>(Response::new(body))
    });
    let router = Router::builder().fallback(echo).build().unwrap();
    let request = Request::get("/a?b=c")
        .extension(7_u8)
        .body(Full::from("body"))
        .unwrap();
    let answer = router.oneshot(request).await.unwrap();
    assert_eq!(answer.body().size_hint().exact(), Some(4));
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "body"
    );
}

/// Is ready when it has been asked so many times, and fails as it is told.
#[derive(Clone, Debug)]
struct Slow {
    asked: u32,
    broken: bool,
}

impl Service<Request<Full<Bytes>>> for Slow {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Response<Full<Bytes>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.asked < 3 {
            self.asked += 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.broken {
            return Poll::Ready(Err(io::Error::other("never ready")));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        assert_eq!(self.asked, 3, "called before it was ready");
        self.asked = 0;
        ready(match request.uri().path() {
            "/fail" => Err(io::Error::other("failed")),
            _ => Ok(Response::new(Full::from("slow"))),
        })
    }
}

#[tokio::test]
async fn a_service_is_made_ready_before_it_is_called() {
    let slow = Slow {
        asked: 0,
        broken: false,
    };
    let mut router = Router::builder().fallback(slow).build().unwrap();
    for _ in 0..2 {
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut router).await;
        let answer = ready
            .unwrap()
            .call(Request::new(Full::default()))
            .await
            .unwrap();
        assert_eq!(
            answer.into_body().collect().await.unwrap().to_bytes(),
            "slow"
        );
    }
}

#[tokio::test]
async fn errors_of_a_service_are_passed_on() {
    let of = |broken, path| {
        let router = Router::builder()
            .fallback(Slow { asked: 0, broken })
            .build()
            .unwrap();
        let request = Request::get(path).body(Full::default()).unwrap();
        async { router.oneshot(request).await.unwrap_err().to_string() }
    };
    assert_eq!(of(false, "/fail").await, "failed");
    assert_eq!(of(true, "/").await, "never ready");
}

#[tokio::test]
async fn a_slow_service_holds_up_nobody_else() {
    let never = Slow {
        asked: 0,
        broken: true,
    };
    let mut router = Router::builder()
        .service(Rule::new().path("/slow"), never)
        .respond(Rule::new().path("/fast"), StaticResponse::text("fast"))
        .build()
        .unwrap();
    let slow = router.call(Request::get("/slow").body(Full::default()).unwrap());
    let fast = router.call(Request::get("/fast").body(Full::default()).unwrap());
    assert_eq!(fast.await.unwrap().status(), 200);
    drop(slow);
}

#[tokio::test]
async fn what_matches_nothing_is_not_found_unless_told_otherwise() {
    let router = Router::builder()
        .service(Rule::new().path("/a"), member("a"))
        .build()
        .unwrap();
    let (head, text) = ask(&router, Request::get("/b")).await;
    assert_eq!(head.status(), 404);
    assert_eq!(head.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(text, "Not Found: nothing is served under this address.\n");
}

#[tokio::test]
async fn an_answer_is_what_was_said_and_without_its_bytes_for_head() {
    let html = HeaderValue::from_static("text/html");
    let gone = StaticResponse::new(StatusCode::GONE, "<p>gone").with_content_type(html);
    let router = builder().respond(Rule::new(), gone).build().unwrap();
    for (method, text) in [(Method::GET, "<p>gone"), (Method::HEAD, "")] {
        let (head, body) = ask(&router, Request::get("/").method(method.clone())).await;
        assert_eq!(head.status(), 410);
        assert_eq!(head.headers()["content-type"], "text/html");
        assert_eq!(body, text);

        let request = Request::get("/")
            .method(method)
            .body(Full::default())
            .unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.body().size_hint().exact(), Some(text.len() as u64));
        assert_eq!(answer.body().is_end_stream(), text.is_empty());
    }
}

#[tokio::test]
async fn a_redirect_keeps_what_it_is_told_to() {
    let rows = [
        ("/new", "/old/x?a=b", "/new"),
        ("/new{query}", "/old/x?a=b", "/new?a=b"),
        ("/new{query}", "/old/x", "/new"),
        ("/new?c=d{query}", "/old/x?a=b", "/new?c=d&a=b"),
        ("/new?{query}", "/old?a=b", "/new?a=b"),
        ("/new{rest}{query}", "/old/x/y?a=b", "/new/x/y?a=b"),
        ("/new{rest}", "/old", "/new"),
        ("{rest}", "/old", "/"),
        ("{rest}", "/old/x", "/x"),
        (
            "https://{host}{path}{query}",
            "/old/%41?%42",
            "https://h.example.com/old/%41?%42",
        ),
        (
            "https://{host}:8443{path}",
            "/old",
            "https://h.example.com:8443/old",
        ),
        ("//cdn.example.com{path}", "/old", "//cdn.example.com/old"),
        (
            "https://other.example.com{rest}",
            "/old/x",
            "https://other.example.com/x",
        ),
    ];
    for (location, asked, expected) in rows {
        let router = builder()
            .redirect(
                Rule::new().path_prefix("/old"),
                Redirect::permanent(location),
            )
            .build()
            .unwrap();
        let (head, text) = ask(
            &router,
            Request::get(asked).header("host", "H.example.com:80"),
        )
        .await;
        assert_eq!(head.status(), 308);
        assert_eq!(head.headers()["location"], expected, "{location} {asked}");
        assert_eq!(text, "");
    }
}

#[tokio::test]
async fn a_redirect_leads_to_no_host_that_the_client_chose() {
    let rows = [
        ("/old/", "{rest}", "/old//evil.com", "/evil.com"),
        ("/old", "{rest}", "/old///evil.com", "/evil.com"),
        ("/", "{path}", "//evil.com/x", "/evil.com/x"),
        ("/", "/{path}", "/evil.com", "/evil.com"),
        ("/", "{path}", "/\\evil.com", "/%5Cevil.com"),
        (
            "/old/",
            "https://a.com{rest}",
            "/old/.evil.com",
            "https://a.com/.evil.com",
        ),
        (
            "/",
            "https://a.com{path}",
            "//@evil.com",
            "https://a.com//@evil.com",
        ),
    ];
    for (prefix, location, asked, expected) in rows {
        let router = builder()
            .redirect(
                Rule::new().path_prefix(prefix),
                Redirect::temporary(location),
            )
            .build()
            .unwrap();
        let (head, _) = ask(&router, Request::get(asked)).await;
        assert_eq!(head.headers()["location"], expected, "{location} {asked}");
    }
}

#[tokio::test]
async fn a_redirect_to_the_host_of_a_request_without_one_is_a_bad_request() {
    let router = builder()
        .redirect(Rule::new(), Redirect::permanent("https://{host}{path}"))
        .build()
        .unwrap();
    for host in ["", "evil.com/x", "a b", "evil.com#"] {
        let (head, _) = ask(&router, Request::get("/").header("host", host)).await;
        assert_eq!(head.status(), 400, "{host}");
        assert!(!head.headers().contains_key("location"));
    }
}

#[tokio::test]
async fn a_request_by_http_2_is_redirected_by_its_authority() {
    let router = builder()
        .redirect(
            Rule::new().host("a.com"),
            Redirect::new(StatusCode::FOUND, "https://www.{host}{path}{query}"),
        )
        .build()
        .unwrap();
    let (head, _) = ask(&router, Request::get("https://a.com:444/x?y")).await;
    assert_eq!(head.status(), 302);
    assert_eq!(head.headers()["location"], "https://www.a.com/x?y");
}
