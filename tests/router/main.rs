//! Routing by content: which rule a request meets, and what becomes of it there. Public
//! API only.

#![cfg(feature = "proxy")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a router that cannot be set up ends its test"
)]

mod conditions;
mod destinations;
mod faults;
mod readings;
mod servers;
mod shares;

use std::convert::Infallible;

use bytes::Bytes;
use equipoise::proxy::{Router, RouterBuilder, Rule, StaticResponse};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

/// The services behind, as far as a test has any.
type Member = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, Infallible>;

/// A service that says its name.
fn member(name: &'static str) -> Member {
    Member::new(tower::service_fn(move |_| async move {
        Ok(Response::new(Full::from(name)))
    }))
}

fn builder() -> RouterBuilder<Member> {
    Router::builder().fallback_response(StaticResponse::text("no rule"))
}

/// Asks a router whose every rule has an answer.
async fn ask(router: &Router<Member>, request: http::request::Builder) -> (Response<()>, String) {
    let request = request.body(Full::default()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    (Response::from_parts(head, ()), text)
}

/// Whether a rule is met by a request, which another one would be answered for.
async fn meets(rule: Rule, request: http::request::Builder) -> bool {
    let router = builder()
        .respond(rule, StaticResponse::text("met"))
        .build()
        .unwrap();
    match ask(&router, request).await.1.as_str() {
        "met" => true,
        "no rule" => false,
        other => panic!("neither met nor not: {other}"),
    }
}
