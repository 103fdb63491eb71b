//! What clients are told where no member answers, and that members which are gone do not
//! matter as long as there is another.

use std::time::Duration;

use equipoise::proxy::{EdgeLayer, Forwarding, ReverseProxy, Server};
use equipoise::{BalanceLayer, Balancer, MemberSpec};
use http::{Request, Response, Version};

use super::client::{Answer, Client, asking};
use super::front::Front;
use super::member::{AnyBody, Member, balancer, empty, endpoint, full, nobody, proxy};
use super::within;

fn accepting(method: &str, accept: &str) -> Request<AnyBody> {
    let request = asking(method, "/").header("accept", accept);
    request.body(empty()).unwrap()
}

async fn in_both(front: &Front, request: impl Fn() -> Request<AnyBody>) -> [Answer; 2] {
    let mut one = Client::connect(front.address, Version::HTTP_11).await;
    let mut two = Client::connect(front.address, Version::HTTP_2).await;
    [one.ask(request()).await, two.ask(request()).await]
}

#[tokio::test]
async fn a_refusal_is_text_or_json_as_the_client_likes() {
    within(async {
        for (accept, kind, text) in [
            (
                "*/*",
                "text/plain; charset=utf-8",
                "Bad Gateway: the server behind this one failed.\n",
            ),
            (
                "application/json",
                "application/problem+json",
                "{\"title\":\"Bad Gateway\",\"status\":502,\
                 \"detail\":\"the server behind this one failed\"}\n",
            ),
        ] {
            let front = Front::start(Server::new(), proxy([endpoint(nobody())]));
            let mut client = Client::connect(front.address, Version::HTTP_11).await;
            let answer = client.ask(accepting("GET", accept)).await;
            assert_eq!(answer.status, 502);
            assert_eq!(answer.headers["content-type"], kind);
            assert_eq!(answer.text, text);
        }
    })
    .await;
}

#[tokio::test]
async fn who_comes_too_early_is_told_when_to_come_again() {
    within(async {
        let gone = endpoint(nobody()).build().unwrap();
        let balancer = Balancer::builder()
            .member("a", gone, MemberSpec::new())
            .forced_recovery(false);
        let proxy = ReverseProxy::new(balancer.build().unwrap());
        let front = Front::start(Server::new(), proxy);
        let [first, second] = in_both(&front, || accepting("GET", "*/*")).await;
        // With the first it is in error, until it is time to try it again.
        assert_eq!((first.status, second.status), (502, 503));
        let seconds: u64 = second.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    within(async {
        let front = Front::start(Server::new(), proxy([endpoint(nobody())]));
        for accept in ["*/*", "application/json"] {
            for answer in in_both(&front, || accepting("HEAD", accept)).await {
                assert!(answer.status >= 502, "{answer:?}");
                assert_eq!(answer.text, "");
            }
        }
        // Nothing of it is taken for the next answer.
        let mut client = Client::connect(front.address, Version::HTTP_11).await;
        client.ask(accepting("HEAD", "*/*")).await;
        let answer = client.ask(accepting("GET", "*/*")).await;
        assert!(answer.text.starts_with("Bad Gateway: "), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn both_the_server_and_the_edge_can_be_given_other_answers() {
    within(async {
        let member = Member::telling().await;
        let page = |who: &'static str| {
            move |refusal: &equipoise::service::ErrorPage<'_>| {
                let text = format!("{who}: {} {}", refusal.status(), refusal.prefers_json());
                Response::builder()
                    .status(200)
                    .header("x-page", who)
                    .body(text.into())
                    .unwrap()
            }
        };
        let edge = EdgeLayer::new(Forwarding::new()).error_page(page("edge"));
        let members = [member.endpoint(), endpoint(nobody())];
        let here = BalanceLayer::new(balancer(members));
        let gone = BalanceLayer::new(balancer([endpoint(nobody())]));
        let server = Server::new().max_body(4).error_page(page("server"));
        let here = Front::start(server.clone(), ReverseProxy::from_parts(here, edge.clone()));
        let gone = Front::start(server, ReverseProxy::from_parts(gone, edge));

        let long = || asking("POST", "/").body(full("12345")).unwrap();
        for answer in in_both(&here, long).await {
            assert_eq!(answer.status, 413, "whatever the page says");
            assert_eq!(answer.headers["x-page"], "server");
            assert_eq!(answer.text, "server: 413 Payload Too Large false");
        }
        let astray = || asking("GET", "/../a").body(empty()).unwrap();
        for answer in in_both(&here, astray).await {
            assert_eq!(answer.text, "edge: 400 Bad Request false");
        }
        let json = || accepting("GET", "application/json");
        for answer in in_both(&gone, json).await {
            assert_eq!(answer.text, "edge: 502 Bad Gateway true");
        }
        let head = || accepting("HEAD", "*/*");
        for answer in in_both(&gone, head).await {
            assert_eq!((answer.status, &*answer.text), (502, ""));
        }
        assert_eq!(member.asked(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_member_whose_port_is_closed_is_passed_over_whatever_is_sent() {
    within(async {
        for method in ["GET", "POST"] {
            let member = Member::telling().await;
            let gone = [nobody(), nobody()].map(endpoint);
            let balancer = balancer(gone.into_iter().chain([member.endpoint()]));
            let front = Front::start(Server::new(), ReverseProxy::new(balancer.clone()));
            let request = || asking(method, "/").body(full("precious")).unwrap();
            for _ in 0..5 {
                for answer in in_both(&front, request).await {
                    assert_eq!(answer.status, 200);
                    assert!(answer.text.ends_with("\n\nprecious"), "{answer:?}");
                }
            }
            assert_eq!(member.asked(), 10);
            for gone in ["a", "b"] {
                let status = balancer.member(gone).unwrap().status();
                assert!(status.contains(equipoise::Flag::InError));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_says_nothing_is_a_gateway_timeout() {
    within(async {
        let member = Member::start(async |_| {
            std::future::pending::<()>().await;
            Response::new(empty())
        })
        .await;
        let endpoint = member.endpoint().head_timeout(Duration::from_millis(100));
        let front = Front::start(Server::new(), proxy([endpoint]));
        let mut client = Client::connect(front.address, Version::HTTP_11).await;
        let answer = client.ask(accepting("GET", "*/*")).await;
        assert_eq!(answer.status, 504);
        super::eventually(|| member.open() == 0).await;
    })
    .await;
}
