//! Members learn the same about a client, whether its facts are beside the request or in its
//! extensions, at the first attempt and at a later one.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use equipoise::proxy::{
    ClientAddr, EdgeLayer, Endpoint, Forwarding, ReverseProxy, Router, Rule, Server, StaticResponse,
};
use equipoise::service::{BufferUpTo, ServedBy};
use equipoise::{BalanceLayer, Balancer};
use http::{Method, Version};
use tower::ServiceBuilder;

use super::client::{Client, asking};
use super::front::Front;
use super::member::{Member, balancer, endpoint, full, nobody, tell};
use super::within;

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

fn layer(balancer: &Balancer<Endpoint>) -> BalanceLayer<Endpoint> {
    BalanceLayer::new(balancer.clone())
}

fn edge() -> EdgeLayer {
    EdgeLayer::new(Forwarding::new().with_via("edge").unwrap())
}

fn proxy(balancer: &Balancer<Endpoint>) -> ReverseProxy {
    ReverseProxy::from_parts(layer(balancer), edge())
}

/// Servers over the same members, in each of which the proxy stands in another place.
fn fronts(balancer: &Balancer<Endpoint>) -> Vec<(&'static str, Front)> {
    let routed = Router::builder()
        .respond(Rule::new().path("/here"), StaticResponse::text("here\n"))
        .service(Rule::new().method(Method::GET), proxy(balancer))
        .fallback(proxy(balancer))
        .build()
        .unwrap();
    let behind = ServiceBuilder::new()
        .map_request(|request| request)
        .service(proxy(balancer));
    let machine_first = layer(balancer).machine_first();
    let machine_first = ReverseProxy::from_parts(machine_first, edge());
    let buffered = layer(balancer).request_body(BufferUpTo(100));
    let buffered = ReverseProxy::from_parts(buffered, edge());
    vec![
        ("direct", Front::start(Server::new(), proxy(balancer))),
        ("routed", Front::start(Server::new(), routed)),
        ("behind", Front::start(Server::new(), behind)),
        ("machine first", Front::start(Server::new(), machine_first)),
        ("buffered", Front::start(Server::new(), buffered)),
    ]
}

/// Asks for a page with a cookie, and returns what the member got.
async fn told(front: &Front, version: Version, method: &str) -> String {
    let mut client = Client::connect(front.address, version).await;
    let body = if method == "PUT" { "hello" } else { "" };
    let request = asking(method, "/a?b=c").header("cookie", "d=e");
    let request = request
        .header("x-forwarded-for", "192.0.2.1")
        .body(full(body));
    let answer = client.ask(request.unwrap()).await;
    assert_eq!(answer.status, 200);
    answer.text
}

#[tokio::test]
async fn members_learn_the_same_wherever_the_proxy_stands() {
    within(async {
        let member = Member::start(tell).await;
        // In the second group, first attempts fail.
        let alone = balancer([member.endpoint()]);
        let after_others = || balancer([endpoint(nobody()), endpoint(nobody()), member.endpoint()]);
        for version in VERSIONS {
            for method in ["GET", "PUT"] {
                let mut expected = None;
                let groups = [alone.clone(), after_others()];
                for group in groups {
                    for (place, front) in fronts(&group) {
                        let told = told(&front, version, method).await;
                        assert!(told.contains("x-forwarded-for: 127.0.0.1\n"), "{told}");
                        let expected = expected.get_or_insert_with(|| told.clone());
                        assert_eq!(*expected, told, "{place} {version:?} {method}");
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn functions_of_the_user_find_the_client_in_the_extensions() {
    within(async {
        let member = Member::start(tell).await;
        let balancer = balancer([endpoint(nobody()), member.endpoint()]);
        let (hashed, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let (count, last) = (hashed.clone(), seen.clone());
        let layer = layer(&balancer)
            .hash_by(move |head| {
                let client = head.extensions.get::<ClientAddr>()?;
                count.fetch_add(1, SeqCst);
                Some(u64::from(client.0.port()))
            })
            .facts_by(move |head| {
                *last.lock().unwrap() = head.extensions.get::<ClientAddr>().copied();
                Some(())
            });
        let front = Front::start(Server::new(), ReverseProxy::from_parts(layer, edge()));
        for version in VERSIONS {
            told(&front, version, "GET").await;
            assert!(seen.lock().unwrap().take().is_some());
        }
        // Also for the attempt after the one that failed.
        assert!(hashed.load(SeqCst) >= 3);
    })
    .await;
}

#[tokio::test]
async fn a_layer_before_the_proxy_learns_the_member() {
    within(async {
        let member = Member::start(tell).await;
        let balancer = balancer([endpoint(nobody()), member.endpoint()]);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let behind = ServiceBuilder::new()
            .map_response(move |response: http::Response<_>| {
                let served = response.extensions().get::<ServedBy>().unwrap();
                let line = format!("{} {}", served.member, served.attempts);
                log.lock().unwrap().push(line);
                response
            })
            .service(proxy(&balancer));
        let front = Front::start(Server::new(), behind);
        for version in VERSIONS {
            told(&front, version, "GET").await;
        }
        assert_eq!(*seen.lock().unwrap(), ["b 2", "b 1"]);
    })
    .await;
}
