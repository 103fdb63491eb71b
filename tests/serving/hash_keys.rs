//! Hash keys through a server, a router and a proxy: the client's address as the server
//! knows it, and parts of the head as members get them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use equipoise::proxy::{
    EdgeLayer, Endpoint, Forwarding, PathMap, ReverseProxy, Router, Rule, Server,
};
use equipoise::scheduler::Rendezvous;
use equipoise::service::HashKey;
use equipoise::{BalanceLayer, Balancer, MemberSpec};
use http::{Response, Version};

use super::client::{Client, bytes, get};
use super::front::Front;
use super::member::{Member, full};
use super::within;

/// Members that answer with their names.
async fn members() -> (Vec<Member>, Balancer<Endpoint>) {
    let mut members = Vec::new();
    let mut balancer = Balancer::builder().scheduler(Rendezvous::new());
    for name in ["a", "b", "c", "d"] {
        let answer = move |_| async move { Response::new(full(format!("from {name}"))) };
        let member = Member::start(answer).await;
        let endpoint = member.endpoint().build().unwrap();
        balancer = balancer.member(name, endpoint, MemberSpec::new());
        members.push(member);
    }
    (members, balancer.build().unwrap())
}

fn proxy(balancer: &Balancer<Endpoint>, key: HashKey) -> ReverseProxy {
    let edge = EdgeLayer::new(Forwarding::new());
    let edge = edge.path_map(PathMap::new().with_prefix("/app", "/").unwrap());
    ReverseProxy::from_parts(BalanceLayer::new(balancer.clone()).hash_on(key), edge)
}

/// The member that serves a client whose address a PROXY header tells.
async fn served_from(address: SocketAddr, client: &str) -> String {
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let there = if client.contains(':') {
        "::1"
    } else {
        "127.0.0.1"
    };
    let head = "GET /app/ HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
    let sent = format!("PROXY {family} {client} {there} 4000 80\r\n{head}");
    let answer = bytes(address, sent).await;
    let at = answer.find("from ").unwrap_or_else(|| panic!("{answer}"));
    answer[at..at + 6].to_owned()
}

#[tokio::test]
async fn a_clients_network_stays_with_its_member() {
    within(async {
        let (_members, balancer) = members().await;
        let key = HashKey::client_network(24, 64);
        let peers = ["127.0.0.0/8".parse().unwrap()];
        let server = || Server::new().proxy_protocol(peers);
        let routed = Router::builder()
            .service(Rule::new(), proxy(&balancer, key.clone()))
            .build()
            .unwrap();
        let fronts = [
            Front::start(server(), proxy(&balancer, key)),
            Front::start(server(), routed),
        ];
        let mut all = BTreeSet::new();
        for network in 0..20 {
            let mut served = BTreeSet::new();
            for front in &fronts {
                for host in [1, 77, 254] {
                    let client = format!("198.51.{network}.{host}");
                    served.insert(served_from(front.address, &client).await);
                }
            }
            assert_eq!(served.len(), 1, "{network}: {served:?}");
            all.extend(served);
        }
        assert_eq!(all.len(), 4);
        for front in &fronts {
            let one = served_from(front.address, "2001:db8:0:7::1").await;
            let other = served_from(front.address, "2001:db8:0:7:ffff::2").await;
            assert_eq!(one, other);
        }
    })
    .await;
}

#[tokio::test]
async fn the_path_is_the_one_that_members_get() {
    within(async {
        let (_members, balancer) = members().await;
        let front = Front::start(Server::new(), proxy(&balancer, HashKey::path()));
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let mut client = Client::connect(front.address, version).await;
            for at in 0..20 {
                let answer = client.ask(get(&format!("/app/{at}?x"))).await;
                let hash = equipoise::stable_hash::hash_bytes(format!("/{at}").as_bytes());
                let request = equipoise::PickRequest::new().with_hash(hash);
                let expected = balancer.explain(&request).picked().unwrap().name.clone();
                assert_eq!(answer.text, format!("from {expected}"), "{version:?} {at}");
            }
        }
    })
    .await;
}
