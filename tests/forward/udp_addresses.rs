//! Where answers come from, where members are (by name, without a port), and that members are
//! told where datagrams come from.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::balancer::events::EventKind;
use equipoise::forward::{Address, Dropped, UdpForwarder};
use equipoise::member::Cause;
use equipoise::{Balancer, Event, Flag};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::udp::{Client, Front, Server, balancer, until};
use super::within;

/// A client that is answered only by the address that it sends to.
async fn client_of(address: &str, port: u16) -> Client {
    let own = if address.contains(':') {
        "::"
    } else {
        "0.0.0.0"
    };
    let socket = UdpSocket::bind((own, 0)).await.unwrap();
    socket.connect((address, port)).await.unwrap();
    Client { socket }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_answer_comes_from_the_address_that_the_client_has_sent_to() {
    within(async {
        let server = Server::echo().await;
        let forwarder = UdpForwarder::new(balancer([&server]));
        for (bound, addresses) in [
            ("0.0.0.0:0", &["127.0.0.1", "127.0.0.2", "127.1.2.3"][..]),
            ("[::]:0", &["::1", "127.0.0.1", "127.0.0.2"]),
        ] {
            let front = Front::start_at(bound, forwarder.clone()).await;
            for address in addresses {
                let client = client_of(address, front.address.port()).await;
                for length in [5, 0, 65_507] {
                    let datagram = vec![7; length];
                    assert_eq!(client.ask(&datagram).await, datagram, "{bound} {address}");
                }
            }
        }
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_sends_to_two_addresses_is_answered_by_both() {
    within(async {
        let server = Server::echo().await;
        let forwarder = UdpForwarder::new(balancer([&server]));
        let front = Front::start_at("0.0.0.0:0", forwarder).await;
        let client = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let mut memory = [0; 64];
        for _ in 0..3 {
            for address in ["127.0.0.1", "127.0.0.2"] {
                let to: SocketAddr = (
                    address.parse::<std::net::IpAddr>().unwrap(),
                    front.address.port(),
                )
                    .into();
                client.send_to(address.as_bytes(), to).await.unwrap();
                let (length, from) = client.recv_from(&mut memory).await.unwrap();
                assert_eq!((from, &memory[..length]), (to, address.as_bytes()));
            }
        }
        assert_eq!(front.statistics.opened(), 2);
    })
    .await;
}

/// Members by name are resolved as this is, to the same address first.
async fn server_of_localhost() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("localhost:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

#[tokio::test]
async fn datagrams_wait_for_the_name_of_their_member_and_none_is_lost() {
    within(async {
        let (server, port) = server_of_localhost().await;
        let balancer = Balancer::builder().build().unwrap();
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        // It comes after the names of all members were asked for.
        let member = Address::host("localhost", Some(port));
        balancer.insert("a", member, Default::default()).unwrap();
        let clients = [front.client().await, front.client().await];
        // As many as may wait of one flow.
        for number in 0..8 {
            for client in &clients {
                client.send(&[number]).await;
            }
        }
        let mut memory = [0; 64];
        for _ in 0..16 {
            let (length, from) = server.recv_from(&mut memory).await.unwrap();
            server.send_to(&memory[..length], from).await.unwrap();
        }
        for number in 0..8 {
            for client in &clients {
                assert_eq!(client.answer().await, [number]);
            }
        }
        assert_eq!(front.statistics.opened(), 2);
        let member = balancer.member("a").unwrap();
        assert_eq!((member.in_flight(), member.picked()), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn a_datagram_that_waits_for_a_name_counts_once_for_the_rate_of_its_client() {
    within(async {
        let (server, port) = server_of_localhost().await;
        let balancer = Balancer::builder().build().unwrap();
        let forwarder = UdpForwarder::new(balancer.clone());
        let front = Front::start(forwarder.new_flows_per_client(1).max_datagram(8)).await;
        let client = front.client().await;
        client.send(b"too long for it").await;
        until(|| front.statistics.dropped(Dropped::Oversize) == 1).await;
        // It comes after the names of all members were asked for.
        let member = Address::host("localhost", Some(port));
        balancer.insert("a", member, Default::default()).unwrap();
        client.send(b"hello").await;
        let mut memory = [0; 64];
        let received = server.recv_from(&mut memory);
        let received = timeout(Duration::from_secs(5), received).await;
        assert!(received.is_ok(), "{}", front.statistics);
    })
    .await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_puts_its_member_in_error_and_no_datagram_is_lost() {
    within(async {
        let server = Server::echo().await;
        let members = [
            ("none", Address::host("none.invalid", Some(53))),
            ("a", server.address.into()),
        ];
        let balancer = Balancer::new(members).unwrap();
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        assert_eq!(front.client().await.ask(b"hello").await, b"hello");
        let none = balancer.member("none").unwrap();
        assert!(none.status().contains(Flag::InError));
        assert_eq!(none.in_flight(), 0);
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_member_that_takes_no_datagrams_is_put_in_error() {
    within(async {
        let server = Server::echo().await;
        let members = [
            ("unix", Address::unix("/run/none.sock")),
            ("a", server.address.into()),
        ];
        let balancer = Balancer::new(members).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let _observing = balancer.observe(move |event: &Event<'_>| {
            if let EventKind::Ended(ended) = event.kind {
                let _ = tell.send(ended.cause.clone());
            }
        });
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        assert_eq!(front.client().await.ask(b"hello").await, b"hello");
        let unix = balancer.member("unix").unwrap();
        assert!(unix.status().contains(Flag::InError));
        let cause = Cause::from("datagrams cannot be sent to a unix socket");
        assert_eq!(told.recv(), Ok(Some(cause)));
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn members_that_a_datagram_has_all_tried_in_vain_stay_in_error() {
    within(async {
        let members = ["/a", "/b"].map(|path| (path, Address::unix(path)));
        let balancer = Balancer::new(members).unwrap();
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        front.client().await.send(b"hello").await;
        until(|| front.statistics.dropped(Dropped::NoMember) == 1).await;
        for member in balancer.members() {
            assert!(member.status().contains(Flag::InError), "{}", member.name());
        }
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_member_without_a_port_takes_datagrams_at_the_port_of_the_socket() {
    within(async {
        let server = UdpSocket::bind("127.0.0.2:0").await.unwrap();
        let here = format!("127.0.0.1:{}", server.local_addr().unwrap().port());
        let members = [("a", "127.0.0.2".parse::<Address>().unwrap())];
        let forwarder = UdpForwarder::new(Balancer::new(members).unwrap());
        let front = Front::start_at(&here, forwarder).await;
        front.client().await.send(b"hello").await;
        let mut memory = [0; 64];
        let length = server.recv(&mut memory).await.unwrap();
        assert_eq!(&memory[..length], b"hello");
    })
    .await;
}

/// The header of version 2 by which a datagram is announced.
fn header(client: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    let octets = |address: SocketAddr| match address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    header.extend_from_slice(if client.is_ipv4() {
        &[0x12, 0, 12]
    } else {
        &[0x22, 0, 36]
    });
    header.extend_from_slice(&octets(client));
    header.extend_from_slice(&octets(to));
    header.extend_from_slice(&client.port().to_be_bytes());
    header.extend_from_slice(&to.port().to_be_bytes());
    header
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_datagram_to_a_member_tells_where_it_comes_from_and_answers_do_not() {
    within(async {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let members = [("a", server.local_addr().unwrap().into())];
        let balancer = Balancer::new(members).unwrap();
        let mut memory = vec![0; 65_536];
        for (bound, address) in [
            ("0.0.0.0:0", "127.0.0.2"),
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::]:0", "127.0.0.2"),
            ("[::]:0", "::1"),
        ] {
            let forwarder = UdpForwarder::new(balancer.clone()).proxy_protocol();
            let front = Front::start_at(bound, forwarder).await;
            let client = client_of(address, front.address.port()).await;
            let own = client.socket.local_addr().unwrap();
            let expected = header(own, client.socket.peer_addr().unwrap());
            for payload in [&b"hello"[..], b"", &[7; 60_000]] {
                client.send(payload).await;
                let (length, from) = server.recv_from(&mut memory).await.unwrap();
                let (told, sent) = memory[..length].split_at(expected.len());
                assert_eq!((told, sent), (&expected[..], payload), "{bound} {address}");
                server.send_to(payload, from).await.unwrap();
                assert_eq!(client.answer().await, payload);
            }
            // With its header it is too long for any datagram.
            client.send(&[0; 65_507]).await;
            until(|| front.statistics.dropped(Dropped::Oversize) > 0).await;
            client.send(b"still here").await;
            let length = server.recv(&mut memory).await.unwrap();
            assert!(memory[..length].ends_with(b"still here"));
            assert_eq!(front.statistics.flows(), 1);
        }
        let member = balancer.member("a").unwrap();
        assert_eq!(member.bytes_sent(), 4 * (60_005 + 10));
    })
    .await;
}
